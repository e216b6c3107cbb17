"""The policy: among strategies within the limit, take the best lower bound of AUC; then the
cheapest one that is not worse by more than the margin."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from fusefront.harness.decision.frontier import log_latency, slower_than
from fusefront.harness.decision.inputs import Inputs, Measured
from fusefront.harness.decision.latency import LimitGrade, limit_grade, tail
from fusefront.harness.decision.outcome import MissingEvidence, Outcome, Reason

FEWEST_CLUSTERS = 10  # with fewer there is no interval, so no decision
FEWEST_SEEDS = 2
UNCONTROLLED = (
    "This study runs without controls, so that nothing is ranked or decided; take `controls: "
    "false` out, or refuse single ones by name with the reason."
)


Miss = Literal["untimed", "latency", "unpriced", "cost"]


@dataclass(frozen=True)
class Policy:
    """The settings of the decision's owner; nothing here is measured."""

    slo_ms: float
    margin: float
    max_cost: float | None = None  # per million predictions
    cost_factor: float = 1.0  # price per core-hour relative to the bench's


def again(bench: str) -> str:
    """What to do if a session cannot support a decision; `bench` is the command to type.

    >>> again("fusefront bench shop")
    'measure again while nothing else runs (`fusefront bench shop --add` pools the sessions)'
    """
    return f"measure again while nothing else runs (`{bench} --add` pools the sessions)"


def decide(inputs: Inputs, policy: Policy) -> Outcome:
    """Apply the policy; with too little evidence it does not raise, and the outcome says what is
    missing."""
    lacks = _lacks(inputs)
    eligible = [i for i in inputs.shippable if _measured(inputs, i)]
    others = [i for i in eligible if i != inputs.today]
    if lacks or inputs.today is None or not others:
        lacks = lacks or (_too_few(inputs),)
        best = max(others, key=lambda i: inputs.auc[i].value, default=None)
        return Outcome("thin", "too_little", None, None, best, (), (), lacks)
    feasible = [i for i in eligible if fits(inputs, policy, i)]
    if not feasible:
        return _infeasible(inputs, policy, eligible)
    leader = max(
        feasible, key=lambda i: (gain(inputs, i).low, i == inputs.today, inputs.auc[i].value)
    )
    equal = [i for i in feasible if i == leader or not_worse(inputs, policy, i, leader)]
    defended = [i for i in equal if i == leader or _defended(inputs, policy, i)]
    choice = cheapest(inputs, defended)
    unknown = inputs.today in eligible and inputs.today not in feasible
    unknown = unknown and may_fit(inputs, policy, inputs.today)
    if unknown and not _stands_alone(inputs, policy, choice):
        return _unknown_today(inputs, policy, choice, leader, tuple(feasible), tuple(equal))
    return _judge(inputs, policy, choice, leader, tuple(feasible), tuple(equal))


def gain(inputs: Inputs, i: int) -> Measured:
    """AUC over today's strategy; the interval allows for having picked i. 0 for today's itself."""
    if inputs.today is None:
        return inputs.auc[i]
    return inputs.pairs.picked(i, inputs.today)


def not_worse(inputs: Inputs, policy: Policy, i: int, other: int) -> bool:
    """Whether i is not worse than `other` by more than the margin, by the interval shown for the
    pair.

    That interval holds for all strategies at once: at most 5 % of studies ship a strategy that is
    worse than today's by more than the margin.
    """
    return inputs.pairs.shown(i, other, inputs.today).low > -policy.margin


def fits(inputs: Inputs, policy: Policy, i: int) -> bool:
    """Whether i is shown to keep the latency limit and, if one is set, the cost limit."""
    return not misses(inputs, policy, i)


def may_fit(inputs: Inputs, policy: Policy, i: int) -> bool:
    """Whether i is not shown to miss a limit: it keeps all of them, or that is unknown."""
    missed = misses(inputs, policy, i)
    return "cost" not in missed and limit_of(inputs, policy, i) != "missed"


def limit_of(inputs: Inputs, policy: Policy, i: int) -> LimitGrade:
    """Whether a configuration keeps the limit on p99, as far as the session shows."""
    return limit_grade(inputs.candidates[i].latency, policy.slo_ms, inputs.floor_p99)


