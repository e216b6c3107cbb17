"""Full plans and plans of one's own, level by level: what is tried, in which order, and where
there is nothing to try."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from fusefront.baselines.contract import Field, Parts, Schema
from fusefront.baselines.models.composed_settings import PLACEMENTS
from fusefront.harness.ablation.factors import MOST_CELLS, design_of
from fusefront.harness.ablation.plan import Change, Workbench, each_level, removals, short
from fusefront.harness.ablation.subsets import MOST_MODALITIES, trained_subsets
from fusefront.harness.ablation.swaps import full_plan
from fusefront.harness.errors import UsageError
from fusefront.harness.parts.plugins import load_parts
from fusefront.harness.runs.study import Strategy

# items and users with nothing beside three modalities, and no history
BARE = Schema(50, {"text": 24, "image": 20, "audio": 6}, (), 0, (), 0, (), 0, 0)
RICH = BARE._replace(
    item_fields=(Field("brand", 5),), request_fields=(Field("device", 3),), request_numbers=1,
    max_history=8,
)  # fmt: skip
COUNTERS = "counters and other numbers of the context"


@pytest.fixture(scope="module")
def parts() -> Parts:
    return load_parts([])


def workbench(parts: Parts, schema: Schema = RICH, **body: Any) -> Workbench:
    body = {"baseline": "compressed_fusion", **body}
    return Workbench.open("mine", Strategy.model_validate(body), schema, parts)


def levels_of(table: Workbench, *names: str) -> dict[str, tuple[Change, ...]]:
    """Word -> what is tried, of the factors with these names."""
    factors = [factor for factor in full_plan(table) if factor.name in names]
    return {level.word: level.tries for factor in factors for level in factor.levels}


INPUTS = ("history", "item fields", "context", COUNTERS, "modality dropout")


@pytest.mark.parametrize(
    ("schema", "settings", "inputs"),
    [
        ({}, {}, set()),
        ({"item_fields": (Field("brand", 5),)}, {}, {"item fields"}),
        ({"item_numbers": 1}, {}, {"item fields"}),
        ({"item_numbers": 1}, {"side_width": 0}, set()),
        ({"request_fields": (Field("device", 3),)}, {}, {"context"}),
        ({"candidate_fields": (Field("position", 3),)}, {}, {"context"}),
        ({"request_numbers": 1}, {}, {"context", COUNTERS}),
        ({"candidate_numbers": 1}, {}, {"context", COUNTERS}),
        ({"candidate_numbers": 1}, {"context_numbers": False}, {"context"}),
        ({"candidate_numbers": 1}, {"context_width": 0}, set()),
        ({"max_history": 1}, {}, {"history"}),
        ({"max_history": 1}, {"pooler": "none"}, set()),
        ({}, {"modality_dropout": 0.1}, {"modality dropout"}),
    ],
)
def test_an_input_is_left_out_where_there_is_some_and_it_is_read(
    parts: Parts, schema: Any, settings: Any, inputs: set[str]
) -> None:
    table = workbench(parts, BARE._replace(**schema), **settings)
    assert {factor.name for factor in full_plan(table)} & set(INPUTS) == inputs


def test_what_leaves_an_input_out(parts: Parts) -> None:
    table = workbench(parts, modality_dropout=0.1)
    assert levels_of(table, *INPUTS) == {
        "history": ({"pooler": None}, {"pooler": None, "placement": "item"}),
        "item fields": ({"side_width": 0},),
        "context": ({"context_width": 0},),
        COUNTERS: ({"context_numbers": False},),
        "modality dropout": ({"modality_dropout": 0.0},),
    }


def test_named_plans_vary_a_level_at_a_time(parts: Parts) -> None:
    table = workbench(parts)
    assert design_of("minimal", table) == ("minimal", removals(table), False, ())
    assert design_of("full", table) == ("full", full_plan(table), False, ())


def test_a_modality_goes_with_an_alignment_that_is_left_without_a_pair(parts: Parts) -> None:
    for settings, beside in (({}, []), ({"alignment": "infonce"}, [{"alignment": None}])):
        factors = removals(workbench(parts, **settings))
        (text,) = (factor for factor in factors if factor.name == "text")
        rest = {"modalities": ["image", "audio"]}
        (level,) = text.levels
        assert level.tries == (rest, *({**rest, **each} for each in beside))


def test_a_model_without_such_parts_has_none_replaced(parts: Parts) -> None:
    for baseline in ("popularity", "din"):
        assert full_plan(workbench(parts, baseline=baseline)) == []


def test_a_setting_of_a_part_that_is_not_there_is_refused(parts: Parts, tmp_path: Path) -> None:
    table = workbench(parts, compressor="none")
    with pytest.raises(UsageError, match=r"mine\.yaml: compressor\.k 4: "):
        design_of(written(tmp_path, factors={"compressor.k": [4]}), table)


def test_a_modality_alone_goes_without_what_needs_two(parts: Parts) -> None:
    """One slot alone has nothing to fuse, and one modality nothing to be aligned with."""
    for settings, beside in (
        ({}, {}),
        ({"alignment": "infonce"}, {"alignment": None}),
        ({"use_id": False, "side_width": 0}, {"operator": None}),
    ):
        table = workbench(parts, **settings)
        alone = [each for each in each_level(table, full_plan(table)) if each.kind == "alone"]
        assert [each.without for each in alone] == ["text alone", "image alone", "audio alone"]
        for each, name in zip(alone, BARE.modalities, strict=True):
            assert each.strategy.settings == {**settings, "modalities": [name], **beside}
            assert each.changed == ("modalities", *beside)
    pair = workbench(parts, use_id=False, side_width=0, modalities=["text", "image"])
    alone = [each.without for each in each_level(pair, full_plan(pair)) if each.kind == "alone"]
    assert alone == ["text alone", "image alone"]  # no removal leaves either: it has an operator


def test_another_placement_brings_an_operator_that_it_takes(parts: Parts) -> None:
    table = workbench(parts)
    own = table.resolved["placement"]
    levels = levels_of(table, "placement")
    assert list(levels) == [f"placement {name}" for name in PLACEMENTS if name != own]
    for word, tries in levels.items():
        name = word.split()[1]
        plain = {"placement": name, "conditioning": "item_only"}
        joins = "logit_average" if name == "logit" else "concat"
        assert tries == (
            {"placement": name},
            plain,
            {**plain, "operator": {"name": joins}},
            {**plain, "operator": None},
        )
    assert levels_of(table, "operator")["operator logit_average"] == (
        {"operator": {"name": "logit_average"}, "placement": "logit"},
    )
    assert levels_of(table, "compressor")["compressor none"] == ({"compressor": None},)


@pytest.mark.parametrize(
    ("k", "modalities", "widths"),
    [
        (12, ["text", "image", "audio"], [3, 6, 24]),
        (1, ["text", "image", "audio"], [2]),
        (2, ["text", "image", "audio"], [1, 4]),
        (12, ["image", "audio"], [3, 6, 20]),  # at most as wide as the widest vectors
        (12, ["audio"], [3]),  # of a code of 6: half of 12 is all of it
    ],
)
def test_code_widths_are_a_quarter_a_half_and_twice_the_own(
    parts: Parts, k: int, modalities: list[str], widths: list[int]
) -> None:
    settings = {"compressor.k": k, "modalities": modalities}
    assert levels_of(workbench(parts, **settings), "compressor.k") == {
        f"compressor.k {width}": ({"compressor.k": width},) for width in widths
    }


def test_without_codes_no_width_is_varied(parts: Parts) -> None:
    assert levels_of(workbench(parts, compressor="none"), "compressor.k") == {}
    assert levels_of(workbench(parts, baseline="id_only"), "compressor.k") == {}


def written(folder: Path, name: str = "mine.yaml", **content: Any) -> str:
    path = folder / name
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("name", "level", "own"),
    [
        ("head", {"name": "mlp"}, True),
        ("head", {"name": "linear"}, False),
        ("head", {"name": "mlp", "hidden": [64, 32]}, True),
        ("head", {"name": "mlp", "hidden": [64, 16]}, False),
        ("compressor", {"name": "pca", "k": 12, "whiten": True}, True),
        ("compressor", {"name": "pca", "k": 12, "whiten": False}, False),
        ("compressor", {"name": "pca", "k": 8, "whiten": True}, False),
        ("compressor", "pca", True),
        ("compressor", "none", False),
        ("compressor.k", 12, True),
        ("compressor.k", 11, False),
        ("alignment", "none", True),
        ("alignment", None, True),
        ("alignment", "infonce", False),
        ("modalities", ["text", "image", "audio"], True),
        ("modalities", ["text", "image"], False),
        ("training.epochs", 7, True),
        ("training.epochs", 8, False),
        ("training.learning_rate", 0.01, False),
    ],
)
def test_the_parents_own_level_is_none_to_try(
    parts: Parts, tmp_path: Path, name: str, level: Any, *, own: bool
) -> None:
    table = workbench(parts, training={"epochs": 7})
    plan = written(tmp_path, factors={name: [level]})
    if own:
        with pytest.raises(UsageError, match="every level is what 'mine' has already"):
            design_of(plan, table)
    else:
        (factor,) = design_of(plan, table).factors
        assert [each.tries for each in factor.levels] == [({name: level},)]


def test_a_plan_may_have_as_many_cells_as_its_limit(parts: Parts, tmp_path: Path) -> None:
    """15 other levels each and the own ones: 16 by 16 cells, the parent's among them."""
    table = workbench(parts)
    id_width = table.resolved["id_width"]
    factors = {
        "compressor.k": [k for k in range(1, 17) if k != 12],
        "id_width": [width for width in range(1, 17) if width != id_width],
    }
    plan = written(tmp_path, "mine.yml", design="factorial", factors=factors)
    design = design_of(plan, table)
    assert [len(factor.levels) for factor in design.factors] == [15, 15]
    assert MOST_CELLS == 16 * 16
    assert (design.name, design.crossed, design.only) == ("mine", True, ())


