"""`fusefront explain`: what each modality adds to a trained strategy's AUC, alone and with the
other modalities."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from fusefront.baselines.contract import Baseline
from fusefront.datasets.store import PreparedDataset
from fusefront.harness.dossier.predictions import StudySource
from fusefront.harness.dossier.record_types import ModalityControl, ModalityShare, SlotWeight
from fusefront.harness.errors import NothingToDoError
from fusefront.harness.parts.plugins import parts_of_runs
from fusefront.harness.robustness.chosen import Tell, chosen_strategies, runs_with_weights
from fusefront.harness.robustness.controls import ControlChanges, controls_in_words
from fusefront.harness.robustness.parts_of_rows import TestRows, parts_of_rows
from fusefront.harness.robustness.slot_weights import WeightSums, weights_in_words
from fusefront.harness.robustness.study import ends_of
from fusefront.harness.runs.files import write_json
from fusefront.harness.runs.seal import open_test
from fusefront.harness.runs.store import StudyFolder
from fusefront.harness.statistics.accumulate import Accumulator
from fusefront.harness.statistics.auc import Scores, auc_influence, tie_groups
from fusefront.harness.statistics.contrasts import contrasts
from fusefront.harness.statistics.drawn_shares import half_widths, with_drawing
from fusefront.harness.statistics.shapley import Coalitions, coalitions
from fusefront.harness.training.build import load_model
from fusefront.harness.training.module import encode_table
from fusefront.harness.training.predict import predict

FILE = "explanation.json"
ALL = "all modalities"
ROUNDING = 1e-12  # AUC; smaller: rounding error of a modality that the model does not read
KIND = "masked: one trained model, modalities hidden from it at serving time"


@dataclass(frozen=True)
class ExplainOptions:
    """The strategies to explain; () = the decision's choice (else the best on validation) and
    today's."""

    strategies: tuple[str, ...] = ()
    include: tuple[Path, ...] = ()


def explain(study: StudyFolder, options: ExplainOptions, tell: Tell) -> list[ModalityShare]:
    """Write explanation.json; returns its rows, one for each strategy, slice and modality, then one
    for all modalities together.

    A share is the modality's Shapley value of the test AUC, over all subsets of the modalities that
    the trained model may read; ids, fields and history stay. The shares of a slice sum to its AUC
    with all modalities minus that with none. Their intervals hold for all modalities and slices at
    once. Opening test is recorded.

    Raises:
        NothingToDoError: the data set has no modality, or no run of a strategy has its weights.
    """
    store = PreparedDataset.open(study.store_path)
    modalities = tuple(store.manifest.schema_.modalities)
    if not modalities:
        raise NothingToDoError(f"data set {store.name!r} has no modality to explain")
    names = chosen_strategies(study, options.strategies)
    runs = {name: runs_with_weights(study, name, tell) for name in names}
    subsets = coalitions(len(modalities))
    open_test(study.path, "explain")
    source = StudySource(study)
    parts = tuple(parts_of_rows(source))
    rows: list[ModalityShare] = []
    controls: list[ModalityControl] = []
    weights: list[SlotWeight] = []
    plugins = parts_of_runs((e.path for entries in runs.values() for e in entries), options.include)
    for name, entries in runs.items():
        sums = [SharesOfRows.empty(part, modalities) for part in parts]
        changes, slots = ControlChanges.empty(parts[0].layout), WeightSums(parts)
        for entry in entries:
            tell(f"{name}, seed {entry.seed}: {len(subsets.members)} subsets of {len(modalities)}")
            model = load_model(entry.path, store, plugins)
            _add(sums, parts, subsets, model, store)
            changes.add(model, store)
            slots.add(model, store)
        rows += [row for part in sums for row in part.rows(name, subsets, len(parts))]
        controls += changes.rows(name)
        weights += slots.rows(name)
    record = {
        "format": 1,
        "kind": KIND,
        "exact": subsets.exact,
        "runs": {name: [entry.run_id for entry in entries] for name, entries in runs.items()},
        "shares": rows,
        "controls": controls,
        "weights": weights,
        "sentences": [
            *in_words(rows),
            *controls_in_words(controls),
            *weights_in_words(weights),
        ],
    }
    write_json(study.path / FILE, record)
    return rows


