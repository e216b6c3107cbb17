"""The subsets of modalities that are trained for retrained Shapley values, and how they weigh."""

from collections.abc import Mapping, Sequence

import numpy as np

from fusefront.harness.statistics.joint import Floats
from fusefront.harness.statistics.shapley import Coalitions, coalitions

PAIRS = 6  # drawn orders, each with its reverse, of more modalities than all subsets are trained of
MOST_MODALITIES = 10


def trained_subsets(modalities: int) -> Coalitions:
    """All subsets of up to five modalities; of more those that twelve drawn orders pass through."""
    return coalitions(modalities, pairs=PAIRS)


def left_out(modalities: Sequence[str], subsets: Coalitions) -> list[frozenset[str]]:
    """What each of the subsets is without."""
    names = np.array(modalities)
    return [frozenset(names[~members].tolist()) for members in subsets.members]


class TrainedShares:
    """Shapley values of modalities over the AUC of strategies, each trained without some."""

    def __init__(
        self, names: Sequence[str], modalities: Sequence[str], out: Mapping[str, frozenset[str]]
    ) -> None:
        """`names`: of the strategies; `out`: what each of them is without."""
        self.place = {out[name]: at for at, name in enumerate(names) if name in out}
        self.size = len(names)
        self.modalities = modalities

    def weights(self, subsets: Coalitions) -> Floats | None:
        """[D, M + 1, S]: of each draw the modalities' values, then that of all less none; None
        where a subset was not trained."""
        lacks = left_out(self.modalities, subsets)
        if not self.place.keys() >= set(lacks):
            return None
        at = [self.place[each] for each in lacks]
        weights = np.zeros((len(subsets.by_draw), len(self.modalities) + 1, self.size))
        weights[:, :-1, at] = subsets.by_draw.transpose(0, 2, 1)
        weights[:, -1, self.place[frozenset()]] = 1
        weights[:, -1, self.place[frozenset(self.modalities)]] = -1
        return weights
