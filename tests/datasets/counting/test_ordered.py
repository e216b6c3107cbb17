"""Records in order on disk, against NumPy's stable sort of all at once."""

import numpy as np
import pytest

from fusefront.datasets.counting.ordered import OrderedRecords

DTYPE = np.dtype([("time", "<i8"), ("source", "<i8"), ("place", "<i8"), ("label", "u1")])
SIZES = {"one": [1], "less than a block": [5], "blocks": [40, 40, 40], "odd": [1, 0, 97, 250, 3]}


def records(sizes: list[int], values: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    out = np.zeros(sum(sizes), DTYPE)
    out["time"] = rng.integers(-values, values, len(out))
    out["source"] = rng.integers(0, values, len(out))
    out["place"] = np.arange(len(out))
    return out


@pytest.mark.parametrize("by", [["time"], ["time", "source"]])
@pytest.mark.parametrize("block", [11, 40, 3000])
@pytest.mark.parametrize("values", [1, 3, 10**9])
@pytest.mark.parametrize("sizes", SIZES)
def test_slices_are_all_records_in_a_stable_order(tmp_path, by, block, values, sizes) -> None:
    whole = records(SIZES[sizes], values)
    ordered = OrderedRecords(tmp_path / "records", DTYPE, by, block)
    for part in np.split(whole, np.cumsum(SIZES[sizes])[:-1]):
        ordered.add(part)
    assert len(ordered) == len(whole)
    expected = whole[np.lexsort([whole[name] for name in reversed(by)])]
    for _ in range(2):  # as often as wanted
        slices = list(ordered)
        np.testing.assert_array_equal(np.concatenate(slices), expected)
        assert max(map(len, slices)) <= block


@pytest.mark.parametrize("block", [9, 64, 5000])
def test_a_file_is_put_in_order_in_its_place(tmp_path, block) -> None:
    whole, path = records([391], 5), tmp_path / "records"
    whole.tofile(path)
    ordered = OrderedRecords(path, DTYPE, ["time"], block)
    ordered.sort_file()
    assert path.stat().st_size == whole.nbytes
    slices = list(ordered)
    np.testing.assert_array_equal(
        np.concatenate(slices), whole[np.argsort(whole["time"], kind="stable")]
    )
    assert max(map(len, slices)) <= block


@pytest.mark.parametrize("values", [1, 50, 10**6])
def test_marks_far_apart_bound_the_slices_as_well(tmp_path, values) -> None:
    """Blocks of 4,096 records are marked at every fourth."""
    whole = records([30_000], values, seed=1)
    ordered = OrderedRecords(tmp_path / "records", DTYPE, ["time", "source"], 4096)
    ordered.add(whole)
    assert ordered.stride == 4
    slices = list(ordered)
    order = np.lexsort([whole["source"], whole["time"]])
    np.testing.assert_array_equal(np.concatenate(slices), whole[order])
    assert max(map(len, slices)) <= 4096
    assert len(slices) < 2.5 * 30_000 / 4096


def test_nothing_is_no_slice(tmp_path) -> None:
    ordered = OrderedRecords(tmp_path / "records", DTYPE, ["time"], 7)
    ordered.add(np.zeros(0, DTYPE))
    assert list(ordered) == []
