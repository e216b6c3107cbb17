"""The regression gate on two studies: the same strategies on the same test rows."""

from typing import NamedTuple

import numpy as np
import polars as pl

from fusefront.datasets.errors import DataContractError
from fusefront.harness.decision.gate import Check, judge
from fusefront.harness.dossier.load import auc_joint, is_device, rows_of_test
from fusefront.harness.errors import GateError, UsageError
from fusefront.harness.runs.store import RunEntry, StudyFolder


class Gate(NamedTuple):
    """The checks, and the strategies that have runs in only one of the studies."""

    checks: list[Check]
    left_out: list[str]
    damaged: list[str]  # a sentence for each damaged run that took no part


def gate_studies(new: StudyFolder, old: StudyFolder, margin: float) -> Gate:
    """Check every strategy that both studies have, paired by test row.

    Raises:
        DataContractError: the studies have other data or other test rows.
        UsageError: the studies have no strategy in common.
        GateError: too little evidence to judge: too few seeds (also because a training failed) or
            too few independent groups of test rows.
    """
    _same_data(new, old)
    before, after = _by_strategy(old), _by_strategy(new)
    shared = [name for name in after if before.get(name)]
    if not shared:
        raise UsageError(
            f"got no strategy of {new.name!r} that {old.name!r} completed, expected at least one "
            "of the same name; run the same strategies in both"
        )
    for study, runs in ((new, after), (old, before)):
        for name in shared:
            if len(runs[name]) < 2:
                for sentence in _damaged(study, name):
                    raise DataContractError(sentence)  # not judged: not passed
                seeds = f"{len(runs[name])} completed seed{'s' if not runs[name] else ''}"
                raise GateError(
                    f"strategy {name!r} of {study.name!r} has {seeds}, expected at least 2 to tell "
                    "a regression from luck; run at least 3 seeds"
                )
    rows = _same_rows(new, old, after[shared[0]][0], before[shared[0]][0])
    vectors = {f"new {name}": [e.path for e in after[name]] for name in shared}
    vectors |= {f"old {name}": [e.path for e in before[name]] for name in shared}
    joint = auc_joint(rows, vectors)
    if not joint.has_intervals:
        raise GateError(
            f"the test split of {new.name!r} has {joint.mc} independent groups with and without a "
            "click, expected at least 10 for an interval; test on more users"
        )
    size = len(shared)
    place = (np.arange(size), np.arange(size) + size)
    same = [{e.run_id for e in before[name]} == {e.run_id for e in after[name]} for name in shared]
    df = np.minimum(joint.dfs[place], 1e9)
    checks = judge(shared, joint.diff[place], joint.se[place], df, margin, same)
    damaged = list(dict.fromkeys(_damaged(new) + _damaged(old)))
    return Gate(checks, sorted((before.keys() | after.keys()) - set(shared)), damaged)


def _same_data(new: StudyFolder, old: StudyFolder) -> None:
    mine, theirs = (str(study.matrix()["fingerprint"]) for study in (new, old))
    if mine != theirs:
        raise DataContractError(
            f"study {new.name!r} was run on data {mine!r}, {old.name!r} on {theirs!r}, expected "
            "the same fingerprint: differences between data sets are no regression; run both on "
            "one"
        )


def _by_strategy(study: StudyFolder) -> dict[str, list[RunEntry]]:
    """The completed runs of each strategy; strategies without one have an empty list."""
    runs: dict[str, list[RunEntry]] = {}
    for entry in study.checked_entries():
        if not is_device(study, entry.strategy):
            completed = runs.setdefault(entry.strategy, [])
            completed += [entry] if entry.state == "completed" else []
    return runs


def _damaged(study: StudyFolder, strategy: str = "") -> list[str]:
    """Sentences on damaged runs and cells of a study, for one strategy or for all."""
    entries = study.checked_entries()
    lost = [] if strategy else [*study.lost_cells()]
    return lost + [e.damage for e in entries if e.damage and strategy in ("", e.strategy)]


def _same_rows(
    new: StudyFolder, old: StudyFolder, mine: RunEntry, theirs: RunEntry
) -> pl.DataFrame:
    rows, other = rows_of_test(new, mine), rows_of_test(old, theirs)
    if not rows["row_id"].equals(other["row_id"]):
        raise DataContractError(
            f"studies {new.name!r} and {old.name!r} tested different rows, expected the same rows "
            "in the same order; run both on the same prepared store"
        )
    return rows
