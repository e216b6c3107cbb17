"""MIND, news with impressions: `behaviors.tsv`, `news.tsv`, `entity_embedding.vec` without headers.

Published at https://msnews.github.io (Wu et al., ACL 2020), as folders NAME_train and NAME_dev (and
NAME_test without clicks, which is left out). An impression becomes one request. The vector of a
news item is the mean over the entities of its title and abstract. Left out: urls,
relation_embedding.vec.
"""

from pathlib import Path
from typing import NamedTuple

import polars as pl

from fusefront.datasets.adapters.layout import HISTORY, checked, need, own_vectors, write_side
from fusefront.datasets.adapters.mind_news import news_table
from fusefront.datasets.errors import DataContractError
from fusefront.datasets.spec import DatasetSpec
from fusefront.datasets.yaml_file import Json

LAYOUT = "MIND"
LOG, NEWS, ENTITIES = "behaviors.tsv", "news.tsv", "entity_embedding.vec"
COLUMNS = ("impression", "user", "time", "history", "impressions")
TIME = "%m/%d/%Y %I:%M:%S %p"


class MindParts(NamedTuple):
    """The folders of the published parts; dev None where only one part was downloaded."""

    train: Path
    dev: Path | None


def propose(folder: Path) -> DatasetSpec:
    """Clicks of the impressions shown; dev is the test split, the last day of train is valid."""
    parts = _parts(folder)
    folders = [part for part in parts if part is not None]
    for part in folders:
        need(part, LAYOUT, LOG, NEWS, ENTITIES)
    items = news_table([(part / NEWS, part / ENTITIES) for part in folders])
    split: dict[str, Json] = {"by": "time", "valid": 0.1, "test": 0.2}
    if parts.dev is not None:
        split = {"by": "given", "column": "split"}
    raw: dict[str, Json] = {
        "name": parts.train.name.lower().removesuffix("_train"),
        "interactions": {"path": write_side(folder, "impressions.parquet", _log(parts))},
        "columns": {
            "user": "user",
            "item": "item",
            "label": "label",
            "timestamp": "time",
            "request": "impression",
        },
        "history": {"from": "list", "column": "history", "separator": " ", "max_length": HISTORY},
        "items": {
            "path": write_side(folder, "news.parquet", items),
            "key": "item",
            "fields": [{"column": "category"}, {"column": "subcategory"}],
        },
        "modalities": {"entities": {"column": "entities"}, **own_vectors(folder)},
        "split": split,
        "cluster": "user",
        "slices": [{"name": "cold_item", "when": "cold_item"}],
    }
    return checked(raw, LAYOUT)


def _parts(folder: Path) -> MindParts:
    if (folder / LOG).is_file():
        return MindParts(folder, None)
    inside = sorted(path.parent for path in folder.glob(f"*/{LOG}"))
    train = [path for path in inside if path.name.lower().endswith("train")]
    dev = [path for path in inside if path.name.lower().endswith(("dev", "valid", "val"))]
    if len(train) != 1 or len(dev) > 1:
        there = ", ".join(path.name for path in inside) or "nothing"
        raise DataContractError(
            f"{folder}: parts with {LOG!r}, which the layout {LAYOUT!r} has as NAME_train and "
            f"NAME_dev, are: {there}; give the folder with those two of one size"
        )
    return MindParts(train[0], dev[0] if dev else None)


def _log(parts: MindParts) -> pl.LazyFrame:
    """One row an item shown: impression, user, time, history (text), item, label, split."""
    train = _shown(parts.train / LOG)
    if parts.dev is None:
        return train
    last = train.select(pl.col("time").dt.date().max()).collect(engine="streaming").item()
    day = pl.col("time").dt.date()
    split = pl.when(day == last).then(pl.lit("valid")).otherwise(pl.lit("train"))
    dev = _shown(parts.dev / LOG).with_columns(split=pl.lit("test"))
    return pl.concat([train.with_columns(split=split), dev])


def _shown(path: Path) -> pl.LazyFrame:
    rows = pl.scan_csv(
        path,
        separator="\t",
        has_header=False,
        glob=False,
        quote_char=None,
        schema=dict.fromkeys(COLUMNS, pl.String),
    )
    shown = pl.col("item").str.extract_groups(r"^(?P<item>.+)-(?P<label>[01])$")
    rows = rows.with_columns(
        history=pl.col("history").fill_null(""),
        time=pl.col("time").str.to_datetime(TIME, time_unit="ms", strict=False),
        item=pl.col("impressions").str.split(" "),
    )
    rows = rows.drop("impressions").explode("item", empty_as_null=True)
    _refuse_strays(rows, path)
    return (
        rows.with_columns(shown.alias("pair"))
        .with_columns(
            item=pl.col("pair").struct.field("item"),
            label=pl.col("pair").struct.field("label").cast(pl.UInt8),
        )
        .drop("pair")
    )


def _refuse_strays(rows: pl.LazyFrame, path: Path) -> None:
    """The first row whose time or impression is not as published."""
    fine = pl.col("time").is_not_null() & pl.col("item").str.contains(r"^.+-[01]$")
    stray = rows.filter(~fine.fill_null(False)).head(1).collect(engine="streaming")
    if stray.height:
        row = stray.row(0, named=True)
        content = f"item {row['item']!r}" if row["time"] else "no time 'MM/DD/YYYY HH:MM:SS AM'"
        raise DataContractError(
            f"{path}: impression {row['impression']!r} has {content}, expected times as in "
            "'11/13/2019 8:36:57 AM' and items as in 'N55689-1 N35729-0'; leave the part without "
            "clicks out, or download it again"
        )
