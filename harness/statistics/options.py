"""How a comparison is made, checked once."""

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
    cluster: str = "user"  # what is independent: user | request
    split: str = "test"
    metric: str = "auc"  # what verdicts are given on
    metrics: tuple[str, ...] = tuple(METRICS)
    margin: float = 0.001  # of equivalence
    effect: float | None = None  # the difference that matters [default: the margin]
    alpha: float = 0.05
    family: tuple[str, ...] | None = None  # confirmatory strategies [default: all but controls]
    two_way: bool = False  # rows clustered by user and by item
    temperature: bool = False  # report calibration of logits scaled on validation, too
    paired_seeds: bool = False  # take off the correlation that equal seeds bring
    tuned: dict[str, list[float]] = field(default_factory=dict)  # metric by tuning run
    trials: Mapping[str, Sequence[float]] | None = None  # AUC of each searched strategy's trials
    guided: bool = False  # the sampler of the trials went by those before
    workers: int = 2
    own: OwnMetrics = field(
        default_factory=dict
    )  # a person's metrics by name; `metrics` has those measured
    look: int = 1  # which look at this split it is: later ones are judged more strictly
    ranked: bool = True  # False: no set of the best and no winner, for want of controls

    @property
    def declared(self) -> float:
        """The effect that power is computed for."""
        return self.margin if self.effect is None else self.effect

    @cached_property
    def about(self) -> Mapping[str, Metric]:
        """What each metric is called and which way is up."""
        return described(self.own)

    @property
    def higher(self) -> bool:
        """Whether more of the metric that verdicts are given on is better."""
        return self.about[self.metric].higher_is_better

    def check(self, source: ScoreSource) -> None:
        """UsageError for whatever these options ask that the source does not have."""
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
    """The share of errors that a look may make: .05 the first, all later ones together .05.

    >>> [round(spent(look), 4) for look in (1, 2, 3, 4)]
    [0.05, 0.025, 0.0083, 0.0042]
    """
    return 0.05 if look < 2 else 0.05 / (look * (look - 1))


def check_rows(rows: RowTable, split: str) -> None:
    """UsageError where no AUC exists at all."""
    count, positives = len(rows.label), int(rows.label.sum())
    if positives in (0, count):
        what = "no rows" if not count else "positives only" if positives else "negatives only"
        raise UsageError(
            f"the {split} split has {what} ({count:,} rows), an AUC needs both classes; "
            "give a larger split or check the label"
        )
