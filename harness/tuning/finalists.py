"""Trains the best trials of a search again with new seeds, so that the winner is not chosen by a
lucky seed."""

from collections.abc import Sequence

from fusefront.harness.runs.records import Finalist, Trial
from fusefront.harness.tuning.search import Search
from fusefront.harness.tuning.search_cells import TRIAL_SEED

NEW_SEEDS = 2  # of each finalist, beside the trial's own
STEP = 1_000_003  # distance between the seeds of one trial; a study may not use these seeds


def finalist_seeds(tuning_seed: int) -> tuple[int, ...]:
    """The new seeds of finalists; no trial and no reported run has one of them.

    >>> finalist_seeds(0)
    (2000006, 3000009)
    """
    return tuple(TRIAL_SEED + tuning_seed + STEP * k for k in range(1, NEW_SEEDS + 1))


def candidates(search: Search, count: int) -> list[Trial]:
    """The best `count` distinct configurations of a search, best first; fewer if fewer completed.

    Of several trials with one configuration, the one with the lowest number counts.
    """
    best: dict[str, Trial] = {}
    for trial in search.in_time():
        best.setdefault(trial.get("run_id", str(trial["number"])), trial)
    return list(best.values())[:count]


def weighed(trial: Trial, values: Sequence[float], failure: str = "") -> Finalist:
    """A finalist with its AUC at the trial's seed and at each new seed; a failed one has no
    mean."""
    own = trial["value"]
    assert own is not None
    every = [own, *values]
    return {
        "number": trial["number"],
        "values": every,
        "mean": None if failure else sum(every) / len(every),
        "reason": failure,
    }
