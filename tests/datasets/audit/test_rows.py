"""Blocks, samples, scores and shifts of the audit, each against a plain loop or at its bound."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from fusefront.datasets.audit import rows as audit_rows
from fusefront.datasets.audit.rows import (
    blocks,
    fold,
    fold_columns,
    histories,
    mix,
    sample_users,
)
from fusefront.datasets.audit.scores import _far_above, _probability, check_scores, logistic
from fusefront.datasets.audit.shifted import (
    WIDTH,
    ShiftEvidence,
    _likeness,
    _likeness_within,
    _moved,
    projected,
)
from fusefront.datasets.audit.shortcuts import _plain, _score
from fusefront.datasets.manifest import Scaling, StoredHistory

START = 1_600_000_000
WORD = 1 << 64
Plant = Callable[..., Any]


@pytest.fixture
def uneven(planted: Plant, row_type: Any, request_type: Any) -> Any:
    """Requests of 1 to 5 rows and histories of 0 to 4; two of a user and a time are one key."""
    rng = np.random.default_rng(0)

    def part(count: int) -> list[Any]:
        return [
            request_type(
                int(rng.integers(0, 40)),
                [
                    row_type(
                        int(rng.integers(1, 9)), n % 2, START + int(rng.integers(0, 50)), n % 4
                    )
                    for n in range(int(rng.integers(1, 6)))
                ],
                rng.integers(1, 9, int(rng.integers(0, 5))).tolist(),
            )
            for _ in range(count)
        ]

    return {"train": part(200), "valid": part(60), "test": part(70)}


@pytest.mark.parametrize("values", [4, 12, 4_000_000])
def test_blocks_hold_every_request_once_and_no_more_than_their_size(
    planted: Plant, uneven: Any, monkeypatch: pytest.MonkeyPatch, values: int
) -> None:
    monkeypatch.setattr(audit_rows, "BLOCK_VALUES", values)
    store = planted(uneven)
    split = store.split("train")
    place = 0
    for block in blocks(store, "train"):
        assert block.first == place
        place = block.last
        assert block.last - block.first <= max(1, values // 4)  # histories of up to four entries
        owners = [
            r - block.first
            for r in range(block.first, block.last)
            for _ in range(int(split.row_start[r]), int(split.row_start[r + 1]))
        ]
        assert block.owner.tolist() == owners
        edges = split.row_start[[block.first, block.last]].tolist()
        assert [block.rows.start, block.rows.stop] == edges
        assert block.start.tolist() == split.history_start[block.first : block.last].tolist()
        assert block.length.tolist() == split.history_length[block.first : block.last].tolist()
    assert place == 200


@pytest.mark.parametrize("most", [50, 300, 5000])
def test_with_a_bound_blocks_are_spread_evenly(planted: Plant, uneven: Any, most: int) -> None:
    store = planted(uneven)
    rows = len(store.split("train").item)
    used = list(blocks(store, "train", most_rows=most))
    observed = sum(block.rows.stop - block.rows.start for block in used)
    if most >= rows:
        assert observed == rows
        return
    every = -(-rows // most)
    step = 200 // 64
    assert [block.first for block in used] == list(range(0, 200, step * every))
    assert all(block.last - block.first == step for block in used[:-1])
    assert 0.5 * most < observed < 1.5 * most
    whole = list(blocks(store, "train", most_rows=rows))
    assert [(block.first, block.last) for block in whole] == [(0, 200)]


def test_entries_of_histories_know_their_request_and_their_distance() -> None:
    values = np.array([9, 5, 6, 7, 8, 4], np.int32)
    start, length = np.array([1, 0, 4, 2]), np.array([3, 0, 2, 1])
    right = [
        (int(values[s + k]), r, n - 1 - k)
        for r, (s, n) in enumerate(zip(start, length, strict=True))
        for k in range(n)
    ]
    parts = histories(values, start, length)
    assert list(zip(*(part.tolist() for part in parts), strict=True)) == right


def finished(x: int) -> int:
    """SplitMix64's last steps (Steele, Lea and Flood 2014) on Python's whole numbers."""
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 % WORD
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB % WORD
    return x ^ (x >> 31)


def folded(*parts: int) -> int:
    word = 0
    for part in parts:
        word = finished((word * 0x9E3779B97F4A7C15 + 1 + part) % WORD)
    return word


def test_words_of_rows_are_those_of_whole_numbers() -> None:
    words = np.array([0, 1, 7, 2**63, 2**64 - 1], np.uint64)
    assert mix(words).tolist() == [finished(word) for word in words.tolist()]
    two = np.array([3, 3, -1, 0, 5])
    right = [folded(a, b % WORD) for a, b in zip(words.tolist(), two.tolist(), strict=True)]
    assert fold(words, two).tolist() == right
    table = np.array([[1, 2], [2, 1]], np.int32)
    assert fold_columns(table).tolist() == [folded(0, 1, 2), folded(0, 2, 1)]
    floats = np.array([[1.0], [1.0 + 2**-23]], np.float32)
    bits = floats.view(np.int32).ravel().tolist()
    assert fold_columns(floats).tolist() == [folded(0, bit) for bit in bits]
    assert fold_columns(np.zeros((2, 0), np.float32)).tolist() == [folded(0)] * 2


@pytest.mark.parametrize("timed", [True, False])
def test_a_sample_holds_all_rows_of_its_users_and_tells_requests_apart(
    planted: Plant, uneven: Any, timed: bool
) -> None:
    store = planted(uneven, timed=timed)
    whole = sample_users(store)
    total = sum(len(store.split(name).item) for name in uneven)
    assert (whole.share, whole.rows.height, whole.timed) == (1.0, total, timed)
    assert whole.requests.height == 330
    few = sample_users(store, most_rows=total // 3)
    assert few.share == 1 / 4 if total % 3 else 1 / 3
    visited = set(few.rows["user"].to_list())
    every = round(1 / few.share)
    assert visited == {user for user in whole.rows["user"].to_list() if folded(user) % every == 0}
    assert 3 <= len(visited) <= 20
    expected = [row for row in whole.rows.to_dicts() if row["user"] in visited]
    assert few.rows.to_dicts() == expected
    assert set(few.requests["user"].to_list()) == visited
    names = ("train", "valid", "test")
    ids: dict[int, Any] = {}
    for row in whole.requests.to_dicts():
        request = uneven[names[row["split"]]][row["request"]]
        same = (request.user, request.rows[0].time if timed else tuple(request.history))
        assert ids.setdefault(row["key"], same) == same
        assert (row["user"], row["length"]) == (request.user, len(request.history))
        if timed:
            assert row["time"] == request.rows[0].time
    assert len(ids) == len(set(ids.values())) < 330
    lines = iter(whole.rows.to_dicts())
    for code, name in enumerate(names):
        for number, request in enumerate(uneven[name]):
            for row in request.rows:
                line = next(lines)
                assert (line["split"], line["request"], line["user"]) == (
                    code,
                    number,
                    request.user,
                )
                assert (line["item"], line["label"]) == (row.item, row.label)
                if timed:
                    assert line["time"] == row.time
    contexts = {}
    for line, row in zip(
        whole.rows.to_dicts(),
        (row for name in names for request in uneven[name] for row in request.rows),
        strict=True,
    ):
        contexts.setdefault(line["context"], set()).add(row.code)
    assert sorted(len(codes) for codes in contexts.values()) == [1] * 4


def test_requests_are_told_apart_by_time_or_by_a_history_of_their_own(
    planted: Plant, uneven: Any
) -> None:
    bare = {name: [r._replace(history=()) for r in part] for name, part in uneven.items()}
    of_train = StoredHistory(past="train")
    for parts, timed, changes, apart in (
        (uneven, True, {"history": of_train}, True),
        (uneven, False, {}, True),
        (uneven, False, {"history": StoredHistory(past="given")}, True),
        (uneven, False, {"history": of_train}, False),
        (bare, False, {}, False),
    ):
        assert sample_users(planted(parts, timed=timed, **changes)).told_apart == apart


# scores


def graded(predicted: np.ndarray, observed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Twenty groups of 1,000 rows with exactly these predictions and rates."""
    clicks = np.rint(1000 * observed).astype(int)
    label = np.concatenate([np.arange(1000) < k for k in clicks]).astype(np.uint8)
    return np.repeat(predicted, 1000), label


