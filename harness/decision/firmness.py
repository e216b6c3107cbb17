"""How firm a decision is: grade and reasons, a probability, a possible loss, and what would flip
it.

Nothing here decides. The draws show what the true gains may be, given the data and the assumption
that rivals are alike before the data are seen; docs/decision.md has how often the probability was
right in simulation.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np

from fusefront.harness.decision.expected import around, measured_gains
from fusefront.harness.decision.inputs import Bools, Floats, Inputs, Measured
from fusefront.harness.decision.outcome import Case, Outcome
from fusefront.harness.decision.policy import Policy, decide, gain
from fusefront.harness.decision.sensitivity import Knob, flips, same, what_would_change
from fusefront.harness.decision.whatif import (
    SECONDS_A_YEAR,
    Business,
    Replayed,
    yearly_clicks,
    yearly_cost,
)
from fusefront.harness.statistics.exchangeable import (
    DRAWS,
    Spread,
    expected_gains,
    gain_draws,
)

SEED = 20_261_127
CLOSE = 0.80  # a lower probability makes a close call
SURE, UNSURE = 0.92, 0.89  # what both ways of drawing must reach for .90 to be said; else at most
SMALL = 0.25  # a lower end of the gain below this share of the margin is a close call
FEWEST_TRIALS = 5

Grade = Literal["clear", "close call", "not decided"]
ReasonKey = Literal[
    "gain",  # the lower end of the gain is small beside the margin, or a loss
    "clicks",  # the interval of clicks holds zero
    "latency",  # p99 may exceed the limit when timed again: older records only
    "limit",  # limit x 0.8 or x 1.2 gives another choice
    "margin",  # margin x 0.5 or x 2 gives another choice
    "probability",  # another one may be better by more than the margin
    "search",  # too few trials, or a repeated search might choose otherwise
    "training",  # the choice's AUC still rose when its training ended
    "recipe",  # another recipe gives another verdict
    "disturbed",  # the latency session was disturbed
]


@dataclass(frozen=True)
class GradeReason:
    """One reason why a decision is not clear: the data of its sentence, and the sentence."""

    key: ReasonKey
    numbers: dict[str, float] = field(default_factory=dict)
    strategy: str = ""  # its subject, or what would be chosen; "" = nothing
    text: str = ""


@dataclass(frozen=True)
class TurningPoint:
    """A value at which the decision changes; `value` is None for a repeated search."""

    knob: Literal["slo", "margin", "price", "search"]
    side: Literal["below", "from", "at"]
    value: float | None  # ms, AUC, or factor on the price per core-hour
    case: Case
    choice: str | None


@dataclass(frozen=True)
class ExpectedLoss:
    """What the choice may lose if another strategy under the limit is better."""

    expected: float  # AUC, mean over the draws
    largest: float  # AUC, upper end of the best rival's gain over the choice, at least 0
    rival: str = ""  # whose end that is
    clicks: float | None = None  # expected, a year; None if no clicks were replayed
    money: float | None = None  # expected, a year, minus serving cost; None without prices
    largest_money: float | None = None


@dataclass(frozen=True)
class Grading:
    """How firm the decision on `of` is: the choice, or what runs today if nothing is chosen."""

    grade: Grade
    of: str = ""  # "" if there is neither
    reasons: tuple[GradeReason, ...] = ()  # gravest first
    rivals: int = 0  # others under the limit
    probability: float | None = None  # that no rival is better by more than the margin
    probability_half: float | None = None  # by more than half the margin
    probability_double: float | None = None  # ... by more than twice the margin
    probability_searched: float | None = None  # ... if all searches were repeated; None = unknown
    regret: ExpectedLoss | None = None
    gain: Measured | None = None  # over today: expected; the ends allow for the picking
    measured_gain: float | None = None  # the difference as it was measured
    picked_of: int = 0  # rivals among which it was picked
    clicks: Measured | None = None  # more a year than today's, expected
    money: Measured | None = None  # more a year than today's, expected, minus serving cost
    flips: tuple[TurningPoint, ...] = ()
    format: int = 1


class Searches(NamedTuple):
    """What is known of the searches, one entry a candidate."""

    trials: tuple[int, ...]  # completed; 0 = nothing was searched
    variance: Floats  # [S] of the AUC over repeated searches; nan = unknown, 0 = not searched
    df: float = 2.0


class Worth(NamedTuple):
    """The replayed candidates with their clicks, and the value of a click."""

    inputs: Inputs
    clicks: Replayed
    business: Business


def firmness(
    inputs: Inputs,
    policy: Policy,
    outcome: Outcome,
    *,
    worth: Worth | None = None,
    searches: Searches | None = None,
    beside: Sequence[GradeReason] = (),
) -> Grading:
    """Grade a decision; `beside` are the caller's own reasons (training, recipe, bench)."""
    pivot = outcome.choice if outcome.choice is not None else inputs.today
    if pivot is None or inputs.today is None:
        return Grading(_grade(outcome, ()))
    draws = _Draws(inputs, outcome.feasible, pivot)
    known = [*draws.members, inputs.today]
    if not np.isfinite(inputs.pairs.se[np.ix_(known, known)]).all():
        return Grading(_grade(outcome, ()))
    flipped = _flips(inputs, policy, outcome, searches)
    shown = None if pivot == inputs.today else around(gain(inputs, pivot), draws.expected(pivot))
    earned = _earned(worth, inputs.candidates[pivot].name, outcome, inputs)
    reasons: tuple[GradeReason, ...] = ()
    if outcome.choice is not None:
        reasons = (
            *_of_gain(inputs, policy, outcome),
            *_of_clicks(inputs, outcome, earned),
            *_of_knobs(inputs, policy, outcome),
            *_of_probability(draws.probability(policy.margin)),
            *_of_search(inputs, outcome.choice, searches, flipped),
            *beside,
        )
    searched = _searched(inputs, outcome, pivot, searches)
    return Grading(
        grade=_grade(outcome, reasons),
        of=inputs.candidates[pivot].name,
        reasons=reasons,
        rivals=len(draws.others),
        probability=draws.probability(policy.margin),
        probability_half=draws.probability(policy.margin / 2),
        probability_double=draws.probability(2 * policy.margin),
        probability_searched=None if searched is None else searched.probability(policy.margin),
        regret=_regret(inputs, draws, earned),
        gain=shown,
        measured_gain=None if shown is None else float(inputs.pairs.diff[pivot, inputs.today]),
        picked_of=0 if shown is None else len([i for i in draws.others if i != inputs.today]) + 1,
        clicks=None if earned is None else earned.clicks,
        money=None if earned is None else earned.money,
        flips=flipped,
    )


