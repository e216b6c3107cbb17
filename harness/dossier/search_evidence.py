"""The page's evidence on a study's searches: budgets, importances, winners, verdicts on ways of
fusing."""

import math
from collections.abc import Sequence

import yaml

from fusefront.datasets.errors import DataContractError
from fusefront.harness.dossier.searches import search_records
from fusefront.harness.runs.records import Trial, WinnerRecord, read_record, winner_name
from fusefront.harness.runs.store import StudyFolder
from fusefront.harness.runs.study import Range, Strategy
from fusefront.harness.statistics.comparison import Comparison
from fusefront.harness.statistics.result_rows import SearchVerdicts
from fusefront.harness.statistics.search_noise import FEWEST_TRIALS, doubling_gain
from fusefront.harness.tuning.budget import lost_seconds
from fusefront.harness.tuning.importance import Drawn, importances, pooled
from fusefront.harness.tuning.space import apply
from fusefront.reports.evidence import FusingVerdict, Interval, Searched, SearchSpent


def searched(study: StudyFolder, comparison: Comparison) -> Searched:
    """The spent budget, importances and winner of every search, and the verdicts on ways of
    fusing."""
    records = search_records(study)
    points = {name: _points(trials) for name, trials in records.trials.items()}
    logarithmic = _logarithmic(study)
    searches = tuple(
        _spent(study, name, trials, importances(points[name], logarithmic))
        for name, trials in records.trials.items()
    )
    judged = comparison.search
    return Searched(
        searches,
        pooled(list(points.values()), logarithmic),
        () if judged is None else _verdicts(judged),
        () if judged is None else judged.sentences,
    )


def unfinished(values: Sequence[float], margin: float) -> str:
    """Why a search had not converged, in words; "" if it had, or if that cannot be told."""
    gain = doubling_gain(values)
    if len(values) < FEWEST_TRIALS or not gain > margin:
        return ""
    return (
        f"doubling the trials would bring about another {gain:.4f}, more than the margin of "
        f"{margin:g}"
    )


def _verdicts(judged: SearchVerdicts) -> tuple[FusingVerdict, ...]:
    return tuple(
        FusingVerdict(
            row.name,
            row.trials,
            _known(row.sd) if row.trials else None,
            None
            if row.verdict == "baseline"
            else Interval(
                row.difference.value, _known(row.difference.low), _known(row.difference.high)
            ),
            _known(row.share),
            row.verdict,
            row.reason,
        )
        for row in judged.rows
    )


def _spent(
    study: StudyFolder, name: str, trials: Sequence[Trial], importance: dict[str, float]
) -> SearchSpent:
    ended = [t["value"] for t in trials if t["state"] == "ok" and t["value"] is not None]
    winner = _winner(study, name)
    return SearchSpent(
        name,
        completed=len(ended),
        failed=sum(trial["state"] not in ("ok", "pruned") for trial in trials),
        seconds=sum(trial.get("seconds", 0.0) for trial in trials)
        + lost_seconds(study.path / "tuning" / name),
        best=max(ended, default=None),
        finalists=_trainings(winner),
        unfinished=unfinished(ended, study.spec.margin),
        importance=importance,
        winner=_yaml(study, name, winner) if winner else "",
    )


def _winner(study: StudyFolder, name: str) -> WinnerRecord | None:
    tuning = study.spec.tuning
    file = winner_name(tuning.trials, tuning.finalists, tuning.seconds, tuning.timed)
    path = study.path / "tuning" / name / file
    try:
        return read_record(path, WinnerRecord) if path.exists() else None
    except DataContractError:  # reported by the check of records; the page does without
        return None


def _trainings(winner: WinnerRecord | None) -> int:
    """How many extra trainings with new seeds chose among the best trials."""
    finalists = winner.get("finalists", []) if winner else []
    return sum(len(finalist["values"]) - 1 for finalist in finalists)


def _yaml(study: StudyFolder, name: str, winner: WinnerRecord) -> str:
    """The YAML of the strategy with its winning parameters; without settings for a control."""
    strategy = study.spec.strategies.get(name) or Strategy(baseline=name)
    settings, training = apply(winner["params"], strategy.settings, strategy.training)
    body: dict[str, object] = {} if strategy.baseline == name else {"baseline": strategy.baseline}
    body |= settings
    if training:
        body["training"] = training
    return yaml.safe_dump({name: {**body, "tune": False}}, sort_keys=False, allow_unicode=True)


def _points(trials: Sequence[Trial]) -> list[Drawn]:
    """The completed trials without trial 0, whose parameters (the defaults) are not recorded."""
    return [
        Drawn(trial.get("params", {}), trial["value"])
        for trial in trials
        if trial["number"] > 0 and trial["state"] == "ok" and trial["value"] is not None
    ]


def _logarithmic(study: StudyFolder) -> frozenset[str]:
    spaces = [study.spec.tuning.space, *(s.space for s in study.spec.strategies.values())]
    return frozenset(
        key
        for space in spaces
        for key, values in space.items()
        if isinstance(values, Range) and values.log
    )


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
