"""What is built first: parts ranked by the lower end of their gain, within the limit."""

from collections.abc import Sequence

from fusefront.harness.runs.records import AblationRow

REMOVED = ("modality", "component")


def surest_first(rows: Sequence[AblationRow]) -> list[str]:
    """Parts that are shown to add AUC, by the lower end of what they add; those that take the
    whole over the limit are left out."""
    shown = [row for row in removals_of(rows) if lower_end(row) > 0 and not row.get("over_limit")]
    return [row["without"] for row in sorted(shown, key=lambda row: -lower_end(row))]


def removals_of(rows: Sequence[AblationRow]) -> list[AblationRow]:
    """Rows in which a part is left out, not swapped or crossed."""
    return [row for row in rows if row.get("kind") in REMOVED]


def lower_end(row: AblationRow) -> float:
    """Of the AUC that a part adds; 0 where there is no interval."""
    high = row["high"]
    return 0.0 if high is None else -high


def takes_over_limit(whole: float | None, without: float | None, limit: float) -> bool:
    """Whether the whole's p99 is over the limit and what is left without the part is not."""
    return whole is not None and without is not None and whole > limit >= without
