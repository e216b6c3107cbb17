"""A trained model on item vectors other than those it was trained with: noisy ones, those of other
items or of another file."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from fusefront.baselines.contract import Baseline
from fusefront.baselines.published.base import ItemTokens
from fusefront.baselines.published.content import Content
from fusefront.baselines.slots import CompressedModality, ItemSlots
from fusefront.datasets.store import PreparedDataset
from fusefront.harness.errors import UsageError
from fusefront.harness.robustness.condition import OTHER, Hidden
from fusefront.harness.training.module import encode_table

Vectors = NDArray[np.float32]


def changed_vectors(
    store: PreparedDataset, hidden: Hidden, seed: int = 0, other: Vectors | None = None
) -> Vectors:
    """[n + 1, D] vectors of one modality, with noise of `share` standard deviations of each
    dimension, dealt among a `share` of the items, or for a `share` of them those of `other` [n + 1,
    D]; the same for every model, and a larger share includes a smaller one."""
    rows = np.array(store.vectors(hidden.modality), np.float32)
    column = list(store.manifest.schema_.modalities).index(hidden.modality)
    present = np.flatnonzero(np.asarray(store.items.present)[:, column])
    rng = np.random.default_rng([seed, 2 if hidden.kind == "noise" else 3, column])
    if hidden.kind == "noise":
        noise = rng.standard_normal((len(present), rows.shape[1]))
        rows[present] += (hidden.share * rows[present].std(axis=0) * noise).astype(np.float32)
        return rows
    order = rng.permutation(present)
    chosen = order[: round(hidden.share * len(order))]
    if hidden.kind == OTHER:
        assert other is not None
        rows[chosen] = other[chosen]
        return rows
    rows[chosen] = rows[np.roll(chosen, 1)]
    return rows


def parts_over(model: Baseline, column: int) -> list[CompressedModality]:
    """The parts of a model that hold the compressed table of one modality, given by its index in
    the schema."""
    parts: list[CompressedModality] = []
    for slots in model.modules():
        if isinstance(slots, Content):
            of_content = slots.modalities[column]
            assert isinstance(of_content, CompressedModality)
            parts.append(of_content)
        if isinstance(slots, ItemSlots) and not slots.joint:
            for at, part in enumerate(slots.modalities):
                if slots.groups[at] == column and isinstance(part, CompressedModality):
                    parts.append(part)
    return parts


def raw_tables(model: Baseline, column: int) -> list[tuple[nn.Module, str]]:
    """The parts of a model that hold the vectors of one modality as they are, and their buffer."""
    return [
        (tokens, tokens.names[column])
        for tokens in model.modules()
        if isinstance(tokens, ItemTokens) and column < len(tokens.names)
    ]


def takes_vectors(model: Baseline, store: PreparedDataset, modality: str) -> bool:
    """Whether other vectors of the modality can be put in, or change nothing."""
    column = list(store.manifest.schema_.modalities).index(modality)
    has = parts_over(model, column) or raw_tables(model, column)
    return bool(has) or not reads(model, store, modality)


def reads(model: Baseline, store: PreparedDataset, modality: str) -> bool:
    """Whether hiding the modality for all items changes any item's codes."""
    schema = store.manifest.schema_
    others = torch.tensor([name != modality for name in schema.modalities])
    whole = encode_table(model, schema.items)
    hidden = encode_table(model, schema.items, others.expand(len(store.items.present), -1))
    return not all(map(torch.equal, chain(*whole), chain(*hidden)))


@contextmanager
def other_vectors(
    model: Baseline, store: PreparedDataset, modality: str, rows: Vectors
) -> Iterator[None]:
    """Let the model read `rows` [n + 1, D] of the modality, through its fitted compressor; a model
    that does not read the modality (popularity, ids alone) stays unchanged.

    Raises:
        UsageError: the model reads the modality, but has no separate table of it.
    """
    column = list(store.manifest.schema_.modalities).index(modality)
    parts, raw = parts_over(model, column), raw_tables(model, column)
    if not takes_vectors(model, store, modality):
        raise UsageError(
            f"{type(model).__name__} has no table of {modality!r} alone that other vectors could "
            "be put in; name the kinds that need none (--kind items --kind requests)"
        )
    present = torch.from_numpy(np.array(store.items.present)[:, column])
    clean = torch.from_numpy(rows).masked_fill(~present[:, None], 0.0)
    places = [*((part, "frozen") for part in parts), *raw]
    before = [(part, name, part.get_buffer(name)) for part, name in places]
    for tokens, name in raw:
        setattr(tokens, name, clean)
    with torch.no_grad():
        for part in parts:
            part.frozen = part.compressor.transform(clean)  # type: ignore[operator]
    try:
        yield
    finally:
        for owner, name, own in before:
            setattr(owner, name, own)
