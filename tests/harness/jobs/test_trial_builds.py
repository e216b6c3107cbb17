"""What a search could meet is refused before anything is trained, in a sentence."""

import copy
from typing import Any, ClassVar

import pytest

from fusefront.baselines.zoo import BASELINES
from fusefront.datasets.store import PreparedDataset
from fusefront.harness.errors import UsageError
from fusefront.harness.jobs import trial_builds
from fusefront.harness.jobs.matrix import StudyPlan, make_plan
from fusefront.harness.jobs.trial_builds import _choices
from fusefront.harness.parts.plugins import load_parts
from fusefront.harness.runs.study import Range, check_study
from fusefront.harness.testing.shapes import FEW, filled

PARTS = load_parts([])
INF, NAN = float("inf"), float("nan")
STUDY: dict[str, Any] = {
    "name": "s",
    "dataset": "d.yaml",
    "baseline": "late",
    "controls": False,
    "strategies": {"late": {"baseline": "late_fusion"}, "deep": {"baseline": "autoint"}},
    "tuning": {"trials": 4, "space": {"training.learning_rate": [0.01, 0.02]}},
}


def laid_over(raw: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(raw.get(key), dict):
            laid_over(raw[key], value)
        else:
            raw[key] = value
    return raw


def plan(store: PreparedDataset, changes: dict[str, Any]) -> StudyPlan:
    raw = laid_over(copy.deepcopy(STUDY), changes)
    return make_plan(check_study(raw, "s.yaml"), store, PARTS)


def of_late(**body: Any) -> dict[str, Any]:
    return {"strategies": {"late": body}}


def searched(**space: Any) -> dict[str, Any]:
    return {"tuning": {"space": {key.replace("__", "."): v for key, v in space.items()}}}


def of_modality(name: str, **shares: float) -> dict[str, Any]:
    return {"modalities": {name: shares}}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (searched(learning_rate=[1, 2]), "'learning_rate'; did you mean 'training.learning_rate'"),
        (searched(training__lr=[1, 2]), "'training.lr'; did you mean 'training.learning_rate'"),
        (searched(token_widht=[8, 16]), "'token_widht'; did you mean 'token_width'"),
        (searched(head__drpout=[0.1, 0.2]), "'head.drpout'; did you mean 'head.dropout'"),
        ({"tuning": {"accept": {"lat": "dear"}}}, "tuning.accept: 'lat' is no .* mean 'late'"),
        ({"tuning": {"accept": {"late": " "}}}, "'late' is accepted without a reason; write one"),
        (
            searched(zebra__k=[1, 2]),
            r"^tuning.space: unknown key 'zebra.k' \(strategy 'late': .*\)$",
        ),
        (searched(qqqqqq__q=[1, 2]), r"^tuning.space: unknown key .qqqqqq.q. "),
        (
            {"strategies": {"count": {"baseline": "popularity", "space": {"a": [1, 2]}}}},
            "^strategy 'count' has a space and is not searched: its baseline is solved, not ",
        ),
        (searched(training__epochs=[1, -1]), "searched with training.epochs = -1: .*epochs"),
        (searched(training__tau={"low": -1.0, "high": 3}), "searched with training.tau = -1.0"),
        (
            {"recipe": "common", **searched(training__l2=[0.1, 0.2])},
            "'training.l2' has no effect with the recipe",
        ),
        (searched(training__patience=[1, 2]), "training.patience = 1: .*'one_cycle'"),
        (searched(token_width=[8, -3]), "'late', searched with token_width = -3"),
        (searched(compressor=["pca", "zipper"]), "compressor = 'zipper': .*unknown compressor"),
        (of_late(space={"zebra": []}), "strategy 'late': space: unknown key 'zebra'"),
        (of_late(spaec={"token_width": [8, 16]}), "unknown key 'spaec'; did you mean 'space'"),
        (of_late(shufle=["text"]), "unknown key 'shufle'; did you mean 'shuffle'"),
        (of_late(shuffle=["txt"]), "shuffle names 'txt', no modality .*did you mean 'text'"),
        (of_late(randomize=["txt"]), "randomize names 'txt', no modality .*did you mean 'text'"),
        (
            of_late(shuffle=["text", "image"], randomize=["image"]),
            "strategy 'late': 'image' is named by shuffle and by randomize, expected one",
        ),
        (of_late(training={"lr": 0.1}), "training key 'lr'; did you mean 'learning_rate'"),
        (of_late(training={"learning_rate": INF}), "training.learning_rate: .*got inf"),
        (of_late(training=of_modality("txt", rate=0.5)), "has no 'txt'; did you mean 'text'"),
        (of_late(training=of_modality("text", rat=0.5)), "training key 'modalities.text.rat'"),
        (of_late(training=of_modality("text", rate=0)), "training.modalities.text.rate: .*got 0"),
        (of_late(tune=False, space={"token_width": [8, 16]}), "has a space and is not searched"),
        (of_late(token_width=10**9), "strategy 'late' cannot be built .*make it smaller"),
        (
            {"strategies": {"deep": {"attention": 10**9}}},
            "strategy 'deep' cannot be built .*smaller",
        ),
        (of_late(baseline="late_fusoin"), "'late_fusoin' is not known; did you mean 'late_fusion'"),
        ({"sensitivity": [{"clip": NAN}]}, "strategy 'late': .*clip"),
    ],
)
def test_a_search_that_would_fail_is_refused(
    ragged: PreparedDataset, changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(UsageError, match=sentence) as refused:
        plan(ragged, changes)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        (searched(training__tau=[]), "tuning.space: training.tau: got an empty list"),
        (searched(training__tau=[2, 2]), "training.tau: 2 is listed twice"),
        (searched(training__tau=[NAN, 2]), "training.tau: got .nan, 2., expected finite"),
        (searched(training__tau=2), "training.tau is 2, expected a list of values or"),
        (searched(training__tau={"low": 1}), "training.tau: a range without 'high'"),
        (searched(training__tau={"low": 1, "hihg": 2}), "'hihg'; did you mean 'high'"),
        (searched(training__tau={"low": NAN, "high": 2}), "training.tau: an end of a range is nan"),
        (searched(training__tau={"low": 1, "high": INF}), "training.tau: an end of a range is inf"),
        ({"tuning": {"trials": 10**9}}, "tuning.trials: .*10000"),
        ({"tuning": {"sede": 1}}, "unknown key 'tuning.sede'; did you mean 'seed'"),
        ({"tuning": {"seed": -1}}, "tuning.seed"),
        ({"margin": INF}, "margin"),
        ({"margin": NAN}, "margin"),
        ({"slo_ms": INF}, "slo_ms"),
        ({"latency": {"candidates": [10**9], "decide_at": 10**9}}, "candidates"),
        ({"latency": {"rounds": 10**9}}, "latency.rounds"),
        ({"seeds": [-5]}, "seed -5 is not between 0 and 2147483647"),
        ({"seeds": [2**31]}, "seed 2147483648"),
        ({"seeds": list(range(1001))}, "got 1001 seeds, expected at most 1000"),
        ({"threads": 10**9}, "threads"),
        ({"money": {"price_per_core_hour": INF}}, "money.price_per_core_hour"),
        ({"comparison": {"effect": INF}}, "comparison.effect"),
        ({"training": {"learning_rate": INF}}, "training.learning_rate"),
        ({"training": {"batch_rows": 10**12}}, "training.batch_rows"),
        ({"training": {"weight_decay": INF}}, "training.weight_decay"),
        ({"dataset": {"synthetic": "tour", "train": 10**12}}, "dataset.train"),
    ],
)
def test_numbers_that_are_none_are_refused(changes: dict[str, Any], where: str) -> None:
    with pytest.raises(UsageError, match=rf"^s\.yaml: .*{where}"):
        check_study(laid_over(copy.deepcopy(STUDY), changes), "s.yaml")


