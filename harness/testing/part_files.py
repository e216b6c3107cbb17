"""`fusefront check`: checks every part of your files against the promises of its kind."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from fusefront.harness.parts.kinds import KINDS, Kind
from fusefront.harness.parts.outside_parts import Own, own_parts
from fusefront.harness.parts.plugins import load_parts
from fusefront.harness.testing.alignment import alignment_promises
from fusefront.harness.testing.backend import backend_promises
from fusefront.harness.testing.baseline import baseline_promises
from fusefront.harness.testing.compressor import compressor_promises
from fusefront.harness.testing.encoder import encoder_promises
from fusefront.harness.testing.head import head_promises
from fusefront.harness.testing.layout import layout_promises
from fusefront.harness.testing.metric import metric_promises
from fusefront.harness.testing.operator import operator_promises
from fusefront.harness.testing.pooler import pooler_promises
from fusefront.harness.testing.promises import Promise, breaches


class CheckedPart(NamedTuple):
    """A part, the number of promises checked, and a sentence for each broken one."""

    kind: str
    name: str
    file: str
    promises: int
    broken: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """The result as a sentence."""
        if not self.broken:
            return f"{self.kind} {self.name!r}: keeps {self.promises} promises"
        return f"{self.kind} {self.name!r}: breaks {len(self.broken)} of {self.promises} promises"


def check_files(
    paths: Sequence[Path], *, export: bool = True, data: Path | None = None
) -> Iterator[CheckedPart]:
    """Check the parts in the files, one after the other; parts of installed packages are not
    checked.

    `export=False` leaves out ONNX Runtime, which takes seconds a part; `data` is a folder of files
    on which a layout is tried.

    Raises:
        UsageError: a file cannot be imported, or holds no part.
    """
    parts = load_parts(paths)
    makers = _makers(
        export=export,
        data=data,
        baseline=lambda kind: baseline_promises(kind, parts=parts, export=export),
    )
    for own in own_parts(paths):
        if not own.package:
            yield _checked(own, list(makers[own.kind.word](own.part)))


def _checked(own: Own, promises: list[Promise]) -> CheckedPart:
    label = f"{own.kind.word} {own.name!r}"
    broken = tuple(str(error) for error in breaches(label, promises))
    return CheckedPart(own.kind.word, own.name, str(own.files[0]), len(promises), broken)


Maker = Callable[[Any], Iterator[Promise]]  # the part of a kind


def _makers(*, export: bool, data: Path | None, baseline: Maker) -> Mapping[str, Maker]:
    """Name of a kind -> the function that gives its promises."""
    makers: dict[str, Maker] = {
        "operator": lambda kind: operator_promises(kind, export=export),
        "compressor": lambda kind: compressor_promises(kind, export=export),
        "alignment loss": lambda kind: alignment_promises(kind),
        "pooler": lambda kind: pooler_promises(kind, export=export),
        "head": lambda kind: head_promises(kind, export=export),
        "baseline": baseline,
        "metric": metric_promises,
        "latency backend": backend_promises,
        "layout": lambda part: layout_promises(part, folder=data),
        "encoder": lambda part: encoder_promises(part),
    }
    missing: list[Kind] = [kind for kind in KINDS if kind.word not in makers]
    assert not missing, f"no promises for {missing}"
    return makers
