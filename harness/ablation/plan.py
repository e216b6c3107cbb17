"""What a strategy is without one of its parts: one modality out, one component out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fusefront.baselines.contract import Parts, Schema
from fusefront.baselines.zoo import BASELINES, check_settings
from fusefront.harness.errors import UsageError
from fusefront.harness.runs.study import Strategy

# what a component is replaced by; a setting that is already so has nothing to take out
_PLAINER: Mapping[str, Any] = {
    "use_id": False,
    "compressor": {"name": "none"},
    "operator": {"name": "concat"},
    "pooler": {"name": "mean"},
    "head": {"name": "linear"},
    "products": False,
    "presence_features": False,
    "alignment": None,
    "modality_dropout": 0.0,
}


@dataclass(frozen=True)
class Ablation:
    """The parent's settings with one part taken out."""

    name: str
    kind: str  # "modality" | "component"
    without: str
    strategy: Strategy


def ablations(of: str, parent: Strategy, schema: Schema, parts: Parts) -> list[Ablation]:
    """Every meaningful single removal, modalities first; refuses a strategy with nothing to remove."""
    made = _modalities(of, parent, schema) + _components(of, parent)
    kept = [one for one in made if _meaningful(one.strategy, schema, parts)]
    if not kept:
        raise UsageError(f"strategy {of!r} ({parent.baseline}) has no part that can be taken out")
    return kept


def _modalities(of: str, parent: Strategy, schema: Schema) -> list[Ablation]:
    chosen = parent.settings.get("modalities") or "all"
    names = list(schema.modalities) if chosen == "all" else list(chosen)
    return [
        _without(of, parent, "modality", name, {"modalities": [m for m in names if m != name]})
        for name in names
        if len(names) > 1
    ]


def _components(of: str, parent: Strategy) -> list[Ablation]:
    resolved = BASELINES[parent.baseline].resolve(parent.settings)
    return [
        _without(of, parent, "component", key, {key: plainer})
        for key, plainer in _PLAINER.items()
        if key in resolved and not _same(resolved[key], plainer)
    ]


def _same(value: Any, plainer: Any) -> bool:
    if isinstance(value, Mapping) and isinstance(plainer, Mapping):
        return value.get("name") == plainer["name"]
    return bool(value == plainer) or (not value and not plainer)


def _without(
    of: str, parent: Strategy, kind: str, what: str, change: Mapping[str, Any]
) -> Ablation:
    body = {**parent.model_dump(mode="json"), **change, "role": "ablation"}
    return Ablation(f"{of} without {what}", kind, what, Strategy.model_validate(body))


def _meaningful(strategy: Strategy, schema: Schema, parts: Parts) -> bool:
    try:
        check_settings(strategy.baseline, schema, strategy.settings, parts)
    except ValueError:
        return False
    return True
