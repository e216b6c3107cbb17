"""Promises of a part that only show within the composed model."""

from collections.abc import Iterator, Mapping, Sequence

from torch import nn

from fusefront.baselines.contract import Baseline
from fusefront.baselines.models.composed import Composed
from fusefront.harness.parts.kinds import MODEL_KINDS, Kind
from fusefront.harness.parts.plugins import load_parts
from fusefront.harness.testing.baseline import subject_of
from fusefront.harness.testing.baseline_checks import (
    check_batch,
    check_grouping,
    check_history,
    check_keep,
    check_padding,
    check_presence,
    check_split,
)
from fusefront.harness.testing.declaration import label_of
from fusefront.harness.testing.promises import Promise
from fusefront.harness.testing.scene import Scene
from fusefront.harness.testing.subject import applied

CHECKS = {
    "split": ("encoding, then scoring, is both at once", check_split),
    "grouping": ("K candidates of a request train as K rows", check_grouping),
    "padding": ("padding changes nothing", check_padding),
    "history": ("the history counts", check_history),
    "presence": ("an absent modality changes nothing", check_presence),
    "keep": ("`keep` hides modalities", check_keep),
    "batch": ("a request is scored alone as among others", check_batch),
}


def in_model(
    kind: Kind,
    part: type[nn.Module],
    settings: Mapping[str, object],
    checks: Sequence[str],
    *,
    export: bool,
    scene: Scene | None = None,
) -> Iterator[Promise]:
    """The promises of the composed model with these settings, which name the part, on a scene."""
    shipped = load_parts([])
    field = shipped._fields[MODEL_KINDS.index(kind)]
    name = str(getattr(part, "name", ""))
    parts = shipped._replace(**{field: {**getattr(shipped, field), name: part}})

    def build(scene: Scene, seed: int) -> Baseline:
        return scene.model(Composed, settings, parts, seed)

    subject = subject_of(f"{label_of(kind, part)} in the composed model", build, scene=scene)
    for title, check in map(CHECKS.__getitem__, checks):
        yield Promise(f"in a model, {title}", applied(check, subject))
    if export:
        from fusefront.harness.testing.baseline_export import check_exported

        yield Promise(
            "in a model, ONNX Runtime gives the same numbers", applied(check_exported, subject)
        )
