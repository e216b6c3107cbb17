"""TencentGR-1M and -10M (Tencent Advertising Algorithm Challenge 2025): sequences of ads shown to
users.

Published at https://huggingface.co/datasets/TAAC2025 (arXiv:2604.04976) as folders of parquet
parts: `seq`, `item_feat`, `user_feat`, `mm_emb/emb_ID_WIDTH_parquet`, and `indexer.pkl`, which says
under which number the sequences know an ad whose vectors stand under its `anonymous_cid`. Left out:
`candidate`.
"""

import logging
import re
from pathlib import Path

import polars as pl

from fusefront.datasets.adapters.layout import HISTORY, checked, need, write_side
from fusefront.datasets.adapters.plain_pickle import read_plain
from fusefront.datasets.errors import DataContractError
from fusefront.datasets.spec import DatasetSpec
from fusefront.datasets.yaml_file import Json

LAYOUT = "TencentGR"
INDEXER = "indexer.pkl"
CLICK = 1  # actions: 0 shown, 1 clicked, 2 converted (10M)
WIDE = 64  # vectors wider than this are stored in half the bytes


def propose(folder: Path) -> DatasetSpec:
    """Clicks and conversions among what was shown; the ads' key is their `anonymous_cid`."""
    need(folder, LAYOUT, INDEXER)
    sequences, users = _parts(folder, "seq"), _parts(folder, "user_feat")
    features = _parts(folder, "item_feat")
    modalities = _modalities(folder)
    ads = _ads(folder)
    log = _log([folder / name for name in sequences], ads)
    items = pl.scan_parquet([folder / name for name in features], glob=False)
    fields: list[Json] = [_field(name, dtype) for name, dtype in _fields(items, "item_id").items()]
    people = pl.scan_parquet([folder / name for name in users], glob=False)
    of_users: list[Json] = [
        _field(name, dtype) for name, dtype in _fields(people, "user_id").items()
    ]
    table = ads.lazy().join(items, left_on="number", right_on="item_id", how="left").drop("number")
    raw: dict[str, Json] = {
        "name": "tencent_gr",
        "interactions": {"path": write_side(folder, "events.parquet", log)},
        "columns": {"user": "user_id", "item": "item", "label": "label", "timestamp": "timestamp"},
        "history": {"from": "log", "max_length": HISTORY},
        "users": {
            "path": write_side(folder, "users.parquet", people),
            "key": "user_id",
            "fields": of_users,
        },
        "items": {
            "path": write_side(folder, "ads.parquet", table),
            "key": "item",
            "fields": fields,
        },
        "modalities": modalities,
        "split": {"by": "time", "valid": 0.1, "test": 0.1},
        "cluster": "user",
        "slices": [{"name": "cold_item", "when": "cold_item"}],
    }
    return checked(raw, LAYOUT)


def _parts(folder: Path, name: str) -> list[str]:
    parts = sorted(f"{name}/{path.name}" for path in (folder / name).glob("*.parquet"))
    if not parts:
        raise DataContractError(
            f"{folder}: no {name + '/*.parquet'!r}, which the layout {LAYOUT!r} has; give the "
            "folder that holds it"
        )
    return parts


def _modalities(folder: Path) -> dict[str, Json]:
    """The vectors that were downloaded: emb_81_32 and up to five more."""
    modalities: dict[str, Json] = {}
    for path in sorted((folder / "mm_emb").glob("emb_*_parquet")):
        name = re.fullmatch(r"emb_(\d+)_(\d+)_parquet", path.name)
        if name is not None and path.is_dir():
            modalities[f"emb_{name[1]}"] = {
                "path": list[Json](_parts(folder, f"mm_emb/{path.name}")),
                "key": "anonymous_cid",
                "column": "emb",
                "dtype": "float16" if int(name[2]) > WIDE else "float32",
            }
    if not modalities:
        raise DataContractError(
            f"{folder}: no vectors 'mm_emb/emb_ID_WIDTH_parquet', which the layout {LAYOUT!r} has; "
            "download at least emb_81_32_parquet"
        )
    return modalities


def _ads(folder: Path) -> pl.DataFrame:
    """`number` in the sequences and `item`, the ad's own key as text, of every ad."""
    indexer = read_plain(folder / INDEXER)
    pairs = indexer.get("i") if isinstance(indexer, dict) else None
    try:
        if not isinstance(pairs, dict) or not pairs:
            raise TypeError("no dict of ads under 'i'")
        columns = {"number": list(pairs.values()), "item": [str(key) for key in pairs]}
        return pl.DataFrame(columns, {"number": pl.Int64, "item": pl.String})
    except (TypeError, pl.exceptions.PolarsError, OverflowError) as error:
        reason = str(error).split("\n")[0][:120].rstrip(".")
        raise DataContractError(
            f"{folder / INDEXER}: not the map from ads to their numbers ({reason}); download it "
            "again"
        ) from None


def _log(paths: list[Path], ads: pl.DataFrame) -> pl.LazyFrame:
    """user_id, item, timestamp, label: one row an event; events without an action are left out."""
    events = (
        pl.scan_parquet(paths, glob=False)
        .select("user_id", "seq")
        .explode("seq", empty_as_null=False)
    )
    events = events.filter(pl.col("seq").is_not_null()).unnest("seq")
    joined = events.join(
        ads.lazy(), left_on="item_id", right_on="number", how="left", maintain_order="left"
    )
    with_action = pl.col("action_type").is_not_null()
    counts = joined.select(
        pl.len().alias("events"),
        (~with_action).sum().alias("untold"),
        pl.col("item_id").filter(pl.col("item").is_null()).first().alias("stray"),
        pl.col("item").is_null().sum().alias("strays"),
    ).collect(engine="streaming")
    count = counts.row(0, named=True)
    if count["strays"]:
        raise DataContractError(
            f"{paths[0].parent}: {count['strays']:,} events show the ad {count['stray']}, which "
            f"{INDEXER!r} does not number; download both again"
        )
    if count["untold"]:
        logging.getLogger(__name__).warning(
            "%s: %s of %s events have no action and are left out",
            paths[0].parent,
            f"{count['untold']:,}",
            f"{count['events']:,}",
        )
    label = (pl.col("action_type") >= CLICK).cast(pl.UInt8)
    return joined.filter(with_action).select("user_id", "item", "timestamp", label.alias("label"))


def _fields(frame: pl.LazyFrame, key: str) -> dict[str, pl.DataType]:
    schema = frame.collect_schema()
    return {name: dtype for name, dtype in schema.items() if name != key}


def _field(name: str, dtype: pl.DataType) -> dict[str, Json]:
    if isinstance(dtype, pl.List):
        return {"column": name, "type": "categories"}
    return {"column": name}
