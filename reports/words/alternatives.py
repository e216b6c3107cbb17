"""The closest alternatives and why they were not chosen: the verdict with its interval, then what
decided."""

from fusefront.reports import numbers
from fusefront.reports.evidence import Evidence, Interval, Point
from fusefront.reports.words.decision import shown_faster
from fusefront.reports.words.names import label
from fusefront.reports.words.phrase import Bracket, Entry, Language, Phrase, Sentence, sentence
from fusefront.reports.words.verdicts import SAFE, auc_gap

SHOWN = 3
VERDICT: dict[str, Phrase] = {
    "equivalent": Phrase("Equivalent to the choice ({gap})", "採用方式と\u200b同等\u200b（{gap}）"),
    "better": Phrase("Better than the choice ({gap})", "採用方式に\u200b優る\u200b（{gap}）"),
    "better, by less than the margin": Phrase(
        "Better than the choice, by less than the margin ({gap})",
        "採用方式に\u200b許容差未満で\u200b優る\u200b（{gap}）",
    ),
    "worse": Phrase("Worse than the choice ({gap})", "採用方式に\u200b劣る\u200b（{gap}）"),
    "worse, by less than the margin": Phrase(
        "Worse than the choice, by less than the margin ({gap})",
        "採用方式に\u200b許容差未満で\u200b劣る\u200b（{gap}）",
    ),
    "not worse by more than the margin": Phrase(
        "Not worse than the choice by more than the margin ({gap})",
        "採用方式に\u200b許容差を\u200b超えては\u200b劣らない\u200b（{gap}）",
    ),
    "not better by more than the margin": Phrase(
        "Not better than the choice by more than the margin ({gap})",
        "採用方式に\u200b許容差を\u200b超えては\u200b優らない\u200b（{gap}）",
    ),
    "cannot tell": Phrase(
        "Cannot be told apart from the choice ({gap})",
        "採用方式との\u200b差は\u200b判断不能\u200b（{gap}）",
    ),
    "": Phrase("{gap} against the choice", "採用方式との\u200b差は\u200b{gap}"),
}
WHY_NOT = {
    "over": Phrase(
        "; its p99 of {p99} {p99_interval} is not wholly under the {slo} limit.",
        "。\u200bp99 {p99} {p99_interval}は\u200b上限{slo}に\u200b収まらない。",
    ),
    "untimed": Phrase("; its latency was not measured.", "。\u200bレイテンシは\u200b未測定。"),
    "cost": Phrase("; it costs more than is allowed.", "。\u200b費用の\u200b上限を\u200b超える。"),
    "slower": Phrase(
        "; it is slower, p50 {p50} against {theirs}.",
        "。\u200bp50は\u200b{p50}で、\u200b採用方式の\u200b{theirs}より\u200b遅い。",
    ),
    "needless": Phrase(
        "; it is faster, p50 {p50} against {theirs}, which a limit of {slo} does not ask for.",
        "。\u200bp50は\u200b{p50}で\u200b採用方式の\u200b{theirs}より\u200b速いが、\u200b"
        "上限{slo}では\u200b不要。",
    ),
    "may_lose": Phrase(
        "; it is faster, p50 {p50} against {theirs}, but its own difference from what runs today, "
        "{gain}, may be a loss of more than the margin.",
        "。\u200bp50は\u200b{p50}で\u200b採用方式の\u200b{theirs}より\u200b速いが、\u200b"
        "現行方式との\u200b差 {gain}は\u200b許容差を\u200b超える\u200b悪化の\u200b可能性を\u200b"
        "含む。",
    ),
    "unproven": Phrase(
        "; it is faster, p50 {p50} against {theirs}, but may be worse by more than the margin.",
        "。\u200bp50は\u200b{p50}で\u200b採用方式の\u200b{theirs}より\u200b速いが、\u200b"
        "許容差を\u200b超えて\u200b劣る\u200b可能性が\u200bある。",
    ),
    "faster": Phrase(
        "; it is faster, p50 {p50} against {theirs}.",
        "。\u200bp50は\u200b{p50}で、\u200b採用方式の\u200b{theirs}より\u200b速い。",
    ),
    "as_fast": Phrase(
        "; p50 {p50} against {theirs}, neither is shown to be faster.",
        "。\u200bp50は\u200b{p50}\u200b（採用方式{theirs}）で、\u200bどちらが\u200b速いとも\u200b"
        "示されていない。",
    ),
    "": Phrase(".", "。"),
}
ALONE = {
    "gain": Phrase(
        "{gain} over what runs today, at p99 {p99} {p99_interval}.",
        "現行方式に\u200b対し\u200b{gain}、\u200bp99 {p99} {p99_interval}。",
    ),
    "gain_untimed": Phrase(
        "{gain} over what runs today, latency not measured.",
        "現行方式に\u200b対し\u200b{gain}、\u200bレイテンシは\u200b未測定。",
    ),
    "auc": Phrase("AUC {auc} {auc_interval}.", "AUC {auc} {auc_interval}。"),
}


