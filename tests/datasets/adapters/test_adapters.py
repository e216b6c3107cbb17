"""Each published layout, written small, through its adapter and prepare to an opened store."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from fusefront.datasets.adapters import mmctr
from fusefront.datasets.adapters.zoo import (
    LAYOUTS,
    find_adapter,
    propose_layout,
    spec_yaml,
    verify,
)
from fusefront.datasets.errors import DataContractError, SpecError
from fusefront.datasets.prepare import prepare
from fusefront.datasets.spec import load_spec
from fusefront.datasets.store import PreparedDataset, Split

REAL = Path(__file__).parents[3].parent / "shared" / "data" / "movielens_multimodal"


def history(store: PreparedDataset, split: Split, request: int) -> list[object]:
    """Keys of the history of a request, oldest first."""
    keys = dict(store.item_keys().iter_rows())
    start, length = int(split.history_start[request]), int(split.history_length[request])
    return [keys[int(row)] for row in store.history_values[start : start + length]]


def rows_of(store: PreparedDataset, split: Split, request: int) -> dict[object, int]:
    """Label by item key of the rows of a request."""
    keys = dict(store.item_keys().iter_rows())
    part = slice(int(split.row_start[request]), int(split.row_start[request + 1]))
    return {
        keys[int(item)]: int(label)
        for item, label in zip(split.item[part], split.label[part], strict=True)
    }


def vector(store: PreparedDataset, modality: str, key: object) -> np.ndarray:
    keys = {value: row for row, value in store.item_keys().iter_rows()}
    return store.vectors(modality)[keys[key]]


# --- MicroLens_1M_MMCTR -------------------------------------------------------------------------


def write_mmctr(folder: Path, users: int = 400) -> None:
    random = np.random.default_rng(0)
    log = folder / "MicroLens_1M_x1"
    log.mkdir()
    items = 30
    tags = np.zeros((items + 1, 5), np.int64)
    tags[1:, 4] = np.arange(items) % 7 + 1
    tags[5:, 3] = 9
    emb = random.standard_normal((items + 1, 8))
    emb[0] = 0
    pl.DataFrame(
        {
            "item_id": np.arange(items + 1),
            "item_tags": pl.Series(tags, dtype=pl.Array(pl.Int64, 5)),
            "item_emb_d128": pl.Series(emb, dtype=pl.Array(pl.Float64, 8)),
        }
    ).write_parquet(log / "item_info.parquet")

    def split(first: int, count: int) -> pl.DataFrame:
        user = np.repeat(np.arange(first, first + count), 4)
        seq = np.zeros((count, 10), np.int64)
        for row in range(count):
            length = row % 11
            seq[row, 10 - length :] = random.integers(1, items + 1, length)
        order = random.permutation(len(user))  # siblings are scattered over the file
        return pl.DataFrame(
            {
                "user_id": user,
                "item_seq": pl.Series(np.repeat(seq, 4, 0), dtype=pl.Array(pl.Int64, 10)),
                "item_id": random.integers(1, items + 1, len(user)),
                "likes_level": random.integers(1, 11, len(user)),
                "views_level": random.integers(1, 11, len(user)),
                "label": np.tile([1, 0, 0, 0], count),
            }
        )[order]

    split(1, users).write_parquet(log / "train.parquet")
    split(users + 1, 40).write_parquet(log / "valid.parquet")
    split(users + 41, 40).drop("label").with_row_index("ID").write_parquet(log / "test.parquet")


def test_the_challenge_keeps_users_apart_and_their_four_rows_together(tmp_path: Path) -> None:
    write_mmctr(tmp_path)
    spec = mmctr.propose(tmp_path)
    store = prepare(spec, tmp_path, tmp_path / "out")
    counts = store.manifest.counts
    assert counts["test"].rows == 160
    assert counts["test"].requests == 40
    assert counts["train"].rows + counts["valid"].rows == 1_600
    assert 2 <= counts["valid"].requests <= 30
    users = {name: set(store.split(name).group.tolist()) for name in counts}
    assert not users["train"] & users["test"]
    assert not users["train"] & users["valid"]
    for name in counts:
        split = store.split(name)
        assert set(np.diff(split.row_start).tolist()) == {4}
        assert set(np.add.reduceat(split.label, split.row_start[:-1]).tolist()) == {1}


def test_the_challenge_loses_its_padding_in_histories_tags_and_items(tmp_path: Path) -> None:
    write_mmctr(tmp_path)
    store = prepare(mmctr.propose(tmp_path), tmp_path, tmp_path / "out")
    source = pl.read_parquet(tmp_path / "MicroLens_1M_x1" / "valid.parquet")
    split = store.split("test")
    for request in range(0, 40, 7):
        user = int(split.group[request])
        mine = source.filter(pl.col("user_id") == user)
        assert history(store, split, request) == [i for i in mine["item_seq"][0].to_list() if i]
        assert set(rows_of(store, split, request)) == set(mine["item_id"].to_list())
    assert store.item_keys()["key"].to_list() == list(range(1, 31))
    info = pl.read_parquet(tmp_path / "MicroLens_1M_x1" / "item_info.parquet")
    expected = info["item_emb_d128"][12].to_numpy()
    np.testing.assert_allclose(vector(store, "mixed", 12), expected, rtol=1e-6)
    values = store.vocabulary("item", "item_tags")["value"].to_list()
    assert "0" not in values
    assert {str(value) for value in values if value} <= {str(tag) for tag in range(1, 10)}


def test_the_challenge_takes_raw_vectors_and_a_labelled_test_file(tmp_path: Path) -> None:
    write_mmctr(tmp_path)
    random = np.random.default_rng(1)
    text = random.standard_normal((30, 6)).astype(np.float32)
    order = random.permutation(30)
    pl.DataFrame(
        {
            "item_id": order + 1,
            "txt_emb_BERT": pl.Series(text[order], dtype=pl.Array(pl.Float32, 6)),
            "img_emb_CLIPRN50": pl.Series(-text[order], dtype=pl.Array(pl.Float32, 6)),
        }
    ).write_parquet(tmp_path / "item_feature.parquet")
    log = tmp_path / "MicroLens_1M_x1"
    test = pl.read_parquet(log / "test.parquet")
    test.with_columns(label=pl.Series(np.arange(160) % 4 == 0).cast(pl.Int64)).write_parquet(
        log / "test.parquet"
    )
    store = prepare(mmctr.propose(tmp_path), tmp_path, tmp_path / "out")
    assert list(store.manifest.schema_.modalities) == ["text", "image"]
    np.testing.assert_allclose(vector(store, "text", 7), text[6], atol=2e-3)
    np.testing.assert_allclose(vector(store, "image", 7), -text[6], atol=2e-3)
    counts = store.manifest.counts
    assert [counts[name].requests for name in ("train", "valid", "test")] == [400, 40, 40]


def test_files_of_the_challenge_that_were_changed_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_mmctr(tmp_path)
    with pytest.raises(DataContractError, match=r"train\.parquet: SHA-256 .*182fba831484"):
        verify("microlens_mmctr", tmp_path)
    train = tmp_path / "MicroLens_1M_x1" / "train.parquet"
    sums = {"MicroLens_1M_x1/train.parquet": hashlib.sha256(train.read_bytes()).hexdigest()}
    monkeypatch.setattr(mmctr, "HASHES", sums)
    verify("microlens_mmctr", tmp_path)
    train.write_bytes(train.read_bytes()[:-1] + b"x")
    with pytest.raises(DataContractError, match="download it again"):
        verify("microlens_mmctr", tmp_path)
    with pytest.raises(DataContractError, match="download it again"):  # given the inner folder
        verify("microlens_mmctr", train.parent)
    with pytest.raises(SpecError, match="'tiktok' has no published sums"):
        verify("tiktok", tmp_path)


# --- MicroLens pairs ----------------------------------------------------------------------------


def write_pairs(folder: Path, *, padding_row: bool) -> np.ndarray:
    random = np.random.default_rng(2)
    rows = [
        (user, int(item), 1_000 + 13 * step + user)
        for user in range(1, 41)
        for step, item in enumerate(random.choice(np.arange(1, 26), 10, replace=False))
    ]
    rows[0] = (1, 25, 1_000)
    frame = pl.DataFrame(rows, ["user", "item", "timestamp"], orient="row")
    frame.unique(["user", "item"], maintain_order=True).write_csv(
        folder / "MicroLens-100k_pairs.csv"
    )
    image = random.standard_normal((25, 5)).astype(np.float32)
    stored = np.concatenate([np.zeros((1, 5), np.float32), image]) if padding_row else image
    np.save(folder / "image_features.npy", stored)
    np.save(folder / "title_en_bert.npy", 2 * stored)
    return image


@pytest.mark.parametrize("padding_row", [False, True])
def test_microlens_pairs_become_causal_histories_with_drawn_negatives(
    tmp_path: Path, padding_row: bool
) -> None:
    image = write_pairs(tmp_path, padding_row=padding_row)
    spec = find_adapter("microlens_pairs")(tmp_path)
    assert spec.name == "microlens_100k"
    store = prepare(spec, tmp_path, tmp_path / "out")
    assert set(store.manifest.schema_.modalities) == {"image", "text"}
    np.testing.assert_allclose(vector(store, "image", 25), image[24])
    np.testing.assert_allclose(vector(store, "text", 3), 2 * image[2])
    log = pl.read_csv(tmp_path / "MicroLens-100k_pairs.csv")
    positives = sum(counts.positives for counts in store.manifest.counts.values())
    assert positives == log.height
    split = store.split("test")
    assert split.timestamp is not None
    for request in range(len(split.group)):
        user, time = int(split.group[request]), int(split.timestamp[split.row_start[request]])
        mine = log.filter(pl.col("user") == user).sort("timestamp")
        assert history(store, split, request) == (
            mine.filter(pl.col("timestamp") < time)["item"].to_list()
        )
        known = set(mine["item"].to_list())
        for item, label in rows_of(store, split, request).items():
            assert (item in known) == bool(label)


def test_dumps_that_do_not_cover_the_items_are_refused(tmp_path: Path) -> None:
    write_pairs(tmp_path, padding_row=False)
    np.save(tmp_path / "image_features.npy", np.zeros((20, 5), np.float32))
    with pytest.raises(DataContractError, match="every dump needs one row an item"):
        find_adapter("microlens_pairs")(tmp_path)
    for path in tmp_path.glob("*.npy"):
        path.unlink()
    with pytest.raises(DataContractError, match=r"no feature dump such as 'image_features\.npy'"):
        find_adapter("microlens_pairs")(tmp_path)


# --- MMRec --------------------------------------------------------------------------------------


def write_mmrec(folder: Path, *, timed: bool) -> pl.DataFrame:
    random = np.random.default_rng(3)
    rows = [
        (user, int(item), 5.0, 1_400_000_000 + 86_400 * step, 2 if step == 7 else step // 6)
        for user in range(30)
        for step, item in enumerate(random.choice(20, 8, replace=False))
    ]
    names = ["userID", "itemID", "rating", "timestamp", "x_label"]
    frame = pl.DataFrame(rows, names, orient="row")
    written = frame if timed else frame.drop("timestamp")
    written.write_csv(folder / "baby.inter", separator="\t")
    np.save(folder / "image_feat.npy", random.standard_normal((20, 6)))
    np.save(folder / "text_feat.npy", random.standard_normal((20, 4)).astype(np.float32))
    return frame


@pytest.mark.parametrize("timed", [True, False])
def test_mmrec_keeps_its_split_and_looks_back_only(tmp_path: Path, timed: bool) -> None:
    frame = write_mmrec(tmp_path, timed=timed)
    store = prepare(find_adapter("mmrec")(tmp_path), tmp_path, tmp_path / "out")
    assert store.name == "baby"
    counts = store.manifest.counts
    assert [counts[name].positives for name in ("train", "valid", "test")] == [180, 30, 30]
    # at a user's first event nothing has been seen strictly before, so nothing may be drawn
    assert counts["train"].rows == 180 + 4 * (150 if timed else 180)
    split = store.split("test")
    for request in range(len(split.group)):
        mine = frame.filter(pl.col("userID") == int(split.group[request]))
        assert history(store, split, request) == mine["itemID"].to_list()[:7]
        labels = rows_of(store, split, request)
        assert labels[mine["itemID"][7]] == 1
        assert not (set(labels) - {mine["itemID"][7]}) & set(mine["itemID"].to_list())
    train = store.split("train")
    lengths = sorted(set(train.history_length.tolist()))
    assert lengths == list(range(6))
    np.testing.assert_allclose(
        vector(store, "image", 11), np.load(tmp_path / "image_feat.npy")[11], rtol=1e-6
    )


def test_a_wrong_inter_file_is_refused(tmp_path: Path) -> None:
    write_mmrec(tmp_path, timed=True)
    log = tmp_path / "baby.inter"
    log.write_text(log.read_text().replace("x_label", "split"))
    with pytest.raises(DataContractError, match="no column 'x_label'"):
        find_adapter("mmrec")(tmp_path)
    log.write_text("userID\titemID\trating\ttimestamp\tx_label\n1\t2\t5.0\t3\t7\n")
    with pytest.raises(DataContractError, match="got 7, expected 0, 1 or 2"):
        find_adapter("mmrec")(tmp_path)


# --- TikTok -------------------------------------------------------------------------------------


def write_tiktok(folder: Path) -> dict[str, dict[str, list[int]]]:
    random = np.random.default_rng(4)
    drawn = {user: random.choice(40, 9, replace=False).tolist() for user in range(25)}
    splits = {
        "train": {str(user): items[:6] for user, items in drawn.items()},
        "val": {str(user): items[6:7] for user, items in drawn.items()},
        "test": {str(user): items[7:] for user, items in drawn.items()},
    }
    for name, users in splits.items():
        (folder / f"{name}.json").write_text(json.dumps(users))
    for name, width in (("image", 8), ("audio", 6), ("text", 7)):
        np.save(folder / f"{name}_feat.npy", random.standard_normal((40, width)))
    return splits


def test_tiktok_lists_become_histories_in_their_order(tmp_path: Path) -> None:
    splits = write_tiktok(tmp_path)
    store = prepare(find_adapter("tiktok")(tmp_path), tmp_path, tmp_path / "out")
    assert set(store.manifest.schema_.modalities) == {"text", "image", "audio"}
    counts = store.manifest.counts
    assert [counts[name].positives for name in ("train", "valid", "test")] == [150, 25, 50]
    for name, published in (("train", "train"), ("valid", "val"), ("test", "test")):
        split = store.split(name)
        for request in range(len(split.group)):
            user = str(split.group[request])
            before = [
                item
                for part in ("train", "val", "test")[: ("train", "val", "test").index(published)]
                for item in splits[part][user]
            ]
            clicked = [i for i, label in rows_of(store, split, request).items() if label]
            assert len(clicked) == 1
            place = splits[published][user].index(int(str(clicked[0])))
            assert history(store, split, request) == [*before, *splits[published][user][:place]]


def test_broken_json_is_refused_with_a_sentence(tmp_path: Path) -> None:
    write_tiktok(tmp_path)
    (tmp_path / "val.json").write_text("[1, 2]")
    with pytest.raises(DataContractError, match=r"val\.json: not a json object of user"):
        find_adapter("tiktok")(tmp_path)


# --- Amazon Reviews 2023 ------------------------------------------------------------------------


def write_amazon(folder: Path) -> dict[str, np.ndarray]:
    random = np.random.default_rng(5)
    asins = [f"B00{n:07d}" for n in range(20)]
    rows = [
        (f"AG{user:08d}", asins[item], float(random.integers(2, 6)), 10**12 + 10**6 * step)
        for user in range(20)
        for step, item in enumerate(random.choice(20, 10, replace=False))
    ]
    frame = pl.DataFrame(rows, ["user_id", "parent_asin", "rating", "timestamp"], orient="row")
    step = (pl.col("timestamp") - 10**12) // 10**6
    for name, part in (
        ("train", frame.filter(step < 7)),
        ("valid", frame.filter(step.is_between(7, 8))),
        ("test", frame.filter(step == 9)),
    ):
        part.write_csv(folder / f"All_Beauty.{name}.csv")
    pictured = random.permutation(20)[:17]  # three items have no picture
    image = random.standard_normal((17, 6)).astype(np.float32)
    np.save(folder / "image.npy", image)
    np.save(folder / "image_ids.npy", np.array(asins)[pictured])
    text = random.standard_normal((20, 5)).astype(np.float32)
    np.save(folder / "text.npy", text)
    pl.DataFrame({"parent_asin": asins}).write_parquet(folder / "text_ids.parquet")
    return {asins[item]: image[row] for row, item in enumerate(pictured)}


def test_amazon_vectors_find_their_items_by_asin(tmp_path: Path) -> None:
    images = write_amazon(tmp_path)
    store = prepare(find_adapter("amazon_2023")(tmp_path), tmp_path, tmp_path / "out")
    assert store.name == "amazon_all_beauty"
    assert store.manifest.present == {"image": 17, "text": 20}
    for asin, expected in images.items():
        np.testing.assert_allclose(vector(store, "image", asin), expected)
    counts = store.manifest.counts
    assert [counts[name].rows for name in ("train", "valid", "test")] == [140, 40, 20]
    source = pl.read_csv(tmp_path / "All_Beauty.test.csv")
    assert counts["test"].positives == source.filter(pl.col("rating") >= 4).height


def test_amazon_without_vectors_says_what_to_make(tmp_path: Path) -> None:
    write_amazon(tmp_path)
    (tmp_path / "image_ids.npy").unlink()
    (tmp_path / "text_ids.parquet").unlink()
    with pytest.raises(DataContractError, match=r"no vectors 'MODALITY\.npy'"):
        find_adapter("amazon_2023")(tmp_path)


# --- MovieLens, on the real files ---------------------------------------------------------------


@pytest.mark.skipif(not REAL.is_dir(), reason="the MovieLens files are not on this machine")
@pytest.mark.parametrize(
    ("name", "ratings"), [("movielens_small", 100_836), ("movielens_ml1m", 300_063)]
)
def test_movielens_prepares_from_the_real_files(name: str, ratings: int, tmp_path: Path) -> None:
    spec = find_adapter(name)(REAL)
    store = prepare(spec, REAL, tmp_path)
    counts = store.manifest.counts
    assert sum(part.rows for part in counts.values()) == ratings
    log = pl.read_parquet(REAL / str(spec.interactions.path))
    assert sum(part.positives for part in counts.values()) == (log["rating"] >= 4).sum()
    assert store.manifest.present["image"] == 4_908
    split = store.split("test")
    assert split.timestamp is not None
    for request in range(0, len(split.group), len(split.group) // 20):
        time = int(split.timestamp[split.row_start[request]])
        mine = log.filter(
            (pl.col("userId") == int(split.group[request]))
            & (pl.col("rating") >= 4)
            & (pl.col("timestamp") < time)
        )
        assert set(history(store, split, request)) <= set(mine["movieId"].to_list())
        assert split.history_length[request] == min(50, mine.height)


# --- every layout -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(LAYOUTS))
def test_a_folder_of_another_layout_is_refused_with_a_sentence(name: str, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing here")
    with pytest.raises(DataContractError, match=r"which the layout|such as"):
        LAYOUTS[name](tmp_path)


def broken_pairs(folder: Path) -> None:
    write_pairs(folder, padding_row=False)
    (folder / "MicroLens-100k_pairs.csv").write_text("uid,iid\n1,2\n", encoding="utf-8")


def broken_challenge(folder: Path) -> None:
    write_mmctr(folder)
    (folder / "MicroLens_1M_x1" / "train.parquet").write_bytes(b"PAR1 cut off")


def challenge_without_a_column(folder: Path) -> None:
    write_mmctr(folder)
    path = folder / "MicroLens_1M_x1" / "train.parquet"
    pl.read_parquet(path).drop("likes_level").write_parquet(path)


@pytest.mark.parametrize(
    ("name", "spoil", "sentence"),
    [
        ("microlens_pairs", broken_pairs, "item"),
        ("microlens_mmctr", broken_challenge, "parquet"),
        ("microlens_mmctr", challenge_without_a_column, "likes_level"),
    ],
)
def test_a_damaged_file_of_a_layout_is_one_sentence(
    name: str, spoil: Callable[[Path], None], sentence: str, tmp_path: Path
) -> None:
    spoil(tmp_path)
    with pytest.raises(DataContractError, match=sentence) as refusal:
        propose_layout(name, tmp_path)
    assert "\n" not in str(refusal.value)
    assert "download it again" in str(refusal.value)
    assert not list(tmp_path.rglob("*.partial"))


def test_an_unknown_layout_is_refused() -> None:
    with pytest.raises(SpecError, match="unknown layout 'kwai'; choose one of microlens_mmctr, "):
        find_adapter("kwai")


def test_the_yaml_of_a_proposal_reads_back_as_the_same_spec(tmp_path: Path) -> None:
    write_tiktok(tmp_path)
    spec = find_adapter("tiktok")(tmp_path)
    (tmp_path / "dataset.yaml").write_text(spec_yaml(spec))
    assert load_spec(tmp_path / "dataset.yaml") == spec


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    write_tiktok(tmp_path)
    (tmp_path / "fusefront").write_text("in the way")
    with pytest.raises(DataContractError, match="cannot be written"):
        find_adapter("tiktok")(tmp_path)
