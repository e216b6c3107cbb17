"""The tables of the page: leaderboard, cost, other metrics, ablation, slices; each cell has its
text and the numbers it was printed from."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from fusefront.reports import numbers
from fusefront.reports.cells import (
    NONE,
    ColumnHead,
    TableEntry,
    Value,
    count_head,
    ends_cell,
    ends_head,
    number_cell,
    value_head,
    whole_cell,
    whole_head,
)
from fusefront.reports.cost_cells import cost_cells, cost_heads
from fusefront.reports.evidence import Decision, Evidence, FrontShape, Interval, Point, ServedBy
from fusefront.reports.words.building import plan_name
from fusefront.reports.words.names import label, shorten
from fusefront.reports.words.reviewer import BACKENDS, COST, FRONT, HEADING, SLICES

METRIC = {
    "logloss": "logloss",
    "normalised_entropy": "normalised entropy",
    "group_auc": "AUC within groups",
    "pr_auc": "PR AUC",
    "mrr": "MRR",
    "ece": "calibration error",
    "ece_scaled": "calibration error, scaled",
    "hit_at_1": "hit at 1",
    "pcoc": "PCOC",
    "session_auc": "session AUC",
    "ndcg_at_10": "NDCG at 10",
    "recall_at_10": "recall at 10",
    "gap": "logloss, valid less train",
}


class Row(NamedTuple):
    """A row as it is printed; a cell is a plain text or a `TableEntry`."""

    cells: tuple[str, ...]
    chosen: bool = False
    over: bool = False
    bar: Interval | None = None  # drawn beside the cell of `Table.bars`
    run_ids: tuple[str, ...] = ()  # whose numbers the row shows


PLAN = ColumnHead("plan", "plan")  # of an ablation


class Table(NamedTuple):
    """A table as it is printed, `name` that of its file; a head is a text or a `ColumnHead`."""

    name: str
    title: str
    heads: tuple[str, ...]
    rows: tuple[Row, ...]
    note: str = ""
    bars: int | None = None  # the column that has a bar
    constants: Mapping[str, Value] = MappingProxyType({})  # columns of the files only: units


def leaderboard(evidence: Evidence) -> Table:
    """Every strategy by AUC, with its paired difference from what runs today."""
    points = sorted(evidence.points, key=lambda point: -point.auc.value)
    decision = evidence.decision
    heads = (
        "strategy",
        value_head("AUC", "auc"),
        ends_head("AUC interval", "auc"),
        value_head("over today", "gain"),
        ends_head("interval over today", "gain"),
        ColumnHead("verdict", "verdict", "verdict_detail"),
        ColumnHead("against the choice", "verdict_vs_choice"),
        value_head("p99 ms", "p99_ms"),
    )
    rows = tuple(
        _row(
            evidence,
            point,
            _quality(point, decision),
            bar=None if point.strategy == decision.today else point.gain,
        )
        for point in points
    )
    return Table("leaderboard", HEADING["leaderboard"], heads, rows, bars=4)


def _quality(point: Point, decision: Decision) -> tuple[str, ...]:
    today = point.strategy == decision.today
    gain = None if today else point.gain
    word = "runs today" if today else point.verdict
    detail = "" if today else point.verdict_detail
    places = numbers.gap_places(gain, decision.margin) if gain else numbers.AUC_PLACES
    return (
        number_cell(point.auc.value, numbers.fixed(point.auc.value, 4)),
        ends_cell(point.auc),
        number_cell(gain.value, numbers.signed(gain.value, places)) if gain else NONE,
        ends_cell(gain, places),
        TableEntry(f"{word} {detail}".strip() or NONE, word or None, detail or None),
        point.verdict_vs_choice or NONE,
        _ms(point.p99),
    )


def front(evidence: Evidence) -> Table:
    """The frontier in numbers, cheapest first: probability of being on it, its bend, and how much
    more AUC the best has."""
    shape = evidence.front
    points = sorted(
        (point for point in evidence.points if point.p99 is not None),
        key=lambda point: point.p99.value if point.p99 else 0.0,
    )
    heads = (
        "strategy",
        value_head("p99 ms", "p99_ms"),
        value_head("on the frontier", "on_frontier"),
        value_head("its bend", "bend"),
        value_head("the best has more", "regret"),
        ends_head("95% of redraws", "regret"),
    )
    rows = tuple(_row(evidence, point, _front(point, shape)) for point in points if shape)
    return Table("front", HEADING["front"], heads, rows, FRONT)


def _front(point: Point, shape: FrontShape) -> tuple[str, ...]:
    on, lost = point.on_frontier_probability, shape.regret.get(point.strategy)
    bend = shape.knees.get(point.strategy, 0.0)
    more = number_cell(lost.value, numbers.end(lost.value, numbers.AUC_PLACES)) if lost else NONE
    return (
        _ms(point.p99),
        number_cell(on, numbers.percent(on or 0.0)),
        number_cell(bend, numbers.percent(bend)),
        more,
        ends_cell(lost),
    )


def cost(evidence: Evidence) -> Table:
    """What each strategy costs to serve."""
    points = sorted(
        (point for point in evidence.points if point.p99 is not None),
        key=lambda point: point.p50.value if point.p50 else 0.0,
    )
    currency = evidence.study.currency
    heads = (
        "strategy",
        value_head("p50 ms", "p50_ms"),
        ends_head("p50 interval", "p50_ms"),
        value_head("p99 ms", "p99_ms"),
        ends_head("p99 interval", "p99_ms"),
        ColumnHead(f"limit of {numbers.ms_setting(evidence.decision.slo_ms)}", "limit"),
        ColumnHead(f"{currency} a million", "cost_per_million", kind="number"),
        count_head("MB in service", "bytes_in_service"),
        count_head("bytes an item", "bytes_an_item"),
        count_head("parameters", "parameters"),
        count_head("multiply-adds a candidate", "multiply_adds_a_candidate"),
    )
    rows = tuple(_row(evidence, point, _cost(point)) for point in points)
    constants = {"currency": currency}
    return Table("cost", HEADING["cost"], heads, rows, COST, constants=constants)


def _cost(point: Point) -> tuple[str, ...]:
    assert point.p99 is not None
    half = point.p50 or point.p99
    price, size = point.cost_per_million, point.bundle_bytes
    return (
        _ms(point.p50),
        ends_cell(point.p50, numbers.ms_places(half)),
        _ms(point.p99),
        _reach(point),
        point.limit or NONE,
        number_cell(price, numbers.significant(price or 0.0)),
        number_cell(size, numbers.megabytes(size or 0)),
        _count(point.bytes_per_item),
        _count(sum(point.parameters.values())),
        _count(point.macs_per_candidate),
    )


def _reach(point: Point) -> TableEntry:
    """The ends of a p99 as they decide; an upper one that is open says so."""
    assert point.p99 is not None
    cell = ends_cell(point.p99, numbers.ms_places(point.p99))
    if not point.p99_open:
        return cell
    return TableEntry(f"{cell} or more", *cell.values)


def _ms(interval: Interval | None) -> str:
    if interval is None:
        return NONE
    value = interval.value
    return number_cell(value, numbers.fixed(value, numbers.ms_places(interval)))


def _count(count: int | None) -> str:
    return number_cell(count, numbers.count(count or 0))


def backends(evidence: Evidence) -> Table:
    """Every strategy on every backend that was timed, the model alone."""
    heads = (
        "strategy",
        "backend",
        value_head("p50 ms", "p50_ms"),
        ends_head("p50 interval", "p50_ms"),
        value_head("p99 ms", "p99_ms"),
        ends_head("p99 interval", "p99_ms"),
        value_head("largest difference", "largest_difference"),
        value_head("AUC change", "auc_change"),
    )
    shown = [(evidence.point(timed.strategy), timed) for timed in evidence.backends]
    rows = tuple(
        _row(evidence, point, _served(timed)) for point, timed in shown if point is not None
    )
    return Table("backends", HEADING["backends"], heads, rows, BACKENDS)


def _served(timed: ServedBy) -> tuple[str, ...]:
    apart, change = timed.max_difference, timed.auc_change
    return (
        timed.backend,
        _ms(timed.p50),
        ends_cell(timed.p50, numbers.ms_places(timed.p50)),
        _ms(timed.p99),
        ends_cell(timed.p99, numbers.ms_places(timed.p99 or timed.p50)),
        number_cell(apart, f"{apart or 0.0:.0e}"),
        number_cell(change, f"{change or 0.0:+.0e}"),
    )


def metrics(evidence: Evidence) -> Table:
    """Every other metric that all strategies have, with its interval."""
    shared = dict.fromkeys(
        name
        for point in evidence.points
        for name in point.metrics
        if name in METRIC or not name.endswith("_scaled")
    )
    order = {name: place for place, name in enumerate(METRIC)}
    names = sorted(shared, key=lambda name: (order.get(name, len(order)), name))
    points = sorted(evidence.points, key=lambda point: -point.auc.value)
    rows = tuple(
        _row(evidence, point, tuple(whole_cell(point.metrics.get(name)) for name in names))
        for point in points
        if point.metrics
    )
    titles = {name: METRIC.get(name, name.replace("_", " ")) for name in names}
    heads = ("strategy", *(whole_head(titles[name], name) for name in names))
    return Table("metrics", HEADING["metrics"], heads, rows)


def ablation(evidence: Evidence) -> Table:
    """The change of AUC when a part is left out, and the part's cost if it is known."""
    margin = evidence.decision.margin
    costed = any(step.cost or step.logloss for c in evidence.ablations for step in c.steps)
    rows = tuple(
        Row(
            (
                _whole_name(chain.end),
                plan_name(chain),
                _whole_name(step.name),
                number_cell(step.gain.value, numbers.signed(step.gain.value)),
                ends_cell(step.gain, margin=margin),
                step.verdict or NONE,
                *(cost_cells(step) if costed else ()),
            ),
            run_ids=(*step.run_ids, *runs_of(evidence, chain.end)),
        )
        for chain in evidence.ablations
        for step in chain.steps
    )
    heads = (
        "strategy",
        PLAN,
        ColumnHead("part taken out", "part_taken_out"),
        value_head("AUC difference", "difference"),
        ends_head("95% interval", "difference"),
        "verdict",
        *(cost_heads() if costed else ()),
    )
    return Table("ablation", HEADING["ablation"], heads, rows)


