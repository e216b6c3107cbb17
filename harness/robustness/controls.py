"""Whether a trained model uses a modality: AUC where its vectors are removed, those of other items,
or random ones of the same spectrum."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from fusefront.baselines.contract import Baseline
from fusefront.datasets.store import PreparedDataset
from fusefront.harness.data.spectrum import same_spectrum
from fusefront.harness.dossier.record_types import ModalityControl
from fusefront.harness.robustness.condition import Hidden
from fusefront.harness.robustness.hide import shown_modalities
from fusefront.harness.robustness.study import alone_ends, ends_of
from fusefront.harness.robustness.vectors import (
    Vectors,
    changed_vectors,
    other_vectors,
    takes_vectors,
)
from fusefront.harness.statistics.accumulate import Accumulator
from fusefront.harness.statistics.auc import Floats, Scores, auc_influence, tie_groups
from fusefront.harness.statistics.contrasts import contrasts
from fusefront.harness.statistics.leverage import auc_sums, effective_clusters
from fusefront.harness.statistics.measures.metrics import Layout
from fusefront.harness.training.module import encode_table
from fusefront.harness.training.predict import predict

CONTROLS = ("removed", "shuffled", "random")
IN_WORDS = {
    "removed": "removed",
    "shuffled": "with the vectors of other items",
    "random": "with random vectors of the same spectrum",
}


class ControlScores(NamedTuple):
    """Logits [N] of test under one control of one modality; both are "" for the model as it is."""

    modality: str
    control: str  # of CONTROLS
    logits: Scores


def random_vectors(store: PreparedDataset, modality: str, seed: int = 0) -> Vectors:
    """[n + 1, D] of one modality: of the spectrum of those that are there; the same for every
    model."""
    rows = np.array(store.vectors(modality), np.float32)
    column = list(store.manifest.schema_.modalities).index(modality)
    present = np.flatnonzero(np.asarray(store.items.present)[:, column])
    rows[present] = same_spectrum(rows[present], [seed, 6, column])
    return rows


def control_scores(model: Baseline, store: PreparedDataset) -> Iterator[ControlScores]:
    """The model as it is, then under each control of each modality; of a model that has no table of
    a modality alone, only with the modality removed."""
    items = store.manifest.schema_.items

    def scored(keep: NDArray[np.bool_] | None = None) -> Scores:
        shown = None if keep is None else torch.from_numpy(keep)
        return predict(model, encode_table(model, items, shown), store, "test")

    yield ControlScores("", "", scored())
    for modality in store.manifest.schema_.modalities:
        removed = scored(shown_modalities(store, Hidden(modality)))
        yield ControlScores(modality, "removed", removed)
        if not takes_vectors(model, store, modality):
            continue
        for control in ("shuffled", "random"):
            rows = (
                random_vectors(store, modality)
                if control == "random"
                else changed_vectors(store, Hidden(modality, kind="stale"))
            )
            with other_vectors(model, store, modality, rows):
                yield ControlScores(modality, control, scored())


@dataclass
class ControlChanges:
    """Changes of AUC of one strategy, seed by seed, each within its own trained model."""

    layout: Layout
    sums: dict[tuple[str, str], list[tuple[float, Floats]]]

    @classmethod
    def empty(cls, layout: Layout) -> "ControlChanges":
        return cls(layout, {})

    def add(self, model: Baseline, store: PreparedDataset) -> None:
        """One trained model."""
        label, axis = self.layout.rows.label, self.layout.axis
        whole: tuple[float, Floats] | None = None
        for modality, control, logits in control_scores(model, store):
            influence = auc_influence(tie_groups(logits, label))
            measured = influence.value, auc_sums(axis, influence, logits, label)
            if whole is None:
                whole = measured
            else:
                change = measured[0] - whole[0], measured[1] - whole[1]
                self.sums.setdefault((modality, control), []).append(change)

    def rows(self, strategy: str) -> list[ModalityControl]:
        """95 % intervals over rows and seeds that hold for all of a strategy's at once."""
        if not self.sums:
            return []
        axis = self.layout.axis
        by_name = {" | ".join(place): changes for place, changes in self.sums.items()}
        names = tuple(by_name)
        effective = effective_clusters(axis, "classes")
        total = Accumulator.empty(names, axis.size, axis.mc, effective=effective)
        for name, changes in by_name.items():
            for value, summed in changes:
                total.add(name, value, summed)
        joint = total.joint()
        joint = replace(joint, s2=np.nan_to_num(joint.s2))  # of one seed rows alone
        together = contrasts(joint, np.eye(len(names)))
        rows: list[ModalityControl] = []
        for at, (modality, control) in enumerate(self.sums):
            still = together.se[at] == 0  # no score moved
            value, low, high = (
                float(together.value[at] if still else ends[at])
                for ends in (together.value, together.low, together.high)
            )
            rows.append(
                {
                    "strategy": strategy,
                    "modality": modality,
                    "control": control,
                    "auc": ends_of(value, low, high),
                    "single": alone_ends(joint, names[at]),
                }
            )
        return rows


def controls_in_words(rows: Sequence[ModalityControl]) -> list[str]:
    """Whether each strategy uses each modality, a sentence each."""
    places = dict.fromkeys((row["strategy"], row["modality"]) for row in rows)
    return [
        _sentence([row for row in rows if (row["strategy"], row["modality"]) == place])
        for place in places
    ]


def _sentence(rows: Sequence[ModalityControl]) -> str:
    who = f"{rows[0]['strategy']}: {rows[0]['modality']}"
    changes = ", ".join(_change(row) for row in rows)
    others = [row for row in rows if row["control"] != "removed"]
    lacks = "" if others else "; it has no table of its own that other vectors could be in"
    content = others or rows
    if all(_ends(row) == (0, 0) for row in rows):
        return f"{who} contributes nothing: no score changes without it or with other vectors."
    if any(None in _ends(row) for row in content):
        return f"{who}: {changes}, without an interval."
    below = [high < 0 for row in content for high in [_ends(row)[1]] if high is not None]
    if all(below):
        return f"{who} is used: {changes}{lacks}."
    if any(below):
        return f"{who} is used by some controls alone: {changes}."
    return f"{who} is not shown to be used: {changes}{lacks}."


def _ends(row: ModalityControl) -> tuple[float | None, float | None]:
    return row["auc"].get("low"), row["auc"].get("high")


def _change(row: ModalityControl) -> str:
    low, high = _ends(row)
    interval = "" if low is None or high is None else f" [{low:+.4f}, {high:+.4f}]"
    return f"{IN_WORDS[row['control']]} {row['auc']['value']:+.4f} AUC{interval}"
