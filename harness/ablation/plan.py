"""What a strategy is without one of its parts: one modality out, one component out."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from fusefront.baselines.contract import Parts, Schema
from fusefront.baselines.models.composed import Composed
from fusefront.harness.errors import UsageError
from fusefront.harness.runs.study import Strategy

# what a component is replaced by, the plainest first; what is refused is passed over
_PLAINER: Mapping[str, tuple[Any, ...]] = {
    "use_id": (False,),
    "compressor": (None,),
    "operator": (None, {"name": "concat"}),
    "pooler": ({"name": "mean"},),
    "head": ({"name": "linear"},),
    "products": (False,),
    "presence_features": (False,),
    "alignment": (None,),
}


@dataclass(frozen=True)
class AblatedStrategy:
    """The parent's settings with one part taken out."""

    name: str
    kind: str  # "modality" | "component"
    without: str
    strategy: Strategy


def ablations(of: str, parent: Strategy, schema: Schema, parts: Parts) -> list[AblatedStrategy]:
    """Every meaningful single removal, modalities first; refuses a strategy with nothing to
    remove."""
    resolved = asdict(parts.baselines[parent.baseline].check(schema, parent.settings, parts))
    removals = [
        AblatedStrategy(f"{of} without {what}", kind, what, strategy)
        for kind, what, changes in _removals(resolved, schema)
        if (strategy := _first_meaningful(parent, resolved, changes, schema, parts)) is not None
    ]
    if not removals:
        raise UsageError(f"strategy {of!r} ({parent.baseline}) has no part that can be taken out")
    return removals


Removal = tuple[str, str, list[dict[str, Any]]]  # kind, what, the changes to try in turn


def _removals(resolved: Mapping[str, Any], schema: Schema) -> list[Removal]:
    chosen = resolved.get("modalities")
    names = [name for name in schema.modalities if name in (chosen or ())]
    modalities: list[Removal] = [
        ("modality", out, [{"modalities": [name for name in names if name != out]}])
        for out in names
        if len(names) > 1
    ]
    components: list[Removal] = [
        ("component", key, [{key: plain} for plain in plainer if not _same(resolved[key], plain)])
        for key, plainer in _PLAINER.items()
        if resolved.get(key) not in (None, False) and (names or key != "compressor")
    ]
    return modalities + components


def _same(value: Any, plainer: Any) -> bool:
    if isinstance(value, Mapping):
        return bool(value["name"] == ("none" if plainer is None else plainer["name"]))
    return bool(value == plainer)


def _first_meaningful(
    parent: Strategy,
    resolved: Mapping[str, Any],
    changes: list[dict[str, Any]],
    schema: Schema,
    parts: Parts,
) -> Strategy | None:
    """The parent with the first change that means something; a preset's fixed part through
    `composed`."""
    base = parent.model_dump(mode="json")
    for change in changes:
        bodies = [{**base, **change, "role": "ablation"}]
        if issubclass(parts.baselines[parent.baseline], Composed):
            unchanged = {key: base[key] for key in ("training", "tune", "shuffle", "space")}
            if parent.recipe == "own":  # `composed` was published with none: it takes its parent's
                recipe = parts.baselines[parent.baseline].recipe
                unchanged["training"] = {**recipe, **base["training"]}
            bodies.append(
                {"baseline": "composed", **unchanged, **resolved, **change, "role": "ablation"}
            )
        for body in bodies:
            strategy = Strategy.model_validate(_plain(body))
            try:
                parts.baselines[strategy.baseline].check(schema, strategy.settings, parts)
            except ValueError:
                continue
            return strategy
    return None


def _plain(body: Mapping[str, Any]) -> dict[str, Any]:
    """Tuples as lists, so that a strategy hashes as if it had come from YAML."""
    copied: dict[str, Any] = json.loads(json.dumps(body))
    return copied
