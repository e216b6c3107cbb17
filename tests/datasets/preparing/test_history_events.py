"""Several behaviours in one log: which make histories, and the kind of each event, against plain
loops."""

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pytest

from fusefront.datasets.audit.report import audit, refuse_severe
from fusefront.datasets.errors import DataContractError, SpecError
from fusefront.datasets.prepare import prepare
from fusefront.datasets.preparing import pipeline
from fusefront.datasets.preparing.budget import Budget
from fusefront.datasets.preparing.fingerprint import fingerprint
from fusefront.datasets.soundness import check_values
from fusefront.datasets.spec import DatasetSpec, parse_spec
from fusefront.datasets.store import PreparedDataset

ROWS, USERS, ITEMS, LONGEST, DRAWN = 1_200, 30, 40, 5, 2
PARTS = ("train", "valid", "test")
BEHAVIOURS = ("view", "click", "buy", None)


def write(folder: Path, **more: Any) -> pl.DataFrame:
    """Views, clicks and purchases with shared moments; the label is a purchase or luck."""
    rng = np.random.default_rng(0)
    kind = [BEHAVIOURS[k] for k in rng.choice(4, ROWS, p=[0.5, 0.25, 0.2, 0.05])]
    luck = rng.random(ROWS) < 0.1
    log = pl.DataFrame(
        {
            "u": [f"user{k}" for k in rng.integers(0, USERS, ROWS)],
            "i": rng.integers(0, ITEMS, ROWS),
            "y": [int(k == "buy" or bool(odd)) for k, odd in zip(kind, luck, strict=True)],
            "t": np.sort(rng.integers(0, 400, ROWS)),
            "stars": rng.integers(1, 6, ROWS) / 1.0,
            "kind": kind,
            "part": rng.choice(PARTS, ROWS, p=[0.6, 0.2, 0.2]),
        }
    ).with_columns(**more)
    log.write_parquet(folder / "log.parquet")
    pl.DataFrame({"i": np.arange(ITEMS)}).write_parquet(folder / "items.parquet")
    return log


def spec(history: dict[str, Any], **changes: Any) -> DatasetSpec:
    raw: dict[str, Any] = {
        "name": "behaviours",
        "interactions": {"path": "log.parquet"},
        "columns": {"user": "u", "item": "i", "label": "y", "timestamp": "t"},
        "history": {"from": "log", "max_length": LONGEST} | history,
        "items": {"path": "items.parquet", "key": "i"},
        "split": {"by": "time", "valid": 0.15, "test": 0.25},
    }
    return parse_spec(raw | changes, "test")


class Stored(NamedTuple):
    part: str
    request: int
    item: int
    label: int
    history: list[tuple[int, str | None]]


def stored(store: PreparedDataset) -> dict[int, Stored]:
    """row id -> what the store has of the row: (item, kind) of its history, newest last."""
    keys, by_row = dict(store.item_keys().iter_rows()), {}
    assert store.manifest.history is not None
    names = [None, *store.manifest.history.kinds]
    kinds = store.history_kinds
    check_values(store)
    for name in PARTS:
        split = store.split(name)
        for r in range(len(split.group)):
            place = slice(
                start := int(split.history_start[r]), start + int(split.history_length[r])
            )
            of = (
                [None] * (place.stop - start) if kinds is None else [names[k] for k in kinds[place]]
            )
            items = [keys[int(k)] for k in store.history_values[place]]
            for n in range(int(split.row_start[r]), int(split.row_start[r + 1])):
                item, label = keys[int(split.item[n])], int(split.label[n])
                history = list(zip(items, of, strict=True))
                by_row[int(split.row_id[n])] = Stored(name, r, item, label, history)
    return by_row


Picks = Callable[[dict[str, Any]], bool]


def pasts(log: pl.DataFrame, picks: Picks, kind: str | None) -> list[list[Any]]:
    """Of every row the user's chosen events strictly before it, by a loop."""
    of_user = defaultdict(list)
    for at in log.iter_rows(named=True):
        if picks(at):
            value = None if kind is None or at[kind] is None else str(at[kind])
            of_user[at["u"]].append((at["t"], (at["i"], value)))
    return [
        [event for time, event in of_user[user] if time < now][-LONGEST:]
        for user, now in log.select("u", "t").iter_rows()
    ]