RATES = np.linspace(0.11, 0.68, 20)


@pytest.mark.parametrize(
    ("predicted", "observed", "kind"),
    [
        (RATES, RATES, "a probability"),
        (RATES + 0.029, RATES, "a probability"),
        (RATES + 0.031, RATES, None),
        (np.log(RATES / (1 - RATES)), RATES, "a logit"),
        (0.45 + 0.005 * np.arange(20), 0.45 + 0.005 * np.arange(20), None),  # spans 0.095
        (0.45 + 0.0053 * np.arange(20), np.rint(450 + 5.3 * np.arange(20)) / 1000, "a probability"),
        (0.5 + 0.006 * np.arange(-10, 10), 0.5 + 0.0078 * np.arange(-10, 10), "a probability"),
        (0.5 + 0.006 * np.arange(-10, 10), 0.5 + 0.0083 * np.arange(-10, 10), None),  # slope 1.38
        (0.5 + 0.01 * np.arange(-10, 10), 0.5 + 0.0077 * np.arange(-10, 10), "a probability"),
        (0.5 + 0.01 * np.arange(-10, 10), 0.5 + 0.0072 * np.arange(-10, 10), None),
        (1.5 + RATES, RATES, None),
    ],
)
def test_a_score_is_as_near_as_its_rates(
    predicted: np.ndarray, observed: np.ndarray, kind: str | None
) -> None:
    finding = _probability("candidate.n", *graded(predicted, observed), 0.7)
    if kind is None:
        assert finding is None
        return
    assert finding is not None
    assert f"candidate.n looks like {kind} of the label" in finding.title
    assert (finding.name, finding.severity) == ("score.candidate.n", "warning")
    assert finding.numbers["auc"] == 0.7
    ends = predicted if kind == "a probability" else 1 / (1 + np.exp(-predicted))
    assert finding.numbers["calibration_error"] == pytest.approx(
        np.abs(ends - np.rint(1000 * observed) / 1000).mean(), abs=1e-9
    )


