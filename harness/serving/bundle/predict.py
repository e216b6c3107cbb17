"""`fusefront predict`: a parquet file of requests scored in a stream; needs no torch."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NotRequired

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from typing_extensions import TypedDict

from fusefront.datasets.errors import DataContractError
from fusefront.datasets.manifest import Scaling, vocabulary_file
from fusefront.datasets.scaling import scaled
from fusefront.harness.runs.files import Json, beside, place
from fusefront.harness.runs.records import Record, read_record
from fusefront.harness.serving.bundle.opened import load_session, read_manifest
from fusefront.harness.serving.export.request import Feed, FeedShape
from fusefront.harness.serving.export.scorer import probability

ROWS = 4096  # of the file at a time


class ServedField(TypedDict):
    """A categorical field of the request or the candidate, in so many columns."""

    name: str
    size: int
    columns: int


class ServedSchema(TypedDict):
    """The context that a client sends."""

    request_fields: list[ServedField]
    request_numbers: list[str]
    candidate_fields: list[ServedField]
    candidate_numbers: list[str]


class DatasetFacts(Record):
    """dataset.json of a bundle: fields, scalings, history length."""

    schema: ServedSchema
    numbers: NotRequired[dict[str, dict[str, float]]]  # "<side>.<field>" -> mean, deviation, limit


class Encoder:
    """Keys and raw values to the codes that the graph takes."""

    def __init__(self, folder: Path, shape: FeedShape) -> None:
        facts = read_record(folder / "dataset.json", DatasetFacts)
        self.schema, self.numbers, self.shape = facts["schema"], facts.get("numbers", {}), shape
        keys = pq.read_table(folder / "items.parquet")
        self.key_type = keys.schema.field("key").type
        self.row_of = dict(zip(keys["key"].to_pylist(), keys["row"].to_pylist(), strict=True))
        self.codes = {
            f"{side}_{field['name']}": _vocabulary(folder, side, field["name"])
            for side in ("request", "candidate")
            for field in self._fields(side)
        }

    def _fields(self, side: str) -> list[ServedField]:
        return self.schema["request_fields" if side == "request" else "candidate_fields"]

    def _numbers(self, side: str) -> list[str]:
        return self.schema["request_numbers" if side == "request" else "candidate_numbers"]

    def columns(self) -> list[str]:
        """Context columns that a file must hold."""
        names = []
        for side in ("request", "candidate"):
            names += [field["name"] for field in self._fields(side)]
            names += self._numbers(side)
        return names

    def feed(self, rows: Mapping[str, list[Any]]) -> Feed:
        """One candidate a row: histories [N, L] left-padded, candidates [N, 1], contexts."""
        count = len(rows["item"])
        histories = [self._history(value) for value in rows.get("history", [None] * count)]
        width = max(1, *(len(history) for history in histories)) if histories else 1
        feed = self.shape.arrays(count, 1, width)
        for at, history in enumerate(histories):
            if history:
                feed["history"][at, width - len(history) :] = history
                feed["history_mask"][at, width - len(history) :] = True
        feed["candidates"][:, 0] = [self.row_of.get(key, 0) for key in rows["item"]]
        for side in ("request", "candidate"):
            self._context(side, rows, feed)
        return feed

    def _history(self, keys: list[Any] | None) -> list[int]:
        known = [self.row_of.get(key, 0) for key in keys or []]
        return [row for row in known if row][-self.shape.max_history or len(known) :]

    def _context(self, side: str, rows: Mapping[str, list[Any]], feed: Feed) -> None:
        at = 0
        for field in self._fields(side):
            codes, columns = self.codes[f"{side}_{field['name']}"], field["columns"]
            made = np.zeros((len(rows["item"]), columns), np.int64)
            for number, value in enumerate(rows[field["name"]]):
                values = value if isinstance(value, list) else [value]
                found = [codes.get(str(v), 0) for v in values if v is not None][:columns]
                made[number, : len(found)] = found
            _put(feed[f"{side}_ids"], slice(at, at + columns), made)
            at += columns
        for number, name in enumerate(self._numbers(side)):
            scaling = self.numbers.get(f"{side}.{name}", {"mean": 0.0, "deviation": 1.0})
            raw = np.array([np.nan if v is None else float(v) for v in rows[name]])
            stored = scaled(raw[:, None], [Scaling.model_validate(scaling)])
            _put(feed[f"{side}_numbers"], slice(number, number + 1), stored)


def _put(target: NDArray[Any], columns: slice, values: NDArray[Any]) -> None:
    if target.ndim == 3:
        target[:, 0, columns] = values
    else:
        target[:, columns] = values


def _vocabulary(folder: Path, side: str, name: str) -> dict[str, int]:
    table = pq.read_table(folder / vocabulary_file(side, name))
    return dict(zip(table["value"].to_pylist(), table["code"].to_pylist(), strict=True))


def predict_file(bundle: Path, source: Path) -> Iterator[NDArray[np.float64]]:
    """Click probabilities of a file's rows, in pieces.

    Columns: `item` (key), `history` (list of item keys, newest last; optional), and the data set's
    context columns by name. An item that the bundle does not know scores as unknown.
    """
    manifest = read_manifest(bundle)
    session = load_session(bundle)
    names = [value.name for value in session.get_inputs()]
    encoder = Encoder(bundle, FeedShape.from_json(manifest["shape"]))
    try:
        file = pq.ParquetFile(source)
    except FileNotFoundError:
        raise DataContractError(f"{source}: not there; give a parquet file") from None
    except (OSError, pa.ArrowInvalid) as error:
        reason = str(error).splitlines()[0]
        raise DataContractError(f"{source}: no readable parquet file ({reason})") from None
    with file:
        wanted = ["item", *encoder.columns()]
        there = set(file.schema_arrow.names)
        for column in wanted:
            if column not in there:
                raise DataContractError(
                    f"{source}: column {column!r} is missing; the bundle needs {', '.join(wanted)}"
                    " and takes 'history'"
                )
        wanted += ["history"] * ("history" in there)
        _check_types(source, file.schema_arrow, encoder)
        for piece in file.iter_batches(ROWS, columns=wanted):
            feed = encoder.feed(piece.to_pydict())
            logits = session.run(["logits"], {name: feed[name] for name in names})[0]
            yield probability(logits[:, 0])


def _check_types(source: Path, schema: pa.Schema, encoder: Encoder) -> None:
    """Keys of another type would all score as unknown, a text for a number would not score at all."""
    wanted = {"item": encoder.key_type}
    found = {"item": schema.field("item").type}
    if "history" in schema.names:
        lists, wanted["history"] = schema.field("history").type, pa.list_(encoder.key_type)
        found["history"] = lists
        if pa.types.is_null(lists) or (_is_list(lists) and pa.types.is_null(lists.value_type)):
            del wanted["history"]  # nobody in this file has one
    for name, kind in wanted.items():
        if not _alike(found[name], kind):
            raise DataContractError(
                f"{source}: column {name!r} holds {found[name]}, expected {kind} as in the log that "
                "the bundle was made of; cast it"
            )
    for side in ("request", "candidate"):
        for name in encoder._numbers(side):
            kind = schema.field(name).type
            numeric = pa.types.is_integer(kind) or pa.types.is_floating(kind)
            if not (numeric or pa.types.is_boolean(kind) or pa.types.is_null(kind)):
                raise DataContractError(
                    f"{source}: column {name!r} holds {kind}, expected a number; cast it"
                )


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))


def _alike(one: pa.DataType, other: pa.DataType) -> bool:
    """Integers of any width are alike, so are texts, so are lists of such."""
    if _is_list(one) or _is_list(other):
        return _is_list(one) and _is_list(other) and _alike(one.value_type, other.value_type)
    if pa.types.is_integer(other):
        return bool(pa.types.is_integer(one))
    texts = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return any(is_text(one) for is_text in texts) and any(is_text(other) for is_text in texts)


def write_scores(bundle: Path, source: Path, target: Path) -> dict[str, Json]:
    """Scores beside their row number as parquet, written beside and renamed."""
    written = beside(target)
    schema = pa.schema([("row", pa.int64()), ("probability", pa.float64())])
    count = 0
    try:
        with pq.ParquetWriter(written, schema) as writer:
            for scores in predict_file(bundle, source):
                rows = np.arange(count, count + len(scores))
                writer.write_table(pa.table({"row": rows, "probability": scores}, schema=schema))
                count += len(scores)
        place(written, target)
    finally:
        written.unlink(missing_ok=True)
    return {"rows": count, "scores": str(target)}
