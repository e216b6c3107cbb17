"""The paragraph under the decision: why this choice, and how today's strategy compares."""

from collections import Counter

from fusefront.reports import numbers
from fusefront.reports.evidence import Evidence, Point
from fusefront.reports.words.decision import measured, missed, next_steps
from fusefront.reports.words.names import described
from fusefront.reports.words.phrase import Language, Phrase, Sentence, sentence
from fusefront.reports.words.verdicts import BETTER

REASON = {
    "fastest": Phrase(
        "It is the fastest of the {n} strategies under the limit that are not worse than the best "
        "one by more than the margin of {margin} AUC.",
        "上限内で\u200b最良に\u200b許容差\u200b（AUC {margin}）を\u200b超えては\u200b劣らない"
        "\u200b{n}方式のうち、\u200b最も\u200b速い。",
    ),
    "not_slower": Phrase(
        "It is one of {n} strategies under the limit that are not worse than the best one by more "
        "than the margin of {margin} AUC, and none of them is shown to be faster.",
        "上限内で\u200b最良に\u200b許容差\u200b（AUC {margin}）を\u200b超えては\u200b劣らない"
        "\u200b{n}方式の\u200b1つで、\u200bより\u200b速いと\u200b示された\u200b方式は\u200bない。",
    ),
    "one_of": Phrase(
        "It is one of {n} strategies under the limit that are not worse than the best one by more "
        "than the margin of {margin} AUC.",
        "上限内で\u200b最良に\u200b許容差\u200b（AUC {margin}）を\u200b超えては\u200b劣らない"
        "\u200b{n}方式の\u200b1つ。",
    ),
    "alone": Phrase(
        "Under the limit it has the best lower bound of the gain, and every other strategy there "
        "may be worse by more than the margin of {margin} AUC.",
        "上限内で\u200b改善の\u200b下限が\u200b最も\u200b高く、\u200b他の\u200bどの\u200b方式も"
        "\u200b許容差\u200b（AUC {margin}）を\u200b超えて\u200b劣る\u200b可能性が\u200bある。",
    ),
    "control": Phrase(
        "It is a control: no fusion under the limit is shown to beat it.",
        "これは\u200b対照で、\u200b上限内で\u200bこれに\u200b優ると\u200b示された\u200b"
        "融合は\u200bない。",
    ),
    "control_near": Phrase(
        "It is a control: what fusion under the limit is shown to beat it does so within the "
        "margin.",
        "これは\u200b対照で、\u200b上限内で\u200bこれに\u200b優る\u200b融合の\u200b差は\u200b"
        "許容差内である。",
    ),
    "control_beaten": Phrase(
        "It is a control, not a fusion.", "これは\u200b融合ではなく\u200b対照である。"
    ),
    "counted": Phrase(
        "Against it, of {n} other strategies under the limit {counts}.",
        "上限内の\u200b他の\u200b{n}方式は、\u200b現行に\u200b対し\u200b{counts}。",
    ),
    "whole": Phrase(
        "A strategy is under the limit only if its whole p99 interval is; {n} were timed.",
        "p99の\u200b区間全体が\u200b収まる\u200b方式だけを\u200b上限内と\u200b数える。\u200b"
        "{n}方式を\u200b計測した。",
    ),
    "today": Phrase(
        "What runs today: {name}, AUC {auc}, p99 {p99}{over}.",
        "現行方式は\u200b{name}、\u200bAUC {auc}、\u200bp99 {p99}{over}。",
    ),
    "today_untimed": Phrase(
        "What runs today: {name}, AUC {auc}.", "現行方式は\u200b{name}、\u200bAUC {auc}。"
    ),
    "no_today": Phrase(
        "No strategy stands for what runs today, so nothing is compared with it.",
        "現行方式に\u200bあたる\u200b方式が\u200bなく、\u200b比較は\u200bできない。",
    ),
}
COUNT = {  # one, several
    "better": (Phrase("1 gains", "優る1"), Phrase("{n} gain", "優る{n}")),
    "better, by less than the margin": (
        Phrase("1 gains less than the margin", "許容差未満で優る1"),
        Phrase("{n} gain less than the margin", "許容差未満で優る{n}"),
    ),
    "equivalent": (
        Phrase("1 is equivalent", "同等1"),
        Phrase("{n} are equivalent", "同等{n}"),
    ),
    "not worse by more than the margin": (
        Phrase("1 is not worse by more than the margin", "許容差を超えては劣らない1"),
        Phrase("{n} are not worse by more than the margin", "許容差を超えては劣らない{n}"),
    ),
    "cannot tell": (
        Phrase("1 cannot be told apart", "判断不能1"),
        Phrase("{n} cannot be told apart", "判断不能{n}"),
    ),
    "not better by more than the margin": (
        Phrase("1 is not better by more than the margin", "許容差を超えては優らない1"),
        Phrase("{n} are not better by more than the margin", "許容差を超えては優らない{n}"),
    ),
    "worse, by less than the margin": (
        Phrase("1 loses less than the margin", "許容差未満で劣る1"),
        Phrase("{n} lose less than the margin", "許容差未満で劣る{n}"),
    ),
    "worse": (Phrase("1 loses", "劣る1"), Phrase("{n} lose", "劣る{n}")),
}
OVER = Phrase(", which {missed}", "で\u200b{missed}")


