"""The full plan, factorial plans and plans of one's own: which strategies they make."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from fusefront.baselines.contract import Field, Parts, Schema
from fusefront.baselines.models.composed_settings import PLACEMENTS
from fusefront.harness.ablation.factors import design_of, spelled
from fusefront.harness.ablation.path import build_path
from fusefront.harness.ablation.plan import AblatedStrategy, Workbench, each_level, removals
from fusefront.harness.ablation.swaps import full_plan
from fusefront.harness.errors import UsageError
from fusefront.harness.parts.plugins import load_parts
from fusefront.harness.runs.study import Strategy

# widths of 24, 20 and 6 numbers; numbers of the context, item fields
SCHEMA = Schema(50, {"text": 24, "image": 20, "audio": 6}, (Field("brand", 5),), 1, (), 2, (), 1, 8)


@pytest.fixture(scope="module")
def parts() -> Parts:
    return load_parts([])


def workbench(parts: Parts, schema: Schema = SCHEMA, **body: Any) -> Workbench:
    body.setdefault("baseline", "compressed_fusion")
    return Workbench.open("mine", Strategy.model_validate(body), schema, parts)


def settings(strategies: list[AblatedStrategy], kind: str) -> dict[str, Mapping[str, Any]]:
    return {each.without: each.strategy.settings for each in strategies if each.kind == kind}


def test_the_full_plan_drops_inputs_that_the_data_have(parts: Parts) -> None:
    table = workbench(parts)
    dropped = settings(each_level(table, full_plan(table)), "component")
    assert dropped["history"] == {"pooler": None}
    assert dropped["item fields"] == {"side_width": 0}
    assert dropped["context"] == {"context_width": 0}
    assert dropped["counters and other numbers of the context"] == {"context_numbers": False}
    assert "modality dropout" not in dropped
    assert set(dropped) >= {"use_id", "operator", "compressor"}  # the minimal plan is part of it
    bare = workbench(
        parts, SCHEMA._replace(item_fields=(), item_numbers=0, request_numbers=0,
                               candidate_numbers=0, max_history=0), modality_dropout=0.1,
    )  # fmt: skip
    rest = settings(each_level(bare, full_plan(bare)), "component")
    assert rest["modality dropout"] == {"modality_dropout": 0.0}
    assert not {"history", "item fields", "context"} & set(rest)


def test_one_modality_alone_stands_once(parts: Parts) -> None:
    table = workbench(parts)
    alone = settings(each_level(table, full_plan(table)), "alone")
    assert alone == {f"{m} alone": {"modalities": [m]} for m in ("text", "image", "audio")}
    two = workbench(parts, modalities=["text", "image"])  # without one is the other alone
    assert settings(each_level(two, full_plan(two)), "alone") == {}


def test_an_alignment_goes_where_one_modality_is_left(parts: Parts) -> None:
    table = workbench(parts, modalities=["text", "image"], alignment="infonce")
    without = settings(each_level(table, removals(table)), "modality")
    assert without["text"] == {"modalities": ["image"], "alignment": None}


def test_parts_are_swapped_and_the_code_width_varied(parts: Parts) -> None:
    table = workbench(parts)
    swapped = settings(each_level(table, full_plan(table)), "swap")
    assert swapped["operator self_attention"]["operator"] == {"name": "self_attention"}
    assert "operator bilinear" not in swapped  # it has that
    joined = swapped["operator logit_average"]
    assert (joined["placement"], joined["operator"]) == ("logit", {"name": "logit_average"})
    assert swapped["placement item"]["placement"] == "item"
    assert "placement logit" not in swapped  # which is the same model
    assert swapped["head dcnv2"]["head"] == {"name": "dcnv2"}
    widths = {k: v["compressor.k"] for k, v in swapped.items() if k.startswith("compressor.k")}
    assert widths == {"compressor.k 3": 3, "compressor.k 6": 6, "compressor.k 24": 24}
    wide = workbench(parts, **{"compressor.k": 40})  # cut to 24 numbers: so is twice as much
    names = [name for name in settings(each_level(wide, full_plan(wide)), "swap") if ".k" in name]
    assert names == ["compressor.k 10", "compressor.k 20"]


def test_what_is_tuned_again_has_a_name_of_its_own(parts: Parts) -> None:
    """Its runs are others than the frozen ones of the same change."""
    strategy = Strategy.model_validate({"baseline": "compressed_fusion"})
    benches = [
        Workbench.open("mine", strategy, SCHEMA, parts, retuned=retuned)
        for retuned in (False, True)
    ]
    for plan in ("minimal", "factorial"):
        frozen, again = (
            [each.name for each in design_of(plan, bench).strategies(bench)] for bench in benches
        )
        assert again == [f"{name}, tuned again" for name in frozen]
    paths = [build_path(bench, removals(bench)).strategies for bench in benches]
    assert [each.name for each in paths[1]] == [f"{each.name}, tuned again" for each in paths[0]]


def test_what_is_searched_of_a_part_goes_with_it(parts: Parts) -> None:
    space = {"head.hidden": [[8], [4]], "operator.rank": [2, 4], "training.learning_rate": [0.1]}
    bench = workbench(parts, space=space)
    spaces = {each.without: set(each.strategy.space) for each in each_level(bench, removals(bench))}
    assert spaces["text"] == set(space)
    assert spaces["head"] == {"operator.rank", "training.learning_rate"}
    assert spaces["operator"] == {"head.hidden", "training.learning_rate"}


def test_each_modality_is_trained_with_vectors_that_tell_nothing(parts: Parts) -> None:
    """Through the same baseline, beside what the parent already has replaced."""

    def replaced(bench: Workbench) -> dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]]:
        strategies = each_level(bench, full_plan(bench))
        return {
            each.name: (each.strategy.baseline, each.strategy.shuffle, each.strategy.randomize)
            for each in strategies
            if each.strategy.other_vectors != bench.parent.other_vectors
        }

    expected = {}
    for name in ("text", "image", "audio"):
        expected[f"mine with {name} of other items"] = ("compressed_fusion", (name,), ())
        expected[f"mine with random {name}"] = ("compressed_fusion", (), (name,))
    assert replaced(workbench(parts)) == expected
    two = workbench(parts, modalities=["text", "image"], shuffle=["text"])
    assert replaced(two) == {
        "mine with image of other items": ("compressed_fusion", ("text", "image"), ()),
        "mine with random image": ("compressed_fusion", ("text",), ("image",)),
    }


def test_what_is_swapped_in(parts: Parts) -> None:
    """Every level of a kind, but the parent's own."""
    factors = [factor for factor in full_plan(workbench(parts)) if factor.kind == "swap"]
    words = {factor.name: [level.word for level in factor.levels] for factor in factors}
    every = {
        "operator": "concat mean scalar_gate bilinear self_attention logit_average",
        "placement": " ".join(PLACEMENTS),
        "compressor": "none pca random_projection bottleneck rq",
        "pooler": "mean target_attention din transformer",
        "head": "linear mlp dcnv2",
    }
    resolved = workbench(parts).resolved
    for key, names in every.items():
        part = resolved[key]
        own = part["name"] if isinstance(part, Mapping) else part
        assert own in names.split()
        assert words[key] == [f"{key} {name}" for name in names.split() if name != own]


