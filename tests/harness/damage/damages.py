"""Damages of one file, drawn: bytes for any file, values for those whose format is known."""

import csv
import hashlib
import io
import json
import random
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
import yaml
from safetensors.numpy import load_file, save_file

WRONG: tuple[object, ...] = (
    *(None, "x", "", [], {}, -1, 0, 10**30, 1e308, True, [None], {"a": None}, "é\0", 0.5),
    *(float("nan"), float("inf"), ["a", "a"], "../x", "/dev/null", "2024-01-01", [[1]], "n" * 300),
)
NAMES = ("", "x", "u", " ", "n" * 300, "é\n", "a.b", "0")
Path_ = tuple[str | int, ...]


def damage(path: Path, rng: random.Random, others: list[Path]) -> str:
    """Damage the file in place, perhaps by the content of one of `others`; what was done."""
    raw = path.read_bytes()
    kinds = ["bytes"] * 2 + (["values"] * 3 if path.suffix in VALUES else [])
    if rng.choice(kinds) == "values":
        return VALUES[path.suffix](path, rng)
    return _bytes(path, raw, rng, others)


def _bytes(path: Path, raw: bytes, rng: random.Random, others: list[Path]) -> str:
    at = rng.randrange(len(raw) or 1)
    whole: dict[str, Callable[[], bytes]] = {
        "empty": lambda: b"",
        "halved": lambda: raw[: len(raw) // 2],
        "one byte short": lambda: raw[:-1],
        "one byte more": lambda: raw + b"\0",
        "null": lambda: b"null",
        "a list": lambda: b"[1]",
        "a number": lambda: b"7",
        "latin-1": lambda: "é".encode("latin-1") + raw,
        "utf-16": lambda: raw.decode("latin-1").encode("utf-16"),
        "byte order mark": lambda: b"\xef\xbb\xbf" + raw,
        "noise": lambda: rng.randbytes(200),
        "zeros": lambda: bytes(len(raw)),
        "one bit": lambda: (
            raw[:at] + bytes([(raw[at:] or b"\0")[0] ^ (1 << rng.randrange(8))]) + raw[at + 1 :]
        ),
        "a piece lost": lambda: raw[:at] + raw[at + 40 :],
        "deep": lambda: b"[" * 50_000,
    }
    alike = [other for other in others if other.suffix == path.suffix and other != path]
    kinds = [*whole, "gone", "a folder", "a link to itself"] + ["another's"] * 3 * bool(alike)
    kind = rng.choice(kinds)
    if kind in whole:
        path.write_bytes(whole[kind]())
    elif kind == "another's":
        other = rng.choice(alike)
        path.write_bytes(other.read_bytes())
        return f"the content of {other}"
    else:
        path.unlink()
        if kind == "a folder":
            path.mkdir()
        if kind == "a link to itself":
            path.symlink_to(path)
    return kind


def places(value: object, here: Path_ = ()) -> Iterator[Path_]:
    """Every key and the first three entries of every list."""
    inner: list[tuple[str | int, object]] = []
    if isinstance(value, dict):
        inner = list(value.items())
    elif isinstance(value, list):
        inner = list(enumerate(value[:3]))
    for key, part in inner:
        yield (*here, key)
        yield from places(part, (*here, key))


def changed(value: object, rng: random.Random) -> tuple[object, str]:
    """The value with one inner value of another type, one key less, more or by another name."""
    everywhere = list(places(value))
    if not everywhere:
        return [], "a list"
    if isinstance(value, dict) and "format" in value and rng.random() < 0.15:
        number = rng.choice([0, 2, 99, -1, "1", 1.0, None, True])
        return {**value, "format": number}, f"format {number!r}"
    where = rng.choice(everywhere)
    inside = value
    for key in where[:-1]:
        inside = inside[key]
    last, how = where[-1], rng.random()
    if how < 0.25:
        del inside[last]
        return value, f"{where} gone"
    if how < 0.35 and isinstance(inside, dict):
        inside[rng.choice(NAMES)] = inside.pop(last)
        return value, f"{where} by another name"
    if how < 0.45 and isinstance(inside, list):
        inside *= 2
        return value, f"{where[:-1]} twice"
    new = rng.choice([*WRONG, inside[last]])
    if isinstance(inside[last], int | float) and rng.random() < 0.4:
        new = rng.choice(
            [-inside[last], inside[last] * 1000, str(inside[last]), inside[last] + 0.5]
        )
    if isinstance(inside[last], str) and rng.random() < 0.3:
        new = rng.choice(
            [inside[last].upper(), inside[last] + "x", [inside[last]], inside[last][:1]]
        )
    inside[last] = new
    return value, f"{where} = {new!r:.60}"


def _json(path: Path, rng: random.Random) -> str:
    value, what = changed(json.loads(path.read_bytes()), rng)
    path.write_text(json.dumps(value))
    return what


def _lines(path: Path, rng: random.Random) -> str:
    lines = path.read_text().splitlines() or ["{}"]
    at = rng.randrange(len(lines))
    value, what = changed(json.loads(lines[at]), rng)
    lines[at] = json.dumps(value)
    if rng.random() < 0.2:
        rng.shuffle(lines)
    if rng.random() < 0.2:
        del lines[at]
    path.write_text("\n".join(lines) + "\n")
    return f"line {at}: {what}"


def _yaml(path: Path, rng: random.Random) -> str:
    value, what = changed(yaml.safe_load(path.read_text()), rng)
    path.write_text(yaml.safe_dump(value, sort_keys=False, allow_unicode=True))
    return what


CELLS = (
    "",
    " ",
    "x",
    "-1",
    "1e400",
    "nan",
    "NULL",
    "007",
    "é",
    '"',
    "1;2",
    "\0",
    "99999999999999999999",
    "2024-01-01",
    "True",
)


def _csv(path: Path, rng: random.Random) -> str:
    rows = list(csv.reader(io.StringIO(path.read_text())))
    how = rng.choice(["a cell", "a cell", "a column", "a row", "a name", "a long row", "no rows"])
    at, column = rng.randrange(len(rows)), rng.randrange(len(rows[0]))
    if how == "a cell":
        rows[at][column] = rng.choice(CELLS)
    elif how == "a column":
        new = rng.choice(CELLS)
        rows = [rows[0], *([*row[:column], new, *row[column + 1 :]] for row in rows[1:])]
    elif how == "a row":
        rows[at] = rows[at][:column]
    elif how == "a name":
        rows[0][column] = rng.choice(NAMES)
    elif how == "a long row":
        rows[at] = rows[at] + ["x"]
    else:
        rows = rows[:1]
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows(rows)
    path.write_text(file.getvalue())
    return f"{how} at {at}, {column}"


def _parquet(path: Path, rng: random.Random) -> str:
    frame = pl.read_parquet(path, glob=False)
    name = rng.choice(frame.columns)
    kind = frame.schema[name]
    null = pl.lit(None)
    ways: dict[str, Callable[[], pl.DataFrame]] = {
        "gone": lambda: frame.drop(name),
        "one row": lambda: frame.head(1),
        "no row": lambda: frame.head(0),
        "a row less": lambda: frame.head(frame.height - 1),
        "twice": lambda: pl.concat([frame, frame]),
        "turned": lambda: frame.reverse(),
        "text": lambda: frame.with_columns(pl.lit("x").alias(name)),
        "whole numbers": lambda: frame.with_columns(pl.lit(10**18).alias(name)),
        "negative": lambda: frame.with_columns(pl.lit(-1).alias(name)),
        "yes and no": lambda: frame.with_columns(pl.lit(True).alias(name)),
        "not a number": lambda: frame.with_columns(pl.lit(float("nan")).alias(name)),
        "endless": lambda: frame.with_columns(pl.lit(float("inf")).alias(name)),
        "times": lambda: frame.with_columns(pl.lit(datetime(2024, 1, 1)).alias(name)),
        "bytes": lambda: frame.with_columns(pl.lit(b"\xff").alias(name)),
        "lists": lambda: frame.with_columns(pl.lit([1, 2]).alias(name)),
        "lists of lists": lambda: frame.with_columns(pl.lit([["x"]]).alias(name)),
        "structs": lambda: frame.with_columns(pl.struct(pl.lit(1).alias("a")).alias(name)),
        "null": lambda: frame.with_columns(null.cast(kind).alias(name)),
        "null of no type": lambda: frame.with_columns(null.alias(name)),
        "one null": lambda: frame.with_columns(
            pl.when(pl.int_range(pl.len()) == 0).then(null).otherwise(pl.col(name)).alias(name)
        ),
        "another name": lambda: frame.rename({name: "another"}),
    }
    how = rng.choice([*ways])
    ways[how]().write_parquet(path)
    return f"{name}: {how}"


def _large(array: np.ndarray) -> int:
    """2^30, or the largest that the array's type holds."""
    return min(2**30, np.iinfo(array.dtype).max) if array.dtype.kind in "iu" else 2**30


def _npy(path: Path, rng: random.Random) -> str:
    array = np.load(path)
    ways: dict[str, Callable[[], np.ndarray]] = {
        "a row less": lambda: array[:-1],
        "a row more": lambda: np.concatenate([array, array[:1]]),
        "no row": lambda: array[:0],
        "flat": lambda: array.reshape(-1),
        "a scalar": lambda: np.array(1.0, array.dtype),
        "an axis more": lambda: array[None],
        "another width": lambda: array[..., :1],
        "no width": lambda: array[..., :0],
        "wide numbers": lambda: array.astype(np.float64),
        "text": lambda: array.astype("U4"),
        "complex": lambda: array.astype(np.complex64),
        "objects": lambda: array.astype(object),
        "bytes": lambda: array.astype(np.int8),
        "negative": lambda: -np.abs(array.astype(np.int64)) - 1,
        "large": lambda: (
            np.full_like(array, _large(array)) if array.dtype != np.uint8 else array + 9
        ),
        "turned": lambda: array[::-1],
        "column by column": lambda: np.asfortranarray(array),
        "not a number": lambda: np.full(array.shape, np.nan, np.float32),
        "other end": lambda: array.astype(array.dtype.newbyteorder(">")),
        "times": lambda: np.zeros(array.shape, "datetime64[s]"),
    }
    how = rng.choice([*ways])
    np.save(path, ways[how]())
    return how


def _weights(path: Path, rng: random.Random) -> str:
    state = load_file(path)
    name = rng.choice(sorted(state))
    array = state[name]
    ways: dict[str, Callable[[], dict[str, np.ndarray]]] = {
        "gone": lambda: {k: v for k, v in state.items() if k != name},
        "another name": lambda: {"x" if k == name else k: v for k, v in state.items()},
        "flat": lambda: {**state, name: array.reshape(-1)},
        "halved": lambda: {**state, name: array[: len(array) // 2] if array.ndim else array},
        "whole numbers": lambda: {**state, name: array.astype(np.int64)},
        "wide": lambda: {**state, name: array.astype(np.float64)},
        "not a number": lambda: {**state, name: np.full(array.shape, np.nan, np.float32)},
        "none": dict,
    }
    how = rng.choice([*ways])
    save_file({k: np.ascontiguousarray(v) for k, v in ways[how]().items()}, path)
    return f"{name}: {how}"


def _arrays(path: Path, rng: random.Random) -> str:
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    name = rng.choice(sorted(arrays))
    array = arrays[name]
    ways: dict[str, Callable[[], dict[str, np.ndarray]]] = {
        "gone": lambda: {k: v for k, v in arrays.items() if k != name},
        "another name": lambda: {"x" if k == name else k: v for k, v in arrays.items()},
        "flat": lambda: {**arrays, name: array.reshape(-1)},
        "text": lambda: {**arrays, name: array.astype("U4")},
        "objects": lambda: {**arrays, name: array.astype(object)},
        "wide": lambda: {**arrays, name: array.astype(np.float64)},
        "a row less": lambda: {**arrays, name: array[:-1] if array.ndim else array},
        "far": lambda: {
            **arrays,
            name: np.full_like(array, _large(array)) if array.dtype != bool else ~array,
        },
        "none": dict,
    }
    how = rng.choice([*ways])
    np.savez(path, **ways[how]())
    return f"{name}: {how}"


VALUES: dict[str, Callable[[Path, random.Random], str]] = {
    ".json": _json,
    ".jsonl": _lines,
    ".yaml": _yaml,
    ".csv": _csv,
    ".parquet": _parquet,
    ".npy": _npy,
    ".safetensors": _weights,
    ".npz": _arrays,
}


def reseal(path: Path) -> None:
    """Write the hash and size of a changed file into the record that vouches for it."""
    if not path.is_file() or path.is_symlink():
        return
    raw = path.read_bytes()
    hashed = hashlib.sha256(raw).hexdigest()
    for folder in list(path.parents)[:4]:
        name = path.relative_to(folder).as_posix()
        for record, key in (
            ("bundle.json", "files"),
            ("manifest.json", "files"),
            ("summary.json", "sha256"),
        ):
            try:
                content = json.loads((folder / record).read_text())
                files = content[key]
            except (OSError, ValueError, KeyError, TypeError):
                continue
            if name in files:
                files[name] = (
                    hashed
                    if key == "sha256"
                    else {**files[name], "bytes": len(raw), "sha256": hashed}
                )
                (folder / record).write_text(json.dumps(content))
                return
