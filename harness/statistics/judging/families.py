"""Which comparisons are right together: strategies with the baseline, and whatever else with it."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fusefront.harness.statistics.joint import JointModel
from fusefront.harness.statistics.largest_t import Family
from fusefront.harness.statistics.options import Options
from fusefront.harness.statistics.score_source import ScoreSource


@dataclass(frozen=True)
class Families:
    """The two families of one metric: a comparison's interval is as wide as its family needs."""

    model: JointModel
    baseline: int
    strategies: Family
    controls: Family  # controls and ablations: whatever is no strategy

    def of(self, place: int) -> Family:
        """The family of a strategy's comparison with the baseline."""
        return self.strategies if self.strategies.members[place] else self.controls

    def name(self, place: int) -> str:
        """`strategies` or `controls`; "" for the baseline."""
        if place == self.baseline:
            return ""
        return "strategies" if self.strategies.members[place] else "controls"

    def critical(self, name: str) -> float:
        """Standard errors that the interval of a strategy's difference reaches."""
        return self.of(self.model.index(name)).critical(self.model.level)

    def p_adjusted(self, place: int) -> float:
        """How often luck alone shows a larger difference somewhere in the family, in standard
        errors; at least the p of this difference alone."""
        pair = self.model.pair(place, self.baseline)
        if np.isnan(pair.p):
            return float("nan")
        return max(self.of(place).exceeded(pair.difference / pair.se), pair.p)

    def alpha(self, place: int) -> float:
        """Two-sided error of this difference alone at the width of its interval."""
        critical = self.of(place).critical(self.model.level)
        return self.model.alone_alpha(place, self.baseline, critical)


def confirmatory(
    source: ScoreSource, options: Options, names: tuple[str, ...]
) -> NDArray[np.bool_]:
    """[S] which comparisons with the baseline are those of strategies."""
    chosen = options.family
    if chosen is None:
        chosen = tuple(name for name in names if source.role(name) == "strategy")
    return np.array([name in chosen and name != options.baseline for name in names])


def families(model: JointModel, baseline: str, members: NDArray[np.bool_]) -> Families:
    """Strategies (`members` [S]) and whatever else is compared with the baseline, one metric."""
    base = model.index(baseline)
    known = np.isfinite(np.diag(model.K))  # an undefined metric has no error
    others = ~members & known
    # the draws are let go of with the copy
    fresh = replace(model, K=np.where(known[:, None] & known, model.K, 0.0))
    members = members & known
    return Families(model, base, fresh.family(base, members), fresh.family(base, others))
