"""Everything a study may name: the shipped parts, and those of installed packages and users'
files."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from fusefront.baselines.contract import Parts
from fusefront.harness.parts.included import included
from fusefront.harness.parts.kinds import MODEL_KINDS
from fusefront.harness.parts.outside_parts import load_zoo


def load_parts(include_paths: Sequence[Path]) -> Parts:
    """The parts of models, shipped and plug-ins; raises as `own_parts` does."""
    return Parts(*(load_zoo(kind, include_paths) for kind in MODEL_KINDS))  # type: ignore[arg-type]


def parts_of_runs(runs: Iterable[Path], include: Sequence[Path]) -> Parts:
    """The parts that the runs in these folders are built of; raises as `included` does."""
    files = [file for run in runs for file in included(run, include)]
    return load_parts(list(dict.fromkeys(files)))
