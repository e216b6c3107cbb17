"""A second vector file of a modality: stale vectors, or those of another encoder."""

from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fusefront.datasets.raw.column_kinds import TEXT, WHOLE
from fusefront.datasets.raw.files import broken
from fusefront.datasets.raw.keys import KeyIndex
from fusefront.datasets.raw.reading import columns_of, is_parquet
from fusefront.datasets.raw.vectors import from_column, from_npy
from fusefront.datasets.raw.whole_table import WholeTable
from fusefront.datasets.store import PreparedDataset
from fusefront.datasets.table_text import TableText
from fusefront.harness.errors import UsageError

Vectors = NDArray[np.float32]
BLOCK = 4096


def named_files(texts: list[str]) -> dict[str, Path]:
    """MODALITY=FILE and the like, as a modality's file.

    Raises:
        UsageError: a text is not that, or a modality has two files.
    """
    files: dict[str, Path] = {}
    for text in texts:
        modality, _, file = text.partition("=")
        if not (modality and file):
            raise UsageError(f"--vectors {text!r}: expected MODALITY=FILE")
        if modality in files:
            raise UsageError(f"--vectors: got two files of {modality!r}, expected one a modality")
        files[modality] = Path(file)
    return files


def second_vectors(store: PreparedDataset, modality: str, path: Path) -> Vectors:
    """Vectors [n + 1, D] of a parquet file with a column of item keys and a column of lists, or of
    an npy file with a row an item, in the order of the store; 0 where the file has none.

    Raises:
        UsageError: the data set has no such modality.
        DataContractError: the file cannot be read, its vectors have another width or type than the
            store's, are not finite, or one is lacking of an item that has the modality.
    """
    schema = store.manifest.schema_
    if modality not in schema.modalities:
        known = ", ".join(schema.modalities) or "none"
        raise UsageError(f"--vectors: the data has no modality {modality!r}; it has {known}")
    if not path.is_file():
        raise UsageError(f"--vectors {modality}={path}: no such file")
    keys = store.item_keys().sort("row")["key"]
    kind = WHOLE if keys.dtype.is_integer() else TEXT
    index = KeyIndex(keys, store.path / "items" / "keys.parquet", "key", kind)
    if path.suffix == ".npy":
        blocks = from_npy([path], index, None, BLOCK)
    elif is_parquet(path):
        key, column = _columns(path)
        blocks = from_column(WholeTable((path,), TableText()), column, key, index, BLOCK)
    else:
        raise broken(path, "neither parquet nor npy", "write the vectors as one of them")
    width = schema.modalities[modality]
    rows = np.zeros((schema.items + 1, width), np.float32)
    filled = np.zeros(schema.items + 1, bool)
    for block in blocks:
        if block.vectors.shape[1] != width:
            raise broken(
                path,
                f"vectors of width {block.vectors.shape[1]}, the data's {modality} has {width}",
                "the trained models read that width: give vectors of it",
            )
        rows[block.rows] = block.vectors
        filled[block.rows] = block.vectors.any(axis=1)
    if not np.isfinite(rows).all():
        row = int(np.flatnonzero(~np.isfinite(rows).all(axis=1))[0])
        raise broken(path, f"item {keys[row - 1]!r} has a number that is not finite", "mend it")
    present = np.asarray(store.items.present)[:, list(schema.modalities).index(modality)]
    if (lacking := np.flatnonzero(present & ~filled)).size:
        raise broken(
            path,
            f"lacks {len(lacking):,} of the {int(present.sum()):,} items that have {modality}, "
            f"{keys[int(lacking[0]) - 1]!r} the first",
            "give a vector of each",
        )
    return rows


def _columns(path: Path) -> tuple[str, str]:
    """The column of keys and the column of lists, the only ones that a file has."""
    shown = ", ".join(f"{name} ({kind})" for name, kind in columns_of(path).items())
    types = pl.read_parquet_schema(path)
    lists = [name for name, kind in types.items() if isinstance(kind, (pl.List, pl.Array))]
    keys = [name for name in types if name not in lists]
    if len(lists) != 1 or len(keys) != 1:
        raise broken(
            path,
            f"columns {shown[:200] or 'none'}",
            "expected one with the item's key and one with its vector, a list of numbers",
        )
    return keys[0], lists[0]
