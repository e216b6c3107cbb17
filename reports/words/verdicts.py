"""The words for verdicts in two languages, and groups of verdicts."""

from fusefront.reports import numbers
from fusefront.reports.evidence import Interval, Verdict
from fusefront.reports.words.phrase import Gap, Language, Phrase

VERDICT: dict[str, Phrase] = {
    "better": Phrase("better", "優る"),
    "better, by less than the margin": Phrase(
        "better, by less than the margin", "優る\u200b（許容差未満）"
    ),
    "worse": Phrase("worse", "劣る"),
    "worse, by less than the margin": Phrase(
        "worse, by less than the margin", "劣る\u200b（許容差未満）"
    ),
    "equivalent": Phrase("equivalent", "同等"),
    "not worse by more than the margin": Phrase(
        "not worse by more than the margin", "許容差を\u200b超えては\u200b劣らない"
    ),
    "not better by more than the margin": Phrase(
        "not better by more than the margin", "許容差を\u200b超えては\u200b優らない"
    ),
    "cannot tell": Phrase("cannot tell", "判断不能"),
    "no verdict": Phrase("no verdict", "判定なし"),
}
BETTER: tuple[Verdict, ...] = ("better", "better, by less than the margin")
WORSE: tuple[Verdict, ...] = ("worse", "worse, by less than the margin")
WITHIN: tuple[Verdict, ...] = (  # the whole interval lies within the margin
    "equivalent",
    "better, by less than the margin",
    "worse, by less than the margin",
)
SAFE: tuple[Verdict, ...] = (  # no loss of more than the margin
    *BETTER,
    "equivalent",
    "worse, by less than the margin",
    "not worse by more than the margin",
)
OPEN: tuple[Verdict, ...] = (  # more rows or seeds could decide
    "not worse by more than the margin",
    "not better by more than the margin",
    "cannot tell",
)


def verdict_word(verdict: str, language: Language) -> str:
    """A verdict in a language; a word that is not known stays as it is."""
    known = VERDICT.get(verdict)
    return known.pattern(language) if known else verdict


def auc_gap(difference: Interval, margin: float, language: Language) -> Gap:
    """A difference in AUC with its interval, ends printed on their side of zero and the margin."""
    places = numbers.gap_places(difference, margin)
    number = numbers.signed(difference.value, places)
    text = f"AUC {number}" if language == "ja" else f"{number} AUC"
    return Gap(f"{text} {numbers.bracket(difference, places)}".strip())
