"""Counters in a store equal a plain loop over all rows, whatever the kind."""

import math
import re
from typing import Any

import numpy as np
import pytest

from fusefront.datasets.counter_spec import Counter
from fusefront.datasets.counting import count, spread
from fusefront.datasets.errors import SpecError
from fusefront.datasets.prepare import prepare
from fusefront.datasets.preparing import budget

KINDS: list[dict[str, Any]] = [
    {"of": "user"},
    {"of": "item", "prior": 20},
    {"of": "item", "frozen": "train"},
    {"of": ["user", "item.genres"], "prior": 5},
    {"of": ["user", "item.brand"]},
    {"of": ["item", "request.device"], "window": "7d", "prior": 20, "lag": "1h"},
    {"of": ["item.genres", "candidate.shelf"]},
    {"of": "request.device"},
    {"of": "user", "last": 5},
    {"of": ["user", "item.genres"], "last": 3, "lag": "2h", "name": "late"},
    {"of": "user", "decay": "3d"},
    {"of": "item", "decay": "12h", "lag": "1d", "name": "faded"},
    {"of": "user", "window": "5d"},
    {"residual": "user"},
    {"residual": ["user", "item.genres"], "prior": 5, "item_prior": 20},
    {"residual": "user", "lag": "1d", "name": "late_user"},
    {"residual": "user", "decay": "3d"},
    {"residual": "user", "last": 4},
]
STEADY = [kind for kind in KINDS if "decay" not in kind]


def numbers(rows, world, loop, kind):  # type: ignore[no-untyped-def]
    """(what the store has, what the loop counts) of a counter, [rows, numbers]."""
    counter = Counter(**kind)
    names = counter.names(drawn=False)
    oracle = loop(world, {row.row: row.split for row in rows})
    actual = [[(row.of_request | row.of_candidate)[name] for name in names] for row in rows]
    return np.array(actual), np.array([oracle.numbers(row.row, counter) for row in rows])


def in_slices(patch: pytest.MonkeyPatch) -> None:
    """Every key as one part that is summed in slices of 97 rows: keys, times and lags cross
    them."""
    patch.setattr(budget.Budget, "part", lambda *_: 97)
    patch.setattr(spread, "_MOST_BITS", 0)
    small_blocks(patch)


def in_parts(patch: pytest.MonkeyPatch) -> None:
    """Many parts, the larger keys of which are summed in slices."""
    patch.setattr(budget.Budget, "part", lambda *_: 29)
    small_blocks(patch)


def small_blocks(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(count, "BLOCK", 53)
    patch.setattr(spread, "BLOCK", 71)


WAYS = {"at once": lambda patch: None, "parts": in_parts, "slices": in_slices}


@pytest.fixture(scope="module", params=WAYS)
def stored(request, world, tmp_path_factory):  # type: ignore[no-untyped-def]
    """The store of all kinds, counted in each of the ways."""
    world.write()
    with pytest.MonkeyPatch.context() as patch:
        WAYS[request.param](patch)
        return prepare(world.spec(KINDS), world.folder, tmp_path_factory.mktemp("stores"))


@pytest.fixture(scope="module")
def rows(stored, readback):
    return readback(stored).rows


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: Counter(**kind).label)
def test_a_counter_is_what_a_plain_loop_counts(world, loop, rows, kind) -> None:
    actual, expected = numbers(rows, world, loop, kind)
    assert len(actual) == 1000
    np.testing.assert_allclose(actual, expected, rtol=0, atol=3e-6)


@pytest.mark.parametrize("way", [in_parts, in_slices])
def test_however_a_store_is_counted_its_bytes_are_the_same(
    world, monkeypatch, tmp_path, way
) -> None:
    """But for what fades: its fractions are added in another order there."""
    whole = world.store(STEADY)
    way(monkeypatch)
    apart = prepare(world.spec(STEADY), world.folder, tmp_path)
    assert apart.manifest.files == whole.manifest.files


def test_keys_apart_in_many_parts_give_the_same_bytes_whatever_fades(
    world, monkeypatch, tmp_path
) -> None:
    whole = world.store(KINDS)
    monkeypatch.setattr(budget.Budget, "part", lambda *_: 97)
    monkeypatch.setattr(count, "_LARGE", 1000)
    small_blocks(monkeypatch)
    apart = prepare(world.spec(KINDS), world.folder, tmp_path)
    assert apart.manifest.files == whole.manifest.files


def test_large_keys_are_summed_in_slices_and_others_are_not(world, monkeypatch, tmp_path) -> None:
    """A field of three values has over 200 rows of each, a pair of user and shelf about 10."""
    sliced = []
    monkeypatch.setattr(budget.Budget, "part", lambda *_: 97)
    of = count.gather_sliced
    monkeypatch.setattr(
        count, "gather_sliced", lambda group, *rest: (sliced.append(group.key), of(group, *rest))
    )
    kinds = [{"of": "request.device"}, {"of": ["user", "candidate.shelf"]}]
    world.write()
    prepare(world.spec(kinds), world.folder, tmp_path)
    assert set(sliced) == {("request.device",)}
    assert len(sliced) == 3


