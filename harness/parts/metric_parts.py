"""Plug-in metrics by name, from the given files, the recorded ones and installed packages."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import cast

from fusefront.harness.errors import UsageError
from fusefront.harness.parts.included import included
from fusefront.harness.parts.kinds import METRIC
from fusefront.harness.parts.origins import fails
from fusefront.harness.parts.outside_parts import Own, own_parts
from fusefront.harness.statistics.contract import QualityMetric


def own_metrics(
    names: Iterable[str], folder: Path, include: Sequence[Path]
) -> dict[str, QualityMetric]:
    """Name -> built metric; shipped names are left out.

    Raises:
        UsageError: nothing offers the metric, its file is gone or has changed, or it cannot be
            built.
    """
    shipped = METRIC.zoo()
    own_names = [name for name in dict.fromkeys(names) if name not in shipped]
    if not own_names:
        return {}
    files = included(
        folder, include, lambda part: part.kind == METRIC.word and part.name in own_names
    )
    own = {own_part.name: own_part for own_part in own_parts(files, (METRIC,))}
    for name in own_names:
        if name not in own:
            known = ", ".join([*shipped, *own])
            raise UsageError(
                f"metric {name!r} is not known; known: {known}; give its file with --include-path"
            )
    return {name: _built(own[name]) for name in own_names}


def _built(own_part: Own) -> QualityMetric:
    try:
        return cast(type[QualityMetric], own_part.part)()
    except Exception as error:  # a plug-in's code can raise anything
        raise fails(own_part, error) from error
