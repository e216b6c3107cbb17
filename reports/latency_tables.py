"""Tables of the latency session: reliability, both scopes, queues, many requests in one call."""

from collections.abc import Iterator
from typing import NamedTuple

from fusefront.reports import numbers
from fusefront.reports.cells import (
    NONE,
    ColumnHead,
    TableEntry,
    count_head,
    ends_cell,
    ends_head,
    number_cell,
    value_head,
)
from fusefront.reports.evidence import Arriving, Evidence, Interval, ScopeGap, SessionQuality
from fusefront.reports.tables import Row, Table, runs_of
from fusefront.reports.words.commands import on_study
from fusefront.reports.words.names import label
from fusefront.reports.words.reasons import listed
from fusefront.reports.words.reviewer import ARRIVING, AT_ONCE, HEADING, SCOPES

ENDED = {
    "precise": "the precision that was asked for",
    "time": "the time that was given",
    "rounds": "the rounds that were asked for",
}
FEW = 1000  # requests below which there is no p99


def session(evidence: Evidence) -> Table:
    """How reliable the sessions are, one line a measure; empty if nothing was timed."""
    quality = evidence.session
    lines = [] if quality is None else list(_lines(quality))
    rows = tuple(Row((line.head, TableEntry(line.text, line.value, line.tail))) for line in lines)
    heads = ("measure", ColumnHead("value", "value", "at_p99", kind="number"))
    return Table(
        "session", HEADING["session"], heads, rows, _judged(evidence, quality) if quality else ""
    )


class _Line(NamedTuple):
    """One measure; shares where there are percents."""

    head: str
    text: str
    value: float | None = None  # at p50 where there are two
    tail: float | None = None


def _lines(quality: SessionQuality) -> Iterator[_Line]:
    seconds = "" if quality.seconds is None else f", {quality.seconds:,.0f} s together"
    yield _Line("sessions", f"{quality.sessions}{seconds}", quality.sessions)
    yield _Line("rounds", numbers.count(quality.rounds), quality.rounds)
    samples = quality.samples
    few = ", no p99 below 1,000" if samples is not None and samples < FEW else ""
    known = "not recorded" if samples is None else f"{numbers.count(samples)}{few}"
    yield _Line("requests timed of each strategy", known, samples)
    if quality.visits:
        share = quality.contended_visits / quality.visits
        text = (
            f"{numbers.percent(share)}: {quality.contended_visits:,} of {quality.visits:,} visits, "
            "kept and marked"
        )
        yield _Line("waited for a core", text, share)
    yield _pair("two equal sessions differ by up to", quality.floor_p50, quality.floor_p99)
    yield _pair("widest interval, to either side", quality.half_p50, quality.half_p99)
    if quality.sessions > 1:
        yield _pair("sessions repeat within (sd)", quality.between_p50, quality.between_p99)
    else:
        yield _Line("sessions repeat within (sd)", "not known: one session")


def _pair(head: str, median: float | None, tail: float | None) -> _Line:
    """A share at p50 and at p99."""
    parts = [
        f"{numbers.percent(value, 1) if value is not None else 'no bound'} at {name}"
        for name, value in (("p50", median), ("p99", tail))
    ]
    return _Line(head, ", ".join(parts), median, tail)


def _judged(evidence: Evidence, quality: SessionQuality) -> str:
    """Whether the session can support a decision, why it ended, and what it covers."""
    if quality.disturbed:
        return (
            f"Too disturbed to decide on: {listed(list(quality.disturbed), 'en')}. Measure again."
        )
    reasons = list(dict.fromkeys(ENDED.get(word, word) for word in quality.ended))
    ended = f" It ended with {listed(reasons, 'en')}." if reasons else ""
    once = (
        " How far another session would differ is not known: "
        f"`{on_study(evidence, 'bench', '--add')}` measures one more."
        if quality.sessions < 2
        else " Sessions are pooled, each counting as one."
    )
    return f"Quiet enough to decide on.{ended}{once}"