def misses(inputs: Inputs, policy: Policy, i: int) -> tuple[Miss, ...]:
    """The limits that a configuration is not shown to keep."""
    candidate, missed = inputs.candidates[i], list[Miss]()
    if candidate.latency is None:
        missed.append("untimed")
    elif limit_of(inputs, policy, i) != "kept":
        missed.append("latency")
    if policy.max_cost is not None:
        if candidate.cost is None:
            missed.append("unpriced")
        elif candidate.cost * policy.cost_factor > policy.max_cost:
            missed.append("cost")
    return tuple(missed)


def cheapest(inputs: Inputs, among: list[int]) -> int:
    """The lowest p50; if it does not beat some others confidently: today's if it is among these,
    else the best lower bound of the gain, else the fewest parameters."""
    speed = log_latency(inputs)
    fastest = min(among, key=lambda i: (speed[i], i))
    slower = slower_than(inputs, fastest)
    tied = [i for i in among if not slower[i]]
    return min(
        tied,
        key=lambda i: (
            i != inputs.today,
            -gain(inputs, i).low,
            inputs.candidates[i].parameters,
            speed[i],
            i,
        ),
    )


def _stands_alone(inputs: Inputs, policy: Policy, i: int) -> bool:
    """Whether i is preferable to today's without a limit: it gains, or it is not worse by more than
    the margin and surely faster."""
    assert inputs.today is not None
    if gain(inputs, i).low > 0:
        return True
    if not not_worse(inputs, policy, i, inputs.today):
        return False
    return bool(slower_than(inputs, i)[inputs.today])


def _unknown_today(
    inputs: Inputs,
    policy: Policy,
    choice: int,
    leader: int,
    feasible: tuple[int, ...],
    equal: tuple[int, ...],
) -> Outcome:
    """The outcome if it is unknown whether today's keeps the limit, and only that would favour
    others: no loss is accepted for it."""
    assert inputs.today is not None
    name, rival = inputs.candidates[inputs.today].name, inputs.candidates[choice].name
    has = _tail_words(inputs, inputs.today)
    if "unpriced" in misses(inputs, policy, inputs.today):
        has += " and no cost"
    text = (
        f"Whether what runs today, {name!r}, keeps {_limit_words(policy)} is not known "
        f"({has}), and {rival!r}, which keeps it, is not shown to be "
        f"as good; {again(inputs.bench_command)}."
    )
    lack = MissingEvidence("session", name, text=text)
    return Outcome("thin", "too_little", None, leader, choice, feasible, equal, (lack,))


def _limit_words(policy: Policy) -> str:
    limit = f"a p99 of at most {policy.slo_ms:g} ms"
    if policy.max_cost is not None:
        limit += f" and a cost of at most {policy.max_cost:g} per million predictions"
    return limit


def _tail_words(inputs: Inputs, i: int) -> str:
    """p99 with the ends that decide, in words."""
    latency = inputs.candidates[i].latency
    reach = tail(latency, inputs.floor_p99) if latency else None
    if latency is None or reach is None:
        return "no p99: fewer than 1,000 requests were timed"
    more = " or more" if latency.p99_open else ""
    return f"p99 {reach.value:.3g} ms [{reach.low:.3g}, {reach.high:.3g}{more}]"


def _judge(
    inputs: Inputs,
    policy: Policy,
    choice: int,
    leader: int,
    feasible: tuple[int, ...],
    equal: tuple[int, ...],
) -> Outcome:
    """The case of a choice within the limit."""
    assert inputs.today is not None
    if choice != inputs.today:
        if gain(inputs, choice).low > 0:
            return Outcome("clear", "better", choice, leader, choice, feasible, equal)
        reason: Reason = "cheaper" if may_fit(inputs, policy, inputs.today) else "limit"
        return Outcome("clear", reason, choice, leader, choice, feasible, equal)
    open_ = [i for i in feasible if _open(inputs, policy, i)]
    if open_ and leader == inputs.today:
        best = max(open_, key=lambda i: inputs.auc[i].value)
        lacks = (_what_settles(inputs, best),)
        return Outcome("thin", "cannot_tell", None, leader, best, feasible, equal, lacks)
    near = [i for i in equal if i != inputs.today and not_worse(inputs, policy, inputs.today, i)]
    if near:  # equivalent to the leader, and to today's, which is the leader or equal to it
        subject = leader if leader != inputs.today else max(near, key=lambda i: inputs.auc[i].value)
        return Outcome("tie", "equivalent", inputs.today, leader, subject, feasible, equal)
    rivals = [i for i in feasible if i != inputs.today]
    subject = max(rivals, key=lambda i: inputs.auc[i].value, default=inputs.today)
    return Outcome("tie", "no_gain", inputs.today, leader, subject, feasible, equal)