def test_a_key_of_some_models_is_searched_where_it_is_a_setting(ragged: PreparedDataset) -> None:
    matrix = plan(ragged, searched(token_width=[8, 16]))
    assert matrix.space("late")["token_width"] == (8, 16)  # in place of the baseline's own
    assert "token_width" not in matrix.space("deep")
    assert matrix.unsearched == [
        "tuning.space: 'token_width' is no setting of deep, searched without it"
    ]


@pytest.mark.parametrize("head", ["linear", {"name": "linear"}])
def test_what_belongs_to_a_part_that_another_replaces_is_not_searched(
    ragged: PreparedDataset, head: Any
) -> None:
    """The baseline's own choices are those of its own head; of a head of its kind they stay."""
    own = {"baseline": "compressed_fusion"}
    strategies = {"plain": {**own, "head": head}, "own": own, "wide": {**own, "head.dropout": 0.3}}
    matrix = plan(ragged, {"strategies": strategies})
    assert "head.hidden" not in matrix.space("plain")
    assert {"head.hidden", "head.dropout"} <= matrix.space("own").keys()
    assert "head.hidden" in matrix.space("wide")
    assert "head.dropout" not in matrix.space("wide")
    matrix = plan(ragged, {"strategies": strategies, **searched(head__hidden=[[8], [4]])})
    assert matrix.space("own")["head.hidden"] == ([8], [4])
    assert "head.hidden" not in matrix.space("plain")
    assert "tuning.space: 'head.hidden' is no setting of" in matrix.unsearched[0]
    assert "plain" in matrix.unsearched[0]
    bare = {"bare": {**own, "compressor": None}}
    assert not [key for key in plan(ragged, {"strategies": bare}).space("bare") if "compr" in key]


