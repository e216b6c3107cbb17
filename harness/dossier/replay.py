"""The replayed clicks of a study, kept in replay.json."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from fusefront.datasets.errors import DataContractError
from fusefront.harness.decision.expected import expected_over_today
from fusefront.harness.decision.inputs import Inputs, Measured
from fusefront.harness.decision.whatif import Replayed
from fusefront.harness.dossier.inputs import by_strategy, pairs_of
from fusefront.harness.dossier.judged import Judged
from fusefront.harness.dossier.load import replay_joint, rows_of_test
from fusefront.harness.dossier.record_types import ReplayRecord, optional_record
from fusefront.harness.runs.files import digest, write_json
from fusefront.harness.runs.records import NewerFormatError
from fusefront.harness.runs.seal import open_test
from fusefront.harness.runs.store import RunEntry, StudyFolder
from fusefront.harness.statistics.joint import JointModel
from fusefront.harness.statistics.record import model_of, model_record

FILE = "replay.json"
MOST = 40  # up to this many strategies, all are replayed
BEST = 20  # of more: this many best by AUC, the front, and those that the decision names


def replayed(
    study: StudyFolder, inputs: Inputs, judged: Judged, entries: list[RunEntry]
) -> tuple[Inputs, Replayed] | None:
    """The inputs of the replayed strategies with their clicks; None if no request has an order to
    replay."""
    if inputs.today is None:
        return None
    keep = _worth_replaying(inputs, judged)
    part = subset(inputs, keep)
    runs = by_strategy(entries)
    names = [c.name for c in part.candidates]
    k = study.spec.money.top_k
    key = digest({"k": k, "runs": {name: [e.run_id for e in runs[name]] for name in names}})
    record = _recorded(study, key) or _replay(study, names, runs, k, key)
    if not record["requests"]:
        return None
    joint = _model(study.path / FILE, record)
    assert part.today is not None
    pairs = pairs_of(joint, record["c_all"], record["c_base"])
    clicks = Replayed(
        k,
        record["requests"],
        tuple(_rate(joint, i) for i in range(len(names))),
        pairs,
        record["shown"],
        study.spec.latency.decide_at,
        study.spec.money.price_per_core_hour,
        tuple(map(float, expected_over_today(part.candidates, pairs, part.today))),
    )
    return part, clicks


def subset(inputs: Inputs, keep: list[int]) -> Inputs:
    """The inputs restricted to the candidates `keep`, which must include today's."""
    square = np.ix_(keep, keep)
    pairs = inputs.pairs
    return replace(
        inputs,
        candidates=tuple(inputs.candidates[i] for i in keep),
        auc=tuple(inputs.auc[i] for i in keep),
        pairs=replace(
            pairs,
            diff=pairs.diff[square],
            se=pairs.se[square],
            df=pairs.df[square],
            seeds=None if pairs.seeds is None else pairs.seeds[keep],
            controls=None if pairs.controls is None else pairs.controls[keep],
        ),
        today=None if inputs.today is None else keep.index(inputs.today),
    )


def _worth_replaying(inputs: Inputs, judged: Judged) -> list[int]:
    shippable = inputs.shippable
    if len(shippable) <= MOST:
        return shippable
    auc = np.array([a.value for a in inputs.auc])
    deciding = {judged.outcome.choice, judged.outcome.subject, judged.outcome.leader, inputs.today}
    deciding |= {inputs.index(name) for name in judged.decision.alternatives}
    deciding |= {i for i, on in enumerate(judged.front.on_front) if on}
    deciding |= set(sorted(shippable, key=lambda i: -auc[i])[:BEST])
    return [i for i in shippable if i in deciding]


def _model(path: Path, record: ReplayRecord) -> JointModel:
    """The joint model of the replayed clicks."""
    lacks = [key for key in ("shown", "c_all", "c_base") if key not in record]
    reason = f"no {', '.join(lacks)} in it"
    try:
        if not lacks:
            return model_of(record["model"])
    except (KeyError, ValueError) as error:
        reason = f"{type(error).__name__}: {error}"
    raise DataContractError(
        f"{path}: not a replay as it was written ({reason}); delete it and decide again"
    )


def _recorded(study: StudyFolder, key: str) -> ReplayRecord | None:
    """The recorded clicks; None if they are of other runs or cannot be read."""
    try:
        record = read_replay(study)
    except NewerFormatError:
        raise
    except DataContractError:
        return None  # the page names it
    return record if record is not None and record["key"] == key else None


def read_replay(study: StudyFolder) -> ReplayRecord | None:
    """replay.json; None if it does not exist.

    Raises:
        DataContractError: it is damaged.
    """
    record = optional_record(study.path / FILE, ReplayRecord)
    if record is not None and record["requests"]:
        _model(study.path / FILE, record)
    return record


def _replay(
    study: StudyFolder, names: list[str], runs: dict[str, list[RunEntry]], k: int, key: str
) -> ReplayRecord:
    """Read the test predictions again (recorded) and write the clicks beside the comparison."""
    open_test(study.path, "replay")
    rows = rows_of_test(study, runs[names[0]][0])
    replay = replay_joint(rows, {name: [e.path for e in runs[name]] for name in names}, k)
    record: ReplayRecord = {"format": 1, "key": key, "k": k, "requests": 0}
    if replay is not None and replay[0].has_intervals:
        joint, requests, impressions = replay
        base = joint.index(study.spec.baseline)
        clicks: ReplayRecord = {
            "key": key,
            "k": k,
            "requests": requests,
            "shown": impressions,
            "c_all": float(np.nan_to_num(joint.c_all, nan=1.96)),
            "c_base": float(np.nan_to_num(joint.c_base(base), nan=1.96)),
            "model": model_record(joint),
        }
        record.update(clicks)
    write_json(study.path / FILE, record)
    return record


def _rate(joint: JointModel, i: int) -> Measured:
    from scipy import special

    value, se, df = joint.alone(i)
    half = float(special.stdtrit(min(df, 1e9), 0.975)) * se if se > 0 else float("nan")
    return Measured(value, value - half, value + half)
