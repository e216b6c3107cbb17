"""Headings of page one and the facts under the decision."""

from fusefront.reports import numbers
from fusefront.reports.evidence import Evidence
from fusefront.reports.words.phrase import Language
from fusefront.reports.words.terms import FACT, TERM, term

LONG_DATE = 10  # a date without its time


def section(key: str, language: Language) -> str:
    """A heading or a line of the page, as it is printed."""
    return TERM[key].pattern(language)


def alternatives_heading(evidence: Evidence, shown: int, language: Language) -> str:
    """Why not the others; without a choice they are what was measured."""
    if evidence.decision.choice is None:
        return section("measured", language)
    return section("alternatives_3" if shown == 3 else "alternatives", language)


def facts(evidence: Evidence, language: Language) -> list[tuple[str, str]]:
    """What the numbers are from, in a line."""
    study, decision = evidence.study, evidence.decision
    rows = numbers.count(study.rows_test)
    if study.rows_all:
        rows = term(FACT["of_rows"], language, test=rows, all=numbers.count(study.rows_all))
    texts = {
        "study": study.name,
        "dataset": study.dataset if study.dataset != study.name else "",
        "rows": rows,
        "lag": study.lag if study.lag != "0" else "",
        "seeds": numbers.count(study.seeds),
        "strategies": numbers.count(len(evidence.points)),
        "failed": numbers.count(study.failed_runs) if study.failed_runs else "",
        "hardware": study.hardware,
        "owner": decision.owner,
        "date": (decision.date or study.date)[:LONG_DATE],
        "recheck": decision.recheck[:LONG_DATE],
    }
    return [(FACT[key].pattern(language), text) for key, text in texts.items() if text]
