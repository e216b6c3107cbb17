"""What to build first: parts ranked by the lower end of their gain, if they keep the latency
limit."""

from collections.abc import Sequence

from fusefront.harness.runs.records import AblationRow

REMOVED = ("modality", "component")


def surest_first(rows: Sequence[AblationRow]) -> list[str]:
    """The parts that are shown to add AUC, the largest lower end first, without those with which
    the whole strategy misses the limit."""
    shown = [row for row in removals_of(rows) if lower_end(row) > 0 and not row.get("over_limit")]
    return [row["without"] for row in sorted(shown, key=lambda row: -lower_end(row))]


def removals_of(rows: Sequence[AblationRow]) -> list[AblationRow]:
    """The rows in which a part is left out, not replaced or crossed."""
    return [row for row in rows if row.get("kind") in REMOVED]


def lower_end(row: AblationRow) -> float:
    """The lower end of the AUC that a part adds; 0 without an interval."""
    high = row["high"]
    return 0.0 if high is None else -high


def takes_over_limit(whole: float | None, without: float | None, limit: float) -> bool:
    """Whether the p99 of the whole strategy exceeds the limit and that without the part does not;
    all in ms."""
    return whole is not None and without is not None and whole > limit >= without