def test_two_parts_are_enough_to_cross(parts: Parts) -> None:
    table = workbench(parts, compressor="none", pooler="mean")
    cells = design_of("factorial", table).strategies(table)
    assert [each.without for each in cells] == [
        "without head", "without operator", "without operator, without head",
    ]  # fmt: skip


@pytest.mark.parametrize("count", [1, 2, 5, 6, MOST_MODALITIES, MOST_MODALITIES + 1])
def test_subsets_of_two_to_ten_modalities(parts: Parts, count: int) -> None:
    """All of up to five, of more those of drawn orders."""
    names = [f"m{at}" for at in range(count)]
    table = workbench(parts, RICH._replace(modalities=dict.fromkeys(names, 20)))
    if not 2 <= count <= 10:
        with pytest.raises(UsageError, match=rf"reads {count} modalities, .* subsets of 2 to 10;"):
            design_of("modalities", table)
        return
    design = design_of("modalities", table)
    assert [factor.name for factor in design.factors] == names
    for factor in design.factors:
        rest = {"modalities": [name for name in names if name != factor.name]}
        (level,) = factor.levels
        assert level.word == factor.name
        assert level.tries == (rest, {**rest, "alignment": None}, {**rest, "operator": None})
    members = trained_subsets(count).members
    without = [frozenset(name for at, name in enumerate(names) if not row[at]) for row in members]
    assert design.only == (() if count <= 5 else tuple(without))


def test_a_name_is_shortened_where_it_is_longer_than_a_folders() -> None:
    assert short("a" * 150) == "a" * 150
    cut = short("a" * 151)
    assert len(cut) == 150
    assert re.fullmatch("a{141} [0-9a-f]{8}", cut)
    assert cut != short("a" * 152)
    assert short("a/b") == "a-b"
    wide = short("\u00e9" * 76)  # 152 bytes: cut between characters
    assert len(wide.encode()) <= 150
    assert wide.startswith("\u00e9" * 60)