def slices(evidence: Evidence) -> Table:
    """The choice against today on parts of the test rows."""
    margin = evidence.decision.margin
    rows = tuple(
        Row(
            (
                TableEntry(
                    f"{shorten(part.name, 60)}{' (sensitive)' if part.sensitive else ''}",
                    part.name,
                    part.sensitive,
                ),
                number_cell(part.rows, numbers.count(part.rows)),
                number_cell(part.share, numbers.percent(part.share)),
                number_cell(part.difference.value, numbers.signed(part.difference.value)),
                ends_cell(part.difference, margin=margin),
                part.verdict or part.detail or NONE,
            ),
            bar=part.difference,
            run_ids=runs_of(evidence, _sliced(evidence)),
        )
        for part in evidence.slices
    )
    heads = (
        ColumnHead("slice", "slice", "sensitive"),
        count_head("rows", "rows"),
        value_head("share", "share_of_rows"),
        value_head("AUC difference", "difference"),
        ends_head("95% interval", "difference"),
        "verdict",
    )
    return Table("slices", HEADING["slices"], heads, rows, SLICES, bars=4)


def runs_of(evidence: Evidence, strategy: str | None) -> tuple[str, ...]:
    """Run ids of a strategy; none where it was not measured."""
    point = evidence.point(strategy)
    return point.run_ids if point else ()


def _sliced(evidence: Evidence) -> str | None:
    """The strategy of the slices: the choice, or what could have been chosen."""
    decision = evidence.decision
    return decision.subject if decision.choice in (None, decision.today) else decision.choice


def _row(
    evidence: Evidence, point: Point, cells: tuple[str, ...], *, bar: Interval | None = None
) -> Row:
    chosen = point.strategy == evidence.decision.choice
    name = TableEntry(str(label(point, 60)), point.strategy)
    return Row((name, *cells), chosen, not point.feasible, bar, point.run_ids)


def _whole_name(name: str) -> TableEntry:
    """A name as it fits, the whole of it in the files."""
    return TableEntry(shorten(name, 60), name)
