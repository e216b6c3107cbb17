"""init: what is proposed can be read, says its guesses, and prepares."""

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml

from fusefront.datasets.errors import DataContractError
from fusefront.datasets.prepare import prepare
from fusefront.datasets.propose import propose
from fusefront.datasets.spec import load_spec, parse_spec
from fusefront.datasets.store import PreparedDataset

REAL = Path(__file__).parents[3].parent / "shared" / "data" / "movielens_multimodal"


def shop(folder: Path, *, csv: bool = False, label: bool = True, time: bool = True) -> None:
    """A small shop as a team might have it."""
    rng = np.random.default_rng(0)
    n, items = 4000, 60
    log = pl.DataFrame(
        {
            "user_id": rng.integers(0, 80, n) + 1000,
            "item_id": [f"sku{i}" for i in rng.integers(0, items, n)],
            "ts": np.sort(rng.integers(0, 10**6, n)),
            "clicked": rng.integers(0, 2, n),
            "device": rng.choice(["phone", "desktop"], n),
        }
    )
    log = log.drop([*([] if label else ["clicked"]), *([] if time else ["ts"])])
    log.write_csv(folder / "log.csv") if csv else log.write_parquet(folder / "log.parquet")
    pl.DataFrame(
        {
            "item_id": [f"sku{i}" for i in range(items)],
            "category": rng.choice(["a", "b", "c"], items),
            "tags": ["x|y" if i % 2 else "z" for i in range(items)],
            "price": rng.random(items),
            "title": [f"thing number {i}" for i in range(items)],
            "image": rng.random((items, 12)).astype(np.float32).tolist(),
        }
    ).write_parquet(folder / "items.parquet")
    np.save(folder / "text_emb.npy", rng.random((items, 16)).astype(np.float32))
    np.save(folder / "other.npy", rng.random((7, 3)))


def prepared(folder: Path, text: str, out: Path) -> PreparedDataset:
    spec = out / "spec.yaml"
    spec.write_text(text, encoding="utf-8")
    return prepare(load_spec(spec), folder, out)


@pytest.mark.parametrize("csv", [False, True])
def test_a_proposal_prepares_as_it_is(tmp_path: Path, csv: bool) -> None:
    data, out = tmp_path / "shop", tmp_path / "out"
    data.mkdir()
    out.mkdir()
    shop(data, csv=csv)
    store = prepared(data, propose([data]), out)
    schema = store.manifest.schema_
    assert dict(schema.modalities) == {"text": 16, "image": 12}
    assert [field.name for field in schema.candidate_fields] == ["device"]
    assert [field.name for field in schema.item_fields] == ["category", "tags"]
    assert schema.item_numbers == ("price",)
    assert schema.max_history == 50
    assert store.manifest.split_by == "time"


def test_every_line_that_was_guessed_says_so(tmp_path: Path) -> None:
    shop(tmp_path)
    for line in propose([tmp_path]).splitlines():
        ending = (":", "path:", "key:")
        assert (
            "guess" in line
            or line.startswith("#")
            or line.rstrip().endswith(ending)
            or (line.strip().split(":")[0] in ("path", "key") or line.strip().startswith("#"))
        ), line


def test_without_labels_every_row_is_a_positive_and_without_time_users_are_apart(
    tmp_path: Path,
) -> None:
    data, out = tmp_path / "shop", tmp_path / "out"
    data.mkdir()
    out.mkdir()
    shop(data, label=False, time=False)
    text = propose([data])
    assert "negatives:" in text
    assert "by: user" in text
    assert "no vectors found" not in text
    (data / "text_emb.npy").unlink()
    (data / "other.npy").unlink()
    items = pl.read_parquet(data / "items.parquet").drop("image", "title")
    items.write_parquet(data / "items.parquet")
    text = propose([data])
    assert "# modalities:  # no vectors found; fusion needs some" in text
    store = prepared(data, text, out)
    assert store.manifest.counts["train"].rows > store.manifest.counts["train"].positives


