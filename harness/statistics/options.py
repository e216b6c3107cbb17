"""The options of a comparison, checked once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from fusefront.harness.errors import UsageError
from fusefront.harness.statistics.measures.metrics import METRICS, Metric
from fusefront.harness.statistics.measures.own_metrics import OwnMetrics, described
from fusefront.harness.statistics.rows import RowTable
from fusefront.harness.statistics.score_source import ScoreSource


@dataclass(frozen=True)
class Options:
    """Defaults are those of the command line."""

    baseline: str
    cluster: str = "user"  # what counts as independent: user | request
    split: str = "test"
    metric: str = "auc"  # what verdicts are given on
    metrics: tuple[str, ...] = tuple(METRICS)
    margin: float = 0.001  # of equivalence
    effect: float | None = None  # the difference that matters [default: the margin]
    alpha: float = 0.05
    family: tuple[str, ...] | None = None  # confirmatory strategies [default: all but controls]
    two_way: bool = False  # rows clustered by user and by item
    temperature: bool = False  # also report calibration at a temperature fitted on validation
    paired_seeds: bool = False  # pair equal seeds: remove their correlation from the variance
    tuned: dict[str, list[float]] = field(default_factory=dict)  # metric by tuning run
    trials: Mapping[str, Sequence[float]] | None = None  # AUC of each searched strategy's trials
    guided: bool = False  # the sampler of the trials learns from earlier trials
    workers: int = 2
    own: OwnMetrics = field(
        default_factory=dict
    )  # plug-in metrics by name; `metrics` names those to measure
    look: int = 1  # number of this look at the split: later ones have wider intervals
    ranked: bool = True  # False: no best set and no winner, because no control was run

    @property
    def declared(self) -> float:
        """The effect whose power is computed."""
        return self.margin if self.effect is None else self.effect

    @cached_property
    def about(self) -> Mapping[str, Metric]:
        """The description of each metric: its title and whether more is better."""
        return described(self.own)

    @property
    def higher(self) -> bool:
        """Whether more is better, for the metric that verdicts are given on."""
        return self.about[self.metric].higher_is_better

    def check(self, source: ScoreSource) -> None:
        """Raises UsageError if these options ask for what the source does not have."""
        known = ", ".join(source.strategies)
        for name in (self.baseline, *(self.family or ())):
            if name not in source.strategies:
                raise UsageError(
                    f"got strategy {name!r}, expected one with completed runs: "
                    f"{known or 'none yet'}"
                )
        if "gap" in self.own:
            raise UsageError("metric 'gap' is a column of the table already; rename yours")
        if self.metric not in self.metrics or not self.about[self.metric].directed:
            usable = ", ".join(name for name in self.metrics if self.about[name].directed)
            raise UsageError(f"got metric {self.metric!r} for verdicts, expected one of: {usable}")
        if self.split not in ("test", "valid"):
            raise UsageError(f"got split {self.split!r}, expected test or valid")
        if self.margin <= 0 or self.declared <= 0 or not 0 < self.alpha < 1:
            raise UsageError(
                f"got margin {self.margin}, effect {self.declared}, alpha {self.alpha}; expected "
                "margin and effect above 0 and alpha between 0 and 1"
            )


def spent(look: int) -> float:
    """The error level of a look at the split: .05 for the first, and .05 for all later ones
    together.

    >>> [round(spent(look), 4) for look in (1, 2, 3, 4)]
    [0.05, 0.025, 0.0083, 0.0042]
    """
    return 0.05 if look < 2 else 0.05 / (look * (look - 1))


def check_rows(rows: RowTable, split: str) -> None:
    """Raises UsageError if the rows do not have both classes, so that there is no AUC."""
    count, positives = len(rows.label), int(rows.label.sum())
    if positives in (0, count):
        what = "no rows" if not count else "positives only" if positives else "negatives only"
        raise UsageError(
            f"the {split} split has {what} ({count:,} rows), an AUC needs both classes; "
            "give a larger split or check the label"
        )