def test_every_strategy_of_a_plan_differs_and_can_be_built(parts: Parts) -> None:
    table = workbench(parts)
    strategies = each_level(table, full_plan(table))
    assert len({each.name for each in strategies}) == len(strategies) > 25
    assert len({each.strategy.model_dump_json() for each in strategies}) == len(strategies)
    for each in strategies:
        parts.baselines[each.strategy.baseline].check(SCHEMA, each.strategy.settings, parts)


def test_a_factorial_plan_crosses_the_parts(parts: Parts) -> None:
    cells = design_of("factorial", workbench(parts)).strategies(workbench(parts))
    assert len(cells) == 2**4 - 1
    levels = [dict(cell.levels) for cell in cells]
    assert all(set(each) == {"operator", "compressor", "pooler", "head"} for each in levels)
    assert len({tuple(each.values()) for each in levels}) == 15
    both = next(cell for cell in cells if cell.without == "without operator, without head")
    assert both.strategy.settings["operator"] is None
    assert both.strategy.settings["head"] == {"name": "linear"}
    assert set(both.changed) == {"operator", "head"}
    assert both.name == "mine without operator, without head"
    with pytest.raises(UsageError, match="has 1 of operator, compressor, pooler, head to take"):
        design_of(
            "factorial",
            workbench(parts, operator=None, compressor="none", pooler="mean"),
        )


def own(tmp_path: Path, **content: Any) -> str:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return str(path)


def test_factors_of_ones_own(parts: Parts, tmp_path: Path) -> None:
    """The parent's own level is left out, whatever way it is written."""
    plan = own(
        tmp_path,
        factors={
            "operator": ["bilinear", "none", {"name": "bilinear", "rank": 2}],
            "compressor.k": [12, 4],
            "modalities": [["text", "image", "audio"], ["text"]],
            "training.learning_rate": [0.003],
        },
    )
    design = design_of(plan, workbench(parts))
    assert (design.name, design.crossed) == ("mine", False)
    strategies = design.strategies(workbench(parts))
    assert [each.name for each in strategies] == [
        "mine with operator none",
        "mine with operator bilinear rank 2",
        "mine with compressor.k 4",
        "mine with modalities text",
        "mine with training.learning_rate 0.003",
    ]
    assert strategies[-1].strategy.training == {"learning_rate": 0.003}
    assert strategies[-1].strategy.settings == {}
    assert strategies[2].changed == ("compressor.k",)


