"""Every default and refusal of a study file, by tables written out here."""

import math
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from fusefront.harness.errors import UsageError
from fusefront.harness.runs.study import (
    Comparing,
    LatencySpec,
    MoneySpec,
    Range,
    Strategy,
    Study,
    Synthetic,
    Tuning,
    assign,
    check_study,
)

GOOD: dict[str, Any] = {
    "name": "shop",
    "dataset": {"synthetic": "small"},
    "baseline": "late_fusion",
    "strategies": {"late_fusion": {}, "early_fusion": {}},
}


def study(values: dict[str, Any]) -> Study:
    raw = yaml.safe_load(yaml.safe_dump(GOOD))
    for dotted, value in values.items():
        assign(raw, dotted, value)
    return check_study(raw, "study.yaml")


def test_what_is_not_written_has_these_values() -> None:
    assert Synthetic(synthetic="x").model_dump() == {
        "synthetic": "x",
        "seed": 0,
        "train": 8000,
        "valid": 2000,
        "test": 8000,
    }
    assert Tuning().model_dump() == {
        "trials": 0,
        "seconds": None,
        "trial_seconds": None,
        "accept": {},
        "halving": False,
        "seed": 0,
        "lag": 2,
        "sampler": "tpe",
        "objectives": ("auc",),
        "budget_macs": None,
        "slo_ms": None,
        "timed": 0,
        "finalists": 0,
        "space": {
            "training.learning_rate": (0.003, 0.01),
            "training.id_tau": (0.1, 0.3, 1.0, 3.0),
        },
    }
    assert LatencySpec().model_dump() == {
        "candidates": (1, 100, 500),
        "decide_at": 100,
        "rounds": 20,
        "backends": (),
        "at_once": (16,),
        "qps": (),
    }
    assert MoneySpec().model_dump() == {
        "price_per_core_hour": 0.048,
        "requests_per_second": 100.0,
        "value_per_click": 0.01,
        "top_k": 3,
    }
    assert Comparing().model_dump() == {
        "effect": None,
        "two_way": False,
        "temperature": False,
        "paired_seeds": False,
        "metrics": (),
    }
    assert Strategy(baseline="x").model_dump() == {
        "baseline": "x",
        "role": "strategy",
        "shuffle": (),
        "randomize": (),
        "training": {},
        "recipe": None,
        "tune": True,
        "space": {},
    }
    plain = study({})
    assert (plain.controls, plain.seeds, plain.recipe) == (True, (0, 1, 2), "own")
    assert (plain.slo_ms, plain.margin, plain.owner, plain.threads) == (10.0, 0.001, "", 1)
    assert plain.sensitivity == ()
    assert Range(low=1, high=2).log is False


SPACES: dict[str, tuple[Any, str]] = {
    "misspelt": ({"low": 1, "hihg": 2}, "k: unknown key 'hihg'; did you mean 'high'"),
    "no low": ({"high": 2}, "k: a range without 'low'; give low and high"),
    "no high": ({"low": 2}, "k: a range without 'high'; give low and high"),
    "a word": ("wide", "k is 'wide', expected a list of values or {low: ..., high: ...}"),
    "a number": (7, "k is 7, expected a list of values or"),
    "twice": ([{"a": 1, "b": 2}, 3, {"b": 2, "a": 1}], "is listed twice"),
    "endless": ([1.0, math.inf], "expected finite numbers, words or mappings of them"),
}


@pytest.mark.parametrize("case", SPACES)
def test_what_a_search_cannot_draw_from_is_refused_by_its_key(case: str) -> None:
    space, sentence = SPACES[case]
    for key in ("tuning.space", "strategies.early_fusion.space"):
        with pytest.raises(UsageError) as refusal:
            study({key: {"j": [1, 2], "k": space}})
        assert sentence in str(refusal.value)
        with pytest.raises(UsageError, match=key.replace(".", r"\.")):
            study({key: [1, 2]})  # no mapping


