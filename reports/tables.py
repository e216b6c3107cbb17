"""The tables of the page as text cells: leaderboard, latency and cost, ablation, slices, audit."""

from typing import NamedTuple

from fusefront.reports import numbers
from fusefront.reports.evidence import Evidence, Interval, Point
from fusefront.reports.words.names import label

NONE = "–"


class Row(NamedTuple):
    cells: tuple[str, ...]
    chosen: bool = False
    over: bool = False


class Table(NamedTuple):
    name: str
    title: str
    heads: tuple[str, ...]
    rows: tuple[Row, ...]
    note: str = ""


def all_tables(evidence: Evidence) -> list[Table]:
    """Those that have rows, in the page's order."""
    made = (
        leaderboard(evidence),
        cost(evidence),
        ablation(evidence),
        slices(evidence),
        audit(evidence),
    )
    return [table for table in made if table.rows]


def leaderboard(evidence: Evidence) -> Table:
    """Every strategy by AUC, with its paired difference from what runs today."""
    points = sorted(evidence.points, key=lambda point: -point.auc.value)
    today = evidence.decision.today
    return Table(
        "leaderboard",
        "Leaderboard",
        (
            "strategy",
            "family",
            "AUC",
            "AUC interval",
            "over today",
            "interval over today",
            "verdict",
        ),
        tuple(_row(evidence, p, _quality(p, today=p.strategy == today)) for p in points),
        f"Over today: paired difference from {today}." if today else "",
    )


def _quality(point: Point, *, today: bool) -> tuple[str, ...]:
    gain = None if today else point.gain
    verdict = "runs today" if today else f"{point.verdict} {point.verdict_detail}".strip()
    return (
        point.family,
        numbers.fixed(point.auc.value, 4),
        _bracket(point.auc),
        numbers.signed(gain.value) if gain else NONE,
        _bracket(gain),
        verdict or NONE,
    )


def cost(evidence: Evidence) -> Table:
    """What each strategy costs to serve."""
    points = sorted(
        (point for point in evidence.points if point.p99 is not None),
        key=lambda point: point.p50.value if point.p50 else 0.0,
    )
    heads = ("strategy", "p50 ms", "p99 ms", "95% interval", "bytes an item", "parameters", "limit")
    return Table(
        "cost", "What a request costs", heads, tuple(_row(evidence, p, _cost(p)) for p in points)
    )


def _cost(point: Point) -> tuple[str, ...]:
    assert point.p99 is not None
    places = numbers.ms_places(point.p99)
    return (
        numbers.fixed(point.p50.value, places) if point.p50 else NONE,
        numbers.fixed(point.p99.value, places),
        _bracket(point.p99, places),
        numbers.count(point.bytes_per_item) if point.bytes_per_item is not None else NONE,
        numbers.count(sum(point.parameters.values())),
        "under" if point.feasible else "over",
    )


def ablation(evidence: Evidence) -> Table:
    """What AUC does when a part is taken out."""
    rows = tuple(
        Row(
            (
                f"{one.end}: {step.name}",
                numbers.signed(step.gain.value),
                _bracket(step.gain),
                step.verdict or NONE,
            )
        )
        for one in evidence.ablations
        for step in one.steps
    )
    heads = ("part taken out", "AUC difference", "95% interval", "verdict")
    return Table("ablation", "What each part is worth", heads, rows)


def slices(evidence: Evidence) -> Table:
    """The choice against today on parts of the test rows."""
    rows = tuple(
        Row(
            (
                part.name,
                numbers.count(part.rows),
                numbers.signed(part.difference.value),
                _bracket(part.difference),
                part.verdict or part.detail or NONE,
            )
        )
        for part in evidence.slices
    )
    heads = ("slice", "rows", "AUC difference", "95% interval", "verdict")
    return Table("slices", "Where it gains and where it does not", heads, rows)


def audit(evidence: Evidence) -> Table:
    """What the checks of the data found."""
    found = [finding for finding in evidence.audit if finding.state not in ("ok", "not run")]
    rows = tuple(Row((one.check, one.state, one.text)) for one in found)
    return Table("audit", "What the data audit found", ("check", "severity", "finding"), rows)


def _row(evidence: Evidence, point: Point, cells: tuple[str, ...]) -> Row:
    chosen = point.strategy == evidence.decision.choice
    return Row((label(point, 60), *cells), chosen, not point.feasible)


def _bracket(interval: Interval | None, places: int = 4) -> str:
    if interval is None or interval.low is None or interval.high is None:
        return "no interval" if interval is not None else NONE
    return numbers.bracket(interval, places)
