"""The tables of the page as text cells: leaderboard, cost, other metrics, ablation, slices."""

from typing import NamedTuple

from fusefront.reports import numbers
from fusefront.reports.evidence import Evidence, Interval, Point, ServedBy
from fusefront.reports.words.names import label, shorten
from fusefront.reports.words.reviewer import BACKENDS, HEADING

NONE = "–"
METRIC = {
    "logloss": "logloss",
    "normalised_entropy": "normalised entropy",
    "group_auc": "AUC within groups",
    "pr_auc": "PR AUC",
    "mrr": "MRR",
    "ece": "calibration error",
    "ece_scaled": "calibration error, scaled",
    "hit_at_1": "hit at 1",
    "gap": "logloss, valid less train",
}


class Row(NamedTuple):
    """A row as it is printed."""

    cells: tuple[str, ...]
    chosen: bool = False
    over: bool = False
    bar: Interval | None = None  # drawn beside the cell of `Table.bars`
    run_ids: tuple[str, ...] = ()  # whose numbers the row shows


class Table(NamedTuple):
    """A table as it is printed; `name` is that of its file."""

    name: str
    title: str
    heads: tuple[str, ...]
    rows: tuple[Row, ...]
    note: str = ""
    bars: int | None = None  # the column that has a bar


def leaderboard(evidence: Evidence) -> Table:
    """Every strategy by AUC, with its paired difference from what runs today."""
    points = sorted(evidence.points, key=lambda point: -point.auc.value)
    today = evidence.decision.today
    heads = (
        "strategy",
        "AUC",
        "AUC interval",
        "over today",
        "interval over today",
        "verdict",
        "against the choice",
        "p99 ms",
    )
    rows = tuple(
        _row(
            evidence,
            point,
            _quality(point, today=point.strategy == today),
            bar=None if point.strategy == today else point.gain,
        )
        for point in points
    )
    return Table("leaderboard", HEADING["leaderboard"], heads, rows, bars=4)


def _quality(point: Point, *, today: bool) -> tuple[str, ...]:
    gain = None if today else point.gain
    verdict = "runs today" if today else f"{point.verdict} {point.verdict_detail}".strip()
    versus = point.verdict_vs_choice
    return (
        numbers.fixed(point.auc.value, 4),
        bracket(point.auc),
        numbers.signed(gain.value) if gain else NONE,
        bracket(gain),
        verdict or NONE,
        versus or NONE,
        numbers.fixed(point.p99.value, numbers.ms_places(point.p99)) if point.p99 else NONE,
    )


def cost(evidence: Evidence) -> Table:
    """What each strategy costs to serve."""
    points = sorted(
        (point for point in evidence.points if point.p99 is not None),
        key=lambda point: point.p50.value if point.p50 else 0.0,
    )
    heads = (
        "strategy",
        "p50 ms",
        "p50 interval",
        "p99 ms",
        "p99 interval",
        f"{evidence.study.currency} a million",
        "MB in service",
        "bytes an item",
        "parameters",
        "multiply-adds a candidate",
    )
    return Table("cost", HEADING["cost"], heads, tuple(_row(evidence, p, _cost(p)) for p in points))


def _cost(point: Point) -> tuple[str, ...]:
    assert point.p99 is not None
    places = numbers.ms_places(point.p99)
    half = point.p50 or point.p99
    inner = numbers.ms_places(half)
    price, size = point.cost_per_million, point.bundle_bytes
    return (
        numbers.fixed(point.p50.value, inner) if point.p50 else NONE,
        bracket(point.p50, inner),
        numbers.fixed(point.p99.value, places),
        bracket(point.p99, places),
        numbers.significant(price) if price is not None else NONE,
        numbers.megabytes(size) if size is not None else NONE,
        numbers.count(point.bytes_per_item) if point.bytes_per_item is not None else NONE,
        numbers.count(sum(point.parameters.values())),
        numbers.count(point.macs_per_candidate) if point.macs_per_candidate is not None else NONE,
    )


def backends(evidence: Evidence) -> Table:
    """Every strategy on every backend that was timed, the model alone."""
    heads = (
        "strategy",
        "backend",
        "p50 ms",
        "p50 interval",
        "p99 ms",
        "p99 interval",
        "largest difference",
        "AUC change",
    )
    shown = [(evidence.point(timed.strategy), timed) for timed in evidence.backends]
    rows = tuple(
        _row(evidence, point, _served(timed)) for point, timed in shown if point is not None
    )
    return Table("backends", HEADING["backends"], heads, rows, BACKENDS)


