"""What a person does not set is what docs/models.md says, and so is what a search tries."""

import pytest

from fusefront.baselines.models.balanced_fusion import BalancedFusion
from fusefront.baselines.models.boosted import Boosted
from fusefront.baselines.models.composed import Composed
from fusefront.baselines.models.compressed_fusion import CompressedFusion
from fusefront.baselines.models.counts import Counts
from fusefront.baselines.models.early_fusion import EarlyFusion
from fusefront.baselines.models.gated_fusion import GatedFusion
from fusefront.baselines.models.id_only import IdOnly
from fusefront.baselines.models.late_fusion import LateFusion
from fusefront.baselines.models.popularity import Popularity
from fusefront.baselines.models.stacked_fusion import StackedFusion
from fusefront.baselines.models.unimodal import Unimodal
from fusefront.baselines.zoo import BASELINES

TOWERS = (BalancedFusion, GatedFusion, LateFusion)
TRAINED = (Composed, CompressedFusion, EarlyFusion, IdOnly, StackedFusion, Unimodal, *TOWERS)
SOLVED = (Boosted, Counts, Popularity)
KINDS = {kind.name: kind for kind in (*TRAINED, *SOLVED)}


@pytest.mark.parametrize("name", KINDS)
def test_defaults_and_choices_are_those_of_the_page(page_sections, settings_of_code, name):
    section, (defaults, choices) = page_sections[name], settings_of_code(name)
    assert section.settings
    assert {key: defaults[key] for key in section.settings} == section.settings
    assert choices == section.choices


def test_every_model_of_the_zoo_that_is_not_a_published_one_is_held_here():
    assert {name: k for name, k in BASELINES.items() if k.family != "published"} == KINDS


@pytest.mark.parametrize("name", KINDS)
def test_a_model_is_of_its_family_and_the_composed_one_of_its_settings(scene, name):
    family = "early" if name == "composed" else KINDS[name].family
    assert scene.build(name).family == family
    assert family in ("early", "late", "compressed", "control")


@pytest.mark.parametrize("kind", TRAINED)
def test_what_is_trained_reads_histories_and_kinds_of_events(kind):
    assert (kind.solved, kind.reads_history, kind.reads_kinds) == (False, True, True)
    assert kind.packs == (kind is not StackedFusion)


@pytest.mark.parametrize("kind", SOLVED)
def test_what_is_solved_reads_rows_alone(kind):
    assert (kind.solved, kind.reads_history, kind.reads_kinds) == (True, False, False)