def clicks(count: int = 3000) -> tuple[dict[str, list[object]], np.ndarray]:
    """A log of item numbers 1 .. 50, and a left-padded history of ten for every row."""
    rng = np.random.default_rng(1)
    history = np.zeros((count, 10), np.int64)
    for row, length in enumerate(rng.integers(0, 11, count)):
        history[row, 10 - length :] = rng.integers(1, 51, length)
    log = {
        "uid": rng.integers(0, 90, count).tolist(),
        "iid": rng.integers(1, 51, count).tolist(),
        "label": rng.integers(0, 2, count).tolist(),
    }
    return log, history


def stored_histories(store: PreparedDataset) -> dict[int, list[object]]:
    """row_id -> keys of its history."""
    keys = dict(store.item_keys().iter_rows())
    histories = {}
    for name in ("train", "valid", "test"):
        split = store.split(name)
        for r in range(len(split.group)):
            start, length = int(split.history_start[r]), int(split.history_length[r])
            entries = [keys[int(k)] for k in store.history_values[start : start + length]]
            for n in range(int(split.row_start[r]), int(split.row_start[r + 1])):
                histories[int(split.row_id[n])] = entries
    return histories


@pytest.mark.parametrize("kind", ["columns in csv", "padded lists", "lists", "text in csv"])
def test_ready_histories_are_found_in_whatever_form(tmp_path: Path, kind: str) -> None:
    data, out = tmp_path / "shop", tmp_path / "out"
    data.mkdir()
    out.mkdir()
    log, history = clicks()
    real = [[int(k) for k in row if k] for row in history]
    if kind == "columns in csv":
        pl.DataFrame(log | {f"hist_{k}": history[:, k] for k in range(10)}).write_csv(
            data / "log.csv"
        )
    elif kind == "text in csv":
        text = ["[" + ", ".join(map(str, row)) + "]" for row in real]
        pl.DataFrame(log | {"hist": text}).write_csv(data / "log.csv")
    else:
        lists = history.tolist() if kind == "padded lists" else real
        pl.DataFrame(log | {"item_seq": lists}).write_parquet(data / "log.parquet")
    np.save(data / "text.npy", np.random.default_rng(0).random((51, 6)))
    text = propose([data])
    assert "items: {keys: rows}  # guess: item k is row k of text.npy" in text
    assert ("from: padded" in text) == (kind in ("columns in csv", "padded lists"))
    histories = stored_histories(prepared(data, text, out))
    assert [histories[row] for row in range(len(real))] == real


def test_a_log_in_three_files_and_vectors_with_keys_of_their_own(tmp_path: Path) -> None:
    data, out = tmp_path / "shop", tmp_path / "out"
    data.mkdir()
    out.mkdir()
    log, history = clicks()
    frame = pl.DataFrame(log | {"item_seq": history.tolist()})
    for name, part in (("train", frame[:2000]), ("val", frame[2000:2500]), ("test", frame[2500:])):
        part.write_parquet(data / f"{name}.parquet")
    keys = np.random.default_rng(2).permutation(50)[:40] + 1
    vectors = np.random.default_rng(3).random((40, 4)).astype(np.float32)
    np.save(data / "image.npy", vectors)
    np.save(data / "image_ids.npy", keys)
    store = prepared(data, propose([data]), out)
    assert [store.manifest.counts[name].rows for name in ("train", "valid", "test")] == [
        2000,
        500,
        500,
    ]
    rows = {key: row for row, key in store.item_keys().iter_rows()}
    assert sorted(rows) == list(range(1, 51))  # also those that only a history holds
    for key, vector in zip(keys.tolist(), vectors, strict=True):
        np.testing.assert_array_equal(store.vectors("image")[rows[key]], vector)
    assert store.manifest.present == {"image": 40}


