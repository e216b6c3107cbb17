"""Multiply-accumulates (MACs) of the online half, counted on an artificial request of ones."""

import torch
from torch.utils.flop_counter import FlopCounterMode

from fusefront.baselines.contract import Baseline, Context, ItemCodes, RequestBatch, Schema, gather

CANDIDATES = 100


def macs_per_candidate(model: Baseline, items: int, schema: Schema) -> int:
    """MACs a candidate of `score`: those of one request with 100 candidates and a full history,
    divided by 100.

    Looking up items costs no MACs, nor do products of weights alone, which an exported graph holds
    as constants: what a second request adds is counted. The fused kernel of multi-head attention
    is switched off, because the counter sees none of its MACs in eval mode.
    """
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.no_grad():
            codes = model.eval().encode_items(torch.arange(min(items, CANDIDATES) + 1))
            pair, single = (_flops(model, codes, schema, requests) for requests in (2, 1))
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    return round((pair - single) / 2 / CANDIDATES)


def _flops(model: Baseline, codes: ItemCodes, schema: Schema, requests: int) -> int:
    batch = _batch(codes, schema, requests)
    request = gather(codes, batch, batch.items)
    with FlopCounterMode(display=False) as counter:
        model.score(request, batch.rows)
    return int(counter.get_total_flops())


def code_bytes(model: Baseline, items: int, schema: Schema, candidates: int) -> float:
    """Bytes of the item codes that one request with `candidates` candidates and a full history
    looks up, at two bytes a number."""
    with torch.no_grad():
        codes = model.eval().encode_items(torch.arange(min(items, CANDIDATES) + 1))
    widths = codes.candidate.values.shape[1], codes.history.values.shape[1]
    return 2.0 * (widths[0] * candidates + widths[1] * schema.max_history)


def _batch(codes: ItemCodes, schema: Schema, requests: int) -> RequestBatch:
    n, longest = len(codes.candidate.values), schema.max_history
    candidates = torch.arange(CANDIDATES).remainder(n - 1).add(1).expand(requests, -1)
    history = torch.arange(longest).remainder(n - 1).add(1).expand(requests, -1)
    columns = [
        sum(f.columns for f in fields)
        for fields in (schema.request_fields, schema.candidate_fields)
    ]
    return RequestBatch(
        torch.arange(n),
        history,
        torch.ones(requests, longest, dtype=torch.bool),
        candidates,
        torch.ones(requests, CANDIDATES, dtype=torch.bool),
        torch.arange(requests * CANDIDATES),
        Context(
            torch.zeros(requests, columns[0], dtype=torch.int64),
            torch.zeros(requests, schema.request_numbers),
        ),
        Context(
            torch.zeros(requests, CANDIDATES, columns[1], dtype=torch.int64),
            torch.zeros(requests, CANDIDATES, schema.candidate_numbers),
        ),
        torch.zeros(requests, CANDIDATES),
        torch.zeros(requests, CANDIDATES, dtype=torch.int64),
        torch.zeros(requests, dtype=torch.int64),
    )
