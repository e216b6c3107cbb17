"""The controls that a study runs beside its strategies, and a sentence for each that it
leaves out."""

from collections.abc import Mapping

from fusefront.baselines.contract import Parts, Schema
from fusefront.baselines.models.boosted import Boosted
from fusefront.baselines.zoo import check_settings
from fusefront.harness.runs.study import Strategy, Study


def controls_of(
    study: Study, schema: Schema, parts: Parts
) -> tuple[dict[str, Strategy], dict[str, str]]:
    """The controls to run, by name, and the reason for each one left out; a strategy keeps its own
    name."""
    if study.controls is False:
        return {}, {}
    refused = study.controls if isinstance(study.controls, Mapping) else {}
    controls: dict[str, Strategy] = {}
    without: dict[str, str] = {}
    for name, control in _standard(study, schema).items():
        if name in study.strategies:
            continue
        kind = "unimodal" if name.startswith("unimodal") else name
        reason = refused.get(name, refused.get(kind, ""))
        if reason:
            without[name] = f"Control {name} was refused: {reason.rstrip('.')}."
        elif lacking := _lacking(control, schema, parts):
            without[name] = f"Control {name} was not run: {lacking}."
        else:
            controls[name] = control
    return controls, without


def _lacking(control: Strategy, schema: Schema, parts: Parts) -> str:
    """Why a control cannot run on these data; "" where it can."""
    if control.other_vectors:  # a shuffled strategy of the study: its own check reports its errors
        return ""
    try:
        check_settings(control.baseline, schema, control.settings, parts)
    except ValueError as error:
        return str(error).removeprefix(f"{control.baseline}: ")
    package = Boosted.lacks() if control.baseline == "boosted" else ""
    return f"{package} is not installed (pip install 'fusefront[boosted]')" if package else ""


def _standard(study: Study, schema: Schema) -> dict[str, Strategy]:
    """Popularity, a linear model and trees on counters and attributes, ids alone, each modality
    alone, plain concatenation, and a strategy with vectors dealt to other items."""
    modalities = tuple(schema.modalities)
    controls = {
        name: Strategy(baseline=name, role="control")
        for name in ("popularity", "counts", "boosted", "id_only")
    }
    for modality in modalities:
        body = {"baseline": "unimodal", "role": "control", "modality": modality}
        controls[f"unimodal_{modality}"] = Strategy.model_validate(body)
    if not any(strategy.baseline == "early_fusion" for strategy in study.strategies.values()):
        controls["early_fusion"] = Strategy(baseline="early_fusion", role="control")
    parent = next(
        (s for s in study.strategies.values() if s.baseline == "compressed_fusion"),
        study.strategies[study.baseline],
    )
    if modalities:
        controls["shuffled"] = parent.model_copy(update={"role": "control", "shuffle": modalities})
    return controls
