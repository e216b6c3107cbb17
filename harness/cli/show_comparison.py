"""The comparison and the plan as tables on a terminal, as plain text elsewhere."""

import math
from collections.abc import Iterator

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table

from fusefront.harness.cli.difference import difference_text
from fusefront.harness.cli.show_searches import search_parts
from fusefront.harness.statistics.comparison import Comparison
from fusefront.harness.statistics.judging.verdicts import OPEN
from fusefront.harness.statistics.planner import PowerPlan
from fusefront.harness.statistics.result_rows import Estimate, SliceRow, StrategyRow
from fusefront.reports import numbers
from fusefront.reports.evidence import Interval


def comparison_parts(comparison: Comparison, *, wide: bool) -> Iterator[RenderableType]:
    """Verdicts, metrics, slices, variance, notes and warnings, in reading order."""
    yield _title(comparison)
    yield _verdicts(comparison)
    for row in _ordered(comparison):
        if row.verdict in (*OPEN, "equivalent", "no verdict"):
            yield Padding(f"{row.name}: {row.reason}", (0, 0, 0, 2))
    yield from search_parts(comparison)
    names = [
        name
        for name in comparison.about
        if any(name in row.metrics for row in comparison.strategies)
    ]
    step = 4 if wide else 2
    for start in range(0, len(names), step):
        yield Padding(_metrics(comparison, names[start : start + step]), (1, 0, 0, 0))
    others = [name for name in names if name != comparison.metric]
    for start in range(0, len(others), step):
        yield Padding(_differences(comparison, others[start : start + step]), (1, 0, 0, 0))
    if comparison.slices:
        yield Padding(_slices(comparison), (1, 0, 0, 0))
    if comparison.variance:
        yield Padding(_shares(comparison), (1, 0, 1, 0))
    for line in comparison.notes:
        yield Padding(line, (0, 0, 0, 2))
    for line in comparison.warnings:
        yield Padding(f"! {line}", (0, 0, 0, 2))


def plan_table(plan: PowerPlan) -> Iterator[RenderableType]:
    """Seeds against rows, and what can never be enough."""
    yield (
        f"To see a difference of {plan.effect:g} with 80 % power ({plan.basis}; "
        f"{plan.rows:,} rows, {plan.seeds} seeds, row error {plan.row_se:.5f}, "
        f"seed spread {plan.seed_sd:.5f}; power now {plan.power_now:.0%}):"
    )
    table = Table("seeds each", "test rows", box=None)
    days = plan.rows_per_day is not None
    if days:
        table.add_column("days of traffic")
    for line in plan.lines:
        cells = [str(line.seeds), "never" if line.rows is None else f"{line.rows:,}"]
        if days:
            cells.append("never" if line.days is None else _days(line.days))
        table.add_row(*cells)
    yield table
    yield from plan.sentences


def _days(days: float) -> str:
    return f"{days:.1f}" if days < 10 else f"{days:,.0f}"


def _title(comparison: Comparison) -> str:
    metric = comparison.about[comparison.metric].title
    return (
        f"{comparison.study or 'comparison'}: {comparison.split} split, {comparison.rows:,} rows, "
        f"{comparison.positives:,} positives, clusters: {comparison.cluster}; {metric} against "
        f"{comparison.baseline}"
    )


def _table(first: str, *others: str) -> Table:
    """A table whose first column, the names, is never shortened."""
    table = Table(box=None)
    table.add_column(first, no_wrap=True)
    for heading in others:
        table.add_column(heading, overflow="fold")
    return table


def _verdicts(comparison: Comparison) -> Table:
    metric = comparison.metric
    table = _table("strategy", "seeds", comparison.about[metric].title, "difference [95 %]")
    for heading in ("MDE", "p adj", "rank", "best?", "verdict"):
        table.add_column(heading, overflow="fold")
    for row in _ordered(comparison):
        rank = str(row.rank_low)
        if row.rank_high != row.rank_low:
            rank += f"–{row.rank_high}"
        table.add_row(
            row.name,
            str(row.seeds),
            _number(row.metrics[metric].value) if metric in row.metrics else "–",
            difference_text(row.differences.get(metric), comparison.margin),
            _smallest(row.mde),
            "" if math.isnan(row.p_adjusted) else f"{row.p_adjusted:.2g}",
            rank if comparison.best_set else "–",
            "may be" if row.name in comparison.best_set else "",
            row.verdict,
        )
    return table


def _metrics(comparison: Comparison, names: list[str]) -> Table:
    table = _table("strategy")
    for name in names:
        about = comparison.about[name]
        table.add_column(f"{about.title} {'↑' if about.higher_is_better else '↓'} [95 %]")
    last = names[-1] == [n for n in comparison.about if n in comparison.strategies[0].metrics][-1]
    if last:
        table.add_column("valid − train loss (no interval)")
    for row in _ordered(comparison):
        cells = [_interval(row.metrics.get(name)) for name in names]
        gap = row.metrics.get("gap")
        tail = [_number(gap.value) if gap else "–"] if last else []
        table.add_row(row.name, *cells, *tail)
    return table


def _differences(comparison: Comparison, names: list[str]) -> Table:
    """Every strategy minus the baseline; the intervals of a metric hold for the whole family."""
    table = _table(f"minus {comparison.baseline} [95 %]")
    for name in names:
        table.add_column(comparison.about[name].title)
    for row in _ordered(comparison):
        if row.name != comparison.baseline:
            table.add_row(row.name, *(difference_text(row.differences.get(name)) for name in names))
    return table


def _slices(comparison: Comparison) -> Table:
    metric = comparison.about[comparison.metric].title
    table = _table("strategy", "slice", "value", "rows", metric, "difference [95 %]")
    table.add_column("MDE")
    table.add_column("verdict", overflow="fold")
    for row in comparison.slices:
        table.add_row(
            row.strategy,
            row.slice,
            row.value,
            f"{row.rows:,}",
            _interval(row.metrics.get(comparison.metric)),
            "" if row.verdict == "baseline" else difference_text(row.difference, comparison.margin),
            _smallest(row.mde),
            _slice_word(row),
        )
    return table


def _slice_word(row: SliceRow) -> str:
    return f"{row.verdict} ({row.note})" if row.note else row.verdict


def _shares(comparison: Comparison) -> Table:
    table = _table("variance of the difference", "rows", "seeds", "both")
    for heading in ("tuning", "buy"):
        table.add_column(heading)
    for share in comparison.variance:
        parts = (share.rows, share.seeds, share.both, share.tuning)
        cells = ["not known" if math.isnan(part) else f"{part:.0%}" for part in parts]
        table.add_row(share.strategy, *cells, share.buy)
    return table


def _ordered(comparison: Comparison) -> list[StrategyRow]:
    """The rows, best first; those without a value come last."""
    higher = comparison.about[comparison.metric].higher_is_better

    def key(row: StrategyRow) -> float:
        value = (
            row.metrics[comparison.metric].value if comparison.metric in row.metrics else math.nan
        )
        if math.isnan(value):
            return math.inf
        return -value if higher else value

    return sorted(comparison.strategies, key=key)


def _number(value: float) -> str:
    return "–" if math.isnan(value) else numbers.fixed(value, numbers.AUC_PLACES)


def _smallest(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.4f}"


def _interval(estimate: Estimate | None) -> str:
    if estimate is None or math.isnan(estimate.value):
        return "–"
    if math.isnan(estimate.low):
        return f"{estimate.value:.4f} no interval"
    shown = numbers.bracket(Interval(estimate.value, estimate.low, estimate.high))
    return f"{numbers.fixed(estimate.value, numbers.AUC_PLACES)} {shown}"
