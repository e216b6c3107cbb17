"""Importance of hyper-parameters: which of them separate a search's best trials from the rest
(Optuna's PED-ANOVA)."""

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from fusefront.harness.runs.files import Json

if TYPE_CHECKING:  # imported where a search is looked at: a report starts without it
    from optuna.distributions import BaseDistribution

FEWEST_TRIALS = 8  # with fewer, the best of them are too few to compare


class Drawn(NamedTuple):
    """A completed trial's parameters and its AUC on validation."""

    params: Mapping[str, Json]
    value: float


def importances(
    points: Sequence[Drawn], logarithmic: frozenset[str] = frozenset()
) -> dict[str, float]:
    """Parameter -> share of importance, largest first; the shares sum to 1.

    Only parameters that every point has count. Empty with fewer than eight points, or if no
    parameter varies. `logarithmic` names the parameters that are searched on a log scale.
    """
    if len(points) < FEWEST_TRIALS:
        return {}
    import optuna

    common = set.intersection(*(set(point.params) for point in points))
    used: dict[str, BaseDistribution] = {}
    for key in sorted(common):
        space = _space([point.params[key] for point in points], log=key in logarithmic)
        if space is not None:
            used[key] = space
    if not used or len({point.value for point in points}) == 1:
        return {}
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction="maximize")
    for point in points:
        params = {key: point.params[key] for key in used}
        study.add_trial(
            optuna.trial.create_trial(value=point.value, params=params, distributions=used)
        )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
        evaluator = optuna.importance.PedAnovaImportanceEvaluator()
        shares = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {key: float(share) for key, share in shares.items()}


def pooled(searches: Sequence[Sequence[Drawn]], logarithmic: frozenset[str]) -> dict[str, float]:
    """The importances over the trials of several searches; each search's mean AUC is subtracted
    first."""
    centred = []
    for points in searches:
        mean = sum(point.value for point in points) / len(points) if points else 0.0
        centred += [point._replace(value=point.value - mean) for point in points]
    return importances(centred, logarithmic)


def _space(values: Sequence[Json], *, log: bool) -> "BaseDistribution | None":
    """The distribution that `values` may have been drawn from; None if they do not vary."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    distinct = list(dict.fromkeys(values))
    numeric = all(isinstance(v, int | float) and not isinstance(v, bool) for v in distinct)
    if len(distinct) < 2:
        return None
    if not numeric or len(distinct) < min(6, len(values) // 2):
        return CategoricalDistribution(distinct)  # type: ignore[arg-type]
    low, high = min(map(float, map(str, distinct))), max(map(float, map(str, distinct)))
    return FloatDistribution(low, high, log=log and low > 0)
