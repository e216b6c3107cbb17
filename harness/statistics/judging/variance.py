"""The sources of a difference's variance: test rows, seeds, both together, tuning."""

import numpy as np

from fusefront.harness.statistics.joint import JointModel
from fusefront.harness.statistics.result_rows import SearchVerdicts, Share

_BUY = {
    "rows": "more test rows",
    "seeds": "more seeds",
    "both": "more seeds or more test rows",
    "tuning": "more tuning runs",
}


def shares(
    model: JointModel,
    baseline: str,
    tuned: dict[str, list[float]] | None = None,
    search: SearchVerdicts | None = None,
) -> tuple[Share, ...]:
    """Shares of the variance of each strategy's difference to the baseline; () with one seed.

    `tuned` holds, for strategies that were tuned several times with other tuning seeds, the mean
    metric after each: their variance beyond that of the seeds is due to tuning. Without `tuned`,
    the variance over repeated searches comes from the trials in `search`, if it is known for both
    sides.
    """
    base = model.index(baseline)
    spread = {row.name: row.sd**2 if row.trials else 0.0 for row in search.rows} if search else {}
    table = []
    for place, name in enumerate(model.names):
        pair = [place, base]
        if place == base or (model.n[pair] < 2).any():
            continue
        parts = {
            "rows": float(model.row_part[place, base]),
            "seeds": float((model.net_s2[pair] / model.n[pair]).sum()),
            "both": float((model.interaction[pair] / model.n[pair]).sum()),
            "tuning": sum(_tuning(model, who, tuned or {}) for who in (name, baseline)),
        }
        by_trials = bool(np.isnan(parts["tuning"]))
        if by_trials:
            parts["tuning"] = sum(spread.get(who, float("nan")) for who in (name, baseline))
        known = {key: value for key, value in parts.items() if not np.isnan(value)}
        total = sum(known.values())
        if total <= 0:
            continue
        largest = max(known, key=lambda key: known[key])
        share = {key: value / total for key, value in parts.items()}
        bought = "more trials" if largest == "tuning" and by_trials else _BUY[largest]
        table.append(Share(name, **share, buy=bought))
    return tuple(table)


def _tuning(model: JointModel, name: str, tuned: dict[str, list[float]]) -> float:
    """Variance of one tuning run around the mean of many, without the part of the seeds; nan if
    unknown."""
    values = tuned.get(name, [])
    if len(values) < 2:
        return float("nan")
    place = model.index(name)
    seeds = float(model.s2[place] / model.n[place])
    return max(float(np.var(values, ddof=1)) - seeds, 0.0)
