"""What can be named in a study, as rows: models on a small schema, parts by their counted costs."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import nn

from fusefront.baselines.contract import Baseline, Field, ItemTable, Parts, Schema
from fusefront.baselines.heads.zoo import HEADS
from fusefront.baselines.poolers.zoo import POOLERS
from fusefront.baselines.zoo import BASELINES
from fusefront.datasets.synthetic.worlds import WORLDS
from fusefront.harness.data.cost import macs_per_candidate
from fusefront.harness.macs import macs_per_item
from fusefront.harness.plugins import load_parts
from fusefront.harness.runs.files import Json

Row = dict[str, Json]
SLOTS, WIDTH = 3, 128
# a small shop: three modalities, a category on each side, so that every model can be built
SCHEMA = Schema(
    199,
    {"text": 64, "image": 64, "audio": 32},
    (Field("category", 20),),
    0,
    (Field("device", 5),),
    0,
    (Field("position", 9),),
    0,
    50,
)


def rows_of(kind: str, include: Sequence[Path]) -> list[Row]:
    """The rows of one kind; plug-ins under `include` are among the operators and compressors."""
    parts = load_parts(include)
    makers: Mapping[str, Callable[[Parts], list[Row]]] = {
        "strategies": _strategies,
        "operators": _operators,
        "compressors": lambda parts: _simple(parts.compressors),
        "alignments": lambda parts: _simple(parts.alignments),
        "poolers": lambda _: _simple(POOLERS),
        "heads": lambda _: _simple(HEADS),
        "worlds": lambda _: [{"world": name} for name in WORLDS],
    }
    return makers[kind](parts)


def _strategies(parts: Parts) -> list[Row]:
    items = _items()
    rows = []
    for name, kind in BASELINES.items():
        model = kind.build(SCHEMA, items, {}, parts, 0).eval()
        parameters = sum(p.numel() for group in model.parameter_roles().values() for p in group)
        rows.append(
            {
                "strategy": name,
                "family": model.family,
                "parameters": parameters,
                "MACs a candidate": macs_per_candidate(model, SCHEMA.items, SCHEMA),
                "cacheable": _cacheable(model),
                "paper": kind.paper,
            }
        )
    return rows


def _cacheable(model: Baseline) -> str:
    settings = getattr(model, "settings", None)
    aware = getattr(settings, "conditioning", "item_only") == "target_aware"
    return "no: the operator runs per candidate" if aware else "items, offline"


def _operators(parts: Parts) -> list[Row]:
    rows: list[Row] = []
    for name, kind in parts.operators.items():
        level = getattr(kind, "level", "feature")
        d = 1 if level == "logit" else WIDTH
        module = kind(SLOTS, d).eval()
        rows.append(
            {
                "operator": name,
                "level": level,
                "target aware": "may be" if getattr(kind, "uses_query", False) else "no",
                "parameters": sum(p.numel() for p in module.parameters()),
                "MACs an item": macs_per_item(module, SLOTS, d, query_width=WIDTH if d == 1 else d),
                "paper": getattr(kind, "paper", ""),
            }
        )
    return rows


def _simple(zoo: Mapping[str, Callable[..., nn.Module]]) -> list[Row]:
    return [
        {
            "name": name,
            "choices": ", ".join(getattr(kind, "choices", {})) or "none",
            "paper": getattr(kind, "paper", ""),
        }
        for name, kind in zoo.items()
    ]


def _items() -> ItemTable:
    generator = torch.Generator().manual_seed(0)
    n = SCHEMA.items + 1
    return ItemTable(
        {name: torch.randn(n, d, generator=generator) for name, d in SCHEMA.modalities.items()},
        torch.ones(n, len(SCHEMA.modalities), dtype=torch.bool).index_fill(
            0, torch.tensor(0), False
        ),
        torch.arange(n).remainder(20).unsqueeze(1),
        torch.zeros(n, 0),
        torch.arange(n) > 0,
        torch.arange(n),
        torch.arange(n) // 3,
    )
