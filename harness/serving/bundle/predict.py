"""`fusefront predict`: scores a file of raw rows as a stream, encoded as `prepare` does; needs no
torch."""

from collections.abc import Iterator
from pathlib import Path
from typing import NotRequired

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import ValidationError
from typing_extensions import TypedDict

from fusefront.datasets.durable import replacing
from fusefront.datasets.errors import DataContractError
from fusefront.datasets.losses import Loss, Tally
from fusefront.datasets.manifest import Scaling, vocabulary_file
from fusefront.datasets.raw.keys import KeyIndex
from fusefront.datasets.raw.reading import columns_of, stream
from fusefront.datasets.raw_rows import RawRows
from fusefront.datasets.row_encoder import SIDES, EncodedRows, NumberSource, RowEncoder
from fusefront.harness.runs.records import Record, read_record
from fusefront.harness.serving.bundle.opened import load_session, read_manifest, score
from fusefront.harness.serving.export.request import Feed, FeedShape
from fusefront.harness.serving.export.scorer import probability
from fusefront.harness.serving.export.searched import FILE as SEARCH
from fusefront.harness.serving.export.searched import PLACES, SearchAhead, searched

ROWS = 4096  # of the file at a time


class DatasetFacts(Record):
    """dataset.json of a bundle: how raw rows are read, and the scalings of numbers."""

    raw: NotRequired[dict[str, object] | None]  # a RawRows as JSON; missing in older bundles
    counters: NotRequired[dict[str, object] | None]  # a StoredCounters
    numbers: NotRequired[dict[str, dict[str, float]]]  # "<side>.<field>" -> mean, deviation, limit


class PredictSummary(TypedDict):
    """What `predict` prints at its end."""

    rows: int
    scores: str
    losses: dict[str, Loss]  # values and items that the bundle does not know


def open_encoder(folder: Path) -> RowEncoder:
    """The encoder for raw rows of a bundle.

    Raises:
        DataContractError: the bundle does not say how raw values are read.
    """
    facts = read_record(folder / "dataset.json", DatasetFacts)
    if not facts.get("raw"):
        raise DataContractError(
            f"{folder / 'dataset.json'}: does not say how raw values are read, because its data "
            "were prepared by an earlier version; prepare again, train and export"
        )
    try:
        raw = RawRows.model_validate(facts.get("raw"))
    except ValidationError as error:
        reason = str(error).split("\n")[0]
        raise DataContractError(f"{folder / 'dataset.json'}: raw: {reason}; export again") from None
    items = _table(folder / "items.parquet", "key", "row").sort("row")
    keys = KeyIndex(items["key"], folder / "items.parquet", "key")
    scalings = {
        name: Scaling.model_validate(part) for name, part in facts.get("numbers", {}).items()
    }
    vocabularies = {
        f"{side}.{part.name}": _table(folder / vocabulary_file(side, part.name), "value", "code")
        for side in SIDES
        for part in raw.side(side)
        if not part.numeric
    }
    encoder = RowEncoder(raw, keys, vocabularies, scalings)
    numbers = (facts.get("counters") or {}).get("numbers")
    encoder.counters = tuple(numbers) if isinstance(numbers, dict) else ()
    return encoder


def _table(path: Path, *columns: str) -> pl.DataFrame:
    """A table of the bundle, with its columns checked: keys or words, and integers from 0.

    Raises:
        DataContractError: the table does not have this form, even if its checksum is right.
    """
    try:
        table = pl.read_parquet(path, columns=list(columns), glob=False)
        table.select(pl.col(columns[1]).cast(pl.UInt32, strict=True))
        words = table[columns[0]]
        if words.null_count() or not (words.dtype == pl.String or words.dtype.is_integer()):
            raise pl.exceptions.SchemaError(f"{columns[0]} holds {words.dtype}, some of it absent")
        if words.n_unique() < len(words):
            twice = words.filter(words.is_duplicated())[0]
            raise pl.exceptions.SchemaError(f"{columns[0]} holds {twice!r} twice")
        return table
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = " ".join(str(error).split())[:120]
        raise DataContractError(f"{path}: unreadable ({reason}); export again") from None


def feed_of(rows: EncodedRows, shape: FeedShape) -> Feed:
    """The rows as requests of one candidate: histories [N, L] left-padded, candidates [N, 1],
    contexts."""
    count, length = len(rows.items), rows.histories.length
    width = max(1, int(length.max(initial=0)))
    feed = shape.arrays(count, 1, width)
    row = np.repeat(np.arange(count), length)
    back = np.repeat(np.cumsum(length), length) - np.arange(len(row))  # 1 = the newest
    feed["history"][row, width - back] = rows.histories.values
    feed["history_mask"][row, width - back] = True
    if rows.kinds is not None:
        feed["history_kinds"][row, width - back] = rows.kinds
    feed["candidates"][:, 0] = rows.items
    for name, values in (("ids", rows.ids), ("numbers", rows.numbers)):
        if values["request"].shape[1]:
            feed[f"request_{name}"][:] = values["request"]
        if values["candidate"].shape[1]:
            feed[f"candidate_{name}"][:, 0] = values["candidate"]
    return feed


def predict_file(
    bundle: Path,
    source: Path,
    tally: Tally | None = None,
    counting: NumberSource | None = None,
) -> Iterator[NDArray[np.float64]]:
    """Click probabilities of the rows of a parquet or csv file, in pieces [rows of a chunk].

    Columns: `item` (key), optionally `history` (list of item keys, newest last), and the data set's
    context columns by name; or the columns of the data set's own log. An unknown item scores as
    unknown; `tally` counts unknown values. Counters that the file lacks come from `counting`.

    Raises:
        DataContractError: the file does not exist, or a value cannot be read.
    """
    manifest = read_manifest(bundle)
    session = load_session(bundle)
    names = [value.name for value in session.get_inputs()]
    encoder, shape = open_encoder(bundle), FeedShape.from_json(manifest["shape"])
    search = SearchAhead.read(bundle / SEARCH) if SEARCH in manifest["files"] else None
    encoder.tally = tally if tally is not None else Tally()
    encoder.counting = counting
    if not source.is_file():
        raise DataContractError(f"{source}: not there; give a parquet or csv file")
    columns = encoder.columns(list(columns_of(source)), source)
    first = 0
    for frame in stream(source, columns.all, ROWS):
        feed = feed_of(encoder.encode(frame, columns, source, first), shape)
        first += frame.height
        if search is not None and PLACES in (ahead := search.ahead(feed)):
            feed = searched(ahead)
        logits = score(session, bundle, {name: feed[name] for name in names})
        yield probability(logits[:, 0])


def write_scores(
    bundle: Path, source: Path, target: Path, counting: NumberSource | None = None
) -> PredictSummary:
    """Write scores with their row number as parquet, in one step; counts unknown values."""
    tally = Tally()
    schema = pa.schema([("row", pa.int64()), ("probability", pa.float64())])
    count = 0
    with replacing(target) as written, pq.ParquetWriter(written, schema) as writer:
        for scores in predict_file(bundle, source, tally, counting):
            rows = np.arange(count, count + len(scores))
            writer.write_table(pa.table({"row": rows, "probability": scores}, schema=schema))
            count += len(scores)
    return {"rows": count, "scores": str(target), "losses": tally.losses()}