WAYS: dict[str, tuple[dict[str, Any], Picks, str | None]] = {
    "positives": ({}, lambda row: row["y"] == 1, None),
    "positives, told apart": ({"kind": "kind"}, lambda row: row["y"] == 1, "kind"),
    "positives by name": (
        {"events": "positives", "kind": "stars"},
        lambda row: row["y"] == 1,
        "stars",
    ),
    "some": (
        {"events": ["click", "buy"], "kind": "kind"},
        lambda row: row["kind"] in ("click", "buy"),
        "kind",
    ),
    "one": ({"events": ["view"], "kind": "kind"}, lambda row: row["kind"] == "view", "kind"),
    "all": ({"events": "all", "kind": "kind"}, lambda row: True, "kind"),
    "all, by rating": ({"events": "all", "kind": "stars"}, lambda row: True, "stars"),
    "some ratings": (
        {"events": [4, 5.0], "kind": "stars"},
        lambda row: row["stars"] >= 4,
        "stars",
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_history_holds_the_events_that_the_spec_names(way: str, tmp_path: Path) -> None:
    history, picks, kind = WAYS[way]
    log = write(tmp_path)
    store = prepare(spec(history), tmp_path, tmp_path / "out")
    by_row, right = stored(store), pasts(log, picks, kind)
    assert sorted(by_row) == list(range(ROWS))
    for row, actual in by_row.items():
        assert (actual.item, actual.label) == (log["i"][row], log["y"][row])
        assert actual.history == right[row]
    assert store.manifest.history is not None
    assert (store.history_kinds is None) == (kind is None)
    if kind is not None:
        kinds = {str(row[kind]) for row in log.iter_rows(named=True) if picks(row) and row[kind]}
        assert store.manifest.history.kinds == tuple(sorted(kinds))
    refuse_severe(audit(store))


@pytest.mark.parametrize("way", ["some", "all", "one", "positives, told apart"])
@pytest.mark.parametrize("draw", ["uniform", "popularity"])
def test_events_that_are_no_positives_are_history_alone_where_negatives_are_drawn(
    way: str, draw: str, tmp_path: Path
) -> None:
    history, picks, kind = WAYS[way]
    log = write(tmp_path)
    clicked = log.with_row_index("row").filter(pl.col("y") == 1)
    store = prepare(
        spec(
            history,
            label={"positive_when": ">= 1"},
            negatives={"per_positive": DRAWN, "draw": draw},
        ),
        tmp_path,
        tmp_path / "out",
    )
    by_row, right = stored(store), pasts(log, picks, kind)
    assert sorted(row for row in by_row if row < ROWS) == clicked["row"].to_list()
    known, first = defaultdict(set), dict[int, int]()
    for user, item, time in clicked.select("u", "i", "t").iter_rows():
        known[user].add(item)
        first[item] = min(time, first.get(item, time))
    for row, actual in by_row.items():
        source = row if row < ROWS else (row - ROWS) // DRAWN
        assert actual.history == right[source]
        assert actual.request == by_row[source].request
        if row >= ROWS:
            assert actual.label == 0
            assert actual.item not in known[log["u"][source]]
            assert first[actual.item] < log["t"][source]  # clicked, not only seen
    times = clicked["t"].to_list()  # the cut is of the rows that are candidates
    low, high = times[int(len(times) * 0.6)], times[int(len(times) * 0.75)]
    for row in clicked["row"]:
        part = ("train", "valid", "test")[int(log["t"][row] >= low) + int(log["t"][row] >= high)]
        assert by_row[row].part == part
    left = ROWS - sum(picks(row) or row["y"] == 1 for row in log.iter_rows(named=True))
    losses = store.manifest.losses
    assert (losses["rows.no_positive"].count if left else 0) == left


@pytest.mark.parametrize("drawn", [False, True])
@pytest.mark.parametrize("events", [["click", "buy"], ["view"], "all"])
def test_without_times_a_row_of_train_lacks_one_event(
    events: Any, drawn: bool, tmp_path: Path
) -> None:
    log = write(tmp_path)
    columns = {"user": "u", "item": "i", "label": "y"}
    more: dict[str, Any] = {"columns": columns, "split": {"by": "given", "column": "part"}}
    if drawn:
        more |= {"label": {"positive_when": ">= 1"}, "negatives": {"per_positive": DRAWN}}
    store = prepare(spec({"events": events, "kind": "kind"}, **more), tmp_path, tmp_path / "out")
    by_user = defaultdict(list)
    for row, (user, item, kind, part) in enumerate(
        log.select("u", "i", "kind", "part").iter_rows()
    ):
        if part == "train" and (events == "all" or kind in events):
            by_user[user].append((row, item, kind))

    def without(user: str, out: int | None) -> list[Any]:
        return [(item, kind) for row, item, kind in by_user[user] if row != out][-LONGEST:]

    by_row = stored(store)
    assert {log["y"][row] for row in by_row if row < ROWS} == ({1} if drawn else {0, 1})
    for row, actual in by_row.items():
        source = row if row < ROWS else (row - ROWS) // DRAWN
        user, own = log["u"][source], {event for event, _, _ in by_user[log["u"][source]]}
        if actual.part != "train":
            assert actual.history == without(user, None)
        elif source in own:
            assert actual.history == without(user, source)
        else:
            fitting = [without(user, event) for event in own] or [[]]
            assert actual.history in fitting
            assert actual.history == by_row[source].history
    sentence = store.manifest.history.sentence() if store.manifest.history else ""
    what = "events of all kinds" if events == "all" else f"events {', '.join(events)}"
    assert f"the user's {what} in train" in sentence


@pytest.mark.parametrize("by", ["item_cold", "user", "user_time"])
def test_kinds_stay_beside_their_items_in_every_split(by: str, tmp_path: Path) -> None:
    """The kind follows from the item here, so that any shift shows."""
    kind = pl.format("kind{}", pl.col("i") % 7)
    write(tmp_path, kind=kind)
    dataset = spec({"events": "all", "kind": "kind"}, split={"by": by, "valid": 0.2, "test": 0.2})
    store = prepare(dataset, tmp_path, tmp_path / "out")
    entries = [entry for actual in stored(store).values() for entry in actual.history]
    assert all(name == f"kind{item % 7}" for item, name in entries)
    assert len(entries) > ROWS


def test_kinds_that_train_does_not_have_are_none_and_counted(tmp_path: Path) -> None:
    late = pl.when(pl.int_range(pl.len()) > ROWS * 0.8).then(pl.lit("gift")).otherwise("kind")
    log = write(tmp_path, kind=late)
    store = prepare(spec({"events": "all", "kind": "kind"}), tmp_path, tmp_path / "out")
    assert store.manifest.history is not None
    assert store.manifest.history.kinds == ("buy", "click", "view")
    right = pasts(log, lambda _: True, "kind")
    for row, actual in stored(store).items():
        assert actual.history == [(i, None if kind == "gift" else kind) for i, kind in right[row]]
    losses = store.manifest.losses
    assert losses["history.kind_unseen"].count == log.filter(pl.col("kind") == "gift").height
    assert losses["history.kind_absent"].count == log["kind"].null_count()


@pytest.mark.parametrize("way", ["all", "some"])
def test_events_are_the_same_in_chunks_and_buckets_of_any_size(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path)
    dataset = spec(WAYS[way][0], label={"positive_when": ">= 1"}, negatives={"per_positive": DRAWN})
    whole = stored(prepare(dataset, tmp_path, tmp_path / "whole"))
    monkeypatch.setattr(pipeline, "plan", lambda *_: Budget(1 << 30, 64, 3, 1, 1))
    assert stored(prepare(dataset, tmp_path, tmp_path / "parts")) == whole


@pytest.mark.parametrize(
    ("history", "sentence"),
    [
        ({"events": "all"}, r"'events' needs 'kind'.*scored \.0015 to \.0136 AUC below"),
        ({"events": ["click"]}, "'events' needs 'kind'"),
        ({"events": [], "kind": "kind"}, "names no kind of event"),
        ({"events": "clicks", "kind": "kind"}, "got 'clicks', expected positives, all, or a list"),
        ({"from": "none", "kind": "kind"}, "are for from: log, not for from: none"),
        ({"from": "list", "column": "h", "events": ["a"], "kind": "k"}, "not for from: list"),
    ],
)
def test_a_choice_that_means_nothing_is_refused(history: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SpecError, match=sentence):
        spec(history)


@pytest.mark.parametrize(
    ("history", "sentence"),
    [
        (
            {"events": ["click", "clik"], "kind": "kind"},
            (
                r"'kind': no event of the kind 'clik', which history\.events names; the column "
                r"holds buy"
            ),
        ),
        ({"events": "all", "kind": "t"}, "'t': more than 255 kinds of event"),
        ({"kind": "nowhere"}, "column 'nowhere' is missing"),
    ],
)
def test_kinds_that_the_log_does_not_have_are_refused(
    history: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    write(tmp_path)
    with pytest.raises(DataContractError, match=sentence):
        prepare(spec(history), tmp_path, tmp_path / "out")


def test_a_spec_without_events_keeps_its_fingerprint(tmp_path: Path) -> None:
    write(tmp_path)
    plain = fingerprint(spec({}), tmp_path)
    assert fingerprint(spec({"events": "positives"}), tmp_path) == plain
    with_kind = fingerprint(spec({"kind": "kind"}), tmp_path)
    some = fingerprint(spec({"events": ["buy"], "kind": "kind"}), tmp_path)
    assert len({plain, with_kind, some}) == 3
