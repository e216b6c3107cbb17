"""After the buckets: applies vocabularies and scalings of train to the raw columns."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fusefront.datasets.losses import Tally
from fusefront.datasets.manifest import Scaling, StoredField, vocabulary_file
from fusefront.datasets.raw.category_codes import Codebook, Vocabulary, finish
from fusefront.datasets.raw.files import NpyWriter
from fusefront.datasets.scaling import count_cut, fit, scaled
from fusefront.datasets.spec import SPLITS, FieldSpec

_BLOCK = 1 << 18
RAW, COUNTED = "raw_numbers.npy", "raw_counters.npy"  # numbers of the log, and of counters


class StoredSide(NamedTuple):
    """The fields of one side as the manifest describes them."""

    fields: tuple[StoredField, ...]
    numbers: tuple[str, ...]
    scalings: dict[str, Scaling]


def finish_codes(
    folder: Path,
    side: str,
    kind: str,
    fields: tuple[FieldSpec, ...],
    books: list[Codebook],
    tally: Tally,
) -> tuple[StoredField, ...]:
    """Rewrite the codes of `kind` (request | row) in every split by the vocabularies of train."""
    categorical = tuple(field for field in fields if field.type != "number")
    widths = [field.max_values if field.type == "categories" else 1 for field in categorical]
    train = folder / "train" / kind / "context_ids.npy"
    vocabularies = _vocabularies(train, widths, books)
    edges = np.cumsum([0, *widths])
    for split in SPLITS:
        path = folder / split / kind / "context_ids.npy"
        for block in blocks(path, "r+"):
            for number, vocabulary in enumerate(vocabularies):
                part = slice(edges[number], edges[number + 1])
                codes = np.array(block[:, part])
                block[:, part] = vocabulary.of[codes]
                name = f"{side}.{categorical[number].label}"
                count_codes(tally, name, split, codes, block[:, part])
    for field, vocabulary in zip(categorical, vocabularies, strict=True):
        write_vocabulary(folder, side, field.label, vocabulary)
    return tuple(
        StoredField(name=field.label, size=vocabulary.size, columns=width)
        for field, vocabulary, width in zip(categorical, vocabularies, widths, strict=True)
    )


def finish_numbers(
    folder: Path,
    side: str,
    kind: str,
    fields: tuple[FieldSpec, ...],
    counters: tuple[str, ...],
    tally: Tally,
) -> tuple[tuple[str, ...], dict[str, Scaling]]:
    """The names of the numbers of `kind`, its counters last, and their scalings by train."""
    own = tuple(field.label for field in fields if field.type == "number")
    names = own + counters
    raw = [RAW, COUNTED] if counters else [RAW]
    return names, _scale(folder, kind, [f"{side}.{name}" for name in names], raw, tally)


def count_codes(
    tally: Tally, name: str, split: str, codes: NDArray[np.int32], final: NDArray[np.int32]
) -> None:
    """Count rows without a value, and values that train does not have; codes [n, columns], 0 =
    none."""
    empty = int((~(codes > 0).any(1)).sum())
    tally.add(f"{name}.absent", empty, len(codes), f"rows have no value of {name}")
    there = int((codes > 0).sum())
    lost = int(((codes > 0) & (final == 0)).sum())
    what = f"values of {name} in {split} are not in train; they are coded as absent"
    tally.add(f"{name}.unseen.{split}", lost, there, what)


def write_vocabulary(folder: Path, side: str, name: str, vocabulary: Vocabulary) -> None:
    """`vocabularies/<side>_<field>.parquet`: code and value."""
    target = folder / vocabulary_file(side, name)
    target.parent.mkdir(parents=True, exist_ok=True)
    codes = np.arange(1, vocabulary.size, dtype=np.int32)
    pl.DataFrame(
        {"code": codes, "value": list(vocabulary.values)},
        schema={"code": pl.Int32, "value": pl.String},
    ).write_parquet(target)


def _vocabularies(train: Path, widths: list[int], books: list[Codebook]) -> list[Vocabulary]:
    counts_of = [np.zeros(len(book.values), np.int64) for book in books]
    for block in blocks(train, "r"):
        start = 0
        for counts, width in zip(counts_of, widths, strict=True):
            part = block[:, start : start + width].ravel()
            counts += np.bincount(part, minlength=len(counts))
            start += width
    return [finish(book, counts) for book, counts in zip(books, counts_of, strict=True)]


def _scale(
    folder: Path, kind: str, names: list[str], files: list[str], tally: Tally
) -> dict[str, Scaling]:
    """Standardise on train: two streamed passes in float64; absent (NaN) becomes 0, the mean."""
    raw = {split: [folder / split / kind / name for name in files] for split in SPLITS}
    rows = len(np.load(raw["train"][0], mmap_mode="r"))
    scalings = fit(Beside(raw["train"]), names, rows)
    for split in SPLITS:
        target = folder / split / kind / "context_numbers.npy"
        with NpyWriter(target, np.float32, len(names)) as file:
            if not names:
                file.append(np.zeros((len(np.load(raw[split][0], mmap_mode="r")), 0)))
            for block in Beside(raw[split]) if names else ():
                count_numbers(tally, names, block)
                scores = scaled(block, scalings)
                count_cut(tally, names, scalings, scores)
                file.append(scores)
        for path in raw[split]:
            path.unlink()
    return dict(zip(names, scalings, strict=True))


def count_numbers(tally: Tally, names: list[str], numbers: NDArray[np.float64]) -> None:
    """Count rows without a number; numbers [n, len(names)], NaN = absent."""
    for name, absent in zip(names, np.isnan(numbers).sum(0).tolist(), strict=True):
        what = f"rows have no number in {name}; they get the mean"
        tally.add(f"{name}.absent", absent, len(numbers), what)


class Blocks:
    """The rows of an .npy file, block by block; can be iterated several times."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __iter__(self) -> Iterator[NDArray[Any]]:
        return blocks(self.path, "r")


class Beside:
    """The rows of several .npy files side by side, block by block; can be iterated several
    times."""

    def __init__(self, paths: list[Path]) -> None:
        self.parts = [Blocks(path) for path in paths if np.load(path, mmap_mode="r").size]

    def __iter__(self) -> Iterator[NDArray[Any]]:
        for each in zip(*self.parts, strict=True):
            yield each[0] if len(each) == 1 else np.concatenate(each, axis=1)


def blocks(path: Path, mode: Literal["r", "r+"]) -> Iterator[NDArray[Any]]:
    """An array [n, ...] on disk in blocks of rows, memory-mapped; "r+" writes back what is
    changed."""
    whole = np.load(path, mmap_mode=mode)
    if not whole.size:
        return
    for start in range(0, len(whole), _BLOCK):
        # a new map per block, so that pages of earlier ones are freed
        yield np.load(path, mmap_mode=mode)[start : start + _BLOCK]
