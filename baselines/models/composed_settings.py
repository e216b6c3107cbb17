"""The settings of the composed model, and the combinations that are impossible."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from fusefront.baselines.contract import Parts, Schema
from fusefront.baselines.placements.interaction import FIELDS_PER_SLOT
from fusefront.baselines.settings import Part, find_part, one_of, resolve
from fusefront.baselines.slots import is_joint, slot_names

PLACEMENTS = ("item", "pooled", "interaction", "logit")
CONDITIONINGS = ("item_only", "target_aware")


def _pca() -> Part:
    return {"name": "pca", "k": 12, "whiten": True}


def _attention() -> Part:
    return {"name": "target_attention", "heads": 2}


def _mlp() -> Part:
    return {"name": "mlp", "hidden": (64, 32)}


@dataclass(frozen=True)
class ComposedSettings:
    """The choices on the four axes, and everything around them."""

    modalities: tuple[str, ...] | str = "all"
    use_id: bool = True
    id_width: int = 8
    side_width: int = 8  # of each item field's embedding; 0 leaves item fields and numbers out
    token_width: int = 16  # d
    compressor: Mapping[str, object] = field(default_factory=_pca)
    operator: Mapping[str, object] | None = None
    placement: str = "item"
    conditioning: str = "item_only"
    pooler: Mapping[str, object] | None = field(default_factory=_attention)
    head: Mapping[str, object] = field(default_factory=_mlp)
    products: bool = True  # features hold pooled * target
    interaction_fields: str = "product"  # what the operator crosses at `interaction`
    skip: bool = True  # at `interaction` the head sees the plain features too
    presence_features: bool = False
    context_width: int = 8  # of each context field's embedding; 0 leaves context out
    context_numbers: bool = True  # False leaves the context's numbers (counters among them) out
    alignment: Mapping[str, object] | None = None
    alignment_weight: float = 0.1
    modality_dropout: float = 0.0


def resolve_composed(
    kind: type[ComposedSettings],
    name: str,
    fixed: tuple[str, ...],
    schema: Schema,
    settings: Mapping[str, object],
    parts: Parts,
    forced: Mapping[str, object] | None = None,
) -> ComposedSettings:
    """The settings as given, over the family's own, under `forced`; refuses impossible
    combinations."""
    keys = {key.partition(".")[0] for key in settings}
    if broken := sorted(keys & set(fixed)):
        raise ValueError(
            f"{name}: setting {broken[0]!r} is fixed by {name!r} and cannot be changed; "
            "use the baseline 'composed' to choose it freely"
        )
    if schema.max_history == 0 and "pooler" not in keys:
        settings = {**settings, "pooler": None}
    resolved = resolve(kind, {**settings, **(forced or {})}, name)
    check_values(name, resolved)
    modalities = tuple(schema.modalities) if resolved.modalities == "all" else resolved.modalities
    modalities = (modalities,) if isinstance(modalities, str) else modalities
    for modality in modalities:
        one_of(name, "modalities", modality, tuple(schema.modalities))
    values = {f.name: getattr(resolved, f.name) for f in fields(resolved)}
    resolved = kind(**{**values, "modalities": modalities})
    check_combination(name, resolved, schema, parts)
    return resolved


def check_values(name: str, settings: ComposedSettings) -> None:
    """Refuse names and numbers that fit no data set."""
    one_of(name, "placement", settings.placement, PLACEMENTS)
    one_of(name, "conditioning", settings.conditioning, CONDITIONINGS)
    one_of(name, "interaction_fields", settings.interaction_fields, tuple(FIELDS_PER_SLOT))
    for setting in ("token_width", "id_width"):
        if getattr(settings, setting) < 1:
            raise ValueError(f"{name}: setting {setting!r} must be at least 1; raise it")
    for setting in ("side_width", "context_width", "alignment_weight"):
        if getattr(settings, setting) < 0:
            raise ValueError(f"{name}: setting {setting!r} must not be negative; raise it to 0")
    if not 0.0 <= settings.modality_dropout < 1.0:
        raise ValueError(
            f"{name}: setting 'modality_dropout' is {settings.modality_dropout}, expected 0 to "
            "below 1"
        )


def check_combination(name: str, settings: ComposedSettings, schema: Schema, parts: Parts) -> None:
    """Refuse each combination that is impossible, with a sentence."""
    slots = slots_of(settings, schema, parts)
    if not slots:
        raise ValueError(f"{name}: no modality, no id and no side field is left; keep one of them")
    apart = not is_joint(parts, settings.compressor) and len(settings.modalities) > 1
    if settings.alignment is not None and not apart:
        raise ValueError(f"{name}: an alignment needs two modalities apart; set it to none")
    if schema.max_history == 0 and settings.pooler is not None:
        raise ValueError(f"{name}: the data has no history, so 'pooler' pools nothing; set it none")
    _check_operator(name, settings, schema, parts, slots)


def slots_of(settings: ComposedSettings, schema: Schema, parts: Parts) -> tuple[str, ...]:
    """The names of the model's slots, in order."""
    width = settings.id_width if settings.use_id else 0
    joint = is_joint(parts, settings.compressor)
    return slot_names(schema, tuple(settings.modalities), joint, width, settings.side_width)