def _served(timed: ServedBy) -> tuple[str, ...]:
    half, p99 = numbers.ms_places(timed.p50), timed.p99
    return (
        timed.backend,
        numbers.fixed(timed.p50.value, half),
        bracket(timed.p50, half),
        numbers.fixed(p99.value, numbers.ms_places(p99)) if p99 else NONE,
        bracket(p99, numbers.ms_places(p99)) if p99 else NONE,
        NONE if timed.max_difference is None else f"{timed.max_difference:.0e}",
        NONE if timed.auc_change is None else f"{timed.auc_change:+.0e}",
    )


def metrics(evidence: Evidence) -> Table:
    """Every other metric that all strategies have, with its interval."""
    shared = dict.fromkeys(
        name
        for point in evidence.points
        for name in point.metrics
        if name in METRIC or not name.endswith("_scaled")
    )
    names = sorted(shared, key=lambda name: list(METRIC).index(name) if name in METRIC else 99)
    points = sorted(evidence.points, key=lambda point: -point.auc.value)
    rows = tuple(
        _row(evidence, point, tuple(_metric(point.metrics.get(name)) for name in names))
        for point in points
        if point.metrics
    )
    heads = ("strategy", *(METRIC.get(name, name.replace("_", " ")) for name in names))
    return Table("metrics", HEADING["metrics"], heads, rows)


def _metric(value: Interval | None) -> str:
    if value is None:
        return NONE
    return f"{numbers.fixed(value.value, 4)} {numbers.bracket(value)}".strip()


def ablation(evidence: Evidence) -> Table:
    """What AUC does when a part is taken out."""
    rows = tuple(
        Row(
            (
                shorten(chain.end, 60),
                shorten(step.name, 60),
                numbers.signed(step.gain.value),
                bracket(step.gain),
                step.verdict or NONE,
            ),
            run_ids=(*step.run_ids, *runs_of(evidence, chain.end)),
        )
        for chain in evidence.ablations
        for step in chain.steps
    )
    heads = ("strategy", "part taken out", "AUC difference", "95% interval", "verdict")
    return Table("ablation", HEADING["ablation"], heads, rows)


def slices(evidence: Evidence) -> Table:
    """The choice against today on parts of the test rows."""
    rows = tuple(
        Row(
            (
                f"{shorten(part.name, 60)}{' (sensitive)' if part.sensitive else ''}",
                numbers.count(part.rows),
                numbers.percent(part.share),
                numbers.signed(part.difference.value),
                bracket(part.difference),
                part.verdict or part.detail or NONE,
            ),
            bar=part.difference,
            run_ids=runs_of(evidence, _sliced(evidence)),
        )
        for part in evidence.slices
    )
    heads = ("slice", "rows", "share", "AUC difference", "95% interval", "verdict")
    note = (
        "Intervals are those of one slice alone; verdicts are adjusted over all slices and "
        "strategies together and are therefore the stricter of the two."
    )
    return Table("slices", HEADING["slices"], heads, rows, note, bars=4)


def runs_of(evidence: Evidence, strategy: str | None) -> tuple[str, ...]:
    """Run ids of a strategy; none where it was not measured."""
    point = evidence.point(strategy)
    return point.run_ids if point else ()


def _sliced(evidence: Evidence) -> str | None:
    """Whom the slices are about: the choice, or the one that could have been."""
    decision = evidence.decision
    return decision.subject if decision.choice in (None, decision.today) else decision.choice


def _row(
    evidence: Evidence, point: Point, cells: tuple[str, ...], *, bar: Interval | None = None
) -> Row:
    chosen = point.strategy == evidence.decision.choice
    name = str(label(point, 60))
    return Row((name, *cells), chosen, not point.feasible, bar, point.run_ids)


def bracket(interval: Interval | None, places: int = 4) -> str:
    """The interval's ends; says so where none was measured."""
    if interval is None:
        return NONE
    if interval.low is None or interval.high is None:
        return "no interval"
    return numbers.bracket(interval, places)
