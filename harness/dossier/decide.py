"""`decide` and `report` on a study's folder: write the record, the sentence and the page."""

import json
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from fusefront.datasets.errors import DataContractError
from fusefront.datasets.locks import Tell
from fusefront.harness.decision.policy import Policy
from fusefront.harness.dossier.decision_record import FILE, cautions, changed, write_record
from fusefront.harness.dossier.evidence import (
    StudyMaterial,
    all_origins,
    build_evidence,
    gather,
    hashes,
)
from fusefront.harness.dossier.judged import Signature
from fusefront.harness.dossier.publish import publish
from fusefront.harness.dossier.record_types import Decided, DecisionRecord, optional_record
from fusefront.harness.errors import GateError, UsageError
from fusefront.harness.runs.records import NewerFormatError
from fusefront.harness.runs.store import StudyFolder
from fusefront.reports.errors import ReportError
from fusefront.reports.evidence import Evidence
from fusefront.reports.words.decision import headline
from fusefront.reports.words.phrase import Language

RECHECK_DAYS = 90


@dataclass(frozen=True)
class DecisionOptions:
    """The options that the user set; None = as the study says."""

    slo_ms: float | None = None
    max_cost: float | None = None
    margin: float | None = None
    owner: str | None = None

    def policy(self, study: StudyFolder) -> Policy:
        """The policy, with the study's own limit and margin unless the options set them."""
        spec = study.spec
        return Policy(
            spec.slo_ms if self.slo_ms is None else self.slo_ms,
            spec.margin if self.margin is None else self.margin,
            self.max_cost,
        )


def decide_study(
    study: StudyFolder, options: DecisionOptions | None = None, tell: Tell | None = None
) -> str:
    """Write decision.json and return the decision as a sentence; `tell` gets damaged records that
    are left out.

    Raises:
        GateError: after writing: nothing fits the limits, or the evidence is too thin; the message
            says what to measure.
    """
    evidence = record_decision(study, options or DecisionOptions())
    if tell is not None:
        for caution in cautions(evidence):
            tell(caution)
    refuse(evidence)
    return headline(evidence, "en").text


def refuse(evidence: Evidence) -> None:
    """Raises GateError if nothing was chosen, with what to measure; decision.json was written
    before."""
    decision = evidence.decision
    if decision.case in ("infeasible", "thin"):
        raise GateError(as_sentence([lack.text for lack in decision.lacks]))


def as_sentence(texts: list[str]) -> str:
    """Several sentences joined to one: the first unchanged, the next ones after semicolons.

    >>> as_sentence(["No x; run a.", "Every y has one."])
    'No x; run a; every y has one.'
    """
    first, *others = (text.removesuffix(".") for text in texts)
    return "; ".join([first, *(text[:1].lower() + text[1:] for text in others)]) + "."


def record_decision(study: StudyFolder, options: DecisionOptions) -> Evidence:
    """Judge the study and write decision.json; returns the evidence of the decision."""
    material = gather(study)
    policy = options.policy(study)
    evidence = build_evidence(
        material, policy, signature(material, options, datetime.now(UTC).date())
    )
    write_record(study, evidence)
    return evidence


def signature(material: StudyMaterial, options: DecisionOptions, today: date) -> Signature:
    """The owner, the date, and when to decide again."""
    owner = material.study.spec.owner if options.owner is None else options.owner
    again = today + timedelta(days=RECHECK_DAYS)
    return Signature(
        owner,
        today.isoformat(),
        f"{again.isoformat()}, or earlier when data, model code, serving hardware, traffic, price "
        "or limit change",
    )


