"""Batches of raw inputs at their bounds, and the names of files by key."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from fusefront.datasets.preparing.encoded import (
    Absent,
    EncodedModality,
    Raw,
    batches,
    file_of,
    read_image,
    read_text,
)
from fusefront.datasets.preparing.items import ItemFile
from fusefront.datasets.raw.keys import KeyIndex
from fusefront.datasets.raw.whole_table import WholeTable
from fusefront.datasets.spec import DatasetSpec, parse_spec
from fusefront.datasets.table_text import COMMAS


def picture(size: int) -> Raw:
    """An image of so many bytes, none of which takes memory."""
    return Raw(0, np.broadcast_to(np.uint8(1), (size,)), "x")


@pytest.mark.parametrize(
    ("sizes", "lengths"),
    [
        ([1 << 25, 1 << 25, 1], [2, 1]),  # 64 MiB together, and one byte more
        ([(1 << 25) + 1, 1 << 25], [1, 1]),
        ([1 << 27, 3, 4], [1, 2]),  # one alone may be larger
        ([5] * 7, [3, 3, 1]),
        ([], []),
    ],
)
def test_a_batch_ends_at_its_number_or_at_64_mebibytes(
    sizes: list[int], lengths: list[int]
) -> None:
    result = list(batches(map(picture, sizes), 3))
    assert [len(batch) for batch in result] == lengths
    assert [first.bytes for batch in result for first in batch] == sizes


def test_texts_count_their_characters() -> None:
    assert Raw(0, "four", "x").bytes == 4


def spec(**modality: str) -> DatasetSpec:
    return parse_spec(
        {
            "name": "shop",
            "interactions": {"path": "log.parquet"},
            "columns": {"user": "u", "item": "i", "label": "y"},
            "history": {"from": "none"},
            "items": {"path": "items.parquet", "key": "i"},
            "modalities": {"raw": modality},
            "split": {"by": "user"},
        },
        "test",
    )


@pytest.mark.parametrize(("kind", "most"), [("text", 256), ("image", 64)])
def test_the_encoder_sees_so_many_at_a_time_and_rows_keep_their_item(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, most: int
) -> None:
    count, sizes = most + 40, list[int]()

    def lengths(values: list[object], name: str) -> np.ndarray:
        sizes.append(len(values))
        names.append(name)
        return np.array([[np.size(v) if kind == "image" else len(str(v))] for v in values])

    names: list[str] = []
    monkeypatch.setattr("fusefront.datasets.preparing.encoded.find_encoder", lambda *_: lengths)
    keys = [f"k{n}" for n in range(count)]
    titles = [None if n in (3, 7) else "a" * (1 + n % 50) for n in range(count)]
    path = tmp_path / "items.parquet"
    pl.DataFrame({"i": keys, "title": titles}).write_parquet(path)
    items = ItemFile(KeyIndex(pl.Series("i", keys), path, "i"), WholeTable((path,), COMMAS))
    if kind == "text":
        result = EncodedModality(tmp_path, spec(column="title", encode="text"), "raw", items)
    else:
        for n, key in enumerate(keys):
            if titles[n]:
                Image.new("RGB", (1 + n % 50, 1)).save(tmp_path / f"{key}.png")
        result = EncodedModality(tmp_path, spec(path="{key}.png", encode="image"), "raw", items)
    entries = {}
    for block in result:
        np.testing.assert_array_equal(block.source + 1, block.rows)
        entries |= dict(
            zip(block.rows.tolist(), np.asarray(block.vectors)[:, 0].tolist(), strict=True)
        )
    assert sizes == [most, 38]
    wide = 3 if kind == "image" else 1
    assert entries == {n + 1: wide * (1 + n % 50) for n in range(count) if titles[n]}
    assert (result.absent.missing, result.absent.unreadable) == (2, 0)
    first, second = (
        ("k0.png", f"k{most + 2}.png")
        if kind == "image"
        else ("row 0 of items.parquet", f"row {most + 2} of items.parquet")
    )
    assert names == [first, second]
    missing = "k3.png" if kind == "image" else "row 3 of items.parquet"
    assert result.absent.sentences("raw", count) == [
        f"modality 'raw': 2 of {count} items have no raw input and count as absent, such as "
        f"{missing}"
    ]


def test_what_is_absent_is_said_of_the_first_with_a_short_reason() -> None:
    absent = Absent()
    assert absent.sentences("m", 5000) == []
    for name in ("a.txt", "b.txt"):
        absent.miss(name)
        absent.fail(Path(name), f"reason of {name}" + "." * 200 + "\nmore")
    assert absent.sentences("m", 5000) == [
        "modality 'm': 2 of 5,000 items have no raw input and count as absent, such as a.txt",
        "modality 'm': 2 files cannot be read and count as absent, such as a.txt (reason of "
        "a.txt); replace them",
    ]


def test_keys_that_are_no_plain_names_have_no_file(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.txt").write_text("a")
    for name in (".txt", "..txt", "b.txt"):
        (tmp_path / name).write_text("b")
    keys = ["deep/a", "b", "c"]
    path = tmp_path / "items.parquet"
    items = ItemFile(KeyIndex(pl.Series("i", keys), path, "i"), WholeTable((path,), COMMAS))
    result = EncodedModality(tmp_path, spec(path="{key}.txt", encode="text"), "raw", items)
    assert [raw.row for raw in result._files(read_text)] == [1]
    assert (result.absent.missing, result.absent.first_missing) == (2, "deep/a.txt")
    dots = ItemFile(
        KeyIndex(pl.Series("i", [".", "..", "b"]), path, "i"), WholeTable((path,), COMMAS)
    )
    (tmp_path / "...txt").write_text("b")
    result = EncodedModality(tmp_path, spec(path="{key}.txt", encode="text"), "raw", dots)
    assert [raw.row for raw in result._files(read_text)] == [2]


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("x/{key}.jpg", "x/0108775.jpg"),
        ("x/{key:.3}/{key}.jpg", "x/010/0108775.jpg"),
        ("{key:.1}", "0"),
    ],
)
def test_a_pattern_takes_a_key_or_its_beginning(pattern: str, name: str) -> None:
    assert file_of(pattern, "0108775") == name


def test_a_picture_of_over_64_million_points_is_not_decoded(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    Image.new("1", (8192, 8193)).save(path)
    with pytest.raises(ValueError, match="8192 x 8193 pixels are too many"):
        read_image(path)


def test_a_picture_is_turned_upright(tmp_path: Path) -> None:
    image = Image.new("RGB", (4, 2), (9, 8, 7))
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side
    image.save(tmp_path / "side.png", exif=exif)
    assert read_image(tmp_path / "side.png").shape == (4, 2, 3)
    assert read_image(tmp_path / "side.png").dtype == np.uint8