def test_several_files_count_as_one(world, readback, tmp_path) -> None:
    single = world.store(KINDS)
    cuts = [0, 130, 131, 600, 1000]
    names = [f"part{k}.parquet" for k in range(4)]
    for name, begin, end in zip(names, cuts, cuts[1:], strict=False):
        world.write(name, world.rows[begin:end])
    spec = world.spec(KINDS, interactions={"path": names})
    several = prepare(spec, world.folder, tmp_path)
    assert [row[-4:] for row in readback(several).rows] == [
        row[-4:] for row in readback(single).rows
    ]


@pytest.mark.parametrize("by", ["user", "user_time", "item_cold"])
def test_rows_of_every_split_see_all_that_came_before(world, loop, readback, by) -> None:
    kinds = [*KINDS[:4], KINDS[8], KINDS[13]]
    rows = readback(world.store(kinds, split={"by": by, "valid": 0.2, "test": 0.2})).rows
    for kind in kinds:
        actual, expected = numbers(rows, world, loop, kind)
        np.testing.assert_allclose(actual, expected, rtol=0, atol=3e-6)


@pytest.mark.parametrize("way", WAYS)
def test_rows_of_a_named_request_know_what_was_before_its_first(
    world, loop, readback, monkeypatch, tmp_path, way
) -> None:
    """A request that takes hours: none of its rows sees another, and the user's numbers agree."""
    rows = [dict(row) for row in world.rows]
    opened: dict[object, dict[str, object]] = {}
    for k, row in enumerate(rows):
        same = opened.get(row["u"])
        if same is None or k % 3 == 0:
            opened[row["u"]] = same = row
        row["r"], row["device"] = same.get("r", k), same["device"]
    WAYS[way](monkeypatch)
    requests_world = type(world)(tmp_path / "named", rows, world.items)
    columns = {"user": "u", "item": "i", "label": "y", "timestamp": "t", "request": "r"}
    kinds = [{"of": "user"}, {"of": "item"}, {"residual": "user"}, {"of": "user", "window": "2d"}]
    back = readback(requests_world.store(kinds, columns=columns)).rows
    earliest: dict[object, int] = {}
    for row in rows:
        earliest[row["r"]] = min(row["t"], earliest.get(row["r"], row["t"]))
    assert any(row["t"] > earliest[row["r"]] for row in rows)
    oracle = loop(requests_world, {row.row: row.split for row in back})
    oracle.moment = [earliest[row["r"]] for row in rows]
    for row in back[::3]:
        actual = row.of_request | row.of_candidate
        for kind in kinds:
            counter = Counter(**kind)
            stored = [actual[name] for name in counter.names(drawn=False)]
            np.testing.assert_allclose(stored, oracle.numbers(row.row, counter), rtol=0, atol=3e-6)


@pytest.mark.parametrize("way", WAYS)
def test_rows_from_the_moment_on_change_nothing(
    world, readback, tmp_path, monkeypatch, way
) -> None:
    """Planted rows at the time of the last row, and after it, with the label turned."""
    WAYS[way](monkeypatch)
    edge = max(row["t"] for row in world.rows)
    last = [row for row in world.rows if row["t"] == edge]
    planted = [dict(row, y=1 - row["y"], t=edge + k) for row in last for k in (0, 0, 1, 7)]
    planted += [dict(row, t=edge, y=1, u=last[0]["u"]) for row in world.rows[-60:]]
    frozen = ["train" if row["t"] < 1_601_500_000 else "valid" for row in world.rows]
    frozen = [
        "test" if row["t"] >= edge - 90 * 3600 else s
        for row, s in zip(world.rows, frozen, strict=True)
    ]
    before = [dict(row, s=s) for row, s in zip(world.rows, frozen, strict=True)]
    after = [*before, *(dict(row, s="test") for row in planted)]
    stores = []
    for name, rows in (("before", before), ("after", after)):
        folder = tmp_path / name
        some = type(world)(folder, rows, world.items)
        stores.append(readback(some.store(KINDS, split={"by": "given", "column": "s"})).rows)
    remaining = {row.row: row for row in stores[1]}
    assert len(remaining) == len(after)
    names = {name for kind in KINDS for name in Counter(**kind).names(drawn=False)}
    for row in stores[0]:
        for was, now in (
            (row.of_request, remaining[row.row].of_request),
            (row.of_candidate, remaining[row.row].of_candidate),
        ):
            for name in names & set(was):
                assert was[name] == now[name], (name, row)


