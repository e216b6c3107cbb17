"""What a key should have held, in plain words."""

import pytest

from fusefront.datasets.errors import SpecError
from fusefront.datasets.spec import parse_spec
from fusefront.harness.errors import UsageError
from fusefront.harness.runs.study import check_study

STUDY = {"name": "s", "dataset": "d.yaml", "baseline": "id_only", "strategies": {"id_only": {}}}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"seeds": 1}, "s.yaml: seeds: expected a list, such as [a, b] (got 1)"),
        ({"seeds": ["x"]}, "s.yaml: seeds.0: expected a whole number (got 'x')"),
        ({"seeds": [1.5]}, "s.yaml: seeds.0: expected a whole number (got 1.5)"),
        ({"strategies": ["a"]}, "s.yaml: strategies: expected a mapping (key: value) (got ['a'])"),
        ({"training": 3}, "s.yaml: training: expected a mapping (key: value) (got 3)"),
        ({"slo_ms": "fast"}, "s.yaml: slo_ms: expected a number (got 'fast')"),
        ({"slo_ms": 0}, "s.yaml: slo_ms: expected a value greater than 0 (got 0)"),
        ({"owner": 5}, "s.yaml: owner: expected text (got 5)"),
        ({"recipe": "mine"}, "s.yaml: recipe: expected 'common' or 'own' (got 'mine')"),
    ],
)
def test_a_study_says_what_it_expected(changes: dict[str, object], sentence: str) -> None:
    with pytest.raises(UsageError) as refused:
        check_study({**STUDY, **changes}, "s.yaml")
    assert str(refused.value) == sentence


def test_a_data_set_spec_does_so_too() -> None:
    raw = {
        "name": "d",
        "interactions": {"path": "log.csv"},
        "columns": {"user": "u", "item": "i", "label": "y", "timestamp": "t"},
        "history": {"from": "log"},
        "items": {"keys": "log"},
        "split": {"by": "time", "valid": "a fifth", "test": 0.2},
    }
    with pytest.raises(SpecError, match=r"valid': got 'a fifth'; expected a number$"):
        parse_spec(raw, "d.yaml")
