"""How often the policy errs, and how good its numbers are, on simulated studies; prints the tables.

    python tests/benchmarks/decision_errors.py --draws 2000

Drawn from the estimator's own normal model: test rows common to all strategies, 5 seeds each, all
under the limit, rivals faster than what runs today. Gains are in standard errors of a difference.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusefront.harness.decision.firmness import firmness
from fusefront.harness.decision.inputs import Candidate, Inputs, Latency, Measured, Pairs
from fusefront.harness.decision.policy import Policy, decide, gain
from fusefront.harness.statistics.joint import JointModel

Floats = NDArray[np.float64]
ERROR = 0.0003  # of a difference, AUC
SEEDS = 5
SHARE = 0.4  # of the seeds in the variance of a difference
ROW_DF = 400
CRITICAL: dict[tuple[int, float], tuple[float, float]] = {}


class Study(NamedTuple):
    """One simulated study with its truth."""

    inputs: Inputs
    true: Floats  # [S] gains over what runs today


def model_of(theta: Floats, s2: Floats, share: float = SHARE) -> JointModel:
    """Independent errors of rows and seeds, equal for all; `s2` [S] as it was estimated."""
    size = len(theta)
    rows = np.eye(size) * (1 - share) * ERROR**2 / 2
    return JointModel(
        tuple(f"s{i}" for i in range(size)),
        0.7 + theta,
        s2,
        np.full(size, SEEDS),
        rows,
        np.zeros(size),
        rows + np.diag(s2) / SEEDS * 0.2,
        ROW_DF,
        ROW_DF,
    )


def critical(size: int, share: float) -> tuple[float, float]:
    """c_all and c_base of so many strategies, at the true variances."""
    if (size, share) not in CRITICAL:
        model = model_of(np.zeros(size), np.full(size, share * ERROR**2 / 2 * SEEDS), share)
        CRITICAL[size, share] = model.c_all, model.c_base(0)
    return CRITICAL[size, share]


def draw(
    true: Sequence[float], rng: np.random.Generator, *, ms: Sequence[float], share: float = SHARE
) -> Study:
    """Estimates around the true gains (in standard errors; today's first), variances as seen."""
    gains = np.asarray(true, float) * ERROR
    size = len(gains)
    rows = np.sqrt((1 - share) / 2) * ERROR * rng.standard_normal(size)
    over_seeds = share * ERROR**2 / 2 * SEEDS
    seeds = np.sqrt(over_seeds) * rng.standard_normal((size, SEEDS))
    model = model_of(gains + rows + seeds.mean(1), seeds.var(1, ddof=1), share)
    pairs = Pairs(
        model.diff, model.se, np.minimum(model.dfs, 1e9), *critical(size, share), model.seed_part
    )
    candidates = tuple(
        Candidate(f"s{i}", seeds=SEEDS, latency=_latency(each)) for i, each in enumerate(ms)
    )
    auc = tuple(Measured(float(v), float(v) - 0.01, float(v) + 0.01) for v in model.theta)
    return Study(Inputs(candidates, auc, pairs, 0, ROW_DF), gains)


def _latency(ms: float) -> Latency:
    p50 = Measured(ms, 0.99 * ms, 1.01 * ms)
    p99 = Measured(1.4 * ms, 1.35 * ms, 1.45 * ms)
    return Latency(p50, p50, p99)


def wrong_choices(
    rivals: int, draws: int, seed: int, *, against: str = "today", share: float = SHARE
) -> float:
    """Share of studies that ship one of `rivals` that are worse by exactly the margin, and faster.

    `against` the leader: one more gains 6 margins, and the rivals are a margin below that one.
    """
    rng = np.random.default_rng(seed)
    margin = 3.0
    policy = Policy(slo_ms=10.0, margin=margin * ERROR)
    lead = 6 * margin
    true = [0.0, *([-margin] * rivals)]
    ms = [5.0, *(1.0 + 0.2 * np.arange(rivals))]
    if against == "leader":
        true, ms = [0.0, lead, *([lead - margin] * rivals)], [5.0, 4.0, *ms[1:]]
    bad = set(range(len(true) - rivals, len(true)))
    wrong = 0
    for _ in range(draws):
        study = draw(true, rng, ms=ms, share=share)
        wrong += decide(study.inputs, policy).choice in bad
    return wrong / draws


def power(rivals: int, margin: float, draws: int, seed: int) -> float:
    """Share of studies that ship one of `rivals` that equal today's and are faster."""
    rng = np.random.default_rng(seed)
    policy = Policy(slo_ms=10.0, margin=margin * ERROR)
    ms = [5.0, *(1.0 + 0.2 * np.arange(rivals))]
    true = np.zeros(rivals + 1)
    chosen = [decide(draw(true, rng, ms=ms).inputs, policy).choice for _ in range(draws)]
    return float(np.mean([choice not in (0, None) for choice in chosen]))


class Picked(NamedTuple):
    """The gain of whoever was picked, in standard errors."""

    measured_bias: float
    bias: float  # of the expected gain
    measured_error: float  # root mean square
    error: float
    covered: float  # by the interval


def picked(true: Sequence[float], draws: int, seed: int) -> Picked:
    """The choice's gain over today's as it is stated; none is faster than another."""
    rng = np.random.default_rng(seed)
    policy = Policy(slo_ms=10.0, margin=0.5 * ERROR)
    rows = []
    for _ in range(draws):
        study = draw(true, rng, ms=[5.0] * len(true))
        outcome = decide(study.inputs, policy)
        if outcome.choice in (0, None) or outcome.choice is None:
            continue
        known = firmness(study.inputs, policy, outcome).gain
        assert known is not None
        real, measured = study.true[outcome.choice], gain(study.inputs, outcome.choice)
        rows.append((measured.value - real, known.value - real, known.low <= real <= known.high))
    table = np.array(rows, float)
    errors = table[:, :2] / ERROR
    return Picked(*errors.mean(0), *np.sqrt((errors**2).mean(0)), table[:, 2].mean())


class Sure(NamedTuple):
    """How the probability fares over studies."""

    true: float  # share in which nothing else was better by more than the margin
    stated: float  # mean probability
    high: float  # share of studies in which it is .90 or more
    right: float  # share of these that were right
    true_regret: float  # in standard errors, mean
    regret: float  # as it was expected


class Plausible(NamedTuple):
    """True gains of rivals over today's, in standard errors."""

    rivals: int
    spread: float | None  # normal with this spread; None = mixed
    margin: float = 1.0
    lead: float | None = None  # instead: one is so much better, all others equal today's

    def true(self, rng: np.random.Generator) -> Floats:
        """[rivals + 1] drawn, today's first."""
        if self.lead is not None:
            return np.array([0.0, self.lead, *[0.0] * (self.rivals - 1)])
        here = rng.choice([0.0, 0.5, 1.0, 2.0, 4.0]) if self.spread is None else self.spread
        return np.append(0.0, here * rng.standard_normal(self.rivals))


PLAUSIBLE = (
    *(Plausible(rivals, spread) for spread in (None, 0.0, 1.0, 2.0) for rivals in (2, 7)),
    *(Plausible(rivals, 1.0) for rivals in (3, 15)),
    *(Plausible(7, spread) for spread in (0.5, 1.5)),
    *(Plausible(7, 1.0, margin) for margin in (0.5, 1.5)),
    *(Plausible(7, None, margin) for margin in (0.4, 2.5)),
    *(Plausible(7, None, margin, lead) for margin, lead in ((1.0, 1.5), (1.0, 3.0), (2.5, 3.0))),
)


def sure(
    spread: float | None,
    rivals: int,
    draws: int,
    seed: int,
    margin: float = 1.0,
    *,
    lead: float | None = None,
) -> Sure:
    """True gains are those of `Plausible`."""
    world = Plausible(rivals, spread, margin, lead)
    rng = np.random.default_rng(seed)
    policy = Policy(slo_ms=10.0, margin=margin * ERROR)
    rows = []
    for _ in range(draws):
        study = draw(world.true(rng), rng, ms=[5.0] * (rivals + 1))
        outcome = decide(study.inputs, policy)
        # where nothing is decided what runs today is kept for now
        known = firmness(study.inputs, policy, outcome)
        chosen = 0 if outcome.choice is None else outcome.choice
        lost = study.true.max() - study.true[chosen]
        assert known.probability is not None
        assert known.regret is not None
        rows.append((lost <= policy.margin, known.probability, lost, known.regret.expected))
    table = np.array(rows, float)
    high = table[:, 1] >= 0.90
    right = table[high, 0].mean() if high.any() else np.nan
    regrets = table[:, 2:].mean(0) / ERROR
    return Sure(*table[:, :2].mean(0), high.mean(), right, *regrets)


WORLDS: dict[str, Sequence[float]] = {
    "7 equal, +4.5": [0.0, *[4.5] * 7],
    "3 equal, +4.5": [0.0, *[4.5] * 3],
    "lone +6, six 0": [0.0, 6.0, *[0.0] * 6],
    "ladder 0 to 6": [0.0, *np.linspace(0, 6, 7)],
    "one rival, +4.5": [0.0, 4.5],
}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=("wrong", "picked", "sure"))
    options = parser.parse_args()
    draws, seed = options.draws, options.seed
    if options.only in (None, "wrong"):
        _line("rivals at the margin", "below today's", "below the leader", "equal: ships")
        for rivals in (1, 3, 7, 15):
            wrong = [wrong_choices(rivals, draws, seed, against=a) for a in ("today", "leader")]
            _line(str(rivals), *(f"{v:.3f}" for v in (*wrong, power(rivals, 4.5, draws, seed))))
    if options.only in (None, "picked"):
        _line("true gains", *Picked._fields)
        for name, true in WORLDS.items():
            _line(name, *(f"{v:+.3f}" for v in picked(true, draws, seed)))
    if options.only in (None, "sure"):
        _line("spread", "rivals", "margin", *Sure._fields, "studies")
        for rivals, spread, margin, lead in PLAUSIBLE:
            rates = sure(spread, rivals, draws, seed, margin, lead=lead)
            what = "mixed" if spread is None else f"{spread:g}"
            what = what if lead is None else f"one +{lead:g}"
            count = f"{rates.high * draws:.0f}"
            _line(what, f"{rivals}", f"{margin:g}", *(f"{v:.3f}" for v in rates), count)


def _line(*cells: str) -> None:
    sys.stdout.write("| " + " | ".join(cells) + " |\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
