"""The front of AUC and latency: which candidates are on it, how surely, and which are surely
beaten."""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from fusefront.harness.decision.inputs import Bools, Floats, Inputs, Latency, Measured
from fusefront.harness.serving.latency.pooling import RandomEffects, random_effects

FASTER_Z = 3.0  # standard errors of log latency; with c_all, false drops stay below .002
DRAWS = 2000


@dataclass(frozen=True)
class Frontier:
    """The front; axes S follow the inputs' candidates."""

    on_front: tuple[bool, ...]  # by the point estimates
    probability: tuple[
        float, ...
    ]  # share of joint draws in which it is on the front: a description
    dominated_by: tuple[int | None, ...]  # confidently faster and confidently better
    not_worth: tuple[int | None, ...]  # ... confidently faster and worse by at most the margin
    groups: tuple[tuple[int, ...], ...]  # runs of configurations whose AUC cannot be told apart


@dataclass(frozen=True)
class Band:
    """The height of the front over a grid of latencies."""

    latency_ms: Floats  # [G]
    gain: Floats  # [3, G]: 2.5, 50 and 97.5 %; NaN where no candidate is that fast


def non_dominated(cost: Floats, gain: Floats) -> Bools:
    """Which points no other point beats on both axes; cost, gain [..., S]; NaN cost = left out.

    >>> non_dominated(np.array([1.0, 2.0, 3.0]), np.array([0.6, 0.5, 0.7])).tolist()
    [True, False, True]
    """
    cost = np.where(np.isnan(cost), np.inf, cost)
    order = np.lexsort((-gain, cost), axis=-1)
    c, g = np.take_along_axis(cost, order, -1), np.take_along_axis(gain, order, -1)
    best = np.maximum.accumulate(g, axis=-1)
    leads = np.ones_like(g, dtype=bool)
    leads[..., 1:] = g[..., 1:] > best[..., :-1]
    first = np.maximum.accumulate(np.where(leads, np.arange(g.shape[-1]), 0), axis=-1)
    twin = (g == best) & (c == np.take_along_axis(c, first, -1))  # equal on both axes: both stay
    keep = np.empty_like(leads)
    np.put_along_axis(keep, order, (leads | twin) & np.isfinite(c), -1)
    return keep


def log_latency(inputs: Inputs, quantile: str = "p50") -> Floats:
    """[S] natural log of the quantile in ms; NaN = not measured."""
    return np.array([_centre(c.latency, quantile) for c in inputs.candidates])


def draw_latency(inputs: Inputs, rng: np.random.Generator, draws: int, quantile: str) -> Floats:
    """Joint draws of log latency [draws, S]: Student's t over rounds, which all subjects share."""
    centre, rounds = log_latency(inputs, quantile), _rounds(inputs, quantile)
    if rounds is None or len(_sessions(inputs)) > 1:  # intervals cover sessions, too
        spread = np.array([_spread(c.latency, quantile) for c in inputs.candidates])
        return centre + spread * rng.standard_normal((draws, inputs.size))
    df = rounds.shape[1] - 1
    widen = np.sqrt(df / rng.chisquare(df, draws))
    noise = rng.standard_normal((draws, df + 1)) @ rounds.T
    return np.asarray(centre + widen[:, None] * noise)


def slower_than(inputs: Inputs, j: int, quantile: str = "p50") -> Bools:
    """[S] bool, True for k: j is faster than k by more than the session's floor and 3 standard
    errors.

    With several sessions the error is that of random effects, and 3 becomes the same quantile of
    Student's t.
    """
    known = inputs.paired_latencies
    if (j, quantile) not in known:
        known[j, quantile] = _slower_than(inputs, j, quantile)
    return known[j, quantile]


def _slower_than(inputs: Inputs, j: int, quantile: str) -> Bools:
    centre, rounds = log_latency(inputs, quantile), _rounds(inputs, quantile)
    if rounds is not None and len(_sessions(inputs)) > 1:
        pool = _paired_by_session(inputs, j, quantile)
        least = stats.t.ppf(stats.norm.cdf(FASTER_Z), pool.df) * pool.error
        beyond = (pool.mean > least) & (pool.mean > inputs.floor)
        return np.asarray(beyond & np.isfinite(centre) & np.isfinite(centre[j]))
    if rounds is None:
        own = np.array([_spread(c.latency, quantile) for c in inputs.candidates]) ** 2
        variance = own + own[j]
    else:
        variance = ((rounds - rounds[j]) ** 2).sum(1)
    lead = centre - centre[j]
    with np.errstate(invalid="ignore"):
        return np.asarray((lead > FASTER_Z * np.sqrt(variance)) & (lead > inputs.floor))


def _sessions(inputs: Inputs) -> tuple[int, ...]:
    """The number of rounds of each session; () if nothing was timed."""
    timed = (c.latency.sessions for c in inputs.candidates if c.latency)
    return next((sessions for sessions in timed if sessions), ())


def _paired_by_session(inputs: Inputs, j: int, quantile: str) -> RandomEffects:
    """Log ratios of every candidate over j [S], paired by round within each session."""
    table = _log_table(inputs, quantile)
    assert table is not None
    ends = np.cumsum(_sessions(inputs))
    lead = [part - part[j] for part in np.split(table, ends[:-1], axis=1)]
    counts = np.array([part.shape[1] for part in lead])
    means = np.array([part.mean(1) for part in lead])
    errors = np.array([part.std(1, ddof=1) / part.shape[1] ** 0.5 for part in lead])
    return random_effects(means, errors, counts - 1)


