"""The split: by the log's files or a column of it, else by time, else by users."""

import re
from collections.abc import Collection
from typing import NamedTuple

import polars as pl

from fusefront.datasets.proposing.draft import Guess, Word
from fusefront.datasets.proposing.files.tables import SampledTable
from fusefront.datasets.proposing.roles import Roles
from fusefront.datasets.spec import SPLIT_WORDS, SPLITS

_NAME = re.compile(
    r"^(split|fold|phase|stage|subset|partition|part|set|x_label|data_?set|"
    r"is_?(train|training|valid|val|test|holdout))$",
    re.IGNORECASE,
)


class SplitGuess(NamedTuple):
    """The guess, and the columns of the log that say which split a row is in."""

    guess: Guess
    columns: tuple[str, ...]


def guess_split(roles: Roles, used: Collection[str], timestamp: str | None) -> SplitGuess:
    """What the log brings comes first."""
    words = [name for name in roles.log.columns if name not in used and _words(roles.log, name)]
    marks = [name for name in roles.log.columns if name not in used and _marks(roles.log, name)]
    columns = (*words, *marks)
    if roles.splits:
        return SplitGuess(Guess({"by": Word("given")}, "a file a split"), columns)
    if words:
        guess = Guess({"by": Word("given"), "column": words[0]}, "a column of train, valid, test")
        lacking = [split for split in SPLITS if split not in _words(roles.log, words[0])]
        if len(words) > 1:
            guess.open(f"{', '.join(map(repr, words))} each tell splits", "column")
        elif lacking:
            guess.open(
                f"{words[0]!r} has no {' and no '.join(lacking)} rows: mark some, or split by time"
            )
        return SplitGuess(guess, columns)
    if marks:
        values = roles.log.frame[marks[0]].drop_nulls().unique().sort().to_list()
        guess = Guess({"by": Word("given"), "column": marks[0]}, "", (marks[0],))
        guess.open(
            f"{marks[0]!r} holds {', '.join(map(str, values))} and may tell the split: write "
            "train, valid and test there, or split by time or user"
        )
        return SplitGuess(guess, columns)
    shares: dict[str, float] = {"valid": 0.1, "test": 0.2}
    if timestamp is not None:
        why = "the newest rows are the test"
        return SplitGuess(Guess({"by": Word("time"), **shares}, why, (timestamp,)), columns)
    return SplitGuess(
        Guess({"by": Word("user"), **shares}, "no timestamps, so users apart"), columns
    )


def _words(log: SampledTable, name: str) -> set[str]:
    """The splits that a column of text names; empty if it holds anything else."""
    column = log.frame[name]
    if column.dtype not in (pl.String, pl.Categorical, pl.Enum):
        return set()
    values = set(column.drop_nulls().cast(pl.String).str.to_lowercase().unique().to_list())
    splits = {split for split, words in SPLIT_WORDS.items() if values & set(words)}
    every = {word for words in SPLIT_WORDS.values() for word in words}
    return splits if values <= every and len(values) > 1 else set()


def _marks(log: SampledTable, name: str) -> bool:
    """Whether a column is named as a split and holds two or three numbers, or yes and no."""
    column = log.frame[name].drop_nulls()
    if not _NAME.match(name) or column.dtype.is_nested():
        return False
    is_number = column.dtype.is_numeric() or column.dtype == pl.Boolean
    return is_number and 2 <= column.n_unique() <= 3
