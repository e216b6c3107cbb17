"""What a study means where it says nothing, and which values lie at and beyond each limit."""

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from fusefront.harness.errors import UsageError
from fusefront.harness.runs.recipe import EVERYWHERE, Training, spelled
from fusefront.harness.runs.study import Range, Study, check_study

PAGE = Path(__file__).parents[3] / "docs" / "training.md"
STUDY = {
    "name": "s",
    "dataset": "d.yaml",
    "baseline": "a",
    "strategies": {"a": {"baseline": "early_fusion"}},
}
BY_ROWS = "a 200th of the rows of train, to a power of two from 256 to 8192"
TINY, HUGE = 1e-9, 1e9


def table_of_the_page() -> dict[str, object]:
    """Key -> default, from the first table of docs/training.md."""
    text = PAGE.read_text("utf-8")
    text = text[text.index("| key | default |") :].split("\n\n")[0]
    rows = re.findall(r"^\| (`.*?) \| (.*?) ?\| .* \|$", text, re.MULTILINE)
    defaults: dict[str, object] = {}
    for keys, cell in rows:
        names = re.findall(r"`(\w+)`", keys)
        values = [cell] if cell == BY_ROWS else cell.split(", ")
        for name, value in zip(names, values * (len(names) // len(values)), strict=True):
            defaults[name] = value.strip("`")
    return defaults


def test_a_recipe_without_a_word_is_the_one_of_the_page() -> None:
    defaults = table_of_the_page()
    recipe = dict(Training())
    assert defaults.keys() | {"anneal"} == recipe.keys()
    assert recipe.pop("anneal") == 0.1  # in the text of its row
    for key, value in recipe.items():
        text = defaults[key]
        if value is None or value == {}:
            assert text in ("", BY_ROWS), key
        elif isinstance(value, bool):
            assert text == str(value).lower(), key
        elif isinstance(value, str):
            assert text == value
        else:
            assert float(str(text)) == value, key
    sizes = [Training().resolved(rows).batch_rows for rows in (1, 200 * 256, 200 * 2048, 10**9)]
    assert sizes == [256, 256, 2048, 8192]
    everywhere = ("epochs", "max_candidates", "clip", "precision", "device", "deterministic")
    assert everywhere == EVERYWHERE


def test_a_study_without_a_word_is_measured_and_judged_as_the_pages_say() -> None:
    study = check_study(STUDY, "s.yaml")
    assert study.latency.model_dump() == {
        "candidates": (1, 100, 500),
        "decide_at": 100,
        "rounds": 20,
        "backends": (),
        "at_once": (16,),
        "qps": (),
    }
    assert study.money.model_dump() == {
        "price_per_core_hour": 0.048,
        "requests_per_second": 100.0,
        "value_per_click": 0.01,
        "top_k": 3,
    }
    assert study.comparison.model_dump() == {
        "effect": None,
        "two_way": False,
        "temperature": False,
        "paired_seeds": False,
        "metrics": (),
    }
    assert (study.seeds, study.slo_ms, study.margin) == ((0, 1, 2), 10.0, 0.001)
    assert (study.owner, study.threads, study.controls) == ("", 1, True)
    assert (study.recipe, study.sensitivity) == ("own", ())
    assert (study.tuning.trials, study.tuning.seed, study.tuning.lag) == (0, 0, 2)
    (strategy,) = study.strategies.values()
    assert strategy.model_dump() == {
        "baseline": "early_fusion",
        "role": "strategy",
        "shuffle": (),
        "randomize": (),
        "training": {},
        "recipe": None,
        "tune": True,
        "space": {},
    }
    world = check_study({**STUDY, "dataset": {"synthetic": "tour"}}, "s.yaml").dataset
    assert not isinstance(world, str)
    assert world.model_dump() == {
        "synthetic": "tour",
        "seed": 0,
        "train": 8000,
        "valid": 2000,
        "test": 8000,
    }


OF_A_RECIPE: list[tuple[str, tuple[float, ...], tuple[float, ...]]] = [
    ("epochs", (1, 1000), (0, 1001)),
    ("batch_rows", (2,), (1,)),
    ("learning_rate", (TINY, 1000), (0, 1000.1)),
    ("tau", (TINY, HUGE), (0,)),
    ("id_tau", (TINY, HUGE), (0,)),
    ("weight_decay", (0, HUGE), (-TINY,)),
    ("id_weight_decay", (0, HUGE), (-TINY,)),
    ("warmup", (0, 0.999), (-TINY, 1)),
    ("anneal", (TINY, 0.999), (0, 1)),
    ("average", (TINY,), (0,)),
    ("max_candidates", (1,), (0,)),
    ("clip", (TINY, HUGE), (0,)),
]


@pytest.mark.parametrize(("key", "inside", "outside"), OF_A_RECIPE)
def test_a_recipe_takes_what_lies_at_a_limit_and_refuses_what_lies_beyond(
    key: str, inside: tuple[float, ...], outside: tuple[float, ...]
) -> None:
    for value in inside:
        assert getattr(Training.model_validate({key: value}), key) == value
    for value in outside:
        with pytest.raises(ValidationError, match=key):
            Training.model_validate({key: value})


def test_limits_that_another_optimiser_or_schedule_has() -> None:
    for key in ("l2", "l2_embedding"):
        assert getattr(Training.model_validate({"optimizer": "adam", key: 0}), key) == 0
        with pytest.raises(ValidationError, match="greater than or equal to 0"):
            Training.model_validate({"optimizer": "adam", key: -TINY})
    assert Training(schedule="constant", patience=1).patience == 1
    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        Training(schedule="constant", patience=0)


OF_A_STUDY: list[tuple[str, tuple[float, ...], tuple[float, ...]]] = [
    ("dataset.train", (1,), (0,)),
    ("dataset.valid", (1,), (0,)),
    ("dataset.test", (1,), (0,)),
    ("tuning.trials", (0, 1), (-1,)),
    ("tuning.lag", (1, 8), (0, 9)),
    ("latency.rounds", (3,), (2,)),
    ("money.price_per_core_hour", (TINY,), (0,)),
    ("money.requests_per_second", (TINY,), (0,)),
    ("money.value_per_click", (0,), (-TINY,)),
    ("money.top_k", (1,), (0,)),
    ("slo_ms", (TINY,), (0,)),
    ("margin", (TINY,), (0,)),
    ("comparison.effect", (TINY,), (0,)),
    ("threads", (1,), (0,)),
]


@pytest.mark.parametrize(("dotted", "inside", "outside"), OF_A_STUDY)
def test_a_study_takes_what_lies_at_a_limit_and_refuses_what_lies_beyond(
    dotted: str, inside: tuple[float, ...], outside: tuple[float, ...]
) -> None:
    def studied(value: float) -> Study:
        *parent, key = dotted.split(".")
        raw: dict[str, Any] = {**STUDY}
        body = {"synthetic": "tour"} if parent == ["dataset"] else {}
        raw |= {parent[0]: {**body, key: value}} if parent else {key: value}
        return check_study(raw, "s.yaml")

    for value in inside:
        at: Any = studied(value)
        for part in dotted.split("."):
            at = getattr(at, part)
        assert at == value
    for value in outside:
        with pytest.raises(UsageError, match=r"greater than|less than"):
            studied(value)


def test_a_range_by_its_logarithm_begins_anywhere_above_0() -> None:
    assert Range(low=TINY, high=0.5, log=True).low == TINY
    assert Range(low=-1, high=-1).high == -1
    for low, high, log in ((0, 1, True), (-1, 1, True), (2, 1, False), (2, 1, True)):
        with pytest.raises(ValidationError, match="is empty, or log with an end of 0 or less"):
            Range(low=low, high=high, log=log)


def test_a_recipe_to_try_is_spelled_as_its_keys_are_written() -> None:
    assert spelled("own") == "own"
    assert spelled({"learning_rate": 0.003, "tau": None}) == "learning_rate 0.003, tau none"
