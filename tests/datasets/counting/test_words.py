"""What is said of each number of a counter, word by word."""

from typing import Any

import pytest

from fusefront.datasets.counter_spec import Counter
from fusefront.datasets.counting.words import sentences

USER = "rows of the same user strictly before the row's time"
TRAIN = "0.123457, the rate of train"

CASES: list[tuple[dict[str, Any], str, str]] = [  # counter, its rows, what the rate is shrunk to
    ({"of": "user"}, USER, TRAIN),
    ({"of": "item", "frozen": "train"}, USER.replace("user", "item") + ", of train only", TRAIN),
    (
        {"of": "user", "last": 5},
        f"{USER}, the newest 5",
        f"the same rate over the whole past, shrunk likewise to {TRAIN}",
    ),
    (
        {"of": "user", "window": "7d"},
        f"{USER}, at most 7d before",
        f"the same rate over the whole past, shrunk likewise to {TRAIN}",
    ),
    (
        {"of": "user", "decay": "3d", "lag": "2h"},
        f"{USER} less 2h, each worth half for every 3d",
        f"the same rate over the whole past, shrunk likewise to {TRAIN}",
    ),
    (
        {"of": ["request.device", "item.genres"]},
        USER.replace("user", "device and genres"),
        f"the rate of the device, shrunk likewise to {TRAIN}",
    ),
    (
        {"of": ["user", "item.genres"], "last": 3},
        USER.replace("user", "user and genres") + ", the newest 3",
        "the same rate over the whole past, shrunk likewise to the rate of the user, shrunk "
        f"likewise to {TRAIN}",
    ),
]


@pytest.mark.parametrize(("words", "past", "coarser"), CASES)
def test_a_count_and_a_rate_are_spelling_they_are_computed(
    words: dict[str, Any], past: str, coarser: str
) -> None:
    counter = Counter(**words, prior=2.5)
    n, rate = counter.names(drawn=False)
    assert sentences(counter, 0.12345678, drawn=False) == {
        n: f"log(1 + n), n = {past}",
        rate: f"log-odds of (p + 2.5 q) / (n + 2.5), p = positives among n = {past}; q = {coarser}",
    }
    positives = past.replace("rows of", "positives of")
    only = {n: f"log(1 + n), n = {positives}"}  # drawn rows are no exposures
    assert sentences(counter, 0.12345678, drawn=True) == only


@pytest.mark.parametrize(("item_prior", "spelling"), [(None, "10"), (4.0, "4")])
def test_a_residual_names_both_priors(item_prior: float | None, spelling: str) -> None:
    counter = Counter(residual="user", item_prior=item_prior, prior=5)
    assert sentences(counter, 0.25, drawn=False) == {
        "user_residual": f"sum of (label - q) / (n + 5) over {USER}; q = (p + {spelling} x 0.25) / "
        f"(n + {spelling}) of the past row's item at that row's own time"
    }