def alternatives(evidence: Evidence, language: Language) -> list[Entry]:
    """The first three; without a choice, what was measured."""
    points = [evidence.point(name) for name in evidence.decision.alternatives[:SHOWN]]
    return [
        Entry(label(point, 40), [_why_not(evidence, point, language)])
        for point in points
        if point is not None
    ]


def _why_not(evidence: Evidence, point: Point, language: Language) -> Sentence:
    choice = evidence.point(evidence.decision.choice)
    values = _values(evidence, point, choice, language)
    gap = point.gain_vs_choice
    if choice is None or gap is None:
        key = "auc" if point.gain is None else "gain" if point.p99 is not None else "gain_untimed"
        return sentence(ALONE[key], language, **values)
    parts = (VERDICT[point.verdict_vs_choice], WHY_NOT[_reason(evidence, point, choice)])
    whole = Phrase("".join(p.en for p in parts), "".join(p.ja for p in parts))
    return sentence(whole, language, **values)


def _reason(evidence: Evidence, point: Point, choice: Point) -> str:
    """What decides against it, as far as the intervals show it."""
    if point.p99 is None:
        return "untimed"
    if not point.feasible:
        high = point.p99.value if point.p99.high is None else point.p99.high
        over = high > evidence.decision.slo_ms or point.limit in ("missed", "not known")
        return "over" if over else "cost"
    if point.p50 is None or choice.p50 is None:
        return ""
    if shown_faster(choice, point):
        return "slower"
    if not shown_faster(point, choice):
        return "as_fast"
    if point.verdict_vs_choice == "worse":
        return "needless"
    if point.gain is not None and point.verdict not in SAFE:
        return "may_lose"
    return "faster" if point.verdict_vs_choice in SAFE else "unproven"


def _values(
    evidence: Evidence, point: Point, choice: Point | None, language: Language
) -> dict[str, str]:
    values: dict[str, str] = {"slo": numbers.ms_setting(evidence.decision.slo_ms)}
    for name, difference in (("gap", point.gain_vs_choice), ("gain", point.gain)):
        if difference is not None:
            values[name] = auc_gap(difference, evidence.decision.margin, language)
    values["auc"] = numbers.fixed(point.auc.value, numbers.AUC_PLACES)
    values["auc_interval"] = _bracket(point.auc)
    if point.p99 is not None:
        places = numbers.ms_places(point.p99)
        values["p99"] = numbers.ms(point.p99.value, places)
        values["p99_interval"] = Bracket(numbers.bracket(point.p99, places))
    if point.p50 is not None and choice is not None and choice.p50 is not None:
        places = max(numbers.ms_places(point.p50), numbers.ms_places(choice.p50))
        values["p50"] = numbers.ms(point.p50.value, places)
        values["theirs"] = numbers.ms(choice.p50.value, places)
    return values


def _bracket(interval: Interval) -> Bracket:
    return Bracket(numbers.bracket(interval))