@dataclass(frozen=True)
class _Draws:
    """Joint draws of the gains over today's strategy, for all candidates under the limit."""

    inputs: Inputs
    feasible: tuple[int, ...]
    pivot: int

    @cached_property
    def members(self) -> list[int]:
        """Indices of the drawn candidates: those under the limit and the pivot; today's has
        gain 0."""
        return sorted({*self.feasible, self.pivot} - {self.inputs.today})

    @cached_property
    def others(self) -> list[int]:
        """The pivot's rivals under the limit, including today's."""
        return [i for i in self.feasible if i != self.pivot]

    @cached_property
    def gains(self) -> Floats:
        """[draws, S] gains over today's; nan for candidates that are not drawn."""
        today, size = self.inputs.today, self.inputs.size
        assert today is not None
        gains = np.full((DRAWS, size), np.nan)
        gains[:, today] = 0.0
        if self.members:
            rng = np.random.default_rng(SEED)
            gains[:, self.members] = gain_draws(*self.measured, rng)
        return gains

    @cached_property
    def measured(self) -> tuple[Floats, Spread, Bools]:
        """For the members: measured gains, their covariance, and who is no control."""
        inputs = self.inputs
        assert inputs.today is not None
        return measured_gains(inputs.candidates, inputs.pairs, inputs.today, self.members)

    @cached_property
    def lead(self) -> Floats:
        """[draws] the best rival's gain minus the pivot's; -inf without a rival."""
        if not self.others:
            return np.full(DRAWS, -np.inf)
        best: Floats = self.gains[:, self.others].max(1)
        return best - self.gains[:, self.pivot]

    def expected(self, i: int) -> float:
        """The expected gain over today's; 0 for today's itself."""
        if i == self.inputs.today:
            return 0.0
        return float(expected_gains(*self.measured)[self.members.index(i)])

    def probability(self, margin: float) -> float:
        """The share of draws in which no rival is better by more than the margin.

        One half of the draws takes gains as measured, the other assumes that rivals are alike. A
        value of .90 or more needs both halves to reach it, with .02 to spare for the error of 1,000
        draws: rivals that differ by one standard error are not alike, and the second half alone was
        right in only .88 of the cases where it was sure, both together in .95.
        """
        fits = self.lead <= margin
        half = len(fits) // 2
        share, least = float(fits.mean()), float(min(fits[:half].mean(), fits[half:].mean()))
        return share if least >= SURE else min(share, UNSURE)


