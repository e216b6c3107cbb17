"""Which files take changes, and which changes each seed draws."""

import argparse
import json
import random
import subprocess
from dataclasses import dataclass
from pathlib import Path

from mutation.changes import Mutation, changes
from mutation.tree import TreeError, git, packages
from mutation.worker import LIVED, NOT_COVERED

COMMITS = 30  # how far `--changed` looks back without a tag


@dataclass(frozen=True)
class Pool:
    """Every change of some files, and the ones that each seed draws."""

    name: str
    files: list[Path]
    possible: int
    drawn: dict[int, list[Mutation]]

    @property
    def changes(self) -> list[Mutation]:
        return list(dict.fromkeys(change for part in self.drawn.values() for change in part))


def last_tag(root: Path) -> str:
    """The last tag; without one, the commit COMMITS back or the first."""
    process = subprocess.run(
        ["git", "describe", "--tags", "--abbrev=0"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    if process.returncode == 0:
        return process.stdout.strip()
    return git(root, "rev-list", f"--max-count={COMMITS + 1}", "HEAD").split()[-1]


def pool_of(root: Path, name: str, files: list[Path], arguments: argparse.Namespace) -> Pool:
    possible = [change for file in files for change in changes(root, file)]
    drawn: dict[int, list[Mutation]] = {}
    for seed in arguments.seeds:
        shuffled = list(possible)
        random.Random(seed).shuffle(shuffled)
        drawn[seed] = shuffled[: arguments.n]
    return Pool(name, files, len(possible), drawn)


def lived(root: Path, path: Path) -> Pool:
    """The changes that lived in an earlier survey, from what its `--json` wrote."""
    rows = json.loads(path.read_text(encoding="utf-8"))
    keys = {
        (row["file"], row["start"], row["before"], row["after"])
        for row in rows
        if row["verdict"] in (LIVED, NOT_COVERED)
    }
    files = sorted({Path(file) for file, *_ in keys})
    again = [
        change
        for file in files
        for change in changes(root, file)
        if (file.as_posix(), change.start, change.old, change.new) in keys
    ]
    return Pool(f"again {path.name}", files, len(again), {0: again})


def pools(root: Path, arguments: argparse.Namespace) -> list[Pool]:
    """A pool for each folder named; the files named, and the changed ones, are one together."""
    result: list[Pool] = []
    single: list[Path] = []
    if arguments.again:
        result.append(lived(root, arguments.again))
    for argument in arguments.paths:
        path = (Path.cwd() / argument).resolve()
        if not path.exists() or not path.is_relative_to(root):
            raise TreeError(f"{argument} is not in {root}; name files or folders of the checkout")
        if path.is_dir():
            files = [file.relative_to(root) for file in sorted(path.rglob("*.py"))]
            result.append(pool_of(root, str(path.relative_to(root)), files, arguments))
        else:
            single.append(path.relative_to(root))
    if arguments.changed is not None:
        since = arguments.changed or last_tag(root)
        folders = tuple(f"{folder.as_posix()}/" for folder in packages(root).values())
        names = git(root, "diff", "--name-only", since, "--").split()
        sources = [name for name in names if name.endswith(".py") and name.startswith(folders)]
        single += [Path(name) for name in sources if (root / name).exists()]
    if single:
        single = list(dict.fromkeys(single))
        name = single[0].as_posix() if len(single) == 1 else f"{len(single)} files"
        result.append(pool_of(root, name, single, arguments))
    return result
