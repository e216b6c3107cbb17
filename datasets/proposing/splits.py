"""Guesses the split: by the log's files or a column of it, else by time, else by users."""

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


_FEW = 0.01  # share of the rows of valid and test whose user has a past in train


class SplitGuess(NamedTuple):
    """The guess, and the columns of the log that say which split a row is in."""

    guess: Guess
    columns: tuple[str, ...]


class UntimedPast(NamedTuple):
    """Whether histories can be the users' positives in train, where no times make them."""

    share: float = 0.0  # of the rows of valid and test that would have one
    lack: str = ""  # why there can be none
    sampled: bool = False  # the share is that of a sample, and of all rows a larger one


def train_past(roles: Roles, split: SplitGuess) -> UntimedPast:
    """Without times a split that the log gives tells which events come first, those of train."""
    value = split.guess.value
    by = value.get("by") if isinstance(value, dict) else None
    if by != "given" or split.guess.unknown or 0 < len(roles.splits) < len(SPLITS):
        return UntimedPast(lack="without timestamps a history needs a split that is given")
    user, log = roles.keys.user, roles.log
    if roles.splits:
        frames = {name: table.frame[user] for name, table in roles.splits.items()}
        tables = list(roles.splits.values())
    else:
        assert isinstance(value, dict)
        words = log.frame[str(value["column"])].cast(pl.String).str.to_lowercase()
        frames = {name: log.frame[user].filter(words.is_in(SPLIT_WORDS[name])) for name in SPLITS}
        tables = [log]
    known = set(frames["train"].cast(pl.String).to_list())
    later = [key for name in SPLITS[1:] for key in frames[name].cast(pl.String).to_list()]
    share = sum(key in known for key in later) / max(1, len(later))
    sampled = not all(table.whole for table in tables)
    if share >= _FEW:
        return UntimedPast(share, sampled=sampled)
    which = "of a sample " if sampled else ""
    lack = f"{share:.1%} {which}of the valid and test rows are by users of train"
    return UntimedPast(share, f"without timestamps there is no past, for {lack}", sampled)


def guess_split(roles: Roles, used: Collection[str], timestamp: str | None) -> SplitGuess:
    """The split; one that the log itself brings comes first."""
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