def in_words(rows: Sequence[ModalityShare]) -> list[str]:
    """What each modality contributes to a strategy on all test rows, one sentence each."""
    sentences = []
    for row in rows:
        if row["slice"] or row["modality"] == ALL:
            continue
        who, ends = f"{row['strategy']}: {row['modality']}", row["auc"]
        low, high = ends.get("low"), ends.get("high")
        sentences.append(f"{who} {_contribution(ends['value'], low, high)}.")
    return sentences


def _contribution(value: float, low: float | None, high: float | None) -> str:
    if low == high == 0:
        return "contributes nothing: no score changes with it"
    if low is None or high is None:
        return f"adds {value:+.4f} AUC, without an interval"
    interval = f"AUC [{low:+.4f}, {high:+.4f}]"
    if low > 0:
        return f"adds {value:.4f} {interval}"
    if high < 0:
        return f"costs {-value:.4f} {interval}"
    return f"is not shown to contribute anything: {value:+.4f} {interval}"


@dataclass
class SharesOfRows:
    """The shares on one set of rows, seed by seed, with their influences."""

    part: TestRows
    modalities: tuple[str, ...]
    shares: Accumulator
    values: list[NDArray[np.float64]]  # [C] of each seed

    @classmethod
    def empty(cls, part: TestRows, modalities: tuple[str, ...]) -> "SharesOfRows":
        axis = part.layout.axis
        return cls(part, modalities, Accumulator.empty((*modalities, ALL), axis.size, axis.mc), [])

    def rows(self, strategy: str, subsets: Coalitions, families: int) -> list[ModalityShare]:
        """Shares with 95 % intervals over rows, seeds and, if orders were sampled, the sampling:
        both an interval for each share alone, and one that holds for all modalities and all
        `families` of rows."""
        joint = self.shares.joint()
        joint = replace(joint, s2=np.nan_to_num(joint.s2), level=1 - 0.05 / families)
        by_draw = subsets.shares_by_draw(np.mean(self.values, axis=0))
        each = np.pad(by_draw, ((0, 0), (0, 1)))  # all less none: the same in every draw
        together = with_drawing(contrasts(joint, np.eye(len(joint.names))), joint.level, each)
        alone = [joint.alone(at) for at in range(len(joint.names))]
        single = together._replace(
            se=np.array([x.se for x in alone]), df=np.array([x.df for x in alone])
        )
        halves = half_widths(single, each, 0.05)
        rows: list[ModalityShare] = []
        for at, name in enumerate((*self.modalities, ALL)):
            value = float(together.value[at])
            wide, half = float(together.high[at]) - value, float(halves[at])
            value, wide, half = (0.0 if abs(x) < ROUNDING else x for x in (value, wide, half))
            rows.append(
                {
                    "strategy": strategy,
                    "slice": self.part.slice,
                    "value": self.part.value,
                    "modality": name,
                    "auc": ends_of(value, value - wide, value + wide),
                    "single": ends_of(value, value - half, value + half),
                }
            )
        return rows


def _add(
    sums: list[SharesOfRows],
    parts: tuple[TestRows, ...],
    subsets: Coalitions,
    model: Baseline,
    store: PreparedDataset,
) -> None:
    """Add one trained model: the AUC of every subset of its modalities, on every set of rows."""
    count, players = subsets.members.shape
    values = np.zeros((len(parts), count))
    shares = [np.zeros((players, part.layout.axis.size)) for part in parts]
    ends = [np.zeros(part.layout.axis.size) for part in parts]  # all less none
    for at, members in enumerate(subsets.members):
        logits = subset_scores(model, store, members)
        for place, part in enumerate(parts):
            axis = part.layout.axis
            groups = tie_groups(logits[part.chosen], part.layout.rows.label)
            influence = auc_influence(groups)
            values[place, at] = influence.value
            summed = np.bincount(axis.code, influence.rows, axis.size)
            shares[place] += subsets.weights[at][:, None] * summed
            ends[place] += summed * ((at == count - 1) - (at == 0))
    for place, total in enumerate(sums):
        mine = values[place]
        own = subsets.shares(mine)
        for at, name in enumerate(total.modalities):
            total.shares.add(name, float(own[at]), shares[place][at])
        total.shares.add(ALL, float(mine[-1] - mine[0]), ends[place])
        total.values.append(mine)


def subset_scores(model: Baseline, store: PreparedDataset, members: NDArray[np.bool_]) -> Scores:
    """Logits [N] of the test split if the model reads only the modalities of `members` [M] bool."""
    items = store.manifest.schema_.items
    keep = torch.from_numpy(np.tile(members, (items + 1, 1)))
    return predict(model, encode_table(model, items, keep), store, "test")
