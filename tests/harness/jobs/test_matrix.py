"""From a study to its cells: settings, seeds, controls, searches and what is refused."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from fusefront.datasets.store import PreparedDataset
from fusefront.harness.data.cost import macs_per_candidate
from fusefront.harness.data.tables import schema_of
from fusefront.harness.errors import UsageError
from fusefront.harness.jobs.matrix import StudyPlan, make_plan
from fusefront.harness.parts.plugins import load_parts
from fusefront.harness.runs.study import Tuning, check_study
from fusefront.harness.training.build import build_model

PARTS = load_parts([])
STUDY: dict[str, Any] = {
    "name": "s",
    "dataset": "d.yaml",
    "baseline": "today",
    "seeds": [5, 3],
    "threads": 2,
    "controls": False,
    "strategies": {
        "today": {"baseline": "late_fusion", "head.dropout": 0.1},
        "new": {"baseline": "early_fusion", "training": {"learning_rate": 0.5}},
        "fixed": {"baseline": "gated_fusion", "operator": "scalar_gate", "tune": False},
    },
    "training": {"epochs": 2, "learning_rate": 0.25},
    "tuning": {"trials": 4, "seed": 6, "lag": 3, "space": {"training.learning_rate": [0.1, 0.2]}},
}


def plan(store: PreparedDataset, **changes: Any) -> StudyPlan:
    return make_plan(check_study({**STUDY, **changes}, "s.yaml"), store, PARTS)


def with_strategies(store: PreparedDataset, more: Mapping[str, Any], **changes: Any) -> StudyPlan:
    return plan(store, strategies={**STUDY["strategies"], **more}, **changes)


def test_a_cell_has_the_strategys_words_over_the_studys(ragged: PreparedDataset) -> None:
    cell = plan(ragged).cell("new", {}, 9)
    spec = cell.spec
    assert (cell.strategy, cell.role, cell.with_test, cell.seed) == ("new", "strategy", True, 9)
    assert (spec.dataset, spec.fingerprint) == ("ragged", ragged.fingerprint)
    assert (spec.baseline, spec.settings, spec.threads, spec.shuffle) == ("early_fusion", {}, 2, ())
    assert (spec.training["epochs"], spec.training["learning_rate"]) == (2, 0.5)
    assert plan(ragged).cell("today", {}, 9).spec.training["learning_rate"] == 0.25


def test_searched_values_go_over_both(ragged: PreparedDataset) -> None:
    params = {"training.learning_rate": 0.125, "token_width": 8}
    spec = plan(ragged).cell("new", params, 0).spec
    assert spec.training["learning_rate"] == 0.125
    assert spec.settings == {"token_width": 8}


def test_code_is_that_of_the_strategys_own_parts(ragged: PreparedDataset) -> None:
    matrix = plan(ragged)
    codes = {name: matrix.cell(name, {}, 0).spec.code for name in matrix.strategies}
    assert len(set(codes.values())) == 3
    assert matrix.cell("new", {}, 7).spec.code == codes["new"]
    gated = matrix.cell("new", {"operator": "scalar_gate"}, 0).spec.code
    assert gated not in codes.values()


@pytest.mark.parametrize("width", [8, 16])
def test_macs_are_counted_without_training(ragged: PreparedDataset, width: int) -> None:
    """From shapes, as they are counted on the model with its numbers."""
    matrix, params = plan(ragged), {"token_width": width}
    schema = schema_of(ragged)
    model = build_model(matrix.cell("new", params, 0).spec, ragged, PARTS)
    assert matrix.macs("new", params) == macs_per_candidate(model, schema.items, schema) > 0


def test_a_trial_has_a_seed_of_its_own_and_never_sees_test(ragged: PreparedDataset) -> None:
    cell = plan(ragged).trial("new", {"token_width": 8})
    assert (cell.seed, cell.role, cell.with_test) == (1_000_009, "trial", False)
    assert cell.spec.settings == {"token_width": 8}


def test_the_matrix_has_every_strategy_at_its_winner_and_every_seed(
    ragged: PreparedDataset,
) -> None:
    cells = plan(ragged).final({"new": {"token_width": 8}, "today": {"token_width": 16}})
    listed = [(cell.strategy, cell.seed, cell.spec.settings.get("token_width")) for cell in cells]
    assert listed == [
        ("today", 5, 16),
        ("today", 3, 16),
        ("new", 5, 8),
        ("new", 3, 8),
        ("fixed", 5, None),
        ("fixed", 3, None),
    ]
    assert all(cell.with_test for cell in cells)


def test_a_shuffled_control_takes_its_twins_winner(ragged: PreparedDataset) -> None:
    twin = {**STUDY["strategies"]["new"], "role": "control", "shuffle": ["text"]}
    other = {**twin, "baseline": "late_fusion"}
    matrix = with_strategies(ragged, {"dealt": twin, "lonely": other})
    assert [matrix.searched_as(name) for name in ("dealt", "lonely", "new")] == [
        "new",
        "lonely",
        "new",
    ]
    assert matrix.searched() == ["today", "new"]
    cells = matrix.final({"new": {"token_width": 8}, "today": {"token_width": 16}})
    widths = {cell.strategy: cell.spec.settings.get("token_width") for cell in cells}
    assert widths == {"today": 16, "new": 8, "fixed": None, "dealt": 8, "lonely": None}
    assert {cell.spec.shuffle for cell in cells if cell.strategy == "dealt"} == {("text",)}


def test_two_names_of_a_strategy_are_two_searches(ragged: PreparedDataset) -> None:
    matrix = with_strategies(ragged, {"again": STUDY["strategies"]["new"]})
    assert matrix.searched() == ["today", "new", "again"]
    assert matrix.searched_as("again") == "again"


def test_a_control_with_random_vectors_takes_its_twins_winner(ragged: PreparedDataset) -> None:
    twin = {**STUDY["strategies"]["new"], "role": "control", "randomize": ["text"]}
    matrix = with_strategies(ragged, {"drawn": twin})
    assert matrix.searched_as("drawn") == "new"
    assert matrix.searched() == ["today", "new"]
    cells = [c for c in matrix.final({"new": {"token_width": 8}}) if c.strategy == "drawn"]
    assert {(c.spec.randomize, c.spec.shuffle) for c in cells} == {(("text",), ())}
    assert {c.spec.settings["token_width"] for c in cells} == {8}


def test_searches_are_those_with_a_place_in_the_budget(
    ragged: PreparedDataset, tmp_path: Path
) -> None:
    searches = plan(ragged).searches(tmp_path)
    assert [search.strategy for search in searches] == ["today", "new"]
    for search in searches:
        assert (search.trials, search.seed, search.lag) == (4, 6, 3)
        assert search.folder == tmp_path / "tuning" / search.strategy
    assert plan(ragged, tuning={"trials": 0}).searched() == []
    assert plan(ragged, tuning={"trials": 1}).searched() == ["today", "new"]


def test_a_space_is_the_studys_the_baselines_and_the_strategys_own(
    ragged: PreparedDataset,
) -> None:
    own = {"head.hidden": [[8], [4]], "id_width": []}
    more = {
        "own": {"baseline": "early_fusion", "space": own, "compressor": "pca", "head.dropout": 0.0},
        "popular": {"baseline": "popularity"},
    }
    matrix = with_strategies(ragged, more)
    space = matrix.space("own")
    choices = PARTS.baselines["early_fusion"].choices
    assert space["training.learning_rate"] == (0.1, 0.2)
    assert space["head.hidden"] == ([8], [4])
    assert space["id_width"] == ()  # kept as it is
    assert space["token_width"] == choices["token_width"]
    assert "head.dropout" not in space  # a person fixed it
    assert "compressor.k" not in space  # and the part that this belongs to
    assert set(matrix.space("new")) == {"training.learning_rate", *choices}
    assert matrix.space("popular") == {}
    usual = plan(ragged, tuning={"trials": 1}).space("new")["training.learning_rate"]
    assert usual == Tuning().space["training.learning_rate"]


def test_the_studys_word_on_a_key_goes_before_the_baselines_choices(
    ragged: PreparedDataset,
) -> None:
    study = {"trials": 1, "space": {"token_width": [24, 40], "head.hidden": [[12]]}}
    strategies = {**STUDY["strategies"], "own": {"baseline": "early_fusion"}}
    strategies["own"]["space"] = {"token_width": [48]}
    matrix = plan(ragged, tuning=study, strategies=strategies)
    assert matrix.space("new")["token_width"] == (24, 40)
    assert matrix.space("new")["head.hidden"] == ([12],)
    assert matrix.space("own")["token_width"] == (48,)
    assert matrix.space("own")["head.hidden"] == ([12],)


def roles(matrix: StudyPlan) -> dict[str, tuple[str, str]]:
    return {name: (body.baseline, body.role) for name, body in matrix.strategies.items()}


def test_controls_stand_beside_the_strategies(ragged: PreparedDataset) -> None:
    strategies = {"today": STUDY["strategies"]["today"]}
    matrix = plan(ragged, strategies=strategies, controls=True)
    others = {"counts", "boosted"}  # of numbers, where the data set counts
    assert {name: role for name, role in roles(matrix).items() if name not in others} == {
        "today": ("late_fusion", "strategy"),
        "popularity": ("popularity", "control"),
        "id_only": ("id_only", "control"),
        "unimodal_text": ("unimodal", "control"),
        "unimodal_image": ("unimodal", "control"),
        "early_fusion": ("early_fusion", "control"),
        "shuffled": ("late_fusion", "control"),
    }
    for name in ("text", "image"):
        assert matrix.strategies[f"unimodal_{name}"].settings == {"modality": name}
    shuffled = matrix.strategies["shuffled"]
    assert shuffled.shuffle == ("text", "image")
    assert shuffled.settings == {"head.dropout": 0.1}  # those of what runs today
    assert list(plan(ragged, strategies=strategies).strategies) == ["today"]


def test_a_study_that_has_a_control_keeps_its_own(ragged: PreparedDataset) -> None:
    more = {
        "popularity": {"baseline": "popularity", "role": "strategy"},
        "squeezed": {"baseline": "compressed_fusion", "token_width": 8},
        "squeezed too": {"baseline": "compressed_fusion"},
    }
    matrix = with_strategies(ragged, more, controls=True)
    assert roles(matrix)["popularity"] == ("popularity", "strategy")
    assert "early_fusion" not in matrix.strategies  # `new` is one
    shuffled = matrix.strategies["shuffled"]  # of the first compressed one
    assert (shuffled.baseline, shuffled.settings) == ("compressed_fusion", {"token_width": 8})


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"baseline": "turnip"}, "strategy 'x': baseline 'turnip' is not known; known: autoint, "),
        ({"baseline": "early_fusion", "tokens": 3}, "strategy 'x': .*unknown setting 'tokens'"),
    ],
)
def test_a_strategy_that_cannot_be_is_named(
    ragged: PreparedDataset, body: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(UsageError, match=f"^{sentence}"):
        with_strategies(ragged, {"x": body})
