"""Table rows of parts that are not in a model: metrics, latency backends, published layouts,
encoders."""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from fusefront.harness.parts.kinds import BACKEND, ENCODER, LAYOUT, METRIC, Kind
from fusefront.harness.parts.outside_parts import own_parts
from fusefront.harness.runs.files import Json

Row = dict[str, Json]


def rows_beside(kind: Kind, include: Sequence[Path]) -> list[Row]:
    """One row a part: its name, its description, and its file or package if it does not ship."""
    own = {part.name: part for part in own_parts(include, (kind,))}
    offered = {**kind.zoo(), **{name: part.part for name, part in own.items()}}
    return [
        {"name": name, **ROWS[kind](part), "from": own[name].owner if name in own else ""}
        for name, part in offered.items()
    ]


def _metric(part: object) -> Row:
    better = "more" if getattr(part, "higher_is_better", False) else "less"
    return {"title": str(getattr(part, "title", "")), "better": better}


def _encoder(part: object) -> Row:
    what = getattr(part, "call", part)  # a packaged model has its function there
    return {"reads": str(getattr(part, "kind", "text or images")), "what": _summary(what)}


def _plain(part: object) -> Row:
    return {"what": _summary(part)}


def _summary(part: object) -> str:
    module = sys.modules.get(str(getattr(part, "__module__", "")))
    text = getattr(part, "__doc__", None) or getattr(module, "__doc__", None) or ""
    return " ".join(str(text).strip().partition("\n\n")[0].split())


ROWS: Mapping[Kind, Callable[[object], Row]] = {
    METRIC: _metric,
    BACKEND: _plain,
    LAYOUT: _plain,
    ENCODER: _encoder,
}
BESIDE = {kind.table.lower(): kind for kind in ROWS}  # as `list` calls them
