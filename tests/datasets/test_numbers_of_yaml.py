"""Where a number is expected, `true` is none; where a truth is, it is one."""

import pytest
from pydantic import ValidationError

from fusefront.datasets.counter_spec import Counter
from fusefront.datasets.numbers_of_yaml import Numbers


class Part(Numbers):
    count: int | None = None
    many: tuple[int, ...] = ()
    both: bool | float = 0.0
    truth: bool = False
    word: str = ""


@pytest.mark.parametrize("field", [{"count": True}, {"many": [1, False]}])
def test_a_word_of_truth_is_no_number(field: dict[str, object]) -> None:
    word = "true" if "count" in field else "false"
    with pytest.raises(ValidationError, match=f"got {word}, expected a number"):
        Part.model_validate(field)


def test_what_may_be_a_truth_stays_one() -> None:
    part = Part.model_validate({"count": 3, "both": True, "truth": True, "word": "true"})
    assert (part.count, part.both, part.truth, part.word) == (3, True, True, "true")


def test_counters_are_held_to_it() -> None:
    with pytest.raises(ValidationError, match="got true, expected a number"):
        Counter.model_validate({"of": "user", "last": True})
