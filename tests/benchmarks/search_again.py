"""A study searched again with other sampler seeds: how often did its verdicts stand?

    python tests/benchmarks/search_again.py STUDY.yaml [--data DATA] [--out OUT] [--seeds 1 2 3]
        [--set tuning.trials=10 ...] [--jobs 2]

The study is run as it stands and once more for each sampler seed, under the name NAME-search-SEED;
runs that two of them share are trained once, and what was begun goes on. Nothing is timed. For each
strategy it prints the difference to the baseline with each verdict, of the configurations trained
and with another search in the interval; whether the word of the first stood, and whether the
interval of the first held the difference that another search came to.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from fusefront.harness.dossier.comparison import compare_study
from fusefront.harness.jobs.pipeline import StudyRequest, at_work, begin, train
from fusefront.harness.runs.store import StudyFolder
from fusefront.harness.runs.study import load_study


class Judged(NamedTuple):
    """A strategy against the baseline by one search."""

    value: float
    low: float
    high: float
    verdict: str


class SearchWords(NamedTuple):
    """What one search's study says, by strategy: of configurations and of ways of fusing."""

    trained: dict[str, Judged]
    fusing: dict[str, Judged]


def searched(request: StudyRequest) -> SearchWords:
    """Search, train and compare a study; what is on record is not done again."""
    console = Console(file=sys.stderr)
    with at_work(request.out, console):
        plan, workspace = begin(request, console)
        train(plan, workspace)
        comparison = compare_study(StudyFolder(workspace.root, workspace.folder, plan.study))
    rows = comparison.search.rows if comparison.search else ()
    metric = comparison.metric
    return SearchWords(
        {
            row.name: Judged(*row.differences[metric][:3], row.verdict)
            for row in comparison.strategies
            if row.name != comparison.baseline
        },
        {
            row.name: Judged(*row.difference[:3], row.verdict)
            for row in rows
            if row.name != comparison.baseline
        },
    )


class Standing(NamedTuple):
    """How often the first search's word and interval held for the others."""

    words: int
    inside: int
    of: int


def standing(searches: Sequence[dict[str, Judged]]) -> Standing:
    """Count over strategies and the searches after the first.

    >>> first, second = {"a": Judged(1, 0, 2, "better")}, {"a": Judged(3, 2, 4, "better")}
    >>> standing([first, second])
    Standing(words=1, inside=0, of=1)
    """
    pairs = [
        (row, other[name])
        for other in searches[1:]
        for name, row in searches[0].items()
        if name in other
    ]
    return Standing(
        sum(row.verdict == again.verdict for row, again in pairs),
        sum(row.low <= again.value <= row.high for row, again in pairs),
        len(pairs),
    )


def _print(heading: str, searches: Sequence[dict[str, Judged]]) -> None:
    lines = [heading]
    for name in searches[0]:
        shown = [
            f"{row.value:+.4f} [{row.low:+.4f}, {row.high:+.4f}] {row.verdict}"
            for row in (some[name] for some in searches if name in some)
        ]
        lines.append(f"  {name:24} {' | '.join(shown)}")
    count = standing(searches)
    lines.append(
        f"  the word stood {count.words} of {count.of} times, the interval held the other search's "
        f"difference {count.inside} of {count.of} times"
    )
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--out", type=Path, default=Path("out"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--set", nargs="+", default=[], dest="overrides")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    spec = load_study(options.study, tuple(options.overrides))
    every = []
    for seed in (None, *options.seeds):
        words = () if seed is None else (f"name={spec.name}-search-{seed}", f"tuning.seed={seed}")
        request = StudyRequest(
            options.study,
            options.out,
            options.data,
            (*options.overrides, *words),
            jobs=options.jobs,
            wandb=False,
        )
        every.append(searched(request))
    _print("configurations as trained:", [some.trained for some in every])
    _print("ways of fusing, another search in the interval:", [some.fusing for some in every])