def report_study(
    study: StudyFolder,
    out: Path,
    *,
    language: Language = "en",
    pdf: bool = False,
    slo_ms: float | None = None,
) -> Path:
    """Write the study's report under `out`, the Japanese one under `out`/ja; missing evidence is
    made first.

    The limit, margin and owner of the recorded decision are kept. If a decision was recorded on
    other evidence, it is made again. Another limit (`slo_ms`, in ms) is a what-if: its headline
    says so, it is written under `out`/what-if-LIMIT-ms and not recorded, and the recorded page
    stays. A page that exists in the other language is written again, too, and the two link to each
    other.

    Raises:
        UsageError: the report needs something that is missing and cannot be made.
    """
    from fusefront.reports.render import render

    record = _decision(study)
    options = DecisionOptions() if changed(study) else _recorded(record)
    recorded_ms = options.policy(study).slo_ms
    if slo_ms is not None and slo_ms != recorded_ms:
        evidence = _supposed(study, options, record, slo_ms)
        out = out / f"what-if-{slo_ms:g}-ms"
    elif _stands(study, record):
        evidence = _shown(study, options, record)
    else:
        evidence = record_decision(study, options)
    lacks: list[ReportError] = []

    def write(folder: Path, tongue: Language, *, linked: bool, printed: bool) -> Path:
        try:
            link = OTHER_PAGE[tongue] if linked else ""
            return render(evidence, folder, language=tongue, pdf=printed, other_page=link)
        except ReportError as error:  # no font for the language, or no program that makes PDF
            lacks.append(error)
            return folder / "index.html"  # which may be there

    other: Language = "ja" if language == "en" else "en"
    beside = _folder_of(out, other)
    linked = (beside / "index.html").exists()
    own = _folder_of(out, language)
    page = publish(lambda folder: write(folder, language, linked=linked, printed=pdf), own)
    if linked and not lacks:  # of the same evidence, with a link back
        same = _shown_of(own) == _shown_of(beside) != ()
        publish(
            lambda folder: write(folder, other, linked=True, printed=False), beside, keep_pdf=same
        )
    if lacks:
        raise UsageError(str(lacks[0])) from lacks[0]
    return page


OTHER_PAGE: dict[Language, str] = {"en": "ja/index.html", "ja": "../index.html"}


def _shown_of(page: Path) -> tuple[object, ...]:
    """The decision and the strategies' numbers that a page shows; () if they cannot be read."""
    try:
        evidence = json.loads((page / "evidence.json").read_text(encoding="utf-8"))
        decided = [evidence["decision"][key] for key in ("case", "choice", "slo_ms", "margin")]
        measures = ("strategy", "auc", "gain", "p99", "cost_per_million")
        return decided, [[point[key] for key in measures] for point in evidence["points"]]
    except (OSError, ValueError, KeyError, TypeError):
        return ()


def _folder_of(out: Path, language: Language) -> Path:
    """The folder of a language's page."""
    return out if language == "en" else out / language


def _decision(study: StudyFolder) -> DecisionRecord | None:
    """The recorded decision; None if there is none that can be read, so that it is made again."""
    try:
        return optional_record(study.path / FILE, DecisionRecord)
    except NewerFormatError:
        raise
    except DataContractError:
        return None


def _stands(study: StudyFolder, record: DecisionRecord | None) -> bool:
    """Whether the record was made from the files and runs that exist now."""
    if record is None or changed(study) or record.get("evidence") != hashes(study):
        return False
    digests = {run.run_id: run.sha256 for run in all_origins(study) if run.sha256}
    return record.get("runs") == digests


def _shown(study: StudyFolder, options: DecisionOptions, record: DecisionRecord | None) -> Evidence:
    """The evidence under the recorded date, without writing a new record."""
    material = gather(study)
    recorded = (record or DecisionRecord()).get("decision", Decided())
    day = recorded.get("date") or datetime.now(UTC).date().isoformat()
    signed = signature(material, options, date.fromisoformat(day))
    return build_evidence(material, options.policy(study), signed)


def _supposed(
    study: StudyFolder, options: DecisionOptions, record: DecisionRecord | None, slo_ms: float
) -> Evidence:
    """The evidence at another limit, with the recorded decision beside it; that one is recorded
    first."""
    if not _stands(study, record):
        record_decision(study, options)
    evidence = _shown(study, replace(options, slo_ms=slo_ms), _decision(study))
    decision = replace(evidence.decision, recorded_slo_ms=options.policy(study).slo_ms)
    return replace(evidence, decision=decision)


def _recorded(record: DecisionRecord | None) -> DecisionOptions:
    """The options with which the decision was recorded."""
    decided = record.get("decision") if record else None
    if not decided:
        return DecisionOptions()
    return DecisionOptions(
        decided["slo_ms"], decided.get("max_cost"), decided["margin"], decided.get("owner", "")
    )
