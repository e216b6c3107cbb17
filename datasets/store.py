"""An opened prepared store: memory-mapped columns, read only when used."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tokenize import TokenError
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fusefront.datasets.errors import DataContractError
from fusefront.datasets.manifest import CURE, Manifest, read_manifest, vocabulary_file


class Split(NamedTuple):
    """One split: R requests, N rows; rows of request r are row_start[r] : row_start[r + 1]."""

    history_start: NDArray[np.int64]  # [R] into PreparedDataset.history_values
    history_length: NDArray[np.int32]  # [R]
    row_start: NDArray[np.int64]  # [R + 1]
    group: NDArray[np.int64]  # [R] user code
    request_ids: NDArray[np.int32]  # [R, C]
    request_numbers: NDArray[np.float32]  # [R, N]
    item: NDArray[np.int32]  # [N] 1 .. items
    label: NDArray[np.uint8]  # [N]
    row_id: NDArray[np.int64]  # [N] position in the source log
    timestamp: NDArray[np.int64] | None  # [N]
    candidate_ids: NDArray[np.int32]  # [N, C]
    candidate_numbers: NDArray[np.float32]  # [N, N']
    truth: NDArray[np.float64] | None  # [N]
    slices: dict[str, NDArray[np.int16]]  # name -> [N], codes into manifest.slices[name].values


class ItemStore(NamedTuple):
    """The tables of the items; row 0 is padding."""

    vectors: dict[str, NDArray[Any]]  # modality -> [n + 1, D] float32 | float16 | int8, as stored
    scales: dict[str, NDArray[np.float32]]  # int8 modalities -> [n + 1]
    present: NDArray[np.bool_]  # [n + 1, M]
    fields: NDArray[np.int32]  # [n + 1, C]
    numbers: NDArray[np.float32]  # [n + 1, N]
    impressions: NDArray[np.int64]  # [n + 1] train split only
    clicks: NDArray[np.int64]  # [n + 1] train split only
    in_train: NDArray[np.bool_]  # [n + 1]


@dataclass(frozen=True)
class PreparedDataset:
    """A prepared data set on disk."""

    path: Path
    manifest: Manifest

    @classmethod
    def open(cls, path: Path) -> "PreparedDataset":
        """Open the store in folder `path`; checks that every file is there in its full length.

        Raises:
            DataContractError: the manifest or a file is missing, damaged or of another length.
        """
        manifest = read_manifest(path)
        for name, expected in manifest.files.items():
            try:
                size = (path / name).stat().st_size
            except OSError:
                raise DataContractError(
                    f"{path / name}: missing; delete the folder and prepare again"
                ) from None
            if size != expected.bytes:
                raise DataContractError(
                    f"{path / name}: {size:,} bytes, the manifest says {expected.bytes:,}; "
                    "delete the folder and prepare again"
                )
        return cls(path, manifest)

    @property
    def name(self) -> str:
        return self.manifest.name

    @property
    def fingerprint(self) -> str:
        """The hash of the spec and the bytes of its inputs."""
        return self.manifest.fingerprint

    @cached_property
    def history_values(self) -> NDArray[np.int32]:
        """[V] item rows; a history is values[start : start + length], newest last."""
        return self._load("history/values")

    @cached_property
    def history_kinds(self) -> NDArray[np.uint8] | None:
        """[V] beside history_values: k is manifest.history.kinds[k - 1]; None where not told
        apart."""
        return self._load("history/kind") if self._has("history/kind") else None

    @cached_property
    def items(self) -> ItemStore:
        """The item tables, memory-mapped."""
        names = list(self.manifest.schema_.modalities)
        scaled = [name for name in names if self.manifest.dtypes.get(name) == "int8"]
        return ItemStore(
            {name: self._load(f"items/modality_{name}") for name in names},
            {name: self._load(f"items/scale_{name}") for name in scaled},
            self._load("items/present"),
            self._load("items/fields"),
            self._load("items/numbers"),
            self._load("items/impressions"),
            self._load("items/clicks"),
            self._load("items/in_train"),
        )

    def split(self, name: str) -> Split:
        """One of "train", "valid", "test".

        Raises:
            KeyError: the store has no split of that name.
        """
        if name not in self.manifest.counts:
            raise KeyError(f"got split {name!r}, expected one of {', '.join(self.manifest.counts)}")
        optional = {
            part: self._load(f"{name}/row/{part}") if self._has(f"{name}/row/{part}") else None
            for part in ("timestamp", "truth")
        }
        return Split(
            self._load(f"{name}/request/history_start"),
            self._load(f"{name}/request/history_length"),
            self._load(f"{name}/request/row_start"),
            self._load(f"{name}/request/group"),
            self._load(f"{name}/request/context_ids"),
            self._load(f"{name}/request/context_numbers"),
            self._load(f"{name}/row/item"),
            self._load(f"{name}/row/label"),
            self._load(f"{name}/row/row_id"),
            optional["timestamp"],
            self._load(f"{name}/row/context_ids"),
            self._load(f"{name}/row/context_numbers"),
            optional["truth"],
            {part: self._load(f"{name}/row/slice_{part}") for part in self.manifest.slices},
        )

    def vectors(self, modality: str) -> NDArray[np.float32]:
        """One modality as float32 [n + 1, D], int8 rescaled; a copy unless stored as float32."""
        stored = self.items.vectors[modality]
        if stored.dtype == np.int8:
            return stored.astype(np.float32) * self.items.scales[modality][:, None]
        return stored.astype(np.float32, copy=False)

    def item_keys(self) -> pl.DataFrame:
        """`row` and `key` of every item."""
        return self._table(self.path / "items" / "keys.parquet", "row", "key")

    def vocabulary(self, side: str, field: str) -> pl.DataFrame:
        """`code` and `value` of a categorical field of side item, request or candidate."""
        return self._table(self.path / vocabulary_file(side, field), "code", "value")

    def _table(self, path: Path, *columns: str) -> pl.DataFrame:
        try:
            return pl.read_parquet(path, columns=list(columns), glob=False)
        except (pl.exceptions.PolarsError, OSError) as error:
            reason = " ".join(str(error).split())[:160]
            raise DataContractError(f"{path}: no readable table ({reason}); {CURE}") from None

    def _has(self, name: str) -> bool:
        return f"{name}.npy" in self.manifest.files

    def _load(self, name: str) -> NDArray[Any]:
        path = self.path / f"{name}.npy"
        try:
            return np.lib.format.open_memmap(path, mode="r")
        except (ValueError, TypeError, SyntaxError, OSError, OverflowError, TokenError) as error:
            reason = (str(error).split("\n")[0] or type(error).__name__)[:160]
            raise DataContractError(f"{path}: no readable array ({reason}); {CURE}") from None