def test_items_in_a_csv_under_another_name_and_pictures_as_a_hint(tmp_path: Path) -> None:
    shop(tmp_path)
    items = pl.read_parquet(tmp_path / "items.parquet").drop("image", "tags")
    items.rename({"item_id": "product_id"}).write_csv(tmp_path / "goods.tsv", separator="\t")
    (tmp_path / "items.parquet").unlink()
    (tmp_path / "photos").mkdir()
    for item in range(5):
        (tmp_path / "photos" / f"sku{item}.jpg").write_bytes(b"")
    (tmp_path / "out").mkdir()
    text = propose([tmp_path])
    assert '# photos: {path: "photos/{key}.jpg", encode: image}  # guess: 5 pictures' in text
    assert '# title: {column: "title", encode: text}' in text
    store = prepared(tmp_path, text, tmp_path / "out")
    assert store.manifest.schema_.items == 60
    assert dict(store.manifest.schema_.modalities) == {"text": 16}


def test_files_of_two_folders_are_refused(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "log.csv").write_text("user,item\n1,2\n", encoding="utf-8")
    with pytest.raises(DataContractError, match="files of 2 folders"):
        propose([tmp_path / "one" / "log.csv", tmp_path / "two" / "log.csv"])
    (tmp_path / "one" / "log.csv").write_text("user,item\n", encoding="utf-8")
    with pytest.raises(DataContractError, match="no rows"):
        propose([tmp_path / "one"])


def test_a_folder_without_a_log_is_refused_with_what_was_seen(tmp_path: Path) -> None:
    pl.DataFrame({"a": [1], "b": [2]}).write_parquet(tmp_path / "x.parquet")
    with pytest.raises(
        DataContractError, match=r"no table has a user and an item.*x\.parquet: a, b"
    ):
        propose([tmp_path])
    with pytest.raises(DataContractError, match="not there"):
        propose([tmp_path / "gone"])


@pytest.mark.skipif(not REAL.is_dir(), reason="the MovieLens data is not beside this checkout")
def test_the_real_films_are_understood(tmp_path: Path) -> None:
    text = propose([REAL])
    assert 'positive_when: ">= 4"' in text
    assert "visual_avf107.npy: holds infinite" in text
    store = prepared(REAL, text, tmp_path)
    assert {"text", "image", "audio"} <= set(store.manifest.schema_.modalities)


def test_roles_without_telling_names_are_guessed_from_values(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows, users, items = 3000, 80, 150
    start = datetime(2026, 1, 1)
    pl.DataFrame(
        {
            "Gerät: Typ": rng.choice(["phone", "#tv", "desk top"], rows),
            "Kunde": [f"Ünï {k}" for k in rng.integers(0, users, rows)],
            "Ware": [f"SKU/{k}" for k in rng.integers(0, items, rows)],
            "geklickt?": rng.integers(0, 2, rows),
            "Zeit (UTC)": [start + timedelta(minutes=k) for k in range(rows)],
            "Preis, €": rng.random(rows),
            "😀 mood": rng.choice(["a", "b"], rows),
        }
    ).write_parquet(tmp_path / "Log (final) v2.parquet")
    pl.DataFrame({"Ware": [f"SKU/{k}" for k in range(items)]}).write_csv(tmp_path / "Waren.csv")
    np.save(tmp_path / "Bild–emb.npy", rng.standard_normal((items, 6)))
    text = propose([tmp_path])
    assert "😀 mood" in text
    columns = parse_spec(yaml.safe_load(text), "test").columns
    assert (columns.user, columns.item, columns.label) == ("Kunde", "Ware", "geklickt?")
    assert columns.timestamp == "Zeit (UTC)"
    (tmp_path / "out").mkdir()
    store = prepared(tmp_path, text, tmp_path / "out")
    assert {field.name for field in store.manifest.schema_.candidate_fields} == {
        "Gerät: Typ",
        "😀 mood",
    }
    assert store.manifest.schema_.candidate_numbers == ("Preis, €", "item_n", "item_rate")
    assert sum(part.rows for part in store.manifest.counts.values()) == rows


def test_a_file_whose_name_cannot_be_written_is_refused(tmp_path: Path) -> None:
    pl.DataFrame({"user_id": [1], "item_id": [1]}).write_csv(tmp_path / "a\nb.csv")
    with pytest.raises(DataContractError, match=r"'a\\nb\.csv' cannot be written; rename it"):
        propose([tmp_path])
