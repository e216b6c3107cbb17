"""decision.json: what was decided, on which evidence, and what would change it."""

from fusefront.harness.runs.files import Json, write_json
from fusefront.harness.runs.store import StudyFolder
from fusefront.reports.evidence import Evidence
from fusefront.reports.exchange import encode
from fusefront.reports.words.decision import headline

FILE = "decision.json"


def write_record(study: StudyFolder, evidence: Evidence) -> None:
    """Written beside and renamed: a kill leaves the old record or the new one."""
    write_json(study.path / FILE, record_of(study.name, evidence))


def record_of(study: str, evidence: Evidence) -> dict[str, Json]:
    """The record of a decision: enough to check it without the report."""
    return {
        "format": 1,
        "study": study,
        "dataset": evidence.study.dataset,
        "fingerprint": evidence.study.fingerprint,
        "sentence": headline(evidence, "en").text,
        "decision": encode(evidence.decision),
        "tied": [list(group) for group in evidence.tied],
        "strategies": [_standing(evidence, i) for i in range(len(evidence.points))],
        "replay": encode(evidence.replay) if evidence.replay else None,
        "what_if": encode(evidence.what_if) if evidence.what_if else None,
        "evidence": dict(evidence.hashes),
        "runs": {run.run_id: run.sha256 for run in evidence.origins if run.sha256},
    }


def _standing(evidence: Evidence, i: int) -> dict[str, Json]:
    """The numbers that the policy looked at."""
    point = evidence.points[i]
    whole = encode(point)
    keys = (
        "strategy",
        "role",
        "auc",
        "gain",
        "p50",
        "p99",
        "cost_per_million",
        "feasible",
        "on_front",
        "on_frontier_probability",
        "dominated_by",
        "not_worth",
        "equivalent_to_choice",
        "verdict",
        "verdict_vs_choice",
        "run_ids",
    )
    return {key: whole[key] for key in keys}
