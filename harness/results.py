"""A study's runs and results from Python; the command line prints the same."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl

from fusefront.harness.dossier.comparison import (
    compare_study,
    plan_from_study,
    study_options,
    tuned_values,
)
from fusefront.harness.runs.store import RunEntry, find_study
from fusefront.harness.statistics.comparison import Comparison
from fusefront.harness.statistics.measures.metrics import METRICS
from fusefront.harness.statistics.planner import PowerPlan


class Results:
    """A study that was run: `Results("out/studies/shop")`, or `Results("shop", out="out")`.

    Raises:
        UsageError: there is no such study.
        NothingToDoError: the study file was never run.
    """

    def __init__(self, study: str | Path, out: str | Path = "out") -> None:
        self.folder = find_study(str(study), Path(out))

    def __repr__(self) -> str:
        return f"Results({str(self.folder.path)!r})"

    @property
    def runs(self) -> pl.DataFrame:
        """One row a run: strategy, role, seed, state, run_id and its summary; never opens test.

        Units are those of summary.json: seconds, counts, valid_auc as a plain number. A run that is
        not complete has nulls.
        """
        entries = self.folder.entries(roles=("strategy", "control", "ablation"))
        return pl.DataFrame([_row(entry) for entry in entries], infer_schema_length=None)

    def compare(
        self,
        baseline: str | None = None,
        *,
        margin: float | None = None,
        effect: float | None = None,
        metric: str = "auc",
        split: str = "test",
        two_way: bool | None = None,
        temperature: bool | None = None,
        paired_seeds: bool | None = None,
        tuned_again: Sequence[str | Path] = (),
        include: Sequence[str | Path] = (),
    ) -> Comparison:
        """Intervals, verdicts, best set, slices; None = as the study says.

        `margin` and `effect` are differences of the metric (0.001 = 0.1 points of AUC); `split` is
        test (recorded in opened.jsonl) or valid; `tuned_again` names studies that differ in their
        tuning seed; `include` files with metrics of your own, beside those on record. Raises
        UsageError for an unknown strategy, metric or a split of one class.
        """
        names = (*METRICS, *self.folder.spec.comparison.metrics, metric)
        options = study_options(self.folder, [Path(path) for path in include], names)
        options = replace(
            options,
            baseline=baseline or options.baseline,
            margin=options.margin if margin is None else margin,
            effect=options.effect if effect is None else effect,
            metric=metric,
            split=split,
            two_way=options.two_way if two_way is None else two_way,
            temperature=options.temperature if temperature is None else temperature,
            paired_seeds=options.paired_seeds if paired_seeds is None else paired_seeds,
        )
        if tuned_again:
            again = [find_study(str(name), self.folder.root) for name in tuned_again]
            values = tuned_values([self.folder, *again], metric, split, options.own)
            options = replace(options, tuned=values)
        return compare_study(self.folder, options)

    def plan(
        self, effect: float, *, comparisons: int | None = None, rows_per_day: float | None = None
    ) -> PowerPlan:
        """The test rows, days and seeds that detect a difference of `effect` with 80 % power.

        The study is the pilot; reading its test split for this is recorded.
        """
        return plan_from_study(self.folder, effect, comparisons, rows_per_day)


def _row(entry: RunEntry) -> dict[str, object]:
    columns = entry._asdict()
    summary = columns.pop("summary")
    return {**summary, **columns, "path": str(entry.path)}
