"""Cuts and splits at their edges: exact ranks, counts of users and items, requests over a cut."""

from pathlib import Path

import numpy as np
import pytest

from fusefront.datasets.errors import DataContractError
from fusefront.datasets.preparing import splits
from fusefront.datasets.preparing.splits import (
    TEST,
    TRAIN,
    VALID,
    Cuts,
    assign,
    item_cuts,
    select,
    time_cuts,
    user_cuts,
)
from fusefront.datasets.spec import SplitSpec

ROW = np.dtype([("user", "<u8"), ("time", "<i8"), ("row", "<i8"), ("item", "<i4"), ("split", "u1")])


def spec(by: str, **changes: object) -> SplitSpec:
    return SplitSpec.model_validate({"by": by, "valid": 0.1, "test": 0.2} | changes)


def words(folder: Path, values: np.ndarray) -> Path:
    path = folder / "words"
    path.write_bytes(values.tobytes())
    return path


@pytest.mark.parametrize("block", [7, 1 << 22])
def test_ranks_are_those_of_the_sorted_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(splits, "_BLOCK", block)
    rng = np.random.default_rng(0)
    ends = np.iinfo(np.int64)
    signed = np.concatenate(
        [rng.integers(-5, 5, 40), rng.integers(ends.min, ends.max, 30), [ends.min, ends.max, 0]]
    )
    ranks = list(range(len(signed)))
    ranked = select(words(tmp_path, signed), np.dtype(np.int64), ranks)
    assert ranked == sorted(signed.tolist())
    plain = np.concatenate(
        [rng.integers(0, 3, 20, np.uint64), rng.integers(0, 2**64 - 1, 30, np.uint64)]
    )
    ranked = select(words(tmp_path, plain), np.dtype(np.uint64), list(range(len(plain))))
    assert ranked == sorted(plain.tolist())


def test_a_cut_by_time_stands_at_the_ranks_of_its_shares(tmp_path: Path) -> None:
    times = np.random.default_rng(1).permutation(50) - 20
    cuts = time_cuts(spec("time"), words(tmp_path, times.astype(np.int64)))
    assert (cuts.low, cuts.high) == (15, 20)  # 35 and 40 of 50 are below
    flat = np.array([1] * 20 + [5] * 30, np.int64)
    with pytest.raises(DataContractError, match="fall on the same timestamp 5; use larger"):
        time_cuts(spec("time"), words(tmp_path, flat))


def test_a_cut_by_user_takes_the_smallest_draws_and_needs_one_user_for_train(
    tmp_path: Path,
) -> None:
    draws = np.random.default_rng(2).permutation(20).astype(np.uint64) * np.uint64(3)
    cuts = user_cuts(spec("user"), words(tmp_path, draws))
    assert (cuts.low, cuts.high) == (12, 18)  # four to test, two to valid
    few = user_cuts(spec("user"), words(tmp_path, np.array([7, 5, 6], np.uint64)))
    assert (few.low, few.high) == (6, 7)  # one each
    with pytest.raises(
        DataContractError, match=r"2 users are too few for valid 0\.1 and test 0\.2"
    ):
        user_cuts(spec("user"), words(tmp_path, np.array([5, 6], np.uint64)))


def test_a_cut_by_item_has_disjoint_shares_that_its_seed_decides() -> None:
    classes = item_cuts(spec("item_cold"), 40).item_class
    assert classes is not None
    assert classes[0] == TRAIN
    assert np.bincount(classes[1:]).tolist() == [28, 4, 8]
    other = item_cuts(spec("item_cold", seed=1), 40).item_class
    assert (other != classes).any()
    three = item_cuts(spec("item_cold"), 3).item_class
    assert three is not None
    assert sorted(three[1:].tolist()) == [TRAIN, VALID, TEST]
    # every item is as likely as another to be cold, the first and the last too
    cold = np.zeros(6)
    for seed in range(400):
        drawn = item_cuts(spec("item_cold", seed=seed, test=0.5, valid=0.17), 6).item_class
        assert drawn is not None
        cold += drawn[1:] == TEST
    assert np.abs(cold - 200).max() < 5 * 10


