"""Makes a study's comparison.json from prediction files; this opens the test split."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from fusefront.datasets.errors import DataContractError
from fusefront.harness.decision.policy import UNCONTROLLED
from fusefront.harness.dossier.firmness import write_sensitivity
from fusefront.harness.dossier.group_gaps import write_gaps
from fusefront.harness.dossier.predictions import StudySource
from fusefront.harness.dossier.searches import completed_values, search_records
from fusefront.harness.errors import NothingToDoError, UsageError
from fusefront.harness.parts.metric_parts import own_metrics
from fusefront.harness.runs.files import write_json
from fusefront.harness.runs.hashes import remark
from fusefront.harness.runs.seal import open_test
from fusefront.harness.runs.store import StudyFolder
from fusefront.harness.runs.study import UNGUIDED
from fusefront.harness.statistics.compare import compare
from fusefront.harness.statistics.comparison import Comparison
from fusefront.harness.statistics.measures.metrics import METRICS, Layout
from fusefront.harness.statistics.measures.own_metrics import OwnMetrics
from fusefront.harness.statistics.options import Options, check_rows, spent
from fusefront.harness.statistics.panel import PanelRequest, collect
from fusefront.harness.statistics.planner import PowerPlan, plan


def study_options(
    folder: StudyFolder, include: Sequence[Path] = (), metrics: Sequence[str] | None = None
) -> Options:
    """The options of the comparison: baseline, margin, cluster and so on, as the study and its data
    set set them.

    `include` are files with plug-in metrics, beside the recorded ones; `metrics` replace the
    shipped metrics and those that the study names.
    """
    spec, source = folder.spec, StudySource(folder)
    judged = spec.comparison.model_dump(exclude={"metrics"})
    names = (*METRICS, *spec.comparison.metrics) if metrics is None else tuple(metrics)
    own = own_metrics(names, folder.path, include)
    return Options(
        spec.baseline,
        cluster=source.cluster,
        margin=spec.margin,
        metrics=tuple(dict.fromkeys(names)),
        own=own,
        ranked=spec.controlled,
        trials=completed_values(search_records(folder)),
        guided=spec.tuning.sampler not in UNGUIDED,
        **judged,
    )


def compare_study(
    folder: StudyFolder, options: Options | None = None, include: Sequence[Path] = ()
) -> Comparison:
    """Compare a study's completed runs; opening test is recorded.

    comparison.json, which decision and report read, is written only if baseline, margin, metric,
    clusters and pairing are the study's own, so that another comparison does not change the
    decision.

    Raises:
        NothingToDoError: the study has no completed runs.
        UsageError: the options do not fit the study.
    """
    own = study_options(folder, include, None if options is None else ())
    options = options or own
    source = StudySource(folder)
    _refuse_damage(folder, source, options.baseline)
    if not source.strategies:
        raise NothingToDoError(
            f"study {folder.name!r} has no completed runs; `fusefront run` it first"
        )
    options.check(source)
    looks = open_test(folder.path, "compare") if options.split == "test" else None
    look = looks.number if looks else 1
    comparison = compare(source, replace(options, look=look), folder.name)
    old = remark([run.summary for runs in source.entries.values() for run in runs.values()])
    looked = looks.sentence if looks else ""
    cautions = [*_unfinished(folder), *filter(None, (looked, old))]
    cautions += folder.matrix().get("without", {}).values()
    cautions += [f"Left out of the searches: {text}." for text in search_records(folder).damaged]
    if not folder.spec.controlled:
        cautions.append(UNCONTROLLED)
    comparison = replace(comparison, warnings=(*cautions, *comparison.warnings))
    alike = _errors(options) == _errors(own) and options.margin == own.margin
    alike = alike and options.metric == "auc"
    own_baseline = options.baseline == own.baseline or own.baseline not in source.strategies
    if options.split == "test" and alike and own_baseline:
        changes = write_sensitivity(folder, options, comparison)
        comparison = replace(comparison, warnings=(*comparison.warnings, *changes))
        write_json(folder.path / "comparison.json", comparison.to_dict())
        write_gaps(folder, source, 1 - spent(look))
    return comparison


def _refuse_damage(folder: StudyFolder, source: StudySource, baseline: str) -> None:
    """Raises DataContractError if damage leaves nothing to compare, or no baseline to compare
    with."""
    if baseline not in source.strategies:
        if sentence := folder.matrix().get("without", {}).get(baseline):
            raise DataContractError(sentence.removesuffix("."))
        entries = folder.checked_entries()
        needed = [e for e in entries if e.strategy == baseline or not source.strategies]
        for entry in needed:
            if entry.damage:
                raise DataContractError(entry.damage)


def _unfinished(folder: StudyFolder) -> list[str]:
    entries = folder.checked_entries()
    lacking = [e for e in entries if e.state != "completed"]
    lost = [f"Damaged: {sentence}." for sentence in folder.lost_cells()]
    if not lacking:
        return lost
    names = ", ".join(sorted({f"{e.strategy} seed {e.seed} ({e.state})" for e in lacking})[:6])
    left_out = f"{len(lacking)} of {len(entries)} runs are not complete and left out: {names}."
    return [left_out, *(f"Damaged: {e.damage}." for e in lacking if e.damage), *lost]


def _errors(options: Options) -> tuple[str, bool, bool]:
    """The options that intervals depend on."""
    return options.cluster, options.two_way, options.paired_seeds


def plan_from_study(
    folder: StudyFolder, effect: float, comparisons: int | None, rows_per_day: float | None
) -> PowerPlan:
    """A plan from the noise of a study; reading its test split for this is recorded.

    Raises:
        UsageError: the baseline cannot be compared, or the study shows too little of its noise.
    """
    options = study_options(folder, metrics=("auc",))
    source = StudySource(folder)
    options.check(source)
    open_test(folder.path, "plan")
    layout = Layout(source.rows("test"), options.cluster)
    check_rows(layout.rows, "test")
    panel = collect(source, PanelRequest(layout, "test", ("auc",)))
    if sentence := panel.refused.get(options.baseline):
        raise UsageError(f"baseline {options.baseline!r} is {sentence}")
    model = panel.models["auc"]
    others = [n for n in model.names if n != options.baseline and source.role(n) == "strategy"]
    try:
        return plan(
            effect,
            model,
            pilot_rows=len(layout.rows.label),
            baseline=options.baseline,
            among=tuple(others),
            comparisons=comparisons or max(len(others), 1),
            rows_per_day=rows_per_day,
        )
    except ValueError as error:
        raise UsageError(f"study {folder.name!r}: {error}") from error


def tuned_values(
    folders: list[StudyFolder],
    metric: str = "auc",
    split: str = "test",
    own: OwnMetrics | None = None,
) -> dict[str, list[float]]:
    """The mean metric of each strategy in each of several studies that differ in their tuning seed.

    Raises:
        DataContractError: the studies use different data.
    """
    prints = {folder.name: str(folder.matrix()["fingerprint"]) for folder in folders}
    if len(set(prints.values())) > 1:
        stores = ", ".join(f"{name} {fingerprint}" for name, fingerprint in prints.items())
        raise DataContractError(
            f"the studies are of different data ({stores}); runs of different fingerprints are not "
            "compared: run them on one data set"
        )
    values: dict[str, list[float]] = {}
    for folder in folders:
        source = StudySource(folder)
        if split == "test":
            open_test(folder.path, "compare tuning runs")
        request = PanelRequest(Layout(source.rows(split)), split, (metric,), own=own or {})
        model = collect(source, request).models[metric]
        for name, value in zip(model.names, model.theta.tolist(), strict=True):
            values.setdefault(name, []).append(value)
    return values
