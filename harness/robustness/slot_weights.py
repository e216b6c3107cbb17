"""How an operator that weighs its slots weighs them on the test rows: gates and attention."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fusefront.baselines.contract import Baseline
from fusefront.baselines.slots import ItemSlots
from fusefront.datasets.store import PreparedDataset
from fusefront.fusion_variants.contract import FusionOperator
from fusefront.harness.dossier.record_types import SlotWeight
from fusefront.harness.robustness.parts_of_rows import TestRows
from fusefront.harness.robustness.study import alone_ends
from fusefront.harness.statistics.accumulate import Accumulator
from fusefront.harness.training.module import encode_table
from fusefront.harness.training.predict import predict


class WeightedRows(NamedTuple):
    """Of one operator of a model, on the N rows of test."""

    operator: str
    slots: tuple[str, ...]
    weight: NDArray[np.float32]  # [N, M]
    present: NDArray[np.bool_]  # [N, M]


def weighing(model: nn.Module) -> dict[str, FusionOperator]:
    """The operators of a model that tell how they weigh their slots, by their place in it."""
    return {
        place: part
        for place, part in model.named_modules()
        if isinstance(part, FusionOperator) and callable(getattr(type(part), "weights", None))
    }


Calls = dict[str, list[tuple[Tensor, Tensor]]]  # place -> (weights [n, M], present [n, M]) a call


@contextmanager
def recorded_weights(model: nn.Module) -> Iterator[Calls]:
    """What each operator's `weights` says of every call of its `forward`, in order."""
    calls: Calls = defaultdict(list)

    def listen(place: str, operator: Any) -> Any:
        def hook(module: nn.Module, arguments: tuple[Any, ...], _: Any) -> None:
            with torch.no_grad():
                weight = operator.weights(*arguments)
            slots = weight.shape[-1]
            calls[place].append(
                (weight.reshape(-1, slots).float().cpu(), arguments[1].reshape(-1, slots).cpu())
            )

        return operator.register_forward_hook(hook)

    handles = [listen(place, operator) for place, operator in weighing(model).items()]
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()


def row_weights(model: Baseline, store: PreparedDataset) -> list[WeightedRows]:
    """Weights of every test row: of its candidate where the operator runs once an item, of the row
    where it runs online; nothing of an operator that runs once a pair of candidate and history."""
    operators = weighing(model)
    if not operators:
        return []
    items = store.manifest.schema_.items
    with recorded_weights(model) as offline:
        codes = encode_table(model, items)
    with recorded_weights(model) as online:
        rows = len(predict(model, codes, store, "test"))
    shown = []
    for place, operator in operators.items():
        for calls, size in ((online, rows), (offline, items + 1)):
            if sum(len(weight) for weight, _ in calls.get(place, [])) != size:
                continue
            weight = torch.cat([each for each, _ in calls[place]]).numpy()
            present = torch.cat([each for _, each in calls[place]]).numpy()
            if calls is offline:
                item = np.asarray(store.split("test").item)
                weight, present = weight[item], present[item]
            label = f"{operator.name} ({place})"
            names = slot_labels(model, weight.shape[1])
            shown.append(WeightedRows(label, names, weight, present))
            break
    return shown


def slot_labels(model: nn.Module, count: int) -> tuple[str, ...]:
    """Names of an operator's `count` slots: those of the model's items, with a number where it has
    several of each."""
    for slots in model.modules():
        if isinstance(slots, ItemSlots) and count % len(slots.names) == 0:
            times = count // len(slots.names)
            if times == 1:
                return slots.names
            return tuple(f"{name} {n}" for n in range(1, times + 1) for name in slots.names)
    return tuple(f"slot {n}" for n in range(1, count + 1))


@dataclass
class WeightSums:
    """Mean weights of one strategy, seed by seed, on all rows and on slices."""

    parts: tuple[TestRows, ...]
    seeds: list[list[WeightedRows]] = field(default_factory=list)

    def add(self, model: Baseline, store: PreparedDataset) -> None:
        """One trained model."""
        self.seeds.append(row_weights(model, store))

    def rows(self, strategy: str) -> list[SlotWeight]:
        """Mean weight of every slot with its 95 % interval over rows and seeds."""
        rows: list[SlotWeight] = []
        for at, first in enumerate(self.seeds[0] if self.seeds else []):
            for part in self.parts:
                axis = part.layout.axis
                sums = Accumulator.empty(first.slots, axis.size, axis.mc)
                for weighted in (seed[at] for seed in self.seeds):
                    mean = weighted.weight[part.chosen].mean(axis=0, dtype=np.float64)
                    apart = (weighted.weight[part.chosen] - mean) / part.chosen.sum()
                    for slot, name in enumerate(first.slots):
                        summed = np.bincount(axis.code, apart[:, slot], axis.size)
                        sums.add(name, float(mean[slot]), summed.astype(np.float64))
                joint = sums.joint()
                joint = replace(joint, s2=np.nan_to_num(joint.s2))  # of one seed rows alone
                present = first.present[part.chosen].mean(axis=0)
                rows += [
                    {
                        "strategy": strategy,
                        "operator": first.operator,
                        "slice": part.slice,
                        "value": part.value,
                        "slot": name,
                        "weight": alone_ends(joint, name),
                        "present": float(present[slot]),
                    }
                    for slot, name in enumerate(first.slots)
                ]
        return rows


def weights_in_words(rows: list[SlotWeight]) -> list[str]:
    """How each operator weighs its slots on all rows, a sentence each."""
    whole = [row for row in rows if not row["slice"]]
    places = dict.fromkeys((row["strategy"], row["operator"]) for row in whole)
    sentences = []
    for strategy, operator in places:
        own = [r for r in whole if (r["strategy"], r["operator"]) == (strategy, operator)]
        ranked = sorted(own, key=lambda row: -row["weight"]["value"])
        words = ", ".join(f"{row['slot']} {row['weight']['value']:.3f}" for row in ranked)
        sentences.append(f"{strategy}: {operator} weighs {words} on average.")
    return sentences
