"""Everything a study can name, as table rows with costs: strategies, and the parts of every
axis."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

from fusefront.baselines.contract import Baseline, Parts, Pooler
from fusefront.datasets.synthetic.worlds import WORLDS
from fusefront.harness.data.cost import macs_per_candidate
from fusefront.harness.parts.kinds import MODEL_KINDS
from fusefront.harness.parts.listing_beside import BESIDE, rows_beside
from fusefront.harness.parts.origins import fails
from fusefront.harness.parts.outside_parts import Own, own_parts
from fusefront.harness.parts.plugins import load_parts
from fusefront.harness.runs.files import Json
from fusefront.harness.testing.macs import (
    compressor_macs_per_item,
    encode_macs_per_item,
    head_macs,
    macs_per_item,
    pooler_macs,
)
from fusefront.harness.testing.shapes import SCHEMA, filled, parameters_of, shapes_of

Row = dict[str, Json]
P = TypeVar("P", bound=nn.Module)
SLOTS, WIDTH, VECTOR = 3, 128, 768  # sizes used for counting: slots, their width, a raw vector
BASIS = f"""\
Parameters and multiply-accumulates (MACs): a strategy on {SCHEMA.items:,} items with vectors of \
{", ".join(map(str, SCHEMA.modalities.values()))} numbers and histories of {SCHEMA.max_history}; \
a compressor on one vector of {VECTOR}; an operator on {SLOTS} slots, poolers and heads on \
vectors, of {WIDTH}. An item is encoded offline, once; a candidate is scored online: a strategy's \
share of a request of 100, a pooler's or head's one more."""
PLACEMENTS = {
    "item": ("yes, unless target-aware", "Snoek et al. 2005, ACM MM (early fusion)"),
    "pooled": ("part: the history is fused online", "Zhou et al. 2018, KDD (DIN, per slot)"),
    "interaction": ("part: summaries are crossed online", "Huang et al. 2019, RecSys (FiBiNET)"),
    "logit": ("part: towers and their join run online", "Snoek et al. 2005, ACM MM (late fusion)"),
}
CONDITIONINGS = {
    "item_only": ("yes, at item", ""),
    "target_aware": ("no: the operator reads the candidate", "Zhou et al. 2018, KDD (DIN)"),
}


def rows_of(kind: str, include: Sequence[Path]) -> list[Row]:
    """The rows of one kind, or of all axes for "strategies", with the plug-ins under `include`."""
    if kind == "worlds":
        return [{"world": name} for name in WORLDS]
    if kind in BESIDE:
        return rows_beside(BESIDE[kind], include)
    axes = _axes(load_parts(include), own_parts(include, MODEL_KINDS))
    if kind == "strategies":
        return [
            {"axis": axis, **{key: value for key, value in row.items() if key != "choices"}}
            for axis, rows in axes.items()
            for row in rows()
        ]
    return axes[kind.removesuffix("s")]()


def _axes(parts: Parts, own: Sequence[Own]) -> dict[str, Callable[[], list[Row]]]:
    """Axis -> the function that makes its rows, so that only requested axes are counted."""
    outside = {(part.kind.table, part.name): part for part in own}

    def each(
        table: str, row: Callable[[str, type[P]], Row], zoo: Mapping[str, type[P]]
    ) -> Callable[[], list[Row]]:
        def counted(name: str, part: type[P]) -> Row:
            own_part = outside.get((table, name))
            if own_part is None:
                return row(name, part)
            try:
                return row(name, part) | {"from": own_part.owner}
            except Exception as error:  # a plug-in's code can raise anything
                raise fails(own_part, error, "cannot be built and run on zeros") from error

        return lambda: [counted(name, part) for name, part in zoo.items()]

    return {
        "strategy": each(
            "BASELINES",
            lambda name, kind: _strategy(name, kind, parts, ("BASELINES", name) in outside),
            parts.baselines,
        ),
        "compressor": each("COMPRESSORS", _compressor, parts.compressors),
        "operator": each("OPERATORS", _operator, parts.operators),
        "placement": lambda: [_row(n, cached=c, paper=p) for n, (c, p) in PLACEMENTS.items()],
        "conditioning": lambda: [_row(n, cached=c, paper=p) for n, (c, p) in CONDITIONINGS.items()],
        "pooler": each("POOLERS", _pooler, parts.poolers),
        "head": each("HEADS", _head, parts.heads),
        "alignment": each("ALIGNMENTS", _alignment, parts.alignments),
    }


def _row(
    name: str,
    parameters: int | None = None,
    item: int | None = None,
    candidate: int | None = None,
    cached: str = "",
    paper: str = "",
    choices: str = "",
) -> Row:
    return {
        "name": name,
        "parameters": parameters,
        "MACs an item": item,
        "MACs a candidate": candidate,
        "cacheable": cached,
        "choices": choices,
        "paper": paper,
        "from": "",  # the file or package of what is not shipped
    }


def _strategy(name: str, kind: type[Baseline], parts: Parts, own: bool) -> Row:
    """The row of a strategy; shipped models are counted from shapes alone, plug-ins may need
    numbers."""
    model = filled(kind, parts) if own else shapes_of(kind, parts)
    with torch.device("cpu" if own else "meta"):
        item = encode_macs_per_item(model)
        candidate = macs_per_candidate(model, SCHEMA.items, SCHEMA)
    total = sum(parameters_of(model).values())
    choices = ", ".join(kind.choices)
    return _row(name, total, item, candidate, model.cacheable(), kind.paper, choices)


def _compressor(name: str, kind: Callable[..., nn.Module]) -> Row:
    compressor = kind(VECTOR).eval()
    macs = compressor_macs_per_item(compressor)  # type: ignore[arg-type]
    return _row(name, _count(compressor), macs, None, "yes", *_paper_and_choices(kind))


def _operator(name: str, kind: Callable[..., nn.Module]) -> Row:
    """The row of an operator: counted without a query if it works without; one on logits runs
    online, for every candidate."""
    on_logits = getattr(kind, "level", "feature") == "logit"
    d = 1 if on_logits else WIDTH
    operator = kind(SLOTS, d).eval()
    macs = macs_per_item(operator, SLOTS, d)
    item, candidate = (None, macs) if on_logits else (macs, None)
    return _row(name, _count(operator), item, candidate, cacheable(kind), *_paper_and_choices(kind))


def _pooler(name: str, kind: Callable[..., nn.Module]) -> Row:
    pooler = kind(WIDTH).eval()
    assert isinstance(pooler, Pooler)
    item, candidate = pooler_macs(pooler, SCHEMA.max_history)
    cached = "part: projections of items" if item else "no: pooling runs online"
    return _row(name, _count(pooler), item, candidate, cached, *_paper_and_choices(kind))


def _head(name: str, kind: Callable[..., nn.Module]) -> Row:
    head = kind(WIDTH).eval()
    return _row(
        name,
        _count(head),
        None,
        head_macs(head, WIDTH),
        "no: runs online",
        *_paper_and_choices(kind),
    )


def _alignment(name: str, kind: Callable[..., nn.Module]) -> Row:
    return _row(name, _count(kind(WIDTH)), None, None, "trains only", *_paper_and_choices(kind))


def cacheable(operator: object) -> str:
    """Whether an operator's result can be computed offline, once an item, at placement `item`."""
    if getattr(operator, "uses_query", False):
        return "without query"
    return "no" if getattr(operator, "level", "feature") == "logit" else "yes"


def _count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def _paper_and_choices(kind: Callable[..., nn.Module]) -> tuple[str, str]:
    return getattr(kind, "paper", ""), ", ".join(getattr(kind, "choices", {}))