def confidently_faster(inputs: Inputs, quantile: str = "p50") -> Bools:
    """`slower_than` for every j: [j, k] bool."""
    return np.array([slower_than(inputs, j, quantile) for j in range(inputs.size)])


def beaten(inputs: Inputs, faster: Bools, allowance: float = 0.0) -> list[int | None]:
    """For each k the strongest j that is confidently faster and has t_jk > c_all, else None.

    faster [j, k]; with `allowance` 0 this is domination, with the margin it asks whether k is worth
    its latency.
    """
    se = np.where(inputs.pairs.se > 0, inputs.pairs.se, np.inf)
    lead = (inputs.pairs.diff + allowance) / se
    lead = np.where(faster & (lead > inputs.pairs.c_all), lead, -np.inf)
    shippable = np.zeros(inputs.size, dtype=bool)
    shippable[inputs.shippable] = True
    lead[~shippable] = -np.inf
    return [int(np.argmax(column)) if np.isfinite(column.max()) else None for column in lead.T]


def tied_groups(inputs: Inputs) -> tuple[tuple[int, ...], ...]:
    """The longest runs, best AUC first, in which no pair differs by more than c_all standard
    errors.

    A configuration may be in several runs, because "cannot be told apart" is not transitive.
    """
    auc = np.array([a.value for a in inputs.auc])
    order = [int(i) for i in np.argsort(-auc, kind="stable")]
    differs = np.abs(inputs.pairs.diff) > inputs.pairs.c_all * inputs.pairs.se
    groups: list[tuple[int, ...]] = []
    reach = 0
    for start in range(len(order)):
        stop = start + 1
        while stop < len(order) and not differs[order[start:stop], order[stop]].any():
            stop += 1
        if stop > reach:
            groups.append(tuple(order[start:stop]))
            reach = stop
    return tuple(groups)


def frontier(
    inputs: Inputs, auc_draws: Floats, rng: np.random.Generator, *, margin: float, drawn: str
) -> Frontier:
    """The front by point estimates and by draws [n, S] on the axis `drawn`; the confident rules use
    p50."""
    centre = log_latency(inputs, drawn)
    usable = np.isfinite(centre)
    usable &= np.isin(np.arange(inputs.size), inputs.shippable)
    auc = np.array([a.value for a in inputs.auc])
    speed = draw_latency(inputs, rng, len(auc_draws), drawn)
    share = non_dominated(np.where(usable, speed, np.nan), auc_draws).mean(0)
    faster = confidently_faster(inputs)
    return Frontier(
        on_front=tuple(non_dominated(np.where(usable, centre, np.nan), auc).tolist()),
        probability=tuple(float(p) for p in share),
        dominated_by=tuple(beaten(inputs, faster)),
        not_worth=tuple(beaten(inputs, faster, margin)),
        groups=tied_groups(inputs),
    )


def band(
    inputs: Inputs, gain_draws: Floats, rng: np.random.Generator, grid_ms: Floats, quantile: str
) -> Band:
    """The pointwise 95 % range of the front's height at each latency of the grid [G], in ms."""
    speed = draw_latency(inputs, rng, len(gain_draws), quantile)
    usable = np.isin(np.arange(inputs.size), inputs.shippable)
    speed = np.where(usable & np.isfinite(speed), speed, np.inf)
    height = np.full((3, len(grid_ms)), np.nan)
    for at, limit in enumerate(np.log(grid_ms)):
        best = np.where(speed <= limit, gain_draws, -np.inf).max(1)
        if np.isfinite(best).all():  # at lower latencies some draws have no candidate
            height[:, at] = np.quantile(best, [0.025, 0.5, 0.975])
    return Band(np.asarray(grid_ms, float), height)


def _quantile(latency: Latency | None, name: str) -> Measured | None:
    return getattr(latency, name) if latency else None


def _centre(latency: Latency | None, quantile: str) -> float:
    measured = _quantile(latency, quantile)
    return float(np.log(measured.value)) if measured else float("nan")


def _spread(latency: Latency | None, quantile: str) -> float:
    measured = _quantile(latency, quantile)
    if measured is None:
        return 0.0
    _, low, high = measured
    return float(np.log(high / low) / (2 * 1.96)) if 0 < low <= high else 0.0


def _rounds(inputs: Inputs, quantile: str) -> Floats | None:
    """Deviations [S, R], scaled so that rounds @ rounds.T is the covariance of the means."""
    if quantile not in inputs.scaled_rounds:
        inputs.scaled_rounds[quantile] = _scaled_rounds(inputs, quantile)
    return inputs.scaled_rounds[quantile]


def _scaled_rounds(inputs: Inputs, quantile: str) -> Floats | None:
    table = _log_table(inputs, quantile)
    if table is None:
        return None
    count = table.shape[1]
    return np.asarray((table - table.mean(1, keepdims=True)) / np.sqrt(count * (count - 1)))


def _log_table(inputs: Inputs, quantile: str) -> Floats | None:
    """Logs of ms by round [S, R], 0 where not timed; None if the rounds are unknown or unequal."""
    rounds = [
        getattr(c.latency, f"log_{quantile}") if _quantile(c.latency, quantile) else None
        for c in inputs.candidates
    ]
    lengths = {len(k) for k in rounds if k is not None}
    if len(lengths) != 1 or (count := lengths.pop()) < 2:
        return None
    return np.array([k if k is not None else (0.0,) * count for k in rounds])
