"""Logs of positives: what is drawn joins its positive's request, tells nothing by its place, and
passes the audit."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from fusefront.datasets.adapters.zoo import propose_layout
from fusefront.datasets.audit.report import audit, refuse_severe
from fusefront.datasets.audit.shortcuts import single_aucs
from fusefront.datasets.prepare import prepare
from fusefront.datasets.preparing import pipeline
from fusefront.datasets.preparing.budget import Budget
from fusefront.datasets.preparing.fingerprint import fingerprint
from fusefront.datasets.preparing.requests import alone
from fusefront.datasets.propose import propose
from fusefront.datasets.spec import DatasetSpec, load_spec, parse_spec
from fusefront.datasets.store import PreparedDataset

ROWS, USERS, ITEMS = 2_000, 100, 60
PARTS = ("train", "valid", "test")
PLACE = "place of the row in its request"


def clicks(seed: int = 0) -> pl.DataFrame:
    """Positives in order of time: skewed items, each user and item at most once."""
    rng = np.random.default_rng(seed)
    log = pl.DataFrame(
        {
            "user": rng.integers(1, USERS + 1, 3 * ROWS),
            "item": (rng.random(3 * ROWS) ** 1.5 * ITEMS).astype(np.int64),
        }
    ).unique(["user", "item"], maintain_order=True)
    return log.head(ROWS).with_columns(timestamp=1_600_000_000 + 37 * pl.int_range(pl.len()))


def features(folder: Path, names: tuple[str, ...]) -> None:
    rng = np.random.default_rng(1)
    for name in names:
        np.save(folder / name, rng.standard_normal((ITEMS, 4)).astype(np.float32))


def bare(folder: Path, **changes: Any) -> DatasetSpec:
    """The smallest spec that draws."""
    clicks().write_parquet(folder / "log.parquet")
    raw: dict[str, Any] = {
        "name": "shop",
        "interactions": {"path": "log.parquet"},
        "columns": {"user": "user", "item": "item", "timestamp": "timestamp"},
        "history": {"from": "log", "max_length": 5},
        "items": {"keys": "log"},
        "split": {"by": "time", "valid": 0.2, "test": 0.2},
        "negatives": {"per_positive": 4},
    }
    return parse_spec(raw | changes, "test")


def untimed(folder: Path) -> DatasetSpec:
    columns = {"user": "user", "item": "item"}
    return bare(folder, columns=columns, history={"from": "none"}, split={"by": "user"})


def popular(folder: Path) -> DatasetSpec:
    return bare(folder, negatives={"per_positive": 2, "draw": "popularity", "seed": 3})


def rated(folder: Path) -> DatasetSpec:
    """The log has labels, too: only its positives are kept."""
    dataset = bare(
        folder,
        columns={"user": "user", "item": "item", "timestamp": "timestamp", "label": "stars"},
        label={"positive_when": ">= 4"},
    )
    stars = 1 + pl.int_range(pl.len()) * 7 % 5
    clicks().with_columns(stars=stars).write_parquet(folder / "log.parquet")
    return dataset


def mmrec(folder: Path, *, timed: bool = True) -> DatasetSpec:
    log = clicks().with_columns(x_label=(pl.int_range(pl.len()) * 10 // pl.len() - 7).clip(0))
    columns = log.rename({"user": "userID", "item": "itemID"}).with_columns(rating=pl.lit(5.0))
    columns = columns if timed else columns.drop("timestamp")
    columns.write_csv(folder / "baby.inter", separator="\t")
    features(folder, ("image_feat.npy", "text_feat.npy"))
    return propose_layout("mmrec", folder)


def mmrec_untimed(folder: Path) -> DatasetSpec:
    return mmrec(folder, timed=False)


def tiktok(folder: Path) -> DatasetSpec:
    of_user = clicks().group_by("user", maintain_order=True).agg("item").sort("user").rows()
    cuts = {"train": (0, -4), "val": (-4, -2), "test": (-2, None)}
    for name, (first, last) in cuts.items():
        lists = {str(user): items[first:last] for user, items in of_user}
        (folder / f"{name}.json").write_text(json.dumps(lists))
    features(folder, ("image_feat.npy", "audio_feat.npy", "text_feat.npy"))
    return propose_layout("tiktok", folder)


def pairs(folder: Path) -> DatasetSpec:
    clicks().with_columns(pl.col("item") + 1).write_csv(folder / "MicroLens-100k_pairs.csv")
    features(folder, ("image_features.npy", "title_features.npy"))
    return propose_layout("microlens_pairs", folder)


def proposed(folder: Path, *, timed: bool = True) -> DatasetSpec:
    log = clicks() if timed else clicks().drop("timestamp")
    log.write_parquet(folder / "log.parquet")
    pl.DataFrame({"item": np.arange(ITEMS)}).write_parquet(folder / "items.parquet")
    features(folder, ("text.npy",))
    (folder / "spec.yaml").write_text(propose([folder]), encoding="utf-8")
    return load_spec(folder / "spec.yaml")


def proposed_untimed(folder: Path) -> DatasetSpec:
    return proposed(folder, timed=False)


DRAWING = (bare, untimed, popular, rated, mmrec, mmrec_untimed, tiktok, pairs, proposed)
DRAWING += (proposed_untimed,)


@pytest.mark.parametrize("write", DRAWING)
def test_every_layout_that_draws_passes_the_audit(
    write: Callable[[Path], DatasetSpec], tmp_path: Path
) -> None:
    spec = write(tmp_path)
    assert spec.negatives is not None
    store = prepare(spec, tmp_path, tmp_path / "out")
    refuse_severe(audit(store))
    assert abs(single_aucs(store)[PLACE] - 0.5) < 0.05
    for name in PARTS:
        assert store.manifest.counts[name].rows > 2 * store.manifest.counts[name].positives


def places(store: PreparedDataset, name: str) -> Counter[int]:
    """How often the only positive of a request stands at each place."""
    split, counts = store.split(name), Counter[int]()
    for first, end in zip(split.row_start[:-1], split.row_start[1:], strict=True):
        labels = split.label[first:end].tolist()
        if sum(labels) == 1 and len(labels) == 5:
            counts[labels.index(1)] += 1
    return counts


def test_a_positive_stands_at_every_place_of_its_request_alike(tmp_path: Path) -> None:
    store = prepare(untimed(tmp_path), tmp_path, tmp_path / "out")
    counts = places(store, "train")
    count = sum(counts.values())
    assert count == store.manifest.counts["train"].requests
    deviation = (count * 0.2 * 0.8) ** 0.5
    assert all(abs(counts[place] - count / 5) < 4 * deviation for place in range(5)), counts


def test_without_time_and_history_a_request_is_a_positive_and_its_negatives(tmp_path: Path) -> None:
    store = prepare(untimed(tmp_path), tmp_path, tmp_path / "out")
    log = clicks()
    known = {user: set(items) for user, items in log.group_by("user").agg("item").iter_rows()}
    keys, sources = dict(store.item_keys().iter_rows()), []
    for name in PARTS:
        split = store.split(name)
        for r in range(len(split.group)):
            rows = range(int(split.row_start[r]), int(split.row_start[r + 1]))
            assert len(rows) == 5
            source = [int(split.row_id[n]) for n in rows if split.label[n]]
            assert len(source) == 1
            user, item = log["user"][source[0]], log["item"][source[0]]
            group = {keys[int(split.item[n])] for n in rows}
            assert len(group) == 5
            assert group & known[user] == {item}
            assert {(int(split.row_id[n]) - ROWS) // 4 for n in rows if not split.label[n]} == {
                source[0]
            }
            sources.append(source[0])
    assert sorted(sources) == list(range(ROWS))


@pytest.mark.parametrize("write", [bare, untimed, popular, mmrec_untimed])
def test_drawing_is_the_same_in_chunks_and_buckets_of_any_size(
    write: Callable[[Path], DatasetSpec], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = write(tmp_path)
    whole = prepare(spec, tmp_path, tmp_path / "whole")
    monkeypatch.setattr(pipeline, "plan", lambda *_: Budget(1 << 30, 64, 3, 1, 1))
    parts = prepare(spec, tmp_path, tmp_path / "parts")
    for name in PARTS:
        for column in ("item", "label", "row_id"):
            there, here = (getattr(store.split(name), column) for store in (whole, parts))
            np.testing.assert_array_equal(there, here)
        np.testing.assert_array_equal(whole.split(name).row_start, parts.split(name).row_start)


def test_the_order_belongs_to_the_name_of_a_store_that_draws(tmp_path: Path) -> None:
    """Stores of the order before, positives first, are not taken for stores of today's."""
    spec = bare(tmp_path)
    before = fingerprint(spec, tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fusefront.datasets.preparing.fingerprint.DRAWN_VERSION", 1)
        assert fingerprint(spec, tmp_path) != before
        labelled = rated(tmp_path).model_copy(update={"negatives": None})
        first = fingerprint(labelled, tmp_path)
    assert fingerprint(labelled, tmp_path) == first


def listening(log: pl.DataFrame, share: float) -> pl.DataFrame:
    """The same log where a share of the rows repeats one of the user's four items before."""
    rng, past, items = np.random.default_rng(2), dict[int, list[int]](), list[int]()
    for user, item in log.select("user", "item").iter_rows():
        before = past.setdefault(user, [])
        again = len(before) > 4 and rng.random() < share
        items.append(before[-int(rng.integers(2, 5))] if again else item)
        before.append(items[-1])
    return log.with_columns(item=pl.Series(items))


def test_repeats_of_a_log_of_positives_are_a_warning_and_a_leak_is_severe(tmp_path: Path) -> None:
    """Drawn rows are never items of the user: that repeats stand out says nothing of a leak."""
    spec = bare(tmp_path)
    listening(clicks(), 0.6).write_parquet(tmp_path / "log.parquet")
    store = prepare(spec, tmp_path, tmp_path / "out")
    target = {finding.name: finding for finding in audit(store).findings}["target_in_history"]
    assert (store.manifest.drawn, target.severity) == (4, "warning")
    assert float(str(target.numbers["positives"])) > 0.3
    assert "never items that the user clicked" in target.detail
    refuse_severe(audit(store))
    log = clicks()
    past = log.with_columns(h=pl.concat_list("item", pl.col("item").shift(1, fill_value=0)))
    for lists, where in (
        (past, "newest first"),
        (past.with_columns(pl.col("h").list.reverse()), "last"),
    ):
        lists.write_parquet(tmp_path / "log.parquet")
        leak = bare(tmp_path, history={"from": "list", "column": "h", "newest": "last"})
        lists.write_parquet(tmp_path / "log.parquet")
        report = audit(prepare(leak, tmp_path, tmp_path / f"out {where}"))
        assert "target_in_history" in {finding.name for finding in report.severe(())}, where


@pytest.mark.parametrize("draw", ["uniform", "popularity"])
def test_popular_items_are_a_warning_where_negatives_are_drawn(tmp_path: Path, draw: str) -> None:
    """Most clicks are on few items: against uniform draws popularity wins by itself."""
    rng, rows = np.random.default_rng(0), 20_000
    log = {"user": rng.integers(0, 9_000, rows), "item": np.minimum(rng.zipf(1.8, rows), 9_000)}
    frame = pl.DataFrame(log | {"timestamp": np.arange(rows)})
    frame = frame.unique(["user", "item"], maintain_order=True)
    spec = bare(tmp_path, negatives={"per_positive": 4, "draw": draw})
    frame.write_parquet(tmp_path / "log.parquet")
    store = prepare(spec, tmp_path, tmp_path / "out")
    report = audit(store)
    refuse_severe(report)
    findings = {finding.name: finding for finding in report.findings}
    assert ("label_from.item popularity" in findings) == (draw == "uniform")
    if draw == "uniform":
        assert single_aucs(store)["item click rate"] > 0.95
        rate = findings["label_from.item click rate"]
        assert (rate.severity, rate.detail.split(",")[0]) == (
            "warning",
            "Negatives are drawn from all items",
        )


def test_only_where_nothing_else_groups_rows_is_each_positive_a_request(tmp_path: Path) -> None:
    split, none = {"by": "user"}, {"from": "none"}
    columns = {"user": "user", "item": "item"}
    timed = {**columns, "timestamp": "timestamp"}
    assert alone(bare(tmp_path, columns=columns, history=none, split=split))
    assert not alone(bare(tmp_path, columns=timed, history=none, split=split))
    both = {**columns, "request": "timestamp"}
    assert not alone(bare(tmp_path, columns=both, history=none, split=split))
