"""Paths, hashes and arrays on disk: what is written is what NumPy reads, what is wrong is a
place."""

import hashlib
import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from fusefront.datasets.durable import write_bytes
from fusefront.datasets.errors import DataContractError
from fusefront.datasets.raw.delimited import column_names, count_lines, stream_text
from fusefront.datasets.raw.files import (
    NpyWriter,
    broken,
    filled,
    find,
    refuse_twice,
    sha256,
    write_npy,
)
from fusefront.datasets.table_text import COMMAS, TableText


@pytest.mark.parametrize("width", [None, 0, 1, 3])
@pytest.mark.parametrize("dtype", ["<i4", "<f8", "u1", "<f2"])
def test_an_array_that_grows_is_read_by_numpy(
    tmp_path: Path, width: int | None, dtype: str
) -> None:
    parts = [np.arange(n if width is None else n * width).reshape(n, -1) for n in (4, 0, 3) if n]
    parts = [part.ravel() if width is None else part[:, :width] for part in parts]
    if width == 0:
        parts = [np.zeros((n, 0)) for n in (4, 0, 3)]
    path = tmp_path / "deep" / "a.npy"
    with NpyWriter(path, dtype, width) as file:
        for part in parts:
            file.append(part)
        assert file.rows == 7
    file.close()  # again, which changes nothing
    array = np.load(path)
    assert array.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(array, np.concatenate(parts))
    if array.size:  # its data begin where NumPy's own do: at a multiple of 64 bytes
        assert np.memmap(path, np.uint8, "r")[:6].tobytes() == b"\x93NUMPY"
        assert (path.stat().st_size - array.nbytes) % 64 == 0


def test_rows_of_another_shape_are_no_rows(tmp_path: Path) -> None:
    with pytest.raises(AssertionError), NpyWriter(tmp_path / "a.npy", np.int32, 3) as file:
        file.append(np.zeros((2, 2)))
    with pytest.raises(AssertionError), NpyWriter(tmp_path / "b.npy", np.int32) as flat:
        flat.append(np.zeros((2, 2)))


@pytest.mark.parametrize("shape", [(5,), (4, 3), (0, 2)])
def test_an_array_is_written_whole(tmp_path: Path, shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(0).random(shape).astype(np.float32)
    write_npy(tmp_path / "a.npy", array)
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), array)
    write_bytes(tmp_path / "new" / "b", b"content")
    assert (tmp_path / "new" / "b").read_bytes() == b"content"


def test_a_hash_is_of_the_whole_content(tmp_path: Path) -> None:
    content = os.urandom((1 << 22) + 17)
    (tmp_path / "a").write_bytes(content)
    assert sha256(tmp_path / "a") == hashlib.sha256(content).hexdigest()


def test_a_sentence_names_file_column_and_row_and_cuts_long_paths_in_front() -> None:
    error = broken("log.csv", "got 2", "fix it", column="y", row=0)
    assert str(error) == "log.csv, column 'y', row 0: got 2; fix it"
    assert str(broken("log.csv", "empty", "fill it")) == "log.csv: empty; fill it"
    fits, long = "f" * 200, "x" + "f" * 200
    assert str(broken(fits, "a", "b")) == f"{fits}: a; b"
    assert str(broken(long, "a", "b")) == f"...{fits}: a; b"


def test_a_column_must_be_filled_to_its_last_row() -> None:
    column = pl.Series("u", [1, None, None])
    with pytest.raises(DataContractError, match=r"^log\.csv, column 'u', row 41: no value; drop"):
        filled(column, Path("log.csv"), 40)
    assert filled(column[:1], Path("log.csv"), 40).to_list() == [1]


def test_the_first_name_that_is_there_twice_is_named() -> None:
    refuse_twice(Path("a.csv"), ["b", "a"])
    with pytest.raises(DataContractError, match=r"a\.csv: column 'a' appears twice; rename one"):
        refuse_twice(Path("a.csv"), ["b", "a", "c", "b", "a"])


