"""Families of comparisons whose intervals hold together: strategies with the baseline, and controls
with it."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fusefront.harness.statistics.joint import JointModel
from fusefront.harness.statistics.largest_t import Family
from fusefront.harness.statistics.options import Options
from fusefront.harness.statistics.score_source import ScoreSource


@dataclass(frozen=True)
class Families:
    """The two families of one metric; the interval of a comparison is as wide as its family
    requires."""

    model: JointModel
    baseline: int
    strategies: Family
    controls: Family  # controls and ablations: everything that is no strategy

    def of(self, place: int) -> Family:
        """The family that the comparison of a strategy with the baseline belongs to."""
        return self.strategies if self.strategies.members[place] else self.controls

    def name(self, place: int) -> str:
        """`strategies` or `controls`; "" for the baseline."""
        if place == self.baseline:
            return ""
        return "strategies" if self.strategies.members[place] else "controls"

    def critical(self, name: str) -> float:
        """Half the width of the interval of a strategy's difference, in standard errors."""
        return self.of(self.model.index(name)).critical(self.model.level)

    def p_adjusted(self, place: int) -> float:
        """The chance of a larger |t| anywhere in the family if nothing differs; at least the p of
        this comparison alone."""
        pair = self.model.pair(place, self.baseline)
        if np.isnan(pair.p):
            return float("nan")
        return max(self.of(place).exceeded(pair.difference / pair.se), pair.p)

    def alpha(self, place: int) -> float:
        """The two-sided error of this comparison alone, at the width of its interval."""
        critical = self.of(place).critical(self.model.level)
        return self.model.alone_alpha(place, self.baseline, critical)


def confirmatory(
    source: ScoreSource, options: Options, names: tuple[str, ...]
) -> NDArray[np.bool_]:
    """[S] bool: whether the comparison with the baseline is one of strategies (not controls)."""
    chosen = options.family
    if chosen is None:
        chosen = tuple(name for name in names if source.role(name) == "strategy")
    return np.array([name in chosen and name != options.baseline for name in names])


def families(model: JointModel, baseline: str, members: NDArray[np.bool_]) -> Families:
    """The families of one metric: strategies (`members` [S] bool) and the others (controls)."""
    base = model.index(baseline)
    known = np.isfinite(np.diag(model.K))  # an undefined metric has no error
    others = ~members & known
    # the draws are freed together with the copy
    fresh = replace(model, K=np.where(known[:, None] & known, model.K, 0.0))
    members = members & known
    return Families(model, base, fresh.family(base, members), fresh.family(base, others))
