"""The subsets of modalities that are trained for retrained Shapley values, and how they weigh."""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import special

from fusefront.harness.statistics.contrasts import Contrasts, contrasts
from fusefront.harness.statistics.joint import Floats, JointModel
from fusefront.harness.statistics.shapley import Coalitions, coalitions

PAIRS = 6  # drawn orders, each with its reverse, of more modalities than all subsets are trained of
MOST_MODALITIES = 10
ROUNDING = 1e-12


def trained_subsets(modalities: int) -> Coalitions:
    """All subsets of up to five modalities; of more those that twelve drawn orders pass through."""
    return coalitions(modalities, pairs=PAIRS)


def left_out(modalities: Sequence[str], subsets: Coalitions) -> list[frozenset[str]]:
    """What each of the subsets is without."""
    return [
        frozenset(name for name, inside in zip(modalities, members, strict=True) if not inside)
        for members in subsets.members.tolist()
    ]


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


def drawn_contrasts(model: JointModel, weights: Floats) -> tuple[Contrasts, Floats]:
    """Of the mean over draws of `weights` [D, C, S], and the standard errors of the drawing [C];
    the last contrast is the sum of the others.

    The ends hold for all C at once, over rows, seeds and draws; of drawn orders no p is given. Few
    draws may agree by chance, so that an interval is no narrower than by the error that all
    contrasts have in common (of 200 games of 4 to 7 players .975 and more hold all of their exact
    values, .69 to .92 by each contrast's own error alone).
    """
    result = contrasts(model, weights.mean(0))
    if len(weights) == 1:
        return result, np.zeros(len(result.value))
    each = weights @ model.theta
    own = each.std(0, ddof=1) / np.sqrt(len(each))
    own[own < ROUNDING] = 0.0  # one sum in another order
    common = np.append(np.full(len(own) - 1, np.sqrt(np.mean(own[:-1] ** 2))), 0.0)
    freedom = len(each) - 1
    drawn = np.fmax(
        _half(result, model.level, own, freedom),
        _half(result, model.level, common, freedom * (len(own) - 2) / 2),
    )
    half = np.where(common > 0, drawn, result.high - result.value)
    low, high, p = result.value - half, result.value + half, np.full(len(half), np.nan)
    return result._replace(low=low, high=high, p=p), own


def _half(result: Contrasts, level: float, drawing: Floats, freedom: float) -> Floats:
    """[C] half widths with an error of the drawing beside that of rows and seeds."""
    total = np.hypot(result.se, drawing)
    with np.errstate(divide="ignore", invalid="ignore"):
        uncertain = result.se**4 / result.df + drawing**4 / freedom
        df = np.where(uncertain > 0, total**4 / uncertain, np.inf)
    alone = (1 - level) / (2 * len(total))  # Bonferroni's, over all C
    single = special.stdtrit(np.minimum(df, 1e9), 1 - alone)
    half: Floats = np.maximum(result.critical, single) * total
    return half