@pytest.mark.parametrize(
    ("others", "shape", "observed"),
    [(0.6, "smooth", True), (0.601, "smooth", False), (0.5, "odd", False), (0.5, "bounded", True)],
)
def test_a_column_far_above_the_others_is_smooth_or_bounded(
    others: float, shape: str, observed: bool
) -> None:
    score, label = graded(3 * np.log(RATES / (1 - RATES)), RATES)
    if shape == "odd":  # clicks at both ends
        score, label = graded(np.arange(20.0), np.where(np.arange(20) % 10 < 5, 0.1, 0.9))
    if shape == "bounded":
        score, label = graded(np.arange(20.0) / 19, np.where(np.arange(20) % 10 < 5, 0.1, 0.9))
    finding = _far_above("item.n", score, label, 0.7, others)
    assert (finding is not None) == observed
    if finding is not None:
        assert finding.numbers == {"auc": 0.7, "others": others}


def of_numbers(planted: Plant, row_type: Any, request_type: Any, levels: int, wide: float) -> Any:
    """Rows of `levels` values, 40 each, clicked the more often the larger: .5 - wide to
    .5 + wide."""
    clicks = [round(40 * rate) for rate in np.linspace(0.5 - wide, 0.5 + wide, levels)]
    rows = [
        request_type(
            k, [row_type(1 + k % 3, (k + 1) * n // 40 - k * n // 40, START, 0, 3.0 * level)]
        )
        for level, n in enumerate(clicks)
        for k in range(40)
    ]
    return planted({"train": rows, "valid": rows[::7], "test": rows[::9]})


@pytest.mark.parametrize(
    ("levels", "wide", "observed"),
    [(49, 0.3, False), (50, 0.3, True), (60, 0.235, True), (60, 0.21, False)],
)
def test_a_score_has_fifty_values_and_an_auc_of_65(
    planted: Plant, row_type: Any, request_type: Any, levels: int, wide: float, observed: bool
) -> None:
    store = of_numbers(planted, row_type, request_type, levels, wide)
    split = store.split("train")
    auc = roc_auc_score(split.label, split.candidate_numbers[:, 0])
    if levels == 60:
        assert auc == pytest.approx(0.66 if observed else 0.64, abs=0.01)
    findings = check_scores(store, None)  # type: ignore[arg-type]
    assert [finding.name for finding in findings] == (["score.candidate.n"] if observed else [])
    for finding in findings:
        assert finding.numbers["auc"] == pytest.approx(auc)
        assert float(str(finding.numbers["others"])) < 0.56


def test_the_rates_of_two_values_are_the_fitted_ones() -> None:
    """Symmetric: the intercept is right from the start, the slope is not."""
    score = np.repeat([1.0, -1.0], 10)
    label = np.r_[np.arange(10) < 8, np.arange(10) < 2].astype(np.uint8)
    np.testing.assert_allclose(logistic(score, label), np.repeat([0.8, 0.2], 10), atol=1e-9)


@pytest.mark.parametrize("scaling", [None, Scaling(mean=0.4, deviation=0.2)])
def test_a_score_is_read_in_its_own_units(
    planted: Plant, row_type: Any, request_type: Any, scaling: Scaling | None
) -> None:
    """Rates that are the number itself, stored as it is or as prepare scaled it."""
    rates = np.linspace(0.1, 0.8, 60)
    mean, deviation = (scaling.mean, scaling.deviation) if scaling else (0.0, 1.0)
    rows = [
        request_type(
            k, [row_type(1 + k % 3, int(k % 40 < round(40 * p)), START, 0, (p - mean) / deviation)]
        )
        for p in rates
        for k in range(40)
    ]
    changes = {"numbers": {"candidate.n": scaling}} if scaling else {}
    store = planted({"train": rows, "valid": rows[::7], "test": rows[::9]}, **changes)
    (finding,) = check_scores(store, None)  # type: ignore[arg-type]
    assert "candidate.n looks like a probability of the label" in finding.title
    off = np.abs(np.rint(40 * rates) / 40 - rates)
    assert float(str(finding.numbers["calibration_error"])) < off.max()


# shifts


@pytest.mark.parametrize(
    ("own", "shifted", "better", "strong"),
    [
        (3.0, 6.0, 5.0, True),
        (3.1, 6.0, 5.0, False),
        (0.0, 5.9, 5.0, False),
        (0.0, 6.0, 4.9, False),
        (-1.0, 9.0, 9.0, True),
    ],
)
def test_a_shift_is_strong_where_nothing_else_explains_it(
    own: float, shifted: float, better: float, strong: bool
) -> None:
    assert ShiftEvidence("clicks", 1, own, shifted, better).strong == strong


@pytest.mark.parametrize(("shift", "right"), [(1, [0, 2, 3, 4, 0]), (-1, [0, 0, 1, 2, 3])])
def test_items_take_the_vector_of_their_neighbour(shift: int, right: list[int]) -> None:
    own = np.arange(5, dtype=np.float32)[:, None]  # row 0 is no item
    assert _moved(own, shift)[:, 0].tolist() == right
    assert own[:, 0].tolist() == [0, 1, 2, 3, 4]


def test_likeness_is_a_dot_product_with_the_mean_of_the_others(
    planted: Plant, row_type: Any, request_type: Any
) -> None:
    """Of the newest twenty entries, without the candidate, less the mean of all entries."""
    rng = np.random.default_rng(2)
    table = np.concatenate([np.zeros((1, WIDTH)), rng.standard_normal((9, WIDTH))])
    requests = [
        request_type(k, [row_type(1 + (k + n) % 9) for n in range(3)], past)
        for k, past in enumerate(
            [[], [4], [3, 3, 4], [5, 5], *(rng.integers(1, 10, n).tolist() for n in (6, 20, 27))]
        )
    ]
    store = planted({"train": requests, "valid": requests, "test": requests})
    (block,) = blocks(store, "train")
    item = np.array([row.item for request in requests for row in request.rows])
    likeness = _likeness(store, block, item, table.astype(np.float32))
    newest = [list(request.history)[-20:] for request in requests]
    middle = np.mean([table[i] for past in newest for i in past], axis=0)
    expected = []
    for request, past in zip(requests, newest, strict=True):
        for row in request.rows:
            others = [table[i] for i in past if i != row.item]
            expected.append((np.mean(others, axis=0) - middle) @ table[row.item] if others else 0.0)
    np.testing.assert_allclose(likeness, expected, atol=1e-5)


def test_likeness_within_a_category_leaves_out_who_has_no_vector() -> None:
    """A vector with a zero among its numbers is one all the same."""
    table = np.array([[0, 0], [1, 2], [0, 3], [0, 0], [2, 0], [5, 1], [4, 4]], np.float32)
    code = np.array([0, 1, 1, 1, 1, 2, 0])
    alike = {1: (2, 4), 2: (1, 4), 4: (1, 2)}
    expected = [
        float(np.mean([table[j] for j in alike[i]], axis=0) @ table[i]) if i in alike else 0.0
        for i in range(7)
    ]
    assert _likeness_within(code, table) == pytest.approx(expected)
    assert _likeness_within(code * 0, table).tolist() == [0.0] * 7


def test_projected_vectors_are_centred_and_of_one_length(
    planted: Plant, row_type: Any, request_type: Any
) -> None:
    rng = np.random.default_rng(3)
    vectors = 3.0 + rng.standard_normal((40, 5)) * np.arange(1, 41)[:, None]
    requests = [request_type(0, [row_type(1)])]
    parts = {"train": requests, "valid": requests, "test": requests}
    rows = np.delete(np.arange(1, 41), 7)
    table = projected(planted(parts, vectors=vectors), "text", rows)
    centred = vectors[rows - 1] - vectors[rows - 1].mean(0)
    unit = centred / np.sqrt((centred**2).sum(1))[:, None]
    drawn = np.random.Generator(np.random.PCG64(1)).standard_normal((5, WIDTH))
    np.testing.assert_allclose(table[rows], unit @ drawn / np.sqrt(WIDTH), atol=1e-5)
    assert not table[[0, 8]].any()


# features


def test_every_store_has_place_length_item_and_presence(planted: Plant, uneven: Any) -> None:
    many = uneven | {"train": [r._replace(rows=list(r.rows) * 20) for r in uneven["train"]]}
    store = planted(many, present=np.array([True] * 5 + [False] * 3))
    features = {feature.name: feature for feature in _plain(store)}
    assert list(features) == [
        "item click rate",
        "place of the row in its request",
        "history length",
        "presence of modalities",
    ]
    (block,) = blocks(store, "train")
    codes = {name: feature.codes(block).tolist() for name, feature in features.items()}
    lines = [(request, n) for request in many["train"] for n in range(len(request.rows))]
    assert codes["item click rate"] == [request.rows[n].item for request, n in lines]
    assert codes["place of the row in its request"] == [min(n, 63) for _, n in lines]
    assert codes["history length"] == [len(request.history) for request, _ in lines]
    assert codes["presence of modalities"] == [int(r.rows[n].item <= 5) for r, n in lines]
    sizes = [features[name].size for name in features]
    assert sizes == [store.manifest.schema_.items + 1, 64, 5, 2]


def test_several_codes_score_their_mean_and_none_scores_as_none() -> None:
    rate = np.array([0.5, 0.1, 0.4, 0.9])
    codes = np.array([[1, 2, 0], [3, 0, 0], [0, 0, 0], [1, 2, 3]])
    assert _score(rate, codes) == pytest.approx([0.25, 0.9, 0.5, 1.4 / 3])
    assert _score(rate, np.array([3, 0])).tolist() == [0.9, 0.5]
