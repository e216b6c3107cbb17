"""`fusefront list`: every entry of every axis with what it costs, from shapes alone."""

import json

import pytest
import torch

from fusefront.baselines.contract import ItemTable, Parts
from fusefront.baselines.heads.zoo import HEADS
from fusefront.baselines.models.composed_settings import CONDITIONINGS, PLACEMENTS
from fusefront.baselines.poolers.zoo import POOLERS
from fusefront.baselines.zoo import BASELINES
from fusefront.fusion_variants.zoo import ALIGNMENTS, COMPRESSORS, OPERATORS
from fusefront.harness.cli.listing import ListedKind, listing
from fusefront.harness.data.cost import macs_per_candidate
from fusefront.harness.errors import UsageError
from fusefront.harness.parts.listing import rows_of
from fusefront.harness.testing.macs import encode_macs_per_item, head_macs, pooler_macs
from fusefront.harness.testing.shapes import SCHEMA, parameters_of, shapes_of

PARTS = Parts(OPERATORS, COMPRESSORS, ALIGNMENTS, POOLERS, HEADS, BASELINES)
AXES = {
    "strategy": BASELINES,
    "compressor": COMPRESSORS,
    "operator": OPERATORS,
    "placement": PLACEMENTS,
    "conditioning": CONDITIONINGS,
    "pooler": POOLERS,
    "head": HEADS,
    "alignment": ALIGNMENTS,
}
D = 128


@pytest.fixture(scope="module")
def listed():
    return rows_of("strategies", [])


def test_the_list_holds_every_entry_of_every_axis(listed):
    by_axis = {axis: [row["name"] for row in listed if row["axis"] == axis] for axis in AXES}
    assert by_axis == {axis: list(zoo) for axis, zoo in AXES.items()}
    assert len(listed) == sum(map(len, AXES.values()))


def test_every_entry_says_what_is_cacheable_and_counts_its_parameters(listed):
    for row in listed:
        assert row["cacheable"], row
        if row["axis"] not in ("placement", "conditioning"):
            assert isinstance(row["parameters"], int), row


def test_costs_and_papers_are_those_of_the_zoo(listed):
    rows = {(row["axis"], row["name"]): row for row in listed}
    momo, early = rows["strategy", "momo"], rows["strategy", "early_fusion"]
    assert momo["cacheable"] == "no: the transformer runs for every candidate"
    assert momo["parameters"] > 200_000_000
    assert early["cacheable"] == "yes"
    assert early["MACs a candidate"] < momo["MACs a candidate"]
    assert rows["operator", "gmu"]["MACs an item"] == (3 * D) ** 2 + 3 * D * D
    assert rows["operator", "gmu"]["paper"] == OPERATORS["gmu"].paper
    assert rows["operator", "logit_weighted"]["MACs a candidate"] == 3
    assert rows["compressor", "bottleneck"]["MACs an item"] == 768 * 64
    papers = {name for (axis, name), row in rows.items() if axis == "strategy" and row["paper"]}
    assert papers >= {name for name, kind in BASELINES.items() if kind.paper}


@pytest.mark.parametrize("name", BASELINES)
def test_a_model_of_shapes_holds_no_number(name):
    model = shapes_of(BASELINES[name], PARTS)
    assert all(value.is_meta for value in model.state_dict().values())


@pytest.mark.parametrize("name", ["popularity", "late_fusion", "compressed_fusion", "deepfm"])
def test_shapes_count_what_the_built_model_counts(name):
    n = SCHEMA.items + 1
    ones = torch.ones(n, dtype=torch.long)
    items = ItemTable(
        {modality: torch.randn(n, width) for modality, width in SCHEMA.modalities.items()},
        torch.ones(n, 3, dtype=torch.bool),
        torch.zeros(n, 0, dtype=torch.long),
        torch.zeros(n, 0),
        torch.arange(n) > 0,
        ones,
        ones,
    )
    built = BASELINES[name].build(SCHEMA, items, {}, PARTS, 0)
    shapes = shapes_of(BASELINES[name], PARTS)
    assert parameters_of(shapes) == parameters_of(built)
    with torch.device("meta"):
        counts = macs_per_candidate(shapes, SCHEMA.items, SCHEMA), encode_macs_per_item(shapes)
    assert counts == (macs_per_candidate(built, SCHEMA.items, SCHEMA), encode_macs_per_item(built))


def test_the_offline_half_counts_the_products_of_its_formula():
    """id_only at width 16: query, key and value of the id; early fusion: projections and W
    beside."""
    with torch.device("meta"):
        assert encode_macs_per_item(shapes_of(BASELINES["id_only"], PARTS)) == 3 * 16 * 16
        early = encode_macs_per_item(shapes_of(BASELINES["early_fusion"], PARTS))
    assert early == 8 * 16 + 3 * 12 * 16 + 4 * 16 * 16 + 3 * 16 * 16


