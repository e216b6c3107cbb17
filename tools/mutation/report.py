"""What became of the changes, in lines for a person and in JSON."""

import json
import sys
from collections.abc import Sequence

from mutation.drawing import Pool
from mutation.worker import NOT_COVERED, Verdict


def note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def line(verdict: Verdict) -> str:
    """One change: what became of it, where it is, before -> after, the line of code."""
    change = verdict.change
    edit = f"{change.old!r} -> {change.new!r}"
    return f"{verdict.kind:13} {change.file}:{change.line}  {edit}    {change.text[:100]}"


def summary(pool: Pool, verdicts: Sequence[Verdict]) -> str:
    """The share that was killed, in all and by seed; a change that two seeds draw counts twice."""
    killed = {verdict.change for verdict in verdicts if not verdict.lived}
    drawn = [change for part in pool.drawn.values() for change in part]
    dead = sum(change in killed for change in drawn)
    by_seed = ", ".join(
        f"{seed}: {sum(change in killed for change in part)}/{len(part)}"
        for seed, part in pool.drawn.items()
    )
    unseen = sum(verdict.kind == NOT_COVERED for verdict in verdicts)
    seconds = sum(verdict.seconds for verdict in verdicts) / max(1, len(verdicts))
    return (
        f"{pool.name}: {100 * dead / max(1, len(drawn)):.0f} % killed, {dead} of {len(drawn)} "
        f"(seed {by_seed}), {unseen} not covered; "
        f"{pool.possible} possible in {len(pool.files)} files; {seconds:.1f} s each"
    )


def table(surveyed: Sequence[tuple[Pool, Sequence[Verdict]]]) -> str:
    """Every verdict of every pool, as JSON."""
    rows = [
        {
            "pool": pool.name,
            "seeds": [seed for seed, part in pool.drawn.items() if verdict.change in part],
            "file": verdict.change.file.as_posix(),
            "line": verdict.change.line,
            "start": verdict.change.start,
            "before": verdict.change.old,
            "after": verdict.change.new,
            "verdict": verdict.kind,
            "seconds": round(verdict.seconds, 2),
            "tests": verdict.tests,
            "by": verdict.by,
        }
        for pool, verdicts in surveyed
        for verdict in verdicts
    ]
    return json.dumps(rows, indent=1) + "\n"
