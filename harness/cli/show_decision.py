"""A decision as rows and lines of text."""

from fusefront.reports import numbers
from fusefront.reports.evidence import Change, Evidence, Interval, Point
from fusefront.reports.words import grade
from fusefront.reports.words.phrase import joined_text

KNOBS = {"slo": "limit", "margin": "margin", "price": "price per core-hour", "traffic": "traffic"}


def alternative_rows(evidence: Evidence) -> list[tuple[str, ...]]:
    """The choice, what runs today and the three closest alternatives."""
    decision = evidence.decision
    labelled = [("choice", decision.choice), ("today", decision.today)]
    labelled += [("alternative", name) for name in decision.alternatives[:3]]
    shown, rows = set(), []
    for what, name in labelled:
        point = evidence.point(name)
        if point is None or name in shown:
            continue
        shown.add(name)
        rows.append((what, *_row(point, decision.margin, chosen=point.strategy == decision.choice)))
    return rows


def tied_line(evidence: Evidence) -> str:
    """The groups of strategies whose AUC cannot be told apart; "" without such a group."""
    groups = [", ".join(group) for group in evidence.tied if len(group) > 1]
    return f"AUC cannot be told apart: {' | '.join(groups)}" if groups else ""


def change_lines(evidence: Evidence) -> list[str]:
    """One line for each setting: the decision at its other values."""
    lines: dict[str, list[str]] = {}
    for change in evidence.decision.changes:
        lines.setdefault(change.knob, []).append(_change(change))
    return [f"{KNOBS[knob]}: {'; '.join(outcomes)}" for knob, outcomes in lines.items()]


def firmness_lines(evidence: Evidence) -> list[str]:
    """The grade with its reasons, then how sure the decision is and what it may lose."""
    mark = grade.shape(evidence)
    if mark is None:
        return []
    word = grade.grade_word(mark, "en")
    grounds = joined_text(grade.grounds(evidence, "en"))
    return [line for line in (f"{word}: {grounds}" if grounds else f"{word}.",
                              joined_text(grade.sure(evidence, "en"))) if line]  # fmt: skip


def _row(point: Point, margin: float, *, chosen: bool) -> tuple[str, ...]:
    against = "" if chosen else _signed(point.gain_vs_choice, margin)
    verdict = "" if chosen else f" {point.verdict_vs_choice}"
    limit = "" if point.feasible else " over"
    return (
        point.strategy,
        _signed(point.gain, margin),
        f"{against}{verdict}",
        _ms(point.p50),
        f"{_ms(point.p99)}{limit}",
    )


def _signed(value: Interval | None, margin: float) -> str:
    return "" if value is None else numbers.gap(value, margin)


def _ms(value: Interval | None) -> str:
    if value is None:
        return "not timed"
    places = numbers.ms_places(value)
    return f"{numbers.fixed(value.value, places)} {numbers.bracket(value, places)}"


def _change(change: Change) -> str:
    value = {
        "slo": numbers.ms_setting(change.value),
        "margin": numbers.plain(change.value) if change.side == "at" else f"{change.value:.5f}",
        "price": f"x {change.value:g}",
        "traffic": f"{change.value:g} per second",
    }[change.knob]
    if change.knob == "slo" and change.side != "at":
        value = numbers.ms(change.value, 2)
    outcome = change.choice or {"thin": "no decision", "infeasible": "nothing fits"}.get(
        change.case, "none"
    )
    return f"{change.side} {value}: {outcome if change.changed else 'no change'}"
