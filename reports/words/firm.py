"""Sentences on training recipes: which strategies still improve, whose verdict another recipe
changes."""

from fusefront.reports import numbers
from fusefront.reports.evidence import Evidence
from fusefront.reports.words.names import label, shorten
from fusefront.reports.words.phrase import Language, Phrase, Sentence, sentence
from fusefront.reports.words.verdicts import verdict_word

RISING = {
    True: Phrase(
        "{name} still rose by {by} validation AUC in its last epoch, more than the lead is unsure "
        "(±{unsure}): longer training may change the order.",
        "{name}は\u200b最終エポックでも\u200b検証AUCが\u200b{by}上がり、\u200b差の\u200b"
        "不確かさ（±{unsure}）を\u200b超える。\u200bより長い\u200b学習で\u200b順位が\u200b"
        "変わりうる。",
    ),
    False: Phrase(
        "{n} strategies still rose in their last epoch, {name} most, by {by} validation AUC, more "
        "than the lead is unsure (±{unsure}): longer training may change the order.",
        "{n}方式が\u200b最終エポックでも\u200b上がり、\u200b最大は\u200b{name}の\u200b検証AUC "
        "{by}で、\u200b差の\u200b不確かさ（±{unsure}）を\u200b超える。\u200bより長い\u200b"
        "学習で\u200b順位が\u200b変わりうる。",
    ),
}
CHANGED = {
    True: Phrase(
        "The verdict on {name} is not firm: {verdict}, but {other} by the recipe {recipe}.",
        "{name}の\u200b判定は\u200b確かでない。\u200b{verdict}だが、\u200b{recipe}では\u200b"
        "{other}。",
    ),
    False: Phrase(
        "{n} verdicts are not firm, that on {name} among them: {verdict}, but {other} by the "
        "recipe {recipe}.",
        "{n}件の\u200b判定は\u200b確かでない。\u200b例えば\u200b{name}は\u200b"
        "{verdict}だが、\u200b{recipe}では\u200b{other}。",
    ),
}
FIRM = Phrase(
    "No verdict changes by the recipe {recipe}.", "{recipe}でも\u200b判定は\u200b変わらない。"
)


def recipe(evidence: Evidence, language: Language) -> list[Sentence]:
    """At most two sentences; none where nothing rises and no other recipe was tried."""
    return [*_changed(evidence, language), *_rising(evidence, language)]


def _rising(evidence: Evidence, language: Language) -> list[Sentence]:
    if not evidence.rising:
        return []
    first = evidence.rising[0]
    values = {
        "name": _name(evidence, first.strategy),
        "by": numbers.signed(first.by),
        "unsure": numbers.fixed(first.unsure, 4),
        "n": numbers.count(len(evidence.rising)),
    }
    return [sentence(RISING[len(evidence.rising) == 1], language, **values)]


def _changed(evidence: Evidence, language: Language) -> list[Sentence]:
    if not evidence.recipes:
        return []
    changes = [other for other in evidence.recipes if other.verdict != other.other]
    if not changes:
        names = dict.fromkeys(other.recipe for other in evidence.recipes)
        shown = shorten(" / ".join(names), 72)
        return [sentence(FIRM, language, recipe=shown)]
    deciding = (evidence.decision.choice, evidence.decision.subject)
    first = next((other for other in changes if other.strategy in deciding), changes[0])
    values = {
        "name": _name(evidence, first.strategy),
        "verdict": verdict_word(first.verdict, language),
        "other": verdict_word(first.other, language),
        "recipe": shorten(first.recipe, 72),
        "n": numbers.count(len(changes)),
    }
    return [sentence(CHANGED[len(changes) == 1], language, **values)]


def _name(evidence: Evidence, strategy: str) -> str:
    point = evidence.point(strategy)
    return label(point) if point else shorten(strategy, 26)
