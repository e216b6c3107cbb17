"""Seconds of a report of 200 strategies with 10 seeds each:
`python tests/benchmarks/report_speed.py`.

Prints the time to import, to draw each part and to write the page, with --profile the functions
that take it. Evidence is planted; gathering it from a study's files is timed by the study's own
benchmark.
"""

import argparse
import cProfile
import pstats
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path


def main() -> None:
    """One line a step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--strategies", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    begin = time.perf_counter(), time.process_time()
    sys.path.insert(0, str(Path(__file__).parents[1] / "reports"))
    from conftest import crowd

    from fusefront.reports import render
    from fusefront.reports.sections import sections

    tell("import", begin)
    evidence = crowd(options.strategies, options.seeds)
    for language in ("en", "ja"):
        timed(
            f"frontier, two drawings, {language}",
            lambda code=language: render._frontier(evidence, code),
        )
    timed("reviewer's figures and tables", lambda: sections(evidence, "en"))
    with tempfile.TemporaryDirectory() as folder:
        profile = cProfile.Profile() if options.profile else None
        if profile:
            profile.enable()
        timed("whole report", lambda: render.render(evidence, Path(folder)))
        if profile:
            profile.disable()
            pstats.Stats(profile).sort_stats("cumulative").print_stats(30)
    sys.stdout.write(f"torch imported: {'torch' in sys.modules}\n")


def timed(name: str, step: Callable[[], object]) -> None:
    """Run a step and say how long it took."""
    begin = time.perf_counter(), time.process_time()
    step()
    tell(name, begin)


def tell(name: str, begin: tuple[float, float]) -> None:
    """Wall and processor seconds since `begin`."""
    wall, cpu = time.perf_counter() - begin[0], time.process_time() - begin[1]
    sys.stdout.write(f"{name:<36}{wall:7.2f} s wall {cpu:7.2f} s cpu\n")


if __name__ == "__main__":
    main()