def why(evidence: Evidence, language: Language) -> list[Sentence]:
    """Two or three sentences, chosen by the case and limited to what the intervals show."""
    case = evidence.decision.case
    reasons: list[Sentence] = []
    if case == "clear":
        reasons = [_choice(evidence, language)]
        choice = evidence.point(evidence.decision.choice)
        if choice is not None and "control" in (choice.role, choice.family):
            reasons.append(sentence(REASON[_control(evidence)], language))
    elif case == "tie":
        reasons = _counted(evidence, language)
    elif case == "infeasible":
        timed = sum(p.p99 is not None for p in evidence.points)
        reasons = [sentence(REASON["whole"], language, n=numbers.count(timed))]
    else:
        reasons = _counted(evidence, language)
        if evidence.decision.reason != "cannot_tell":  # the headline names rows and seeds already
            reasons = next_steps(evidence, language)
    return [*reasons, today(evidence, language)]


def _control(evidence: Evidence) -> str:
    """How a control that was chosen stands against the fusions under the limit."""
    beating = [
        p
        for p in evidence.points
        if p.feasible
        and "control" not in (p.role, p.family)
        and p.role != "device"
        and p.gain_vs_choice is not None
        and p.verdict_vs_choice in BETTER
    ]
    if not beating:
        return "control"
    return "control_near" if all(p.equivalent_to_choice for p in beating) else "control_beaten"


def _choice(evidence: Evidence, language: Language) -> Sentence:
    decision = evidence.decision
    choice = evidence.point(decision.choice)
    rivals = [
        p
        for name in decision.equivalent
        if (p := evidence.point(name)) is not None and p is not choice
    ]
    margin, n = numbers.plain(decision.margin), numbers.count(len(rivals) + 1)
    if not rivals:
        key = "alone" if decision.leader in (None, decision.choice) else "one_of"
        return sentence(REASON[key], language, margin=margin, n=n)
    if choice is not None and all(_faster(choice, p) for p in rivals):
        key = "fastest"
    elif choice is not None and not any(_faster(p, choice) for p in rivals):
        key = "not_slower"
    else:
        key = "one_of"
    return sentence(REASON[key], language, margin=margin, n=n)


def _faster(point: Point, other: Point) -> bool:
    """Whether the p50 intervals are apart."""
    if point.p50 is None or other.p50 is None:
        return False
    return (
        point.p50.high is not None and other.p50.low is not None and point.p50.high < other.p50.low
    )


def _counted(evidence: Evidence, language: Language) -> list[Sentence]:
    """How the others stand against what runs today."""
    decision = evidence.decision
    verdicts = Counter(
        p.verdict
        for p in evidence.points
        if p.feasible and p.verdict and p.strategy != decision.today and p.role != "device"
    )
    if not verdicts:
        return []
    parts = [
        COUNT[v][n > 1].pattern(language).format(n=numbers.count(n))
        for v, n in sorted(verdicts.items(), key=lambda kv: list(COUNT).index(kv[0]))
    ]
    counts = listed(parts, language)
    total = numbers.count(sum(verdicts.values()))
    return [sentence(REASON["counted"], language, n=total, counts=counts)]


def listed(parts: list[str], language: Language) -> str:
    """An enumeration: a, b and c.

    >>> listed(["a", "b", "c"], "en"), listed(["a", "b"], "ja")
    ('a, b and c', 'a、b')
    """
    if language == "ja":
        return "、".join(parts)
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def today(evidence: Evidence, language: Language) -> Sentence:
    """What runs today and its numbers."""
    point = evidence.point(evidence.decision.today)
    if point is None:
        return sentence(REASON["no_today"], language)
    values: dict[str, str] = {"name": described(point)}
    values["auc"] = numbers.fixed(point.auc.value, numbers.AUC_PLACES)
    values |= measured(point, evidence.decision.margin)
    shortfall = missed(evidence, point, language) if point.p99 is not None else ""
    values["over"] = OVER.pattern(language).format(missed=shortfall) if shortfall else ""
    key = "today" if point.p99 is not None else "today_untimed"
    return sentence(REASON[key], language, **values)