def scopes(evidence: Evidence) -> Table:
    """Every strategy in both scopes, with the paired gap between them."""
    shown = [(evidence.point(each.strategy), each) for each in evidence.scopes]
    rows = tuple(
        Row(
            (
                TableEntry(str(label(point, 60)) if point else each.strategy, each.strategy),
                *_gap_cells(each),
            ),
            point is not None and point.strategy == evidence.decision.choice,
            point is not None and not point.feasible,
            each.gap,
            runs_of(evidence, each.strategy),
        )
        for point, each in sorted(shown, key=lambda pair: pair[1].end_to_end.value)
    )
    heads = (
        "strategy",
        value_head("p50 model alone, ms", "model_p50_ms"),
        value_head("p50 whole request, ms", "request_p50_ms"),
        value_head("gap, ms", "gap_ms"),
        ends_head("gap interval", "gap_ms"),
        value_head("gap / whole", "gap_share"),
        value_head("p99 model alone, ms", "model_p99_ms"),
        value_head("p99 whole request, ms", "request_p99_ms"),
    )
    note = f"{SCOPES}{_largest_gap(evidence)}".strip()
    return Table("scopes", HEADING["scopes"], heads, rows, note, bars=4)


def _gap_cells(each: ScopeGap) -> tuple[str, ...]:
    share = each.gap.value / each.end_to_end.value if each.end_to_end.value > 0 else 0.0
    places = max(numbers.ms_places(Interval(abs(each.gap.value))), 2)
    return (
        _ms(each.model_only),
        _ms(each.end_to_end),
        number_cell(each.gap.value, numbers.signed(each.gap.value, places)),
        ends_cell(each.gap, places),
        number_cell(share, numbers.percent(share)),
        _ms(each.model_only_p99),
        _ms(each.end_to_end_p99),
    )


def _largest_gap(evidence: Evidence) -> str:
    """The strategy for which the work around the model is the largest share of a request."""
    known = [each for each in evidence.scopes if each.end_to_end.value > 0]
    if not known:
        return ""
    most = max(known, key=lambda each: each.gap.value / each.end_to_end.value)
    share = most.gap.value / most.end_to_end.value
    if share <= 0:
        return ""
    return f"It is at most {numbers.percent(share)} of a request ({most.strategy})."


def arriving(evidence: Evidence) -> Table:
    """Strategies behind a queue, at shares of their capacity and at rates of one's own."""
    heads = (
        "strategy",
        value_head("requests a second", "requests_per_second"),
        value_head("load", "load"),
        value_head("later than the limit", "late"),
        ends_head("95% interval", "late"),
        value_head("p99 ms", "p99_ms"),
        count_head("runs", "runs"),
    )
    rows = tuple(
        Row(
            (_name(evidence, each.strategy), *_queue(each)),
            each.strategy == evidence.decision.choice,
            run_ids=runs_of(evidence, each.strategy),
        )
        for each in evidence.arriving
    )
    return Table("arriving", HEADING["arriving"], heads, rows, ARRIVING)


def _queue(each: Arriving) -> tuple[str, ...]:
    late = each.late
    ends = TableEntry(NONE, None, None)
    if late.low is not None and late.high is not None:
        shown = f"[{numbers.percent(late.low, 2)},{numbers.NB}{numbers.percent(late.high, 2)}]"
        ends = TableEntry(shown, late.low, late.high)
    p99 = number_cell(each.p99_ms, numbers.fixed(each.p99_ms or 0.0, 2))
    return (
        number_cell(each.per_second, numbers.count(round(each.per_second))),
        number_cell(each.load, numbers.fixed(each.load, 2)),
        number_cell(late.value, numbers.percent(late.value, 2)),
        ends,
        p99 if each.p99_ms is not None else TableEntry("overloaded", None),
        number_cell(each.runs, numbers.count(each.runs)),
    )


def at_once(evidence: Evidence) -> Table:
    """Predictions a second over requests in one call."""
    heads = (
        "strategy",
        "backend",
        count_head("requests at once", "requests_at_once"),
        count_head("candidates of each", "candidates"),
        count_head("predictions a second", "predictions_per_second"),
    )
    rows = tuple(
        Row(
            (
                _name(evidence, each.strategy),
                each.backend,
                number_cell(each.requests, numbers.count(each.requests)),
                number_cell(each.candidates, numbers.count(each.candidates)),
                number_cell(round(each.per_second), numbers.count(round(each.per_second))),
            ),
            each.strategy == evidence.decision.choice,
            run_ids=runs_of(evidence, each.strategy),
        )
        for each in evidence.at_once
    )
    return Table("at_once", HEADING["at_once"], heads, rows, AT_ONCE)


def _name(evidence: Evidence, strategy: str) -> TableEntry:
    point = evidence.point(strategy)
    return TableEntry(str(label(point, 60)) if point else strategy, strategy)


def _ms(interval: Interval | None) -> TableEntry:
    if interval is None:
        return TableEntry(NONE, None)
    value = interval.value
    return number_cell(value, numbers.fixed(value, numbers.ms_places(interval)))
