"""Gathers the evidence of a study's report from its files; nothing is trained or timed here."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import TypeVar

from fusefront.datasets.errors import DataContractError
from fusefront.harness.decision.inputs import Inputs
from fusefront.harness.decision.policy import Policy
from fusefront.harness.dossier import codes, facts, group_gaps, search_evidence, sections
from fusefront.harness.dossier.bench import FILE as BENCH
from fusefront.harness.dossier.bench import (
    arriving,
    at_once,
    read_bench,
    scope_gaps,
    served_by,
    session_quality,
    timed_rows,
)
from fusefront.harness.dossier.decision_record import LEFT_OUT
from fusefront.harness.dossier.decision_record import changed as edited
from fusefront.harness.dossier.firmness import FILE as SENSITIVITY
from fusefront.harness.dossier.firmness import other_verdicts, rising
from fusefront.harness.dossier.grade import front_shape, graded, known_beside
from fusefront.harness.dossier.inputs import COMPARISON, read_comparison, study_inputs
from fusefront.harness.dossier.judged import Judged, Signature, judge
from fusefront.harness.dossier.money import money
from fusefront.harness.dossier.points import points
from fusefront.harness.dossier.record_types import store_facts
from fusefront.harness.dossier.replay import FILE as REPLAY
from fusefront.harness.dossier.replay import read_replay
from fusefront.harness.runs.seal import openings
from fusefront.harness.runs.store import RunEntry, StudyFolder
from fusefront.harness.serving.latency.bench_record import Bench
from fusefront.harness.statistics.comparison import Comparison
from fusefront.harness.tuning.budget import SearchBudget, lacking, study_budgets
from fusefront.reports.evidence import (
    Decision,
    Evidence,
    Interval,
    OtherVerdict,
    RunOrigin,
    StudyFacts,
)

MOST_CURVES = 60  # with more runs, only the curves of strategies that the decision names are shown
ALL_ROLES = ("strategy", "control", "ablation")
FILES = (
    COMPARISON,
    SENSITIVITY,
    BENCH,
    REPLAY,
    "study.yaml",
    "matrix.json",
    "audit.json",
    sections.ROBUSTNESS,
    sections.EXPLANATION,
    group_gaps.FILE,
)
SIMULTANEOUS = (
    "Differences from what runs today carry intervals that hold for all strategies at once, since "
    "the best one was picked; every verdict is read off the interval beside it."
)


T = TypeVar("T")


@dataclass(frozen=True)
class StudyMaterial:
    """A study's files, each read once."""

    study: StudyFolder
    every: list[RunEntry]  # ablations included
    entries: list[RunEntry]
    comparison: Comparison
    bench: Bench | None
    inputs: Inputs
    damaged: tuple[str, ...] = ()  # a sentence for each damaged record that the decision lacks


@dataclass(frozen=True)
class LeftOut:
    """Damaged records that only the page lacks, one sentence each."""

    sentences: list[str]

    def read(self, part: Callable[[], T], empty: T) -> T:
        """The result of `part`; `empty` if the record it reads is damaged."""
        try:
            return part()
        except DataContractError as error:
            self.sentences.append(str(error))
            return empty

    def each(
        self, part: Callable[[list[RunEntry]], tuple[T, ...]], entries: list[RunEntry]
    ) -> tuple[T, ...]:
        """The results of `part` for all runs whose record is intact."""
        empty: tuple[T, ...] = ()
        parts = (self.read(partial(part, [entry]), empty) for entry in entries)
        return tuple(chain.from_iterable(parts))


def gather(study: StudyFolder) -> StudyMaterial:
    """Read matrix, comparison and bench; a missing comparison is made, which opens test.

    A bench that cannot be read counts as missing.
    """
    every = study.checked_entries(roles=ALL_ROLES)
    entries = [entry for entry in every if entry.role != "ablation"]
    left_out = LeftOut([])
    comparison = read_comparison(study, entries)
    bench = left_out.read(lambda: read_bench(study), None)
    inputs = study_inputs(study, comparison, bench, entries)
    left_out.read(lambda: read_replay(study), None)
    damaged = tuple(left_out.sentences)
    return StudyMaterial(study, every, entries, comparison, bench, inputs, damaged)


