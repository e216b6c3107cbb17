"""Measures whether int8 is faster for a strategy on this machine, and leaves it out if not."""

from collections.abc import Callable, Collection, Sequence

import numpy as np

from fusefront.harness.serving.latency.parity_gate import Gated
from fusefront.harness.serving.latency.plan import BenchPlan
from fusefront.harness.serving.latency.session import TimedSubject, measure, warm_up

INT8 = "onnx-int8"
PAYS = 0.8  # largest share of float32's time at which int8 is kept
ROUNDS, TIMED = 15, 20


def paying(
    gated: Sequence[Gated],
    plan: BenchPlan,
    say: Callable[[str], None],
    before: Collection[tuple[str, str]] | None = None,
) -> list[Gated]:
    """Without the int8 scorers that take more than .8 of float32's time, which are reported with
    their ratio.

    If sessions are recorded, the int8 scorers timed `before` (strategy, backend) stay.
    """
    exact = {g.trained.name: g for g in gated if g.way == "onnx"}
    remaining = []
    for scorer in gated:
        rival = exact.get(scorer.trained.name)
        if scorer.way == INT8 and before is not None:
            remaining += [scorer] if (scorer.trained.name, INT8) in before else []
            continue
        if scorer.way == INT8 and rival is not None:
            ratio = time_ratio(scorer, rival, plan)
            if ratio > PAYS:
                say(
                    f"{scorer.trained.name} on {INT8}: takes {ratio:.2f} of float32 here (at most "
                    f"{PAYS}); it does not pay and is left out"
                )
                continue
        remaining.append(scorer)
    return remaining


def time_ratio(scorer: Gated, rival: Gated, plan: BenchPlan) -> float:
    """The median over rounds of the ratio of p50; both are timed in every round, in random
    order."""
    subjects = [
        TimedSubject(name, each.call, plan.feeds(each, plan.decide_at), TIMED)  # type: ignore[arg-type]
        for name, each in (("scorer", scorer), ("rival", rival))
    ]
    for subject in subjects:
        warm_up(subject, 50)
    rounds = measure(subjects, ROUNDS, np.random.default_rng(0)).by_round()
    pairs = zip(rounds["scorer"], rounds["rival"], strict=True)
    return float(np.median([np.median(a) / np.median(b) for a, b in pairs]))