def test_a_key_of_a_part_that_is_left_out_is_not_searched(ragged: PreparedDataset) -> None:
    own = {"baseline": "compressed_fusion"}
    strategies = {"own": own, "bare": {**own, "compressor": None}}
    matrix = plan(ragged, {"strategies": strategies, **searched(compressor__k=[4, 8])})
    assert matrix.space("own")["compressor.k"] == (4, 8)
    assert "compressor.k" not in matrix.space("bare")
    assert matrix.unsearched == [
        "tuning.space: 'compressor.k' is no setting of deep, bare, searched without it"
    ]


def test_a_key_with_one_value_has_it_in_every_run(ragged: PreparedDataset) -> None:
    """Also where no trial ended well: the runs try the defaults, and this is one of them."""
    matrix = plan(ragged, searched(training__tau=[7.0]))

    def taus(winners: dict[str, dict[str, object]]) -> set[object]:
        cells = matrix.final(winners)
        return {cell.spec.training["tau"] for cell in cells if cell.strategy == "late"}

    assert taus({}) == {7.0}
    assert taus({"late": {"training.tau": 2.0}}) == {2.0}
    unsearched = plan(ragged, {"tuning": {"trials": 0, **searched(training__tau=[7.0])["tuning"]}})
    assert unsearched.unsearched == ["tuning.space is not searched: tuning.trials is 0"]


def test_a_part_and_its_setting_are_searched_together(ragged: PreparedDataset) -> None:
    both = {"compressor": ["pca", "none"], "compressor.k": [4, 8]}
    with pytest.raises(UsageError, match=r"compressor = 'none', compressor\.k = 4: .* keeps"):
        plan(ragged, {"strategies": {"late": {"baseline": "late_fusion", "space": both}}})
    fitting = {**both, "compressor": ["pca", "random_projection"]}
    matrix = plan(ragged, {"strategies": {"late": {"baseline": "late_fusion", "space": fitting}}})
    assert matrix.space("late")["compressor.k"] == (4, 8)


def test_a_model_that_is_no_composition_is_built_with_every_value_that_is_searched(
    ragged: PreparedDataset,
) -> None:
    """Its settings alone say nothing against a layer of 10^12 numbers a field."""
    deep = {"deep": {"baseline": "autoint", "space": {"attention": [8, 10**9]}}}
    with pytest.raises(
        UsageError, match=r"^strategy 'deep', searched with attention = 1000000000: .*smaller$"
    ):
        plan(ragged, {"strategies": deep})
    deep["deep"]["space"] = {"attention": {"low": 8, "high": 10**9}}
    with pytest.raises(UsageError, match="searched with attention = 1000000000: "):
        plan(ragged, {"strategies": deep})
    deep["deep"]["space"] = {"attention": {"low": 8, "high": 8}}
    assert plan(ragged, {"strategies": deep}).space("deep")["attention"].low == 8


