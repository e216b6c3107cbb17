"""Checks a prepared data set for leaks, shortcuts and broken content."""

from collections.abc import Callable

from fusefront.datasets.audit.catalogue import check_cold_items, check_missing
from fusefront.datasets.audit.clock import (
    check_far,
    check_missing_times,
    check_rounded,
    check_scale,
)
from fusefront.datasets.audit.counted import check_counted, check_outside
from fusefront.datasets.audit.crowd import check_users_that_are_none
from fusefront.datasets.audit.finding import SEVERITIES, AuditReport, Finding
from fusefront.datasets.audit.histories import check_future, check_made, check_target
from fusefront.datasets.audit.labels import check_classes, check_drift, check_rates
from fusefront.datasets.audit.overlap import (
    check_cold_users,
    check_repeated,
    check_siblings,
    check_time,
    check_users,
)
from fusefront.datasets.audit.rows import SAMPLE_ROWS, UserSample, sample_users
from fusefront.datasets.audit.scores import check_scores
from fusefront.datasets.audit.shifted import check_shifted
from fusefront.datasets.audit.shortcuts import check_shortcuts
from fusefront.datasets.audit.unseen import check_unseen
from fusefront.datasets.audit.vectors import check_columns, check_twins
from fusefront.datasets.errors import DataContractError
from fusefront.datasets.soundness import check_values
from fusefront.datasets.store import PreparedDataset

Check = Callable[[PreparedDataset, UserSample], list[Finding] | None]  # None: cannot be told

CHECKS: dict[str, Check] = {
    "users": check_users,
    "sibling rows": check_siblings,
    "repeated rows": check_repeated,
    "time order": check_time,
    "how histories are made": check_made,
    "target in history": check_target,
    "future in history": check_future,
    "single-feature AUC": check_shortcuts,
    "scores": check_scores,
    "classes": check_classes,
    "label rate": check_rates,
    "label drift": check_drift,
    "missing modalities": check_missing,
    "vector columns": check_columns,
    "near-duplicate vectors": check_twins,
    "shifted vectors": check_shifted,
    "unseen values": check_unseen,
    "cold items": check_cold_items,
    "cold users": check_cold_users,
    "users that are none": check_users_that_are_none,
    "time scale": check_scale,
    "missing times": check_missing_times,
    "far times": check_far,
    "rounded times": check_rounded,
    "counted by prepare": check_counted,
    "outside files": check_outside,
}


def audit(store: PreparedDataset, *, most_rows: int = SAMPLE_ROWS) -> AuditReport:
    """Run every check; memory is bounded by blocks and by a sample of users of `most_rows` rows.

    Raises:
        DataContractError: the store holds values that `prepare` cannot have written.
    """
    check_values(store)
    sample = sample_users(store, most_rows=most_rows)
    findings: list[Finding] = []
    passed: list[str] = []
    not_run: list[str] = []
    for name, check in CHECKS.items():
        new = check(store, sample)
        findings += new or []
        if not new:
            (not_run if new is None else passed).append(name)
    findings.sort(key=lambda finding: SEVERITIES.index(finding.severity))
    return AuditReport(
        store.name, store.fingerprint, tuple(findings), tuple(passed), tuple(not_run), sample.share
    )


def refuse_severe(report: AuditReport, accept: tuple[str, ...] = ()) -> None:
    """Raise DataContractError at the worst finding that the spec does not accept by name."""
    severe = report.severe(accept)
    if not severe:
        return
    names = ", ".join(finding.name for finding in severe)
    raise DataContractError(
        f"audit of {report.dataset!r}: {severe[0].title} {severe[0].detail} To go on all the same, "
        f"add to the spec: accept: [{names}]"
    )