def build_evidence(material: StudyMaterial, policy: Policy, signature: Signature) -> Evidence:
    """Judge the study and assemble everything that the report shows."""
    study, inputs, comparison = material.study, material.inputs, material.comparison
    judged = judge(inputs, comparison.model, policy, signature)
    timed = timed_rows(material.bench, study.spec.latency.decide_at)
    decision, replay, what_if, worth = money(study, inputs, judged, policy, material.entries)
    damaged_trials = facts.damaged_trials(study)
    beside = [*study.ablations()[1], *damaged_trials.values(), *filter(None, [edited(study)])]
    left_out = LeftOut([*material.damaged, *beside])
    others = left_out.read(lambda: other_verdicts(study), tuple[OtherVerdict, ...]())
    changed = dict.fromkeys(other.strategy for other in others if other.verdict != other.other)
    decision = replace(decision, not_firm=tuple(changed))
    subject = decision.subject if decision.choice in (None, decision.today) else decision.choice
    deciding = [subject, decision.today, *decision.alternatives]
    manifest = store_facts(study.store_path)
    shown = _curves(material.entries, deciding)
    curves = left_out.each(facts.training_curves, material.entries)
    sensitive = {name for name, s in manifest.get("slices", {}).items() if s.get("sensitive")}
    evidence = Evidence(
        study=_facts(material, judged, signature),
        decision=decision,
        points=points(inputs, policy, judged, comparison, timed, material.entries),
        band=judged.band,
        tied=tuple(
            tuple(inputs.candidates[i].name for i in group) for group in judged.front.groups
        ),
        replay=replay,
        what_if=what_if,
        ablations=sections.ablations(study, policy.margin),
        calibration=sections.calibration(comparison, deciding[:2]),
        missing=left_out.read(lambda: sections.missing(study), None),
        training=(
            *facts.searches(study),
            *(curve for curve in curves if curve.run_id in {entry.run_id for entry in shown}),
        ),
        searched=left_out.read(lambda: search_evidence.searched(study, comparison), None),
        rising=rising(curves, _lead(decision), policy.margin),
        recipes=others,
        codes=codes.measures(shown),
        widths=left_out.each(codes.curves, shown),
        backends=served_by(material.bench, study.spec.latency.decide_at),
        session=session_quality(material.bench, study.spec.latency.decide_at),
        scopes=scope_gaps(material.bench, study.spec.latency.decide_at),
        arriving=arriving(material.bench),
        at_once=at_once(material.bench),
        slices=sections.slices(comparison, subject, frozenset(sensitive), policy.margin),
        worths=left_out.read(lambda: sections.worths(study), ()),
        controlled=left_out.read(lambda: sections.controlled(study), ()),
        weighed=left_out.read(lambda: sections.weighed(study), ()),
        explained=left_out.read(lambda: sections.explained(study), ()),
        gaps=left_out.read(lambda: group_gaps.shown_gaps(study, deciding[:2]), ()),
        audit=left_out.read(lambda: facts.audit_findings(study), ()),
        environment=left_out.read(
            lambda: facts.environment(material.entries, material.bench), dict[str, str]()
        ),
        origins=facts.origins(study, material.every),
        hashes=hashes(study),
    )
    spent = left_out.read(lambda: study_budgets(study), list[SearchBudget]())
    less = lacking(spent, study.spec.tuning.accept)
    uneven = [f"The search gave less to one: {words}." for words in less]
    left = [f"{LEFT_OUT}{text}." for text in left_out.sentences]
    counted = replace(
        evidence.study,
        notes=(*evidence.study.notes, *uneven, *left),
        finished_trials=facts.finished_trials(study),
        unreadable_trials=dict(Counter(path.parent.name for path in damaged_trials)),
    )
    beside_test = known_beside(decision.choice, evidence.rising, others)
    firm = graded(inputs, policy, judged.outcome, comparison, worth, beside_test)
    return replace(
        evidence, study=counted, firmness=firm, front=front_shape(inputs, judged.outcome.feasible)
    )


def _lead(decision: Decision) -> Interval | None:
    """The difference of the choice to what runs today, or to the runner-up."""
    return decision.margins.over_today or decision.margins.over_runner_up


def all_origins(study: StudyFolder) -> tuple[RunOrigin, ...]:
    """All runs of the study, ablations included."""
    return facts.origins(study, study.checked_entries(roles=ALL_ROLES))


def hashes(study: StudyFolder) -> dict[str, str]:
    """SHA-256 of every file under the study's folder that the evidence was read from.

    The many small files of a search's trials have one hash together: "tuning/<strategy>".
    """
    ablations = sorted(path.name for path in study.path.glob("ablation-*.json"))
    return {**facts.hashes(study, (*FILES, *ablations)), **facts.search_hashes(study)}


def _curves(entries: list[RunEntry], deciding: list[str | None]) -> list[RunEntry]:
    completed = [entry for entry in entries if entry.state == "completed"]
    if len(completed) <= MOST_CURVES:
        return completed
    return [entry for entry in completed if entry.strategy in deciding]


def _facts(material: StudyMaterial, judged: Judged, signature: Signature) -> StudyFacts:
    study, comparison = material.study, material.comparison
    looks = openings(study.path)
    others = {look.content for look in looks} - ({looks[-1].content} if looks else set())
    trials = study.spec.tuning.trials or None
    refused = [
        f"{row.name!r} was {row.reason}." for row in comparison.strategies if not row.metrics
    ]
    known = facts.study_facts(
        study,
        material.entries,
        material.bench,
        date=signature.date,
        second_look=len(others),
        trials=trials,
        notes=(
            SIMULTANEOUS,
            *_control_won(material.inputs, judged),
            *comparison.warnings,
            *refused,
        ),
    )
    rows = known.rows_test or comparison.rows
    return replace(known, rows_test=rows)


def _control_won(inputs: Inputs, judged: Judged) -> tuple[str, ...]:
    choice = judged.outcome.choice
    if choice is None or not inputs.candidates[choice].control:
        return ()
    name = inputs.candidates[choice].name
    return (f"The choice, {name!r}, is a control, not a fusion.",)