def _infeasible(inputs: Inputs, policy: Policy, eligible: list[int]) -> Outcome:
    """The outcome if no candidate keeps the limits: names the nearest one of those that gain, else
    of all."""
    gains = [i for i in eligible if gain(inputs, i).low > 0]
    subject = min(gains or eligible, key=lambda i: (_excess(inputs, policy, i), i))
    candidate = inputs.candidates[subject]
    assert candidate.latency is not None
    limit, has = _limit_words(policy), _tail_words(inputs, subject)
    if policy.max_cost is not None:
        has += " and no cost" if candidate.cost is None else f" and costs {candidate.cost:.3g}"
    missed = misses(inputs, policy, subject)
    open_ = [i for i in eligible if set(misses(inputs, policy, i)) == {"latency"}]
    open_ = [i for i in open_ if limit_of(inputs, policy, i) == "not known"]
    if open_:
        return _unknown(inputs, policy, open_)
    text = (
        f"No strategy is shown to keep {limit}: {candidate.name!r} has {has}; raise the "
        f"limit{' on cost' if missed == ('cost',) else ''}, or add and measure a smaller or int8 "
        "variant."
    )
    if missed == ("unpriced",):
        text = f"No strategy is shown to keep {limit}: no cost was measured; run the bench again."
    reach = tail(candidate.latency, inputs.floor_p99)
    high = None if reach is None else reach.high
    over = (high, policy.slo_ms) if "latency" in missed else (candidate.cost, policy.max_cost)
    lack = MissingEvidence("limit", candidate.name, *over, text)
    return Outcome("infeasible", "infeasible", None, None, subject, (), (), (lack,))


def _unknown(inputs: Inputs, policy: Policy, open_: list[int]) -> Outcome:
    """The outcome if no candidate is shown to keep the limit and for some it is unknown: measure
    again."""
    subject = max(open_, key=lambda i: (gain(inputs, i).low, -i))
    name = inputs.candidates[subject].name
    text = (
        f"No strategy is shown to keep {_limit_words(policy)}, and of {len(open_)} it is not "
        f"known, {name!r} among them ({_tail_words(inputs, subject)}); "
        f"{again(inputs.bench_command)}, or raise the limit."
    )
    lack = MissingEvidence("session", name, text=text)
    return Outcome("thin", "too_little", None, None, subject, (), (), (lack,))


def _excess(inputs: Inputs, policy: Policy, i: int) -> float:
    """By what factor a configuration exceeds its limits: the larger of p99 and cost."""
    candidate = inputs.candidates[i]
    assert candidate.latency is not None
    reach = tail(candidate.latency, inputs.floor_p99)
    need = float("inf") if reach is None else reach.value / policy.slo_ms
    if policy.max_cost is None:
        return need
    if candidate.cost is None:
        return float("inf")
    cost = candidate.cost * policy.cost_factor
    return max(need, cost / policy.max_cost if policy.max_cost > 0 else float("inf"))


def _defended(inputs: Inputs, policy: Policy, i: int) -> bool:
    """Whether there is a reason to replace today's: i gains, or is not worse by more than the
    margin and faster."""
    assert inputs.today is not None
    if inputs.today == i or not may_fit(inputs, policy, inputs.today):
        return True
    return _stands_alone(inputs, policy, i)


def _open(inputs: Inputs, policy: Policy, i: int) -> bool:
    """Whether i may gain more than the margin and may also lose: more data would decide."""
    here = gain(inputs, i)
    known = np.isfinite(here.high)
    return bool(
        known and i != inputs.today and here.low <= 0 < here.value and here.high > policy.margin
    )


def _measured(inputs: Inputs, i: int) -> bool:
    """Whether i has a latency, an interval and enough seeds."""
    candidate = inputs.candidates[i]
    enough = candidate.latency is not None and not _seeds_lacking(inputs, i)
    return enough and bool(np.isfinite(inputs.auc[i].value))


