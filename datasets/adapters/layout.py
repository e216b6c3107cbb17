"""Functions shared by the adapters: finding published files, and writing converted files that a
layout needs."""

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from fusefront.datasets.durable import replacing
from fusefront.datasets.errors import DataContractError
from fusefront.datasets.spec import DatasetSpec, parse_spec
from fusefront.datasets.yaml_file import Json

SIDE = "fusefront"  # folder for converted files, inside the data folder
HISTORY = 50


def need(folder: Path, layout: str, *names: str) -> None:
    """Refuse a folder that lacks one of the layout's files."""
    for name in names:
        if not (folder / name).is_file():
            there = ", ".join(sorted(entry.name for entry in folder.glob("*"))[:8]) or "nothing"
            raise DataContractError(
                f"{folder}: no {name!r}, which the layout {layout!r} has (there is {there}); give "
                "the folder that holds it"
            )


def write_side(folder: Path, name: str, frame: pl.LazyFrame) -> str:
    """Stream a converted table to `folder`/fusefront/`name`; its path relative to `folder`.

    Raises:
        DataContractError: the folder cannot be written to.
    """
    target = folder / SIDE / name
    try:
        with replacing(target) as written:
            frame.sink_parquet(written, engine="streaming")
    except OSError as error:
        raise DataContractError(
            f"{target}: cannot be written ({error.strerror or error}); the layout needs this "
            "converted file beside the data, so copy the data to a folder you may write to"
        ) from None
    return f"{SIDE}/{name}"


def vector_files(folder: Path, names: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """For each modality the first of its candidate file names that is there."""
    return {
        modality: next(name for name in candidates if (folder / name).is_file())
        for modality, candidates in names.items()
        if any((folder / name).is_file() for name in candidates)
    }


def own_vectors(folder: Path) -> dict[str, Json]:
    """Modalities of vectors made beforehand: `MODALITY.npy`, its keys in
    `MODALITY_ids.npy|parquet|csv`."""
    modalities: dict[str, Json] = {}
    for path in sorted(folder.glob("*.npy")):
        ids = [f"{path.stem}_ids{end}" for end in (".npy", ".parquet", ".csv")]
        there = [name for name in ids if (folder / name).is_file()]
        if there:
            modalities[path.stem] = {"path": path.name, "ids": there[0]}
    return modalities


def checked(raw: dict[str, Json], layout: str) -> DatasetSpec:
    """The spec of a mapping that an adapter made."""
    return parse_spec(raw, f"adapter {layout}")


def earlier_items(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Add `history`: the newest 50 earlier items of the user, for frames (user, item, place).

    For layouts without times: `place` orders a user's rows.
    """
    frame = frame.sort("user", "place")
    lists = frame.group_by("user", maintain_order=True).agg("item")
    placed = frame.with_columns(
        before=pl.int_range(pl.len(), dtype=pl.UInt32).over("user", order_by="place")
    )
    joined = placed.join(lists.rename({"item": "all"}), on="user", maintain_order="left")
    start = (pl.col("before").cast(pl.Int64) - HISTORY).clip(0)
    return joined.with_columns(
        history=pl.col("all").list.slice(start, pl.col("before").cast(pl.Int64) - start)
    ).drop("all", "before")
