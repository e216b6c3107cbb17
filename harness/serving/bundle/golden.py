"""Golden rows: raw keys and values of recorded rows, with the probabilities that the run recorded.

They check what graphs and tables alone cannot: vocabularies, kinds, scalings and item keys. A
bundle whose encoder was changed no longer gives the recorded probabilities, even if its checksums
were made again.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fusefront.datasets.row_encoder import KIND, EncodedRows
from fusefront.datasets.store import PreparedDataset, Split
from fusefront.harness.errors import GateError
from fusefront.harness.runs.hashes import read_predictions
from fusefront.harness.serving.bundle.opened import TOLERANCE, BundleError
from fusefront.harness.serving.bundle.predict import feed_of, open_encoder, predict_file
from fusefront.harness.serving.bundle.raw_values import raw_values, typed
from fusefront.harness.serving.export.request import Feed, FeedShape
from fusefront.harness.serving.export.scorer import probability

FILE = "golden.parquet"
ROWS = 256  # the first rows of validation, so that test stays closed
SIDES = ("request", "candidate")
RECORDED, SERVED = "recorded probability", "served probability"  # names that no field of a log has


class RawReplay(NamedTuple):
    """The result of scoring the golden rows again: their number, and the largest difference of a
    probability."""

    rows: int
    max_difference: float
    passed: bool


def write_golden_rows(
    folder: Path,
    store: PreparedDataset,
    run: Path,
    shape: FeedShape,
    logits: Callable[[Feed], NDArray[np.float32]],
    *,
    exact: bool,
) -> None:
    """Write golden.parquet of a bundle with a raw encoder. `logits` scores a feed of R requests to
    [R, K]; `exact` requires the recorded scores.

    Raises:
        GateError: the raw rows do not score as the run recorded them.
    """
    rows = raw_rows(store, "valid", ROWS)
    encoder = open_encoder(folder)
    columns = encoder.columns(rows.columns, folder / FILE)
    encoded = encoder.encode(rows, columns, folder / FILE, 0)
    whole = _as_stored(encoded, store, rows.height)  # values cut to max_values cannot be restored
    served = probability(logits(feed_of(encoded, shape)))[whole]
    recorded = probability(read_predictions(run, "valid")["logit"].to_numpy()[: rows.height])
    rows, recorded = rows.filter(pl.Series(whole)), recorded[whole]
    apart = float(np.abs(served[:, 0] - recorded).max(initial=0.0))
    if exact and apart > TOLERANCE:
        raise GateError(
            f"{run.name}: raw rows of validation do not score as recorded (a probability differs "
            f"by {apart:.1e}, at most {TOLERANCE:.0e}); prepare and train again with this version"
        )
    rows.with_columns(pl.Series(RECORDED, recorded), pl.Series(SERVED, served[:, 0])).write_parquet(
        folder / FILE
    )


def _as_stored(encoded: EncodedRows, store: PreparedDataset, rows: int) -> NDArray[np.bool_]:
    """Which of the first rows of validation encode to the codes in the store: [rows] bool."""
    part = store.split("valid")
    request = np.repeat(np.arange(len(part.group)), np.diff(part.row_start))[:rows]
    same = encoded.items == part.item[:rows]
    same &= (encoded.ids["request"] == part.request_ids[request]).all(axis=1)
    same &= (encoded.ids["candidate"] == part.candidate_ids[:rows]).all(axis=1)
    same &= encoded.histories.length == part.history_length[request]
    if encoded.kinds is not None and store.history_kinds is not None:
        places = _places(part, request)
        if len(places) == len(encoded.kinds):
            off = encoded.kinds != store.history_kinds[places]
            row = np.repeat(np.arange(rows), encoded.histories.length)
            same &= np.bincount(row, off, minlength=rows) == 0
    return np.asarray(same, np.bool_)


def replay_rows(folder: Path) -> RawReplay | None:
    """Encode and score the golden rows of a bundle again; None if the bundle has none.

    Raises:
        BundleError: the file does not hold the rows of an export.
    """
    path = folder / FILE
    if not path.exists():
        return None
    now = np.concatenate([*predict_file(folder, path), np.zeros(0)])
    frame = pl.read_parquet(path, glob=False)
    if SERVED not in frame.columns or len(now) != frame.height or not frame.height:
        raise BundleError(f"{path}: not the golden rows of an export; copy the bundle again")
    apart = np.abs(now - frame[SERVED].to_numpy())
    worst = float(apart.max()) if np.isfinite(apart).all() else float("inf")
    return RawReplay(frame.height, worst, worst <= TOLERANCE)


def raw_rows(store: PreparedDataset, split: str, most: int) -> pl.DataFrame:
    """The first rows of a split as a client would send them: keys, raw values, histories of
    keys."""
    part = store.split(split)
    request = np.repeat(np.arange(len(part.group)), np.diff(part.row_start))[:most]
    keys = store.item_keys().sort("row")["key"]
    places = _places(part, request)
    entries = {"history": keys.gather(store.history_values[places].astype(np.int64) - 1)}
    if store.history_kinds is not None and store.manifest.raw is not None:
        raw = store.manifest.raw
        kinds = np.array([None, *raw.event_kinds], object)[store.history_kinds[places]]
        entries[KIND] = typed(pl.Series(kinds.tolist(), dtype=pl.String), raw.event_kind)
    row = np.repeat(np.arange(len(request)), part.history_length[request])
    histories = (
        pl.DataFrame({"row": row, **entries}).group_by("row", maintain_order=True).agg(*entries)
    )
    rows = pl.DataFrame({"row": np.arange(len(request))}).join(histories, on="row", how="left")
    columns = [keys.gather(part.item[:most].astype(np.int64) - 1).alias("item")]
    columns += [rows[name] for name in entries]
    held_by = {
        "request": (part.request_ids[request], part.request_numbers[request]),
        "candidate": (part.candidate_ids[:most], part.candidate_numbers[:most]),
    }
    for side in SIDES:
        columns += _fields(store, side, *held_by[side])
    return pl.DataFrame(columns)


def _places(part: Split, request: NDArray[np.int64]) -> NDArray[np.int64]:
    """The places of the requests' histories in the store, one request after the other."""
    begin = part.history_start[request].astype(np.int64)
    length = part.history_length[request].astype(np.int64)
    inside = np.arange(int(length.sum())) - np.repeat(np.cumsum(length) - length, length)
    return np.repeat(begin, length) + inside


def _fields(
    store: PreparedDataset, side: str, ids: NDArray[np.integer], numbers: NDArray[np.floating]
) -> list[pl.Series]:
    """The values that codes stand for, and the raw values of stored numbers."""
    schema, scalings = store.manifest.schema_, store.manifest.numbers
    fields = schema.request_fields if side == "request" else schema.candidate_fields
    number_names = schema.request_numbers if side == "request" else schema.candidate_numbers
    assert store.manifest.raw is not None
    declared = {part.name: part for part in store.manifest.raw.side(side)}
    columns, at = [], 0
    for field in fields:
        words = store.vocabulary(side, field.name)
        text = np.full(field.size, None, object)
        text[words["code"].to_numpy()] = words["value"].to_list()
        codes = ids[:, at : at + field.columns].astype(np.int64)
        at += field.columns
        columns.append(raw_values(declared[field.name], text[codes].tolist()).alias(field.name))
    for number, name in enumerate(number_names):
        scaling = scalings[f"{side}.{name}"]
        raw = numbers[:, number].astype(np.float64) * scaling.deviation + scaling.mean
        columns.append(pl.Series(name, raw))
    return columns
