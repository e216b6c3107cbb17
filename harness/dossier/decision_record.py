"""decision.json: what was decided, on which evidence, and what would change it."""

import hashlib
import json

from fusefront.datasets.locks import Wait, lock_file, locked
from fusefront.harness.dossier.facts import sha256
from fusefront.harness.runs import chain
from fusefront.harness.runs.files import Json, json_text, write_json
from fusefront.harness.runs.seal import WHY
from fusefront.harness.runs.store import StudyFolder
from fusefront.reports.evidence import Evidence
from fusefront.reports.exchange import encode
from fusefront.reports.words.decision import headline

FILE = "decision.json"
LEFT_OUT, DAMAGED = "Left out: ", "Damaged: "  # prefixes of notes on damaged records
DECISIONS = "decisions.jsonl"  # every decision that was recorded, one line each


def write_record(study: StudyFolder, evidence: Evidence) -> None:
    """Append the decision to the log, then replace decision.json; a kill leaves the old record or
    the new one."""
    record = record_of(study.name, evidence)
    digest = hashlib.sha256(json_text(record).encode()).hexdigest()
    with locked(lock_file(study.root, "study", study.name), Wait(WHY)):
        if _logged(study)[-1:] != [digest]:
            decision = evidence.decision
            line: dict[str, Json] = {"date": evidence.study.date, "choice": decision.choice}
            line |= {"slo_ms": decision.slo_ms, "margin": decision.margin, "sha256": digest}
            chain.append(study.path / DECISIONS, line)
        write_json(study.path / FILE, record)


def changed(study: StudyFolder) -> str:
    """A sentence if decision.json is not what was recorded last; "" if it is, or if it is older
    than the log.

    Either of the last two entries of the log is accepted, since a kill may have left the previous
    record.
    """
    path = study.path / FILE
    if sentence := chain.broken(study.path / DECISIONS):
        return f"{sentence}; move both logs aside with `fusefront verify --repair`"
    logged = _logged(study)
    if not logged or not path.is_file() or sha256(path) in logged[-2:]:
        return ""
    return f"{path}: changed since it was recorded; `fusefront decide` it again"


def cautions(evidence: Evidence) -> list[str]:
    """A sentence for each damaged record that the decision was made without."""
    return [note for note in evidence.study.notes if note.startswith((LEFT_OUT, DAMAGED))]


def _logged(study: StudyFolder) -> list[str]:
    """SHA-256 of the recorded decisions, in the order of time."""
    text = chain.read(study.path / DECISIONS).decode(errors="replace")
    digests = []
    for line in text.splitlines():
        try:
            digests.append(str(json.loads(line)["sha256"]))
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
    return digests


def record_of(study: str, evidence: Evidence) -> dict[str, Json]:
    """The content of decision.json: enough to check the decision without the report."""
    return {
        "format": 1,
        "study": study,
        "dataset": evidence.study.dataset,
        "fingerprint": evidence.study.fingerprint,
        "sentence": headline(evidence, "en").text,
        "decision": encode(evidence.decision),
        "firmness": encode(evidence.firmness) if evidence.firmness else None,
        "front": encode(evidence.front) if evidence.front else None,
        "session": encode(evidence.session) if evidence.session else None,
        "tied": [list(group) for group in evidence.tied],
        "strategies": [_standing(evidence, i) for i in range(len(evidence.points))],
        "replay": encode(evidence.replay) if evidence.replay else None,
        "what_if": encode(evidence.what_if) if evidence.what_if else None,
        "evidence": dict(evidence.hashes),
        "left_out": cautions(evidence),
        "runs": {run.run_id: run.sha256 for run in evidence.origins if run.sha256},
    }


def _standing(evidence: Evidence, i: int) -> dict[str, Json]:
    """The numbers of candidate i that the policy used."""
    point = evidence.points[i]
    whole = encode(point)
    keys = (
        "strategy",
        "role",
        "auc",
        "gain",
        "gain_vs_choice",
        "p50",
        "p99",
        "limit",
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