def test_a_file_is_found_or_what_is_there_instead_is_named(tmp_path: Path) -> None:
    for name in "jihgfedcba":
        (tmp_path / f"{name}.csv").write_text("x")
    assert find(tmp_path, "a.csv") == tmp_path / "a.csv"
    listing = ", ".join(f"{name}.csv" for name in "abcdefgh")
    with pytest.raises(DataContractError, match=f"no such file; the folder holds {listing}$"):
        find(tmp_path, "z.csv")
    (tmp_path / "none").mkdir()
    with pytest.raises(DataContractError, match=r"no such file; the folder holds nothing$"):
        find(tmp_path / "none", "z.csv")
    (tmp_path / "link").symlink_to(tmp_path / "z.csv")
    with pytest.raises(DataContractError, match="link: a dangling link; make it point to the file"):
        find(tmp_path, "link")
    with pytest.raises(DataContractError, match="none: a folder or a device, not a file"):
        find(tmp_path, "none")
    (tmp_path / "a.csv").write_text("")
    with pytest.raises(DataContractError, match=r"a\.csv: an empty file; export it again"):
        find(tmp_path, "a.csv")


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"", 1),  # nothing but an end that is missing
        (b"a", 1),
        (b"a\n", 1),
        (b"a\nb", 2),
        (b"a\r\nb\r\n", 2),
        (b"a\rb\rc", 3),
        (b"a\rb\r", 2),
        (b"\n\n", 2),
    ],
)
def test_lines_are_counted_with_a_last_one_that_does_not_end(
    tmp_path: Path, content: bytes, lines: int
) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    assert count_lines(tmp_path / "a.csv") == lines


def test_lines_are_counted_over_blocks(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"x" * (1 << 22) + b"\n" + b"y" * 9 + b"\nz")
    assert count_lines(tmp_path / "a.csv") == 3


def test_a_first_line_of_up_to_a_mebibyte_is_a_header(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    cells = [f"{k:06d}" + "c" * 1017 for k in range(1024)]
    header = ",".join(cells)
    assert len(header) == (1 << 20) - 1
    path.write_text(header + "\n1\n")
    assert column_names(path, COMMAS) == cells
    path.write_text(header + "x\n1\n")
    with pytest.raises(DataContractError, match="a first line over 1 MiB"):
        column_names(path, COMMAS)


@pytest.mark.parametrize(
    ("content", "names", "sentence"),
    [
        (b"\x1f\x8b12", (), "a gzip file, not text; unpack it"),
        (b"PK\x03\x0412", (), "a zip file, not text"),
        (b"BZh1", (), "a bzip2 file, not text"),
        (b"PAR1", (), "a parquet file, not text"),
        (b"  \n1\n", (), "not a table of text"),
        (b"a\0b\n", (), "not a table of text"),
        (b"abc\xff,b\n", (), "row 0: byte 3 is not UTF-8; save it as UTF-8"),
        (b"1,2,3\n", ("a", "b"), "3 values in the first line, 2 names; give 'names'"),
        (b"a,b\n1,2\n", ("a", "b"), "the first line holds the names; remove 'names'"),
        (b"a,b,a\n", (), "column 'a' appears twice"),
    ],
)
def test_a_first_line_that_names_nothing_is_refused(
    tmp_path: Path, content: bytes, names: tuple[str, ...], sentence: str
) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(DataContractError, match=sentence):
        column_names(tmp_path / "a.csv", TableText(names=names))


@pytest.mark.parametrize("names", [(), ("u", "v")])
def test_chunks_hold_so_many_rows_and_every_one(tmp_path: Path, names: tuple[str, ...]) -> None:
    path, first = tmp_path / "a.csv", "" if names else "u,v\n"
    path.write_text(first + "".join(f"{k},{k % 3}\n" for k in range(25)))
    chunks = list(stream_text(path, ["v", "u"], 10, TableText(names=names)))
    assert [chunk.height for chunk in chunks] == [10, 10, 5]
    whole = pl.concat(chunks)
    assert whole["u"].to_list() == [str(k) for k in range(25)]
    assert whole["v"].to_list() == [str(k % 3) for k in range(25)]


def test_a_cell_may_be_as_long_as_64_kibibytes_in_small_chunks(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("u,v\n" + f"1,{'w' * 60_000}\n" * 3)
    chunks = list(stream_text(path, ["u", "v"], 2, COMMAS))
    assert sum(chunk.height for chunk in chunks) == 3
    assert {len(text) for chunk in chunks for text in chunk["v"]} == {60_000}


def test_absent_words_are_null_but_not_between_quotes(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    words = ["", "NA", "NaN", "nan", "null", "NULL", "None", '"NA"', '"x"']
    path.write_text("u,v\n" + "".join(f"1,{word}\n" for word in words))
    (chunk,) = stream_text(path, ["v"], 100, COMMAS)
    assert chunk["v"].to_list() == [None] * 6 + ["None", "NA", "x"]
