"""The news of MIND: `news.tsv` of several parts as one table, each item with the mean of its
entities."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fusefront.datasets.errors import DataContractError

COLUMNS = 8  # id, category, subcategory, title, abstract, url, title entities, abstract entities
Vectors = dict[str, NDArray[np.float32]]


class News(NamedTuple):
    """A line of news.tsv; `entities` is the mean of its title's and abstract's vectors."""

    category: str
    subcategory: str
    title: str
    abstract: str
    entities: list[float] | None


def news_table(parts: Sequence[tuple[Path, Path]]) -> pl.LazyFrame:
    """item, category, subcategory, title, abstract, entities (list of float32, null without any).

    `parts` are pairs of news.tsv and entity_embedding.vec; an item in several counts once.

    Raises:
        DataContractError: a row has another number of columns than the published file.
    """
    vectors: Vectors = {}
    for _, path in parts:
        vectors.update(_vectors(path, vectors))
    rows: dict[str, News] = {}
    for path, _ in parts:
        for number, cells in _lines(path):
            if len(cells) != COLUMNS:
                raise DataContractError(
                    f"{path}, row {number}: {len(cells)} columns, expected the {COLUMNS} of a "
                    "published news.tsv; download it again"
                )
            if cells[0] not in rows:
                names = [name for cell in cells[6:] for name in _entities(cell, path, number)]
                rows[cells[0]] = News(cells[1], cells[2], cells[3], cells[4], _mean(names, vectors))
    words = ("category", "subcategory", "title", "abstract")
    texts = {name: [getattr(news, name) for news in rows.values()] for name in words}
    means = [news.entities for news in rows.values()]
    table = pl.DataFrame({"item": list(rows), **texts}, dict.fromkeys(("item", *words), pl.String))
    return table.with_columns(pl.Series("entities", means, pl.List(pl.Float32))).lazy()


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """(row, cells) of a file without a header whose cells may hold any quote."""
    with path.open(encoding="utf-8", newline="\n") as file:
        for number, line in enumerate(file):
            yield number, line.rstrip("\r\n").split("\t")


def _vectors(path: Path, known: Vectors) -> Vectors:
    """Entity -> vector; lines end with a tab."""
    width = len(next(iter(known.values()))) if known else 0
    vectors: Vectors = {}
    for number, cells in _lines(path):
        values = cells[1:-1] if cells[-1] == "" else cells[1:]
        try:
            vector = np.array([float(value) for value in values], np.float32)
        except ValueError as error:
            raise DataContractError(f"{path}, row {number}: {error}; download it again") from None
        width = width or len(vector)
        if len(vector) != width or not width:
            raise DataContractError(
                f"{path}, row {number}: {len(vector)} numbers, the rows before have {width}; "
                "download it again"
            )
        vectors[cells[0]] = vector
    return vectors


def _entities(text: str, path: Path, row: int) -> list[str]:
    """The Wikidata ids of a cell, "[]" or nothing where there are none."""
    try:
        return [str(entity["WikidataId"]) for entity in json.loads(text or "[]")]
    except (ValueError, TypeError, KeyError) as error:
        raise DataContractError(
            f"{path}, row {row}: entities are not a json list with 'WikidataId' ({error}); "
            "download it again"
        ) from None


def _mean(entities: list[str], vectors: Vectors) -> list[float] | None:
    known = [vectors[name] for name in dict.fromkeys(entities) if name in vectors]
    if not known:
        return None
    mean = np.stack(known).astype(np.float64).sum(0) / len(known)
    return [float(value) for value in mean]
