"""The command that moves a damaged record aside, written so that it can be copied to a shell."""

import re
import shlex
from pathlib import Path

_RUN_ID = re.compile("[0-9a-f]{12}")


def cure(path: Path) -> str:
    """The end of an error sentence about a damaged file of a run or study: what to do.

    >>> cure(Path("out/studies/shop/matrix.json"))
    '`fusefront verify shop --repair` moves it aside, then the same command makes it again'
    """
    place, out = _names(path)
    words = ["fusefront", "verify", *place, "--repair"]
    if out is not None and out.resolve() != Path("out").resolve():
        words += ["--out", str(out)]
    return f"`{shlex.join(words)}` moves it aside, then the same command makes it again"


def _names(path: Path) -> tuple[list[str], Path | None]:
    """The name under which `verify` knows the run or study of a file, and its output folder."""
    parts = path.parts
    for at in reversed(range(len(parts))):
        if parts[at] == "studies" and len(parts) > at + 2:
            return [parts[at + 1]], Path(*parts[:at])
        if parts[at] == "runs" and len(parts) > at + 3 and _RUN_ID.fullmatch(parts[at + 3]):
            return [parts[at + 3]], Path(*parts[:at])
    return [], None
