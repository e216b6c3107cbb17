"""All test rows, and those of each value of a slice."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusefront.harness.dossier.predictions import StudySource
from fusefront.harness.statistics.measures.metrics import Layout


class TestRows(NamedTuple):
    """All test rows, or those of one value of a slice."""

    slice: str
    value: str
    chosen: NDArray[np.bool_]  # [N]
    layout: Layout


def parts_of_rows(source: StudySource) -> Iterator[TestRows]:
    """All rows first; of slices the values with rows of both labels."""
    rows = source.rows("test")
    yield TestRows("", "", np.ones(len(rows.label), bool), Layout(rows, source.cluster))
    for declared in source.slices("test"):
        for code, value in enumerate(declared.values):
            chosen = np.asarray(declared.code) == code
            part = rows.take(chosen)
            if 0 < int(part.label.sum()) < len(part.label):
                yield TestRows(declared.name, value, chosen, Layout(part, source.cluster))
