"""The end of a headline if the best strategy is not shown to beat a control."""

from collections.abc import Mapping

from fusefront.reports import numbers
from fusefront.reports.evidence import Evidence
from fusefront.reports.words.names import described, label
from fusefront.reports.words.phrase import Phrase

CLAUSE = {
    1: Phrase(
        "; {best} is not shown to beat the control {first}",
        "\u200b（{best}が\u200b対照{first}に\u200b優るとは\u200b示されていない）",
    ),
    2: Phrase(
        "; {best} is not shown to beat the controls {first} and {second}",
        "\u200b（{best}が\u200b対照{first}と{second}に\u200b優るとは\u200b示されていない）",
    ),
    3: Phrase(
        "; {best} is not shown to beat {n} controls, {first} and {second} among them",
        "\u200b（{best}が\u200b{first}、{second}など\u200b{n}件の\u200b対照に\u200b優るとは\u200b示されていない）",
    ),
}


def with_unbeaten(phrase: Phrase, evidence: Evidence) -> tuple[Phrase, Mapping[str, str]]:
    """The phrase with this clause before its full stop, and the values that fill it; unchanged if
    all controls are beaten."""
    decision = evidence.decision
    best = evidence.point(decision.best)
    controls = [point for name in decision.unbeaten if (point := evidence.point(name)) is not None]
    if best is None or not controls:
        return phrase, {}
    clause = CLAUSE[min(len(controls), 3)]
    values = {
        "best": described(best),
        "first": label(controls[0]),
        "n": numbers.count(len(controls)),
    }
    if len(controls) > 1:
        values["second"] = label(controls[1])
    return Phrase(
        f"{phrase.en.removesuffix('.')}{clause.en}.", f"{phrase.ja.removesuffix('。')}{clause.ja}。"
    ), values
