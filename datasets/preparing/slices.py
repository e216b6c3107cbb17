"""Slices of the rows: by the values of a column, or by facts about a row's item."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusefront.datasets.manifest import StoredSlice
from fusefront.datasets.preparing.context import Blocks, blocks
from fusefront.datasets.raw.category_codes import Codebook, natural
from fusefront.datasets.spec import SPLITS, SliceSpec

HEAD, TAIL = 0.5, 0.2  # shares of the train rows
ABSENT = "absent"


class ItemFacts(NamedTuple):
    """Facts about items that slices use; the first axis is items + 1."""

    in_train: NDArray[np.bool_]
    impressions: NDArray[np.int64]
    present: NDArray[np.bool_]  # [n + 1, M]
    modalities: tuple[str, ...]


def finish_by_column(folder: Path, part: SliceSpec, book: Codebook) -> StoredSlice:
    """Provisional codes of a slice column to codes in the order of its values, absent last."""
    count = np.zeros(len(book.values), np.int64)
    paths = [folder / split / "row" / f"slice_{part.name}.npy" for split in SPLITS]
    for path in paths:
        for block in Blocks(path):
            count += np.bincount(block, minlength=len(count))
    used = [code for code in range(1, len(count)) if count[code]]
    used.sort(key=lambda code: natural(book.values[code]))
    of = np.zeros(len(count), np.int16)
    of[used] = np.arange(len(used))
    values = [book.values[code] for code in used]
    if count[0]:
        of[0] = len(used)
        values.append(ABSENT)
    for path in paths:
        for block in blocks(path, "r+"):
            block[:] = of[block]
    return StoredSlice(values=tuple(values), sensitive=part.sensitive)


def finish_by_item(
    folder: Path, part: SliceSpec, codes: NDArray[np.int16], values: tuple[str, ...]
) -> StoredSlice:
    """Give every row the code of its item; codes [items + 1] by item row."""
    for split in SPLITS:
        items = Blocks(folder / split / "row" / "item.npy")
        target = blocks(folder / split / "row" / f"slice_{part.name}.npy", "r+")
        for block, rows in zip(target, items, strict=True):
            block[:] = codes[rows]
    return StoredSlice(values=values, sensitive=part.sensitive)


def item_codes(when: str, facts: ItemFacts) -> tuple[NDArray[np.int16], tuple[str, ...]]:
    """Codes [n + 1] and their names for cold_item, popularity and no_<modality>."""
    if when == "cold_item":
        return (~facts.in_train).astype(np.int16), ("known", "cold")
    if when == "popularity":
        return _popularity(facts.impressions), ("head", "middle", "tail", "unseen")
    name = when.removeprefix("no_")
    there = facts.present[:, facts.modalities.index(name)]
    return (~there).astype(np.int16), (f"with {name}", f"no {name}")


def _popularity(impressions: NDArray[np.int64]) -> NDArray[np.int16]:
    """ "head": the most shown items, which have half of the train rows together; "tail": the items
    of the last fifth."""
    order = np.argsort(-impressions, kind="stable")
    before = (np.cumsum(impressions[order]) - impressions[order]) / max(1, impressions.sum())
    codes = np.empty(len(impressions), np.int16)
    codes[order] = np.select([before < HEAD, before < 1 - TAIL], [0, 1], 2)
    codes[impressions == 0] = 3
    return codes


STORED_ALREADY = {
    "cold_user": ("known", "cold"),
    "no_history": ("with history", "no history"),
}