def _grade(outcome: Outcome, reasons: Sequence[GradeReason]) -> Grade:
    if outcome.choice is None:
        return "not decided"
    return "close call" if reasons else "clear"


class _Earned(NamedTuple):
    """The yearly clicks and money of the pivot over today's strategy."""

    clicks: Measured
    money: Measured | None
    lost_clicks: float
    lost_money: float | None
    largest_money: float | None


def _earned(worth: Worth | None, name: str, outcome: Outcome, inputs: Inputs) -> _Earned | None:
    """Expected clicks and money of the pivot, and what another candidate under the limit may
    bring."""
    if worth is None or name not in [c.name for c in worth.inputs.candidates]:
        return None
    part, clicks, business = worth
    today = part.today
    assert today is not None
    under = {inputs.candidates[i].name for i in outcome.feasible}
    feasible = tuple(i for i, c in enumerate(part.candidates) if c.name in under)
    pivot = part.index(name)
    draws = _Draws(replace(part, pairs=clicks.pairs), feasible, pivot)
    a_year = business.requests_per_second * SECONDS_A_YEAR * clicks.shown / 1000
    more = yearly_clicks(clicks, business, pivot, today)
    lost = a_year * float(np.maximum(draws.lead, 0.0).mean())
    costs = [yearly_cost(part, clicks, business, i) for i in range(part.size)]
    if any(costs[i] is None for i in (pivot, today, *draws.others)):
        return _Earned(more, None, lost, None, None)
    extra = np.array([np.nan if c is None else c for c in costs]) - float(costs[today] or 0.0)
    value = business.value_per_click
    money = Measured(*(value * x - float(extra[pivot]) for x in more))
    net = value * a_year * draws.gains - extra
    lead = net[:, draws.others].max(1) - net[:, pivot] if draws.others else np.zeros(1)
    ends = [
        value * a_year * clicks.pairs.shown(i, pivot, today).high - float(extra[i] - extra[pivot])
        for i in draws.others
    ]
    return _Earned(more, money, lost, float(np.maximum(lead, 0.0).mean()), max([0.0, *ends]))


def _regret(inputs: Inputs, draws: _Draws, earned: _Earned | None) -> ExpectedLoss:
    ends = {i: inputs.pairs.shown(i, draws.pivot, inputs.today).high for i in draws.others}
    worst = max(ends, key=lambda i: ends[i], default=None)
    largest = 0.0 if worst is None else max(ends[worst], 0.0)
    return ExpectedLoss(
        expected=float(np.maximum(draws.lead, 0.0).mean()),
        largest=largest,
        rival=inputs.candidates[worst].name if worst is not None and largest > 0 else "",
        clicks=None if earned is None else earned.lost_clicks,
        money=None if earned is None else earned.lost_money,
        largest_money=None if earned is None else earned.largest_money,
    )


def _of_gain(inputs: Inputs, policy: Policy, outcome: Outcome) -> list[GradeReason]:
    """Reasons from a gain that may be small, or an equivalence that is close to the margin."""
    assert outcome.choice is not None
    here = gain(inputs, outcome.choice)
    numbers = {"low": here.low, "high": here.high, "margin": policy.margin}
    name = inputs.candidates[outcome.choice].name
    if outcome.reason == "better" and here.low < SMALL * policy.margin:
        text = (
            f"The gain may be as small as {here.low:+.5f} AUC, less than a quarter of the margin "
            f"of {policy.margin:g}."
        )
        return [GradeReason("gain", numbers, name, _minus(text))]
    if outcome.reason == "cheaper" and here.low < (SMALL - 1) * policy.margin:
        text = (
            f"It may lose {-here.low:.5f} AUC, within a quarter of the margin of "
            f"{policy.margin:g} that it must keep."
        )
        return [GradeReason("gain", numbers, name, text)]
    return []


def _of_clicks(inputs: Inputs, outcome: Outcome, earned: _Earned | None) -> list[GradeReason]:
    """A reason if the clicks may not increase, whatever the switch is for."""
    if earned is None or outcome.choice == inputs.today or earned.clicks.low > 0:
        return []
    value, low, high = earned.clicks
    text = f"The clicks of a year may be no more: {value:+,.0f} [{low:+,.0f}, {high:+,.0f}]."
    return [GradeReason("clicks", {"value": value, "low": low, "high": high}, "", _minus(text))]