def rows(**columns: list[int]) -> np.ndarray:
    array = np.zeros(len(next(iter(columns.values()))), ROW)
    for name, values in columns.items():
        array[name] = values
    return array


FIRST = np.array([0, 2, 3])  # requests of rows 0 and 1, of row 2, and of rows 3 to 5
NOWHERE = np.zeros(6)


def test_a_request_over_a_cut_by_time_goes_to_the_later_side() -> None:
    cuts = Cuts(spec("time"), 10, 20)
    for times, parts in (
        ([9, 9, 9, 0, 9, 3], [TRAIN, TRAIN, TRAIN]),
        ([9, 10, 19, 3, 20, 1], [VALID, VALID, TEST]),
        ([10, 9, 20, 19, 3, 4], [VALID, TEST, VALID]),
    ):
        assert assign(cuts, rows(time=times), FIRST, NOWHERE).tolist() == parts
        sides = cuts.side(np.array(times), NOWHERE).tolist()
        assert sides == [(time >= 10) + (time >= 20) for time in times]


def test_a_request_over_a_cut_of_the_users_own_time_goes_to_the_later_side() -> None:
    cuts = Cuts(spec("user_time"))
    place = np.array([0.1, 0.7, 0.69, 0.8, 0.1, 0.2])  # the last fifth, before it a tenth
    assert assign(cuts, rows(time=[0] * 6), FIRST, place).tolist() == [VALID, TRAIN, TEST]
    assert cuts.side(np.zeros(6, np.int64), place).tolist() == [0, 1, 0, 2, 0, 0]
    assert not Cuts(spec("user")).side(np.arange(6), place).any()


def test_a_request_with_one_cold_item_goes_with_it() -> None:
    cuts = Cuts(spec("item_cold"), item_class=np.array([0, TRAIN, VALID, TEST], np.uint8))
    records = rows(item=[1, 2, 1, 1, 3, 2])
    assert assign(cuts, records, FIRST, NOWHERE).tolist() == [VALID, TRAIN, TEST]


def test_a_user_goes_by_the_draw_and_a_given_split_by_its_first_row() -> None:
    plain = spec("user")
    users = np.arange(6, dtype=np.uint64)
    draws = Cuts(plain).words(users)
    low, high = sorted(draws.tolist())[2], sorted(draws.tolist())[4]
    cuts = Cuts(plain, low, high)
    parts = assign(cuts, rows(user=users.tolist()), np.arange(6), NOWHERE)
    for draw, part in zip(draws.tolist(), parts.tolist(), strict=True):
        assert part == (TEST if draw < low else VALID if draw < high else TRAIN)
    assert (Cuts(spec("user", seed=5)).words(users) != draws).all()
    records = rows(split=[2, 2, 0, 1, 1, 1])
    assert assign(Cuts(spec("given")), records, FIRST, NOWHERE).tolist() == [TEST, TRAIN, VALID]


def test_a_random_split_goes_by_the_oldest_row_in_its_shares() -> None:
    cuts = Cuts(spec("random"))
    alone = assign(cuts, rows(row=list(range(6000))), np.arange(6000), np.zeros(6000))
    shares = np.bincount(alone) / 6000
    assert np.abs(shares - [0.7, 0.1, 0.2]).max() < 0.02
    mixed = rows(row=[40, 7, 9, 812, 811, 1000])
    assert assign(cuts, mixed, FIRST, NOWHERE).tolist() == alone[[7, 9, 811]].tolist()
    assert len(set(alone[[7, 9, 811, 40, 812, 1000]].tolist())) > 1
    other = assign(
        Cuts(spec("random", seed=1)), rows(row=list(range(6000))), np.arange(6000), np.zeros(6000)
    )
    assert (other != alone).mean() > 0.2