def test_the_ends_of_a_range_are_tried() -> None:
    space: Any = {
        "head": ("mlp", "linear"),
        "head.dropout": Range(low=0.1, high=0.4),
        "training.tau": Range(low=2, high=2),
        "id_width": (),
    }
    assert list(_choices(space)) == [
        {"head": "mlp"},
        {"head": "linear"},
        {"head": "mlp", "head.dropout": 0.1},
        {"head": "mlp", "head.dropout": 0.4},
        {"head": "linear", "head.dropout": 0.1},
        {"head": "linear", "head.dropout": 0.4},
        {"training.tau": 2},
    ]


class TooDeep(BASELINES["autoint"]):
    """Its own choices hold a width that no machine can build."""

    choices: ClassVar = {"attention": (8, 10**9)}


def test_a_models_own_choices_are_built_only_where_they_are_searched(
    ragged: PreparedDataset,
) -> None:
    """What the user wrote is checked in any case."""
    parts = PARTS._replace(baselines={**PARTS.baselines, "autoint": TooDeep})

    def planned(trials: int, **space: Any) -> StudyPlan:
        raw = laid_over(copy.deepcopy(STUDY), {"tuning": {"trials": trials}})
        raw["strategies"]["deep"]["space"] = space
        return make_plan(check_study(raw, "s.yaml"), ragged, parts)

    assert planned(0).searched() == []
    with pytest.raises(UsageError, match="'deep', searched with attention = 1000000000: "):
        planned(1)
    assert planned(1, attention=[]).searched() == ["late", "deep"]
    with pytest.raises(UsageError, match="searched with attention = 900000000: "):
        planned(0, attention=[900_000_000])


def test_a_control_may_have_the_space_of_its_twin(ragged: PreparedDataset) -> None:
    body = {"baseline": "late_fusion", "space": {"token_width": [8, 16]}}
    strategies = {"late": body, "dealt": {**body, "role": "control", "shuffle": ["text"]}}
    matrix = plan(ragged, {"strategies": strategies})
    assert matrix.searched() == ["late", "deep"]
    assert matrix.searched_as("dealt") == "late"


class Broken(BASELINES["autoint"]):
    """Cannot be built with an attention of 3 or 4."""

    choices: ClassVar = {}

    @classmethod
    def build(cls, schema: Any, items: Any, settings: Any, *rest: Any) -> Any:
        if settings.get("attention") == 3:
            raise RuntimeError("no  room\n" + "x" * 200)
        if settings.get("attention") == 4:
            raise KeyError("attention")
        return super().build(schema, items, settings, *rest)


def test_only_a_lack_of_room_is_a_users_error(
    ragged: PreparedDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any other error of our own code is a fault, and shows where. A composition needs no build:
    its check builds every part."""
    parts = PARTS._replace(baselines={**PARTS.baselines, "autoint": Broken})
    built: list[tuple[str, int]] = []

    def noted(kind: Any, parts: Any, settings: Any, schema: Any) -> Any:
        built.append((kind.name, schema.items))
        return filled(kind, parts, settings, schema)

    monkeypatch.setattr(trial_builds, "filled", noted)

    def planned(attention: int) -> StudyPlan:
        raw = laid_over(copy.deepcopy(STUDY), {"strategies": {"deep": {"attention": attention}}})
        return make_plan(check_study(raw, "s.yaml"), ragged, parts)

    assert planned(8).searched() == ["late", "deep"]
    assert set(built) == {("autoint", FEW)}
    reason = f"no room {'x' * 152}"
    with pytest.raises(
        UsageError, match=rf"^strategy 'deep' cannot be built \({reason}\); make it smaller$"
    ):
        planned(3)
    with pytest.raises(KeyError, match="attention"):
        planned(4)
