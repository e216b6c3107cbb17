"""MicroLens_1M_MMCTR, the WWW 2025 challenge: 900,000 train users with one click in four rows.

The official split is user-disjoint and stays so. The published test file has no labels: the
official valid file is then the test split, and 2.5 % of the train users become valid.
"""

from pathlib import Path

import polars as pl

from fusefront.datasets.adapters.layout import checked, need, write_side
from fusefront.datasets.errors import DataContractError
from fusefront.datasets.raw.files import sha256
from fusefront.datasets.spec import DatasetSpec
from fusefront.datasets.yaml_file import Json

LAYOUT = "MicroLens_1M_MMCTR"
LOG = "MicroLens_1M_x1"
COLUMNS = ("user_id", "item_seq", "item_id", "likes_level", "views_level", "label")
HASHES = {
    "item_feature.parquet": "a63d8cbe090a79ee18bdb51a4146a4205339cb4b3b81bcae26035c17a322fc65",
    f"{LOG}/train.parquet": "182fba831484d931e3943557cdd1b791861b2f921d0a7ff66bb34d492be7d5b1",
}
VALID_PER_MILLE = 25


def propose(folder: Path) -> DatasetSpec:
    """The official split; `check_hashes` tells whether the files are the published ones."""
    log = f"{LOG}/" if (folder / LOG).is_dir() else ""
    need(folder, LAYOUT, *(f"{log}{name}.parquet" for name in ("train", "valid", "item_info")))
    raw: dict[str, Json] = {
        "name": "microlens_1m_mmctr",
        "interactions": _splits(folder, log),
        "columns": {"user": "user_id", "item": "item_id", "label": "label"},
        "history": {"from": "padded", "column": "item_seq", "max_length": 64, "padding": 0},
        "candidate_fields": [{"column": "likes_level"}, {"column": "views_level"}],
        "items": {
            "path": _items(folder, log),
            "key": "item_id",
            "fields": [{"column": "item_tags", "type": "categories", "max_values": 5}],
        },
        "modalities": _modalities(folder),
        "split": {"by": "given"},
        "cluster": "user",
        "slices": [{"name": "cold_item", "when": "cold_item"}],
    }
    return checked(raw, LAYOUT)


def check_hashes(folder: Path) -> None:
    """Refuse files that are not byte for byte the published ones; absent files are passed over."""
    inside = (folder / LOG).is_dir()
    for name, expected in HASHES.items():
        path = folder / (name if inside else Path(name).name)
        if path.is_file() and (digest := sha256(path)) != expected:
            raise DataContractError(
                f"{path}: SHA-256 {digest[:12]}..., the published file has {expected[:12]}...; "
                "download it again"
            )


def _splits(folder: Path, log: str) -> dict[str, Json]:
    test = folder / f"{log}test.parquet"
    if test.is_file() and "label" in pl.scan_parquet(test, glob=False).collect_schema().names():
        return {name: f"{log}{name}.parquet" for name in ("train", "valid", "test")}
    rows = pl.scan_parquet(folder / f"{log}train.parquet", glob=False).select(COLUMNS)
    draw = (pl.col("user_id").cast(pl.Int64) * 2_654_435_761 % 2**32) % 1_000
    return {
        "train": write_side(folder, "train.parquet", rows.filter(draw >= VALID_PER_MILLE)),
        "valid": write_side(folder, "valid.parquet", rows.filter(draw < VALID_PER_MILLE)),
        "test": f"{log}valid.parquet",
    }


def _items(folder: Path, log: str) -> str:
    """item_info without the padding item 0 and without the zeros that pad its tags."""
    info = pl.scan_parquet(folder / f"{log}item_info.parquet", glob=False)
    tags = pl.col("item_tags")
    if isinstance(info.collect_schema()["item_tags"], pl.Array):
        tags = tags.arr.to_list()
    tags = tags.list.eval(pl.element().filter(pl.element() != 0))
    items = info.filter(pl.col("item_id") > 0).with_columns(item_tags=tags)
    return write_side(folder, "items.parquet", items)


def _modalities(folder: Path) -> dict[str, Json]:
    """The raw BERT and CLIP vectors where they are there, else the shipped 128-d mixture of
    both."""
    if (folder / "item_feature.parquet").is_file():
        source = {"path": "item_feature.parquet", "key": "item_id", "dtype": "float16"}
        return {
            "text": {**source, "column": "txt_emb_BERT"},
            "image": {**source, "column": "img_emb_CLIPRN50"},
        }
    return {"mixed": {"column": "item_emb_d128"}}