def test_an_empty_list_keeps_a_strategys_key_fixed_and_is_refused_for_all() -> None:
    fixed = study({"strategies.early_fusion.space": {"k": [], "j": [4]}})
    assert fixed.strategies["early_fusion"].space == {"k": (), "j": (4,)}
    with pytest.raises(UsageError, match="k: got an empty list, expected values; for"):
        study({"tuning.space": {"k": []}})
    with pytest.raises(ValidationError, match="got an empty list"):
        Tuning(space={"k": ()})
    ends = Range(low=1, high=2)
    assert Tuning(space={"k": ends, "j": (1, 2)}).space == {"k": ends, "j": (1, 2)}
    assert Strategy(baseline="x", space={"k": ends}).space == {"k": ends}


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"trials": 3, "finalists": 2}, ""),
        ({"trials": 3, "finalists": 3}, ""),
        ({"trials": 3, "finalists": 1}, "1 finalists of 3 trials: expected 0, or from 2"),
        ({"trials": 3, "finalists": 4}, "4 finalists of 3 trials: expected 0, or from 2"),
        ({"trial_seconds": 9}, "trial_seconds without trials limits nothing"),
        ({"slo_ms": 9}, "slo_ms without trials limits nothing"),
        ({"trials": 3, "timed": 2}, "timed has no effect without slo_ms or two objectives"),
        ({"trials": 3, "timed": 2, "slo_ms": 5}, ""),
        ({"trials": 3, "timed": 2, "objectives": ["auc", "macs"]}, ""),
        ({"trials": 1, "slo_ms": 9, "seconds": 9, "trial_seconds": 9}, ""),
        ({"objectives": ["auc", "macs"]}, ""),
        ({"objectives": ["macs"]}, "objectives ['macs']: expected [auc], or [auc, macs] for a"),
        ({"objectives": ["macs", "auc"]}, "objectives ['macs', 'auc']: expected [auc], or"),
        (
            {"trials": 3, "finalists": 2, "objectives": ["auc", "macs"]},
            "finalists use the AUC alone; remove them, or the second objective",
        ),
        (
            {"trials": 3, "seconds": 9, "halving": True, "objectives": ["auc", "macs"]},
            "halving uses the AUC alone",
        ),
    ],
)
def test_settings_of_a_search_must_fit_each_other(values: dict[str, Any], sentence: str) -> None:
    words = {f"tuning.{key}": value for key, value in values.items()}
    if not sentence:
        study(words)
        return
    with pytest.raises(UsageError) as refusal:
        study(words)
    assert sentence in str(refusal.value)


def test_controls_are_refused_by_name_and_with_a_reason() -> None:
    assert study({"controls": {"popularity": "no clicks", "unimodal_image": "slow"}}).controlled
    for controls, sentence in (
        ({"popularty": "x"}, "no control is called 'popularty'; did you mean 'popularity'"),
        ({"popularityx": "x"}, "no control is called 'popularityx'"),
        ({"popularity": " "}, "control 'popularity' is left out without a reason; write one"),
    ):
        with pytest.raises(UsageError) as refusal:
            study({"controls": controls})
        assert sentence in str(refusal.value)
    kinds = (
        "popularity",
        "counts",
        "boosted",
        "id_only",
        "unimodal",
        "early_fusion",
        "shuffled",
    )
    assert not study({"controls": dict.fromkeys(kinds, "none here")}).controlled
    assert study({"controls": dict.fromkeys(kinds[1:], "none here")}).controlled
    assert not study({"controls": False}).controlled
    assert study({"controls": {}}).controlled


def test_a_strategys_name_is_that_of_a_folder() -> None:
    with pytest.raises(UsageError, match="strategies is empty; name at least one"):
        study({"strategies": {}})
    for name in (" ", ".x", "x/y"):
        raw = {**GOOD, "strategies": {**GOOD["strategies"], name: {"baseline": "x"}}}
        with pytest.raises(UsageError, match="cannot be a folder name; rename it"):
            check_study(raw, "study.yaml")


def test_an_override_through_a_value_is_refused() -> None:
    raw: dict[str, Any] = {}
    assign(raw, "a.b.c", 1)
    assign(raw, "a.d", 2)
    assert raw == {"a": {"b": {"c": 1}, "d": 2}}
    with pytest.raises(UsageError, match=r"--set a\.d\.e: 'd' holds a value, not a mapping"):
        assign(raw, "a.d.e", 3)
