"""A model under check on a scene, and what all checks do with it."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from fusefront.baselines.contract import Baseline, ItemCodes, RequestBatch, gather
from fusefront.harness.testing.scene import Scene


@dataclass(frozen=True)
class Subject:
    """A model under check: how it is built on a scene, and its name in sentences."""

    label: str
    scene: Scene
    build: Callable[[Scene, int], Baseline]  # in float64, by a seed
    untaught: re.Pattern[str] = field(default_factory=lambda: re.compile(r"(?!)"))

    def model(self, seed: int = 0) -> Baseline:
        """The model on the subject's scene, drawn by `seed`."""
        return self.build(self.scene, seed)


def applied(check: Callable[[Subject], None], subject: Subject) -> Callable[[], None]:
    """The check of this subject as a call without arguments."""
    return lambda: check(subject)


def encoded(model: Baseline, scene: Scene, keep: Tensor | None = None) -> ItemCodes:
    """The codes of all `items + 1` rows in eval mode; `keep` is [M] or [items + 1, M] as in
    `encode`."""
    with torch.no_grad():
        return model.eval().encode_items(torch.arange(scene.schema.items + 1), keep)


def logits_of(model: Baseline, scene: Scene, batch: RequestBatch | None = None) -> Tensor:
    """The logits [N] of real candidates, from the table of item codes."""
    batch = scene.batch if batch is None else batch
    with torch.no_grad():
        request = gather(encoded(model, scene), batch, batch.items)
        return model.score(request).logits.flatten()[batch.rows]