def test_numbers_of_candidates_split_no_request(world) -> None:
    """Items' counters leave the requests as they are; the user's hold at one moment."""
    plain = world.store([])
    items = world.store([{"of": "item"}, {"of": ["user", "item.genres"]}])
    users = world.store([{"of": "user"}])
    assert items.manifest.counts == plain.manifest.counts
    moments = {(row["u"], row["t"], row["device"]) for row in world.rows}
    assert sum(part.requests for part in users.manifest.counts.values()) == len(moments)
    schema = items.manifest.schema_
    assert schema.request_numbers == ()
    assert schema.candidate_numbers == ("item_n", "item_rate", "user_genres_n", "user_genres_rate")


def test_numbers_are_standardised_on_train(world) -> None:
    store = world.store(KINDS)
    for side in ("request_numbers", "candidate_numbers"):
        stored = np.asarray(getattr(store.split("train"), side), np.float64)
        np.testing.assert_allclose(stored.mean(0), 0, atol=1e-5)
        np.testing.assert_allclose(stored.std(0), 1, atol=1e-5)


@pytest.mark.parametrize("way", WAYS)
def test_drawn_negatives_are_no_exposures(world, readback, monkeypatch, tmp_path, way) -> None:
    """Only positives are counted where negatives are drawn, drawn rows count for nothing."""
    kinds = [{"of": "user"}, {"of": "item"}, {"of": "item", "last": 3}]
    kinds.append({"of": "item", "decay": "1d"})  # of parts without any positive, too
    changes = {"negatives": {"per_positive": 3}, "label": {"positive_when": "== 1"}}
    WAYS[way](monkeypatch)
    world.write()
    store = prepare(world.spec(kinds, **changes), world.folder, tmp_path)
    schema = store.manifest.schema_
    assert schema.request_numbers + schema.candidate_numbers == (
        *("user_n", "item_n", "item_last3_n", "item_decay1d_n"),
    )
    positives = [row for row in world.rows if row["y"] == 1]
    for row in readback(store).rows:
        past = [other for other in positives if other["t"] < row.time]
        user = sum(other["u"] == row.user for other in past)
        ages = [row.time - other["t"] for other in past if other["i"] == row.item]
        item = len(ages)
        assert row.of_request["user_n"] == pytest.approx(math.log1p(user), abs=3e-6)
        assert row.of_candidate["item_n"] == pytest.approx(math.log1p(item), abs=3e-6)
        faded = sum(0.5 ** (age / 86_400) for age in ages)
        assert row.of_candidate["item_decay1d_n"] == pytest.approx(math.log1p(faded), abs=3e-6)
        assert row.of_candidate["item_last3_n"] == pytest.approx(math.log1p(min(item, 3)), abs=3e-6)


WRONG = {
    "of: item.genre": ([{"of": ["user", "item.genre"]}], {}, "got 'item.genre', expected one of"),
    "twice": ([{"of": "user"}, {"of": "user", "prior": 3}], {}, "'user_n' is there already"),
    "number": (
        [{"of": "candidate.shelf"}],
        {"candidate_fields": [{"column": "shelf", "type": "number"}]},
        "'candidate.shelf' is a number",
    ),
    "no time": (
        [{"of": "user"}],
        {"columns": {"user": "u", "item": "i", "label": "y"}, "history": {"from": "none"}}
        | {"split": {"by": "random"}},
        "counters look back by time, and the log has none",
    ),
    "residual of drawn": (
        [{"residual": "user"}],
        {"negatives": {"per_positive": 3}, "label": {"positive_when": "== 1"}},
        "only positives are counted",
    ),
    "both": ([{"of": "user", "residual": "user"}], {}, "either 'of' or 'residual'"),
    "ways": ([{"of": "user", "last": 3, "window": "1d"}], {}, "got last and window, expected one"),
    "duration": ([{"of": "user", "lag": "1 month"}], {}, "expected a number and a unit: 20s"),
    "item residual": ([{"residual": "item"}], {}, "against the items' own rates"),
    "item prior": ([{"of": "item", "item_prior": 3}], {}, "'item_prior' is for 'residual'"),
    "lists": (
        [{"of": ["item.genres", "item.brand"]}],
        {
            "items": {
                "path": "items.parquet",
                "key": "i",
                "fields": [{"column": c, "type": "categories"} for c in ("genres", "brand")],
            }
        },
        "two lists of values",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_counted_is_refused(world, case) -> None:
    counters, changes, sentence = WRONG[case]
    with pytest.raises(SpecError, match=re.escape(sentence)):
        world.spec(counters, **changes)


def test_a_duration_needs_the_unit_of_the_times(world, tmp_path) -> None:
    rows = [dict(row, t=row["t"] % 100_000) for row in world.rows]
    columns = {"user": "u", "item": "i", "label": "y", "timestamp": "t"}
    some = type(world)(tmp_path / "data", rows, world.items)
    with pytest.raises(SpecError, match="1h needs the unit of 't'"):
        some.store([{"of": "user", "lag": "1h"}], columns=columns)
    some.store([{"of": "user"}], columns=columns)
