"""The cost of an ablation and the differences it can detect, before it trains anything."""

from typing import NamedTuple, TypedDict

import numpy as np

from fusefront.datasets.errors import DataContractError
from fusefront.harness.ablation.path import NO_PATH, PathRuns
from fusefront.harness.dossier.predictions import StudySource
from fusefront.harness.runs.store import StudyFolder
from fusefront.harness.statistics.joint import JointModel
from fusefront.harness.statistics.measures.metrics import Layout
from fusefront.harness.statistics.panel import PanelRequest, collect
from fusefront.harness.statistics.power import components, detectable


class Resolution(NamedTuple):
    """The smallest difference of test AUC that is detected with 80 % power."""

    typical: float  # for the median noise over pairs of the parent and another strategy
    worst: float  # of the noisiest pair
    comparisons: int  # each is tested at 5 % divided by this number


class AblationForecast(TypedDict):
    """What `ablate --dry-run` prints beside its rows."""

    plan: str
    trainings: int  # of the plan's own runs and trials
    path_trainings: int  # of the path, beside them
    path_at_most: bool  # the path may need fewer
    minutes: float | None  # sum over all trainings, divided by `at_once`
    at_once: int
    resolves: float | None  # of test AUC, with 80 % power
    resolves_worst: float | None
    sentences: list[str]


def seconds_of(folder: StudyFolder, strategy: str) -> float | None:
    """Mean seconds of a recorded training of the strategy; if it has none, of any strategy of the
    study."""
    entries = [e for e in folder.completed() if "seconds" in e.summary]
    own = [e.summary["seconds"] for e in entries if e.strategy == strategy]
    every = own or [e.summary["seconds"] for e in entries]
    return float(np.mean(every)) if every else None


def resolution(folder: StudyFolder, of: str, comparisons: int) -> Resolution | None:
    """The resolution from the noise of the study's own runs on validation, scaled to the rows of
    test.

    Test is not opened. None if the runs do not show their noise: one seed, or no other strategy.
    """
    source = StudySource(folder)
    if of not in source.strategies:
        return None
    layout = Layout(source.rows("valid"), source.cluster)
    if not 0 < int(layout.rows.label.sum()) < len(layout.rows.label):
        return None
    counts = source.manifest.get("counts", {})
    test = counts.get("test", {}).get("rows", 0)
    factor = test / len(layout.rows.label) if test else 1.0
    model = collect(source, PanelRequest(layout, "valid", ("auc",))).models["auc"]
    return resolved_by(model, of, comparisons, factor, len(folder.spec.seeds))


def resolved_by(
    model: JointModel, of: str, comparisons: int, factor: float, seeds: int
) -> Resolution | None:
    """The resolution with `factor` times the model's rows and `seeds` each, corrected for the
    comparisons."""
    if of not in model.names or not model.has_intervals or seeds < 2:
        return None
    parent = model.index(of)
    smallest = []
    for other in range(len(model.names)):
        alone = other == parent or min(model.n[other], model.n[parent]) < 2
        if alone or not model.variance[other, parent] > 0:
            continue
        parts = components(model, other, parent)
        variance, df = parts.variance(factor, seeds), parts.df(factor, seeds)
        smallest.append(detectable(variance, df, 0.05 / comparisons))
    if not smallest:
        return None
    return Resolution(float(np.median(smallest)), max(smallest), comparisons)


def forecast(
    folder: StudyFolder,
    of: str,
    plan: str,
    trainings: int,
    comparisons: int,
    at_once: int,
    path: PathRuns = NO_PATH,
) -> AblationForecast:
    """Trainings, minutes and resolution, each as a sentence."""
    seconds = seconds_of(folder, of)
    every = trainings + path.trainings
    known, unread = None, ""
    try:
        known = resolution(folder, of, comparisons)
    except DataContractError as error:
        unread = str(error)
    what = "training" if trainings == 1 else "trainings"
    most = "up to " if path.at_most else ""
    beside = f", {most}{path.trainings} more for its path" if path.trainings else ""
    sentences = [f"{trainings} {what} for the {plan} ablation of {of}{beside}; nothing was run"]
    minutes: float | None = None
    lasting = f"how long they take is not known: no run of {of} is on record"
    if seconds is not None:
        minutes = seconds * every / at_once / 60
        lasting = (
            f"{most or 'about '}{minutes:.1f} minutes, {at_once} at once, at the {seconds:.1f} s "
            "of a recorded training of this study"
        )
    if not every:
        lasting = "every run is on record: the same command without --dry-run only reads"
    sentences.append(lasting)
    if known is None:
        lacking = "that takes two seeds of two strategies and ten clusters with each class"
        sentences.append(f"what it can resolve is not known: {unread or lacking}")
    else:
        over = "" if comparisons == 1 else f", corrected for {comparisons} comparisons"
        sentences.append(
            f"it sees differences of {known.typical:.4f} AUC with 80 % power ({known.worst:.4f} at "
            f"the noise of the noisiest pair{over}), from the study's own noise on validation; "
            "smaller ones end as cannot tell"
        )
    return {
        "plan": plan,
        "trainings": trainings,
        "path_trainings": path.trainings,
        "path_at_most": path.at_most,
        "minutes": minutes,
        "at_once": at_once,
        "resolves": known.typical if known else None,
        "resolves_worst": known.worst if known else None,
        "sentences": sentences,
    }