def test_factors_of_ones_own_are_crossed(parts: Parts, tmp_path: Path) -> None:
    plan = own(
        tmp_path,
        design="factorial",
        factors={"head": ["linear"], "compressor.k": [4, 8]},
    )
    cells = design_of(plan, workbench(parts)).strategies(workbench(parts))
    assert [cell.levels for cell in cells] == [
        (("head", head), ("compressor.k", k))
        for head in ("as it is", "head linear")
        for k in ("as it is", "compressor.k 4", "compressor.k 8")
        if (head, k) != ("as it is", "as it is")
    ]


def test_levels_that_do_not_go_together_are_no_cell(parts: Parts, tmp_path: Path) -> None:
    """`similarity_tiers` gives vectors of another width than `interaction` needs."""
    plan = own(
        tmp_path,
        design="factorial",
        factors={"placement": ["interaction"], "pooler": ["similarity_tiers"]},
    )
    parent = workbench(parts, baseline="composed", placement="item")
    cells = design_of(plan, parent).strategies(parent)
    assert [cell.without for cell in cells] == [
        "with pooler similarity_tiers",
        "with placement interaction",
    ]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"factors": {"operator": ["nosuch"]}}, r"operator nosuch: unknown operator 'nosuch'"),
        ({"factors": {"nosuch": [1]}}, r"nosuch 1: compressed_fusion: unknown setting 'nosuch'"),
        ({"factors": {"head": []}}, r"head: got no level, expected a list of values"),
        ({"factors": {"head": ["mlp", "mlp"]}}, r"head: \"mlp\" is listed twice"),
        ({"factors": {"operator": ["bilinear"]}}, r"every level is what 'mine' has already"),
        ({"factors": {"head": ["linear"]}, "design": "factorial"}, r"got 1 factors and 2 cells"),
        ({"factors": {}}, r"factors: "),
        ({"factor": {}, "factors": {"head": ["linear"]}}, r"unknown key 'factor'"),
        (
            {"design": "factorial", "factors": {
                "compressor.k": list(range(1, 12)), "id_width": list(range(1, 25))}},
            r"and 288 cells, a factorial plan has two factors at least and 256 cells at most",
        ),
    ],
)  # fmt: skip
def test_what_is_no_plan_is_a_sentence(
    parts: Parts, tmp_path: Path, content: Any, sentence: str
) -> None:
    with pytest.raises(UsageError, match=sentence):
        design_of(own(tmp_path, **content), workbench(parts))


def test_a_plan_that_is_neither_a_name_nor_a_file(parts: Parts, tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match="--plan 'fulll': expected minimal, full, factorial, modalities or"
    ):
        design_of("fulll", workbench(parts))
    with pytest.raises(UsageError, match="there is no such file"):
        design_of(str(tmp_path / "gone.yaml"), workbench(parts))


def test_levels_in_words() -> None:
    assert [spelled(v) for v in (True, False, 0.25, 3, (), {"name": "x", "k": [1, 2]})] == [
        "on", "off", "0.25", "3", "none", "x k 1+2",
    ]  # fmt: skip


def test_a_long_name_stays_a_folders_name(parts: Parts, tmp_path: Path) -> None:
    many = {"name": "mlp", "hidden": [64] * 80}
    (each,) = design_of(own(tmp_path, factors={"head": [many]}), workbench(parts)).strategies(
        workbench(parts)
    )
    assert len(each.name.encode()) == 150
    assert each.name.startswith("mine with head mlp hidden 64+64")


def test_every_subset_of_the_modalities_is_a_cell(parts: Parts) -> None:
    """The empty one too: where the operator has nothing left to fuse it goes with them."""
    cells = design_of("modalities", workbench(parts)).strategies(workbench(parts))
    assert len(cells) == 2**3 - 1
    left = [tuple(cell.strategy.settings["modalities"]) for cell in cells]
    assert sorted(left) == sorted(
        [(), ("text",), ("image",), ("audio",), ("text", "image"), ("text", "audio"),
         ("image", "audio")]
    )  # fmt: skip
    with pytest.raises(UsageError, match=r"reads 1 modalities, the plan .* trains subsets of 2"):
        design_of("modalities", workbench(parts, modalities=["text"]))
