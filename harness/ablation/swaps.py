"""The full plan: removals, single modalities, other parts in a part's place, other code widths,
other vectors."""

from collections.abc import Iterator, Mapping
from typing import Any

from fusefront.baselines.models.composed_settings import PLACEMENTS
from fusefront.harness.ablation.plan import Change, Factor, Level, Workbench, is_same, removals

# inputs and options beside the fusion's components that can be left out
_DROPPED: Mapping[str, tuple[Change, ...]] = {
    "history": ({"pooler": None}, {"pooler": None, "placement": "item"}),
    "item fields": ({"side_width": 0},),
    "context": ({"context_width": 0},),
    "counters and other numbers of the context": ({"context_numbers": False},),
    "modality dropout": ({"modality_dropout": 0.0},),
}
# a few parts of each kind that differ in what they can express; a plan file can name others
_SWAPPED: Mapping[str, tuple[str, ...]] = {
    "operator": ("concat", "mean", "scalar_gate", "bilinear", "self_attention", "logit_average"),
    "placement": PLACEMENTS,
    "compressor": ("none", "pca", "random_projection", "bottleneck", "rq"),
    "pooler": ("mean", "target_attention", "din", "transformer"),
    "head": ("linear", "mlp", "dcnv2"),
}
K_STEPS = (0.25, 0.5, 2.0)  # times the parent's own code width


def full_plan(workbench: Workbench) -> list[Factor]:
    """Everything that can be left out of a strategy or replaced; impossible levels are dropped
    later."""
    return [
        *removals(workbench),
        *_dropped(workbench),
        *_alone(workbench),
        *_swaps(workbench),
        *_widths(workbench),
        *_other_vectors(workbench),
    ]


def _dropped(workbench: Workbench) -> Iterator[Factor]:
    """History, item fields, context and counters, if the data have them and the parent reads
    them."""
    resolved, schema = workbench.resolved, workbench.schema
    numbers = schema.request_numbers + schema.candidate_numbers
    context = numbers + len(schema.request_fields) + len(schema.candidate_fields)
    side = len(schema.item_fields) + schema.item_numbers
    reads = {
        "history": schema.max_history > 0 and resolved.get("pooler") is not None,
        "item fields": side > 0 and bool(resolved.get("side_width")),
        "context": context > 0 and bool(resolved.get("context_width")),
        "counters and other numbers of the context": numbers > 0
        and bool(resolved.get("context_width"))
        and resolved.get("context_numbers") is True,
        "modality dropout": bool(resolved.get("modality_dropout")),
    }
    for word, tries in _DROPPED.items():
        if reads[word]:
            yield Factor(word, "component", (Level(word, tries),))


def _alone(workbench: Workbench) -> Iterator[Factor]:
    """One modality without the other modalities; ids, fields and history stay."""
    names = workbench.modalities
    for name in names if len(names) > 1 else ():
        only: Change = {"modalities": [name]}
        tries = (only, {**only, "alignment": None}, {**only, "operator": None})
        yield Factor(name, "alone", (Level(f"{name} alone", tries),))


def _swaps(workbench: Workbench) -> Iterator[Factor]:
    for key, names in _SWAPPED.items():
        if key not in workbench.resolved:
            continue
        own = workbench.resolved[key]
        levels = [
            Level(f"{key} {name}", _in_place(key, name))
            for name in names
            if not is_same(own, _spec(key, name))
        ]
        yield Factor(key, "swap", tuple(levels))


def _in_place(key: str, name: str) -> tuple[Change, ...]:
    """The other part; an operator on logits also needs its placement, and the reverse."""
    if key == "operator" and name == "logit_average":
        return ({key: {"name": name}, "placement": "logit"},)
    if key == "placement":
        joins: Any = {"name": "logit_average"}
        wider: Change = {key: name, "conditioning": "item_only"}
        return (
            {key: name},
            wider,
            {**wider, "operator": joins if name == "logit" else {"name": "concat"}},
            {**wider, "operator": None},
        )
    return ({key: _spec(key, name)},)


def _other_vectors(workbench: Workbench) -> Iterator[Factor]:
    """Trained with a modality's vectors of other items, and with random ones: what they lose is the
    content's, what they keep any vector gives."""
    parent = workbench.parent
    for name in workbench.modalities:
        if name in parent.other_vectors:
            continue
        levels = (
            Level(f"{name} of other items", ({"shuffle": [*parent.shuffle, name]},)),
            Level(f"random {name}", ({"randomize": [*parent.randomize, name]},)),
        )
        yield Factor(f"vectors of {name}", "swap", levels)


def _spec(key: str, name: str) -> Any:
    if key == "placement":
        return name
    return None if name == "none" else {"name": name}


def _widths(workbench: Workbench) -> Iterator[Factor]:
    """Code widths around the parent's own; each gives a different model."""
    compressor = workbench.resolved.get("compressor")
    k = compressor.get("k") if isinstance(compressor, Mapping) else None
    widths = [workbench.schema.modalities[name] for name in workbench.modalities]
    if not isinstance(k, int) or not widths:
        return
    most = max(widths)  # a code is at most as wide as its vectors
    steps = {min(max(round(step * k), 1), most) for step in K_STEPS} - {min(k, most)}
    levels = tuple(
        Level(f"compressor.k {width}", ({"compressor.k": width},)) for width in sorted(steps)
    )
    yield Factor("compressor.k", "swap", levels)
