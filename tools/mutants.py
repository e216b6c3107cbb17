"""Small changes of meaning in the files you name, one at a time, and which the tests let live.

    python tools/mutants.py harness/statistics -n 30 --seeds 1 2 3
    python tools/mutants.py --changed main~3 -n 20

Works on a copy, the checkout is not touched. The tests of the mirrored folder run once with every
covered line noted (kept under out/mutants while the files they read are the same), then each change
meets the tests that cover it, the fastest first, in a fork of a warm process. A change that lives
is a promise that nobody holds: write the test that kills it, or find that the line is not needed.
Some change nothing that can be seen. See docs/development.md. Exit code 0, whatever lived; 2 for
usage.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from mutation.drawing import Pool, pools
from mutation.report import note, summary, table
from mutation.survey import Survey
from mutation.tree import TreeError, git
from mutation.worker import Verdict


def parsed(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("paths", nargs="*", help="files, together, and folders, each by itself")
    add("--changed", nargs="?", const="", metavar="REV", help="files changed since REV [last tag]")
    add("--tests", nargs="*", help="test files or folders [the mirrored folder]")
    add("-n", type=int, default=12, help="changes drawn for each folder and seed [%(default)s]")
    add("--seeds", "--seed", type=int, nargs="+", default=[0], help="[0]")
    add("--jobs", type=int, default=1, help="changes tried at a time [%(default)s]")
    add("--full", action="store_true", help="the whole test folder, not only what covers a change")
    add("--timeout", type=float, default=240, help="seconds for one change [%(default)s]")
    add("-m", dest="mark", default="not timed and not slow", help="pytest's -m [%(default)s]")
    add("--python", default=".venv/bin/python", help="[%(default)s, else this one]")
    add("--cache", type=Path, default=Path("out/mutants"), help="recordings [%(default)s]")
    add("--json", type=Path, metavar="FILE", help="write every verdict to FILE")
    add("--again", type=Path, metavar="FILE", help="what lived in such a FILE, nothing drawn")
    add("--verbose", action="store_true", help="print what was killed, too")
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> int:
    arguments = parsed(words)
    try:
        root = Path(git(Path.cwd(), "rev-parse", "--show-toplevel").strip()).resolve()
        drawn = pools(root, arguments)
        if not any(pool.possible for pool in drawn):
            note("no file to change: name files or folders, or give --changed REV")
            return 2
        surveyed: list[tuple[Pool, list[Verdict]]] = []
        with tempfile.TemporaryDirectory(prefix="mutants") as folder:
            survey = Survey(arguments, root, Path(folder).resolve())
            try:
                for pool in drawn:
                    surveyed.append((pool, survey.run(pool)))
                    print(summary(*surveyed[-1]), flush=True)
            finally:
                survey.close()
        if arguments.json:
            arguments.json.write_text(table(surveyed), encoding="utf-8")
    except TreeError as error:
        note(str(error))
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