def _lacks(inputs: Inputs) -> tuple[MissingEvidence, ...]:
    """The missing evidence that prevents any decision."""
    lacks = [MissingEvidence("other", text=text) for text in inputs.problems]
    if not inputs.controlled:
        lacks.append(MissingEvidence("controls", text=UNCONTROLLED))
    if not inputs.bench:
        text = f"No latency was measured; run `{inputs.bench_command}`."
        lacks.append(MissingEvidence("latency", text=text))
    elif inputs.disturbed:
        reasons = " and ".join(inputs.disturbed)
        text = f"The latency session was disturbed: {reasons}; {again(inputs.bench_command)}."
        lacks.append(MissingEvidence("session", text=text))
    elif inputs.today is not None and inputs.candidates[inputs.today].latency is None:
        name = inputs.candidates[inputs.today].name
        text = f"What runs today, {name!r}, has no latency; add it to the bench."
        lacks.append(MissingEvidence("latency", name, text=text))
    if inputs.size and inputs.clusters < FEWEST_CLUSTERS:
        text = (
            f"The test split has {inputs.clusters} independent groups with and without a click, "
            f"an interval needs at least {FEWEST_CLUSTERS}; test on more users or requests."
        )
        lacks.append(MissingEvidence("clusters", "", inputs.clusters, FEWEST_CLUSTERS, text))
    trained = [c for c in inputs.candidates if c.trained]
    if trained and max(c.seeds for c in trained) < FEWEST_SEEDS:
        text = (
            "Every strategy has one seed, which says nothing about the next training; "
            "run at least 3 seeds."
        )
        lacks.append(MissingEvidence("seeds", "", 1, 3, text))
    elif inputs.today is not None and _seeds_lacking(inputs, inputs.today):
        name = inputs.candidates[inputs.today].name
        text = f"What runs today, {name!r}, has one completed seed; run at least 3 seeds of it."
        lacks.append(MissingEvidence("seeds", name, 1, 3, text))
    return tuple(lacks)


def _too_few(inputs: Inputs) -> MissingEvidence:
    """Why there is nothing to choose between."""
    if inputs.today is None:
        text = "What runs today has no completed run to compare with; run the study's baseline."
        return MissingEvidence("baseline", text=text)
    for i in inputs.shippable:
        name = inputs.candidates[i].name
        if inputs.candidates[i].latency is None:
            text = f"Strategy {name!r} lacks a latency; measure it before choosing."
            return MissingEvidence("latency", name, text=text)
        if _seeds_lacking(inputs, i):
            text = f"Strategy {name!r} has one completed seed; run at least 3 before choosing."
            return MissingEvidence("seeds", name, 1, 3, text)
    text = "Only one strategy was measured; run at least two to choose between."
    return MissingEvidence("rivals", "", 1, 2, text)


def _seeds_lacking(inputs: Inputs, i: int) -> bool:
    candidate = inputs.candidates[i]
    return candidate.trained and candidate.seeds < FEWEST_SEEDS


def _what_settles(inputs: Inputs, best: int) -> MissingEvidence:
    """How many rows or seeds would decide between the best candidate and today's."""
    assert inputs.today is not None
    name = inputs.candidates[best].name
    here = gain(inputs, best)
    text = (
        f"{name!r} differs from what runs today by {here.value:+.4f} AUC "
        f"[{here.low:.4f}, {here.high:.4f}], which could be a loss"
    ).replace("-0.", "\u22120.")
    if inputs.settle is None:
        return MissingEvidence(
            "rivals", name, text=f"{text}; test on more rows or train more seeds."
        )
    rows, seeds = inputs.settle(best, inputs.today)
    if 0 in (rows, seeds):
        text += (
            "; a difference of the declared effect would have been seen with 80 % power, so that "
            "more rows or seeds hardly help."
        )
        return MissingEvidence("other", name, text=text)
    ways = [f"about {rows:,} more test rows"] if rows else []
    ways += [f"{seeds} more seeds"] if seeds else []
    if not ways:
        text += (
            "; neither more rows nor more seeds alone would see the declared effect; test on more "
            "rows and train more seeds."
        )
        return MissingEvidence("other", name, text=text)
    return MissingEvidence(
        "other",
        name,
        need=rows or seeds,
        text=f"{text}; {' or '.join(ways)} would see the declared effect with 80 % power.",
    )
