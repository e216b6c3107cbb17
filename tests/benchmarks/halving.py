"""What successive halving saves: compute to reach the mean quality of 20 full trials.

    python tests/benchmarks/halving.py [--repetitions 1000] [--out OUT]

Simulated curves: 16 epochs, final quality with a spread of 50 (units of 1e-4 AUC), noise of a run 7
and of an evaluation 3.5, 8 % dead, 40 % over-fit late; *easy* rarely cross, *cross* have slow
learners that may win, *hard* have slow winners. Recorded curves: the trials of the studies under
--out, a strategy each, drawn anew with replacement. Trials are random draws in both; a trial
pauses at a rung and goes on when it is in the better half of those known there, by the program's
own rule, as in a search with lag 2. What is on hand is the best trial that came to its end.
"""

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusefront.harness.training.halving import rungs
from fusefront.harness.tuning.ladder import Known, Step, next_step

Floats = NDArray[np.float64]
EPOCHS, FULL, LAG = 16, 20, 2
SD, RUN_SD, EVALUATION_SD = 50.0, 7.0, 3.5
FAMILIES = ("easy", "cross", "hard")
MOST = 200  # trials of one search, more than its compute lets begin


class Curves(NamedTuple):
    """What is observed of trials after each epoch [trials, epochs], and what each is worth."""

    observed: Floats
    worth: Floats


Draw = Callable[[np.random.Generator, int], Curves]


def simulated(family: str) -> Draw:
    """Curves of a family, drawn as often as one likes."""

    def draw(rng: np.random.Generator, count: int) -> Curves:
        worth = SD * rng.standard_normal(count)
        spread, middle = {"easy": (0.2, 2.0), "cross": (0.6, 2.5), "hard": (0.4, 2.5)}[family]
        slow = np.log(middle) + spread * rng.standard_normal(count)
        if family == "hard":
            slow += 0.5 * worth / SD  # the best are slow
        epoch = np.arange(1, EPOCHS + 1)
        observed = worth[:, None] - 300 * np.exp(-epoch / np.exp(slow)[:, None])
        over = np.where(rng.random(count) < 0.4, rng.integers(8, EPOCHS, count), EPOCHS)
        observed -= 3.0 * np.clip(epoch - over[:, None], 0, None)
        dead = rng.random(count) < 0.08
        observed[dead], worth[dead] = -600.0, -600.0
        observed += RUN_SD * rng.standard_normal((count, 1))
        return Curves(observed + EVALUATION_SD * rng.standard_normal(observed.shape), worth)

    return draw


def recorded(curves: list[list[float]]) -> Draw:
    """Trials of one search drawn anew; a curve's worth is its best AUC, in 1e-4."""
    observed = 1e4 * np.array(curves)

    def draw(rng: np.random.Generator, count: int) -> Curves:
        rows = rng.integers(0, len(observed), count)
        return Curves(observed[rows], observed[rows].max(1))

    return draw


def course(observed: Floats, budget: float, *, halving: bool) -> list[tuple[float, int | None]]:
    """What a search does until `budget` epochs are spent: epochs so far, and the trial that has
    come to its end there, if one has."""
    trials, epochs = observed.shape
    if not halving:
        return [(float(epochs * (number + 1)), number) for number in range(trials)]
    levels = (*rungs(epochs), epochs)
    best = np.maximum.accumulate(observed, 1)
    below = dict(zip(levels, (0, *levels), strict=False))  # where each part of a training begins
    steps: list[Step] = []
    events: list[tuple[float, int | None]] = []
    known: dict[int, Known] = {}
    spent = 0.0
    while spent < budget:
        for step in steps[max(0, len(steps) - LAG) : max(0, len(steps) - LAG + 1)]:
            if step.number is not None:
                passed = [level for level in levels if level <= step.until]
                reached = {level: float(best[step.number, level - 1]) for level in passed}
                known[step.number] = Known(reached, ended=step.until == epochs)
        step = next_step(known, steps, levels, trials)
        steps.append(step)
        assert step.number is not None  # there are more trials than the budget lets begin
        spent += step.until - below[step.until]
        events.append((spent, step.number if step.until == epochs else None))
    return events


def qualities(draw: Draw, repetitions: int, *, halving: bool, seed: int) -> tuple[Floats, Floats]:
    """Mean worth of the trial that is chosen, along a grid of compute in full trials."""
    grid = np.arange(1.0, FULL + 0.25, 0.25)
    total = np.zeros(len(grid))
    rng = np.random.default_rng(seed)
    for _ in range(repetitions):
        curves = draw(rng, MOST)
        epochs = curves.observed.shape[1]
        value = curves.observed.max(1)
        until, chosen, best = [], [], -1
        for spent, number in course(curves.observed, epochs * FULL + 1, halving=halving):
            if number is not None and (best < 0 or value[number] > value[best]):
                best = number
            until.append(spent / epochs)
            chosen.append(best)
        ended = np.searchsorted(np.array(until), grid + 1e-9, side="right") - 1
        picked = np.array(chosen)[np.clip(ended, 0, None)]
        # before any trial has come to its end the defaults are on hand, as without a search
        total += curves.worth[np.clip(picked, 0, None)]
    return grid, total / repetitions


class Saving(NamedTuple):
    """Compute, in full trials, and the quality of as much compute as half of 20 trials."""

    needed: float  # nan: more than 20
    full_at_half: float
    halving_at_half: float
    full: float


def saving(draw: Draw, repetitions: int, seed: int = 0) -> Saving:
    """What halving needs for the mean quality of 20 full trials."""
    grid, full = qualities(draw, repetitions, halving=False, seed=seed)
    _, halved = qualities(draw, repetitions, halving=True, seed=seed)
    enough = np.flatnonzero(halved >= full[-1])
    half = int(np.searchsorted(grid, FULL / 2))
    needed = float(grid[enough[0]]) if len(enough) else float("nan")
    return Saving(needed, float(full[half]), float(halved[half]), float(full[-1]))


def recorded_curves(out: Path) -> dict[str, list[list[float]]]:
    """study/strategy -> AUC after each epoch of its trials, those that ran all epochs."""
    curves: dict[str, list[list[float]]] = defaultdict(list)
    runs = {path.parent.name: path for path in out.glob("runs/*/*/*/metrics.jsonl")}
    for path in sorted(out.glob("studies/*/tuning/*/trial-*.json")):
        run = runs.get(json.loads(path.read_text())["run_id"])
        if run is None:
            continue
        lines = [json.loads(line) for line in run.read_text().splitlines()]
        aucs = [line.get("valid_auc") for line in lines]
        if len(aucs) > 1 and None not in aucs:
            curves[f"{path.parts[-4]}/{path.parent.name}"].append(aucs)
    longest = {name: max(map(len, some)) for name, some in curves.items()}
    whole = {name: [c for c in some if len(c) == longest[name]] for name, some in curves.items()}
    return {name: some for name, some in whole.items() if len(some) >= 5}


def _line(name: str, of: Saving) -> None:
    sys.stdout.write(
        f"{name:44} needs {of.needed:5.2f} of {FULL} ({1 - of.needed / FULL:4.0%} saved); at half: "
        f"full {of.full_at_half:8.1f}, halving {of.halving_at_half:8.1f}; 20 full {of.full:8.1f}\n"
    )
    sys.stdout.flush()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=1000)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    for family in FAMILIES:
        _line(family, saving(simulated(family), options.repetitions))
    for name, some in recorded_curves(options.out).items() if options.out else ():
        _line(f"{name} ({len(some)} curves)", saving(recorded(some), options.repetitions))