def _check_operator(
    name: str, settings: ComposedSettings, schema: Schema, parts: Parts, slots: tuple[str, ...]
) -> None:
    aware = settings.conditioning == "target_aware"
    if settings.placement == "pooled" and settings.pooler is None:
        raise ValueError(f"{name}: placement 'pooled' needs a pooler; choose one or use 'item'")
    _check_pooled_width(name, settings, parts)
    if settings.operator is None:
        if aware:
            raise ValueError(f"{name}: without an operator nothing is 'target_aware'; drop it")
        if settings.placement == "logit" and len(slots) > 1:
            raise ValueError(
                f"{name}: placement 'logit' needs an operator to join {len(slots)} towers; "
                "'logit_average' is the plainest"
            )
        return
    operator, _ = find_part("operator", parts.operators, settings.operator)
    called = settings.operator["name"]
    level = getattr(operator, "level", "feature")
    if len(slots) < 2:
        raise ValueError(
            f"{name}: operator {called!r} has one slot ({slots[0]}) and nothing to fuse; "
            "set 'operator' to none or add a slot"
        )
    if settings.placement == "logit" and called == "logit_stacked":
        raise ValueError(
            f"{name}: operator {called!r} needs logits of towers that did not train on the row; "
            "use the baseline 'stacked_fusion'"
        )
    if "query_width" in settings.operator:
        raise ValueError(
            f"{name}: operator setting 'query_width' is set by the model; leave it out"
        )
    if level == "logit" and settings.placement != "logit":
        raise ValueError(f"{name}: operator {called!r} joins logits; use placement 'logit'")
    if level == "feature" and settings.placement == "logit":
        raise ValueError(
            f"{name}: operator {called!r} fuses features and a logit is one number; use "
            "placement 'item', 'pooled' or 'interaction', or operator 'logit_average'"
        )
    if getattr(operator, "uses_query_slot", False) and not settings.use_id:
        raise ValueError(
            f"{name}: operator {called!r} asks with the id slot; set 'use_id' or take another"
        )
    _check_place(name, settings, schema, operator, len(slots), aware=aware)


def _check_pooled_width(name: str, settings: ComposedSettings, parts: Parts) -> None:
    if settings.placement not in ("interaction", "pooled") or settings.pooler is None:
        return
    pooler: Any = find_part("pooler", parts.poolers, settings.pooler)[0]
    if not pooler.keeps_width:
        raise ValueError(
            f"{name}: pooler {settings.pooler['name']!r} gives vectors of another width than its "
            f"items, which {settings.placement!r} cannot cross; use 'target_attention' or 'mean'"
        )


def _check_place(
    name: str,
    settings: ComposedSettings,
    schema: Schema,
    operator: object,
    slots: int,
    *,
    aware: bool,
) -> None:
    called = settings.operator["name"] if settings.operator else ""
    if aware and settings.placement in ("interaction", "logit"):
        raise ValueError(
            f"{name}: at placement {settings.placement!r} every operator runs per candidate, so "
            "'target_aware' has no effect; leave 'conditioning' at 'item_only'"
        )
    if aware and not getattr(operator, "uses_query", False):
        raise ValueError(
            f"{name}: operator {called!r} reads no query and cannot be 'target_aware'; use "
            "'item_only'"
        )
    if aware and settings.pooler is None:
        raise ValueError(f"{name}: 'target_aware' needs a history and a pooler; use 'item_only'")
    count = slots
    if settings.pooler is not None:
        count *= FIELDS_PER_SLOT[settings.interaction_fields]
    most = getattr(operator, "most_slots", None) or count
    if settings.placement == "interaction" and count > most:
        raise ValueError(
            f"{name}: operator {called!r} takes at most {most} slots at 'interaction' and this "
            f"model has {count}; leave slots out or use placement 'item'"
        )