def test_poolers_and_heads_count_the_products_of_their_formulas():
    assert pooler_macs(POOLERS["mean"](D), 16) == (0, 0)  # pooled once for all candidates
    item, candidate = pooler_macs(POOLERS["target_attention"](D, heads=1), 16)
    assert (item, candidate) == (3 * D * D, 2 * 16 * D + 16)  # and the mask, one more row of keys
    assert head_macs(HEADS["mlp"](D, hidden=(64, 32)), D) == D * 64 + 64 * 32 + 32


def test_an_operator_of_ones_own_is_among_them(tmp_path):
    (tmp_path / "mine.py").write_text(
        "from fusefront.fusion_variants.operators.early.mean import Mean\n"
        "class Middle(Mean):\n    name = 'middle'\n    paper = 'nobody 2026'\n"
    )
    row = rows_of("operators", [tmp_path / "mine.py"])[-1]
    assert (row["name"], row["paper"], row["parameters"]) == ("middle", "nobody 2026", 0)


def test_the_verb_prints_a_table_with_its_basis(capsys):
    listing(ListedKind.operators)
    printed = capsys.readouterr().out
    assert "247,813" in printed  # lmf
    assert "an operator on 3 slots" in printed
    listing(ListedKind.heads, as_json=True)
    rows = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in rows] == list(HEADS)
    listing(ListedKind.worlds)
    assert "multiplicative" in capsys.readouterr().out


OWN = {  # kind of the list -> the file of docs/extending.md and the name in it
    "operators": ("largest.py", "largest"),
    "compressors": ("first_numbers.py", "first_numbers"),
    "alignments": ("nearness.py", "nearness"),
    "poolers": ("recent.py", "recent"),
    "heads": ("pairs.py", "pairs"),
    "strategies": ("production.py", "production"),
}


@pytest.mark.parametrize("kind", OWN)
def test_a_part_of_ones_own_is_counted_and_says_where_it_is_from(page_files, tmp_path, kind):
    file, name = OWN[kind]
    (tmp_path / file).write_text(page_files[file])
    rows = {row["name"]: row for row in rows_of(kind, [tmp_path / file])}
    assert rows[name]["from"] == str(tmp_path / file)
    assert [row["from"] for row in rows.values()].count("") == len(rows) - 1
    if kind == "strategies":  # 5,001 ids, 160 numbers of content to 16, an MLP of 48, 32 and 1
        assert rows[name]["parameters"] == 16 * (5001 + 160) + 49 * 32 + 33
        assert rows[name]["MACs a candidate"] == 48 * 32 + 32
        assert rows[name]["MACs an item"] == 160 * 16


BESIDE = {  # kind of the list -> the file and the name, a shipped name, what the rows say
    "metrics": ("net_benefit.py", "net_benefit", "logloss", {"title", "better"}),
    "backends": ("two_threads.py", "two_threads", "onnx", {"what"}),
    "layouts": ("shop_log.py", "shop_log", "tiktok", {"what"}),
    "encoders": ("letters.py", "letters", "minilm", {"reads", "what"}),
}


@pytest.mark.parametrize("kind", BESIDE)
def test_what_is_no_part_of_a_model_is_listed_with_what_it_is(page_files, tmp_path, kind, capsys):
    file, name, shipped, says = BESIDE[kind]
    (tmp_path / file).write_text(page_files[file])
    rows = {row["name"]: row for row in rows_of(kind, [tmp_path / file])}
    assert rows[name]["from"] == str(tmp_path / file)
    assert rows[shipped]["from"] == ""
    assert [row["from"] for row in rows.values()].count("") == len(rows) - 1
    assert all(set(row) == {"name", "from"} | says for row in rows.values())
    assert all(row[key] for row in rows.values() for key in says)
    if kind == "metrics":
        assert (rows["logloss"]["better"], rows["net_benefit"]["better"]) == ("less", "more")
    if kind == "encoders":
        assert rows["efficientnet_lite0"]["reads"] == "image"
    listing(ListedKind(kind), include_path=[tmp_path / file])
    printed = capsys.readouterr().out
    assert name in printed
    assert "Parameters and multiply-accumulates" not in printed


@pytest.mark.parametrize("kind", OWN)
def test_a_part_that_cannot_be_built_is_one_sentence(page_files, tmp_path, kind):
    file, name = OWN[kind]
    path = tmp_path / file
    head, part, rest = page_files[file].partition("    name: ClassVar")
    broken = "\n    def __new__(cls, *_, **__):\n        raise KeyError('no such word')\n\n"
    path.write_text(head + broken + part + rest)
    with pytest.raises(UsageError) as refused:
        rows_of(kind, [path])
    sentence = str(refused.value)
    assert sentence.startswith(f"{path}: ")
    assert sentence.endswith(
        f" {name!r} cannot be built and run on zeros (KeyError: 'no such word'); mend it, "
        f"`fusefront check {path}` says what it breaks"
    )