def _of_knobs(inputs: Inputs, policy: Policy, outcome: Outcome) -> list[GradeReason]:
    """Reasons if the choice changes at a limit a fifth away, or at half or twice the margin."""
    reasons: list[GradeReason] = []
    keys: dict[Knob, ReasonKey] = {"slo": "limit", "margin": "margin"}
    for change in what_would_change(inputs, policy, outcome):
        if change.knob not in keys or not change.changed:
            continue
        other = change.outcome.choice
        name = "" if other is None else inputs.candidates[other].name
        what = "a limit" if change.knob == "slo" else "a margin"
        unit = " ms" if change.knob == "slo" else ""
        then = f"{name!r} would be chosen" if name else "nothing would be chosen"
        text = f"At {what} of {change.value:g}{unit} {then}."
        numbers = {"value": change.value}
        reasons.append(GradeReason(keys[change.knob], numbers, name, text))
    return reasons


def _of_probability(probability: float) -> list[GradeReason]:
    if probability >= CLOSE:
        return []
    text = (
        f"In {100 * (1 - probability):.0f} of 100 cases something else under the limit is better "
        "by more than the margin."
    )
    return [GradeReason("probability", {"probability": probability}, "", text)]


def _of_search(
    inputs: Inputs, choice: int, searches: Searches | None, flipped: Sequence[TurningPoint]
) -> list[GradeReason]:
    """Reasons from too few trials, or from a repeated search that might choose otherwise.

    If nothing was searched (0 trials) there is no reason: hyper-parameters are as given.
    """
    if searches is None or choice == inputs.today or inputs.today is None:
        return []
    few = [i for i in (choice, inputs.today) if 0 < searches.trials[i] < FEWEST_TRIALS]
    if few:
        least = min(few, key=lambda i: searches.trials[i])
        name, trials = inputs.candidates[least].name, searches.trials[least]
        text = (
            f"completed trials of {name!r}: {trials}; {FEWEST_TRIALS} are needed to know what "
            "another search would have found."
        )
        numbers = {"trials": float(trials), "needed": float(FEWEST_TRIALS)}
        return [GradeReason("search", numbers, name, text)]
    for flip in flipped:
        if flip.knob == "search":
            then = f"{flip.choice!r} would be chosen" if flip.choice else "nothing would be chosen"
            text = f"With the noise of another search in the intervals {then}."
            return [GradeReason("search", {}, flip.choice or "", text)]
    return []


def _flips(
    inputs: Inputs, policy: Policy, outcome: Outcome, searches: Searches | None
) -> tuple[TurningPoint, ...]:
    """The nearest values on either side, and a repeated search, at which the decision changes."""

    def name(i: int | None) -> str | None:
        return None if i is None else inputs.candidates[i].name

    points = []
    for flip in flips(inputs, policy, outcome):
        if flip.knob != "traffic":
            case, choice = flip.outcome.case, name(flip.outcome.choice)
            points.append(TurningPoint(flip.knob, flip.side, flip.value, case, choice))
    if (wider := _over_searches(inputs, outcome.feasible, searches)) is not None:
        other = decide(wider, policy)
        if not same(outcome, other):
            points.append(TurningPoint("search", "at", None, other.case, name(other.choice)))
    return tuple(points)


def _searched(
    inputs: Inputs, outcome: Outcome, pivot: int, searches: Searches | None
) -> _Draws | None:
    wider = _over_searches(inputs, outcome.feasible, searches)
    return None if wider is None else _Draws(wider, outcome.feasible, pivot)


def _over_searches(
    inputs: Inputs, feasible: Sequence[int], searches: Searches | None
) -> Inputs | None:
    """The inputs with the variance over searches in every difference; None if it is not known.

    A candidate over the limit without a known variance is left unchanged.
    """
    if searches is None or inputs.today is None:
        return None
    known = searches.variance[[*feasible, inputs.today]]
    if not np.isfinite(known).all() or not known.any():
        return None
    v, pairs = np.nan_to_num(searches.variance), inputs.pairs
    more = v[:, None] + v
    np.fill_diagonal(more, 0.0)
    variance = pairs.se**2 + more
    squares = v**2 / searches.df
    uncertain = pairs.se**4 / np.maximum(pairs.df, 1.0) + squares[:, None] + squares
    with np.errstate(divide="ignore", invalid="ignore"):
        df = np.where(uncertain > 0, variance**2 / uncertain, pairs.df)
    wider = replace(pairs, se=np.sqrt(variance), df=df)
    return replace(inputs, pairs=wider)


def _minus(text: str) -> str:
    """The text with a typographic minus sign before digits."""
    return text.replace("-0", "\u22120").replace("[-", "[\u2212").replace(" -", " \u2212")
