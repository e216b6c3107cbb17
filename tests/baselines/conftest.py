"""The zoo's models over the scene of the public checks."""

from collections.abc import Callable, Mapping

import pytest
import torch

from fusefront.baselines.contract import Baseline, Parts, Schema
from fusefront.baselines.heads.zoo import HEADS
from fusefront.baselines.poolers.zoo import POOLERS
from fusefront.baselines.zoo import BASELINES
from fusefront.fusion_variants.zoo import ALIGNMENTS, COMPRESSORS, OPERATORS
from fusefront.harness.testing.scene import SCHEMA, Scene, make_scene

PARTS = Parts(OPERATORS, COMPRESSORS, ALIGNMENTS, POOLERS, HEADS, BASELINES)

torch.set_num_threads(1)


class ZooScene(Scene):
    """A scene whose models are named as in the zoo."""

    def build(
        self, name: str, settings: Mapping[str, object] | None = None, *, seed: int = 0
    ) -> Baseline:
        """The model over this data, in float64 so that comparisons are sharp."""
        return self.model(BASELINES[name], settings or {}, PARTS, seed)


def scene_over(schema: Schema) -> ZooScene:
    return ZooScene(*make_scene(schema))


@pytest.fixture(scope="session")
def scene() -> ZooScene:
    return scene_over(SCHEMA)


@pytest.fixture(scope="session")
def scene_of() -> Callable[[Schema], ZooScene]:
    return scene_over


@pytest.fixture(scope="session")
def schema() -> Schema:
    return SCHEMA


@pytest.fixture(scope="session")
def parts() -> Parts:
    return PARTS
