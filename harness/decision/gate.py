"""The regression gate: is a strategy worse than in an earlier study by more than the margin?"""

from dataclasses import dataclass
from functools import cache
from typing import Literal

from scipy import optimize, special, stats

from fusefront.harness.decision.inputs import Floats, Measured

ALPHA = 0.05  # rate of false alarms of the whole gate, over all strategies
POWER = 0.80


@dataclass(frozen=True)
class Check:
    """One strategy compared with the same strategy of the base study."""

    strategy: str
    difference: Measured  # new - old; two-sided interval at level 1 - 2 ALPHA / checks
    verdict: Literal["regression", "no regression", "cannot tell"]
    detectable: float  # AUC loss that this gate detects with 80 % power
    same_runs: bool = False  # both studies have the same runs, so nothing can differ


def judge(
    names: list[str],
    diff: Floats,
    se: Floats,
    df: Floats,
    margin: float,
    same: list[bool] | None = None,
) -> list[Check]:
    """Judge each strategy: a regression is an interval that lies wholly below -margin.

    diff, se, df, same [n]; Bonferroni over the strategies, so that an unchanged program fails with
    at most 5 % probability (one-sided; much less with a margin above 0). "no regression": the
    interval lies wholly above -margin. Otherwise the data cannot decide, and `detectable` says
    which loss they would have detected.
    """
    same = same or [False] * len(names)
    alpha = ALPHA / max(same.count(False), 1)
    checks = []
    for i, name in enumerate(names):
        if same[i]:
            checks.append(Check(name, Measured(0.0, 0.0, 0.0), "no regression", margin, True))
            continue
        half = float(special.stdtrit(df[i], 1 - alpha) * se[i]) if se[i] > 0 else 0.0
        shown = Measured(float(diff[i]), float(diff[i]) - half, float(diff[i]) + half)
        verdict: Literal["regression", "no regression", "cannot tell"] = "cannot tell"
        if shown.high < -margin:
            verdict = "regression"
        elif shown.low >= -margin:
            verdict = "no regression"
        visible = margin + float(se[i]) * detectable_errors(float(df[i]), alpha)
        checks.append(Check(name, shown, verdict, visible))
    return checks


@cache
def detectable_errors(df: float, alpha: float) -> float:
    """How many standard errors beyond the margin are detected with 80 % power (one-sided t test).

    >>> round(detectable_errors(1e6, 0.05), 3)  # 1.645 + 0.842
    2.486
    """
    cut = special.stdtrit(df, 1 - alpha)
    top = 4 * (cut + 2)

    def short(delta: float) -> float:
        return float(stats.nct.sf(cut, df, delta) - POWER)

    return float(optimize.brentq(short, 0.0, top))


def sentence(checks: list[Check], margin: float, left_out: list[str] | None = None) -> str:
    """The result of the gate in one sentence; `left_out` names strategies that lack runs in one
    study."""
    alone = (
        f"; not compared, for want of earlier or present runs: {_names(left_out)}"
        if left_out
        else ""
    )
    bad = [c for c in checks if c.verdict == "regression"]
    if bad:
        worst = min(bad, key=lambda c: c.difference.value)
        return (
            f"{len(bad)} of {len(checks)} strategies lost more than {margin:g} AUC, most of all "
            f"{worst.strategy!r}: {_signed(worst.difference)}; find the change or raise --margin"
            f"{alone}."
        )
    anew = [c for c in checks if not c.same_runs]
    if not anew:
        return (
            f"Both studies hold the very same runs of all {len(checks)} strategies, so nothing can "
            f"have been lost{alone}."
        )
    open_ = [c.strategy for c in anew if c.verdict == "cannot tell"]
    doubt = f"; cannot tell about {_names(open_)}" if open_ else ""
    return (
        f"No strategy is shown to have lost more than {margin:g} AUC{doubt}; a loss of "
        f"{max(c.detectable for c in anew):.4f} or more would have been found with 80 % power in "
        f"each{alone}."
    )


def _names(names: list[str]) -> str:
    """The first few names, and how many more there are.

    >>> _names(["a", "b", "c", "d", "e"])
    "'a', 'b', 'c' and 2 more"
    """
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(map(repr, names[:3])) + more


def _signed(value: Measured) -> str:
    text = f"{value.value:+.4f} [{value.low:.4f}, {value.high:.4f}]"
    return text.replace("-", "\u2212")
