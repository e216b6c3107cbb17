"""Finds where a log keeps its histories: a list, a padded list, text, or columns side by side."""

import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from fusefront.datasets.proposing.draft import Guess, Value, Word
from fusefront.datasets.proposing.files.tables import SampledTable
from fusefront.datasets.proposing.labels import EVENT, MOST_EVENTS, LabelGuess, few_events
from fusefront.datasets.proposing.padding import KeyTexts, Padding, TextLists, find_padding, ragged
from fusefront.datasets.proposing.roles import is_vector
from fusefront.datasets.proposing.splits import UntimedPast
from fusefront.datasets.raw.lists import cut_text

NAME = re.compile(r"(hist|seq|past|previous|recent|clicked_|behaviou?rs)", re.IGNORECASE)
NUMBERED = re.compile(r"^(.*(?:hist|seq).*?)(\d+)$", re.IGNORECASE)
SEPARATORS = ("|", ";", ",", "^", " ", "\t", ":", "-", "_", "#")
LONGEST = 50
_GROWS = 0.2  # share of the pairs of rows in which histories grow at one end; by chance fewer do
_ROWS = 4000  # histories that are looked at
_KNOWN, _SURELY = 0.5, 0.9  # share of entries that are items in a history; where no name says it


class _Way(NamedTuple):
    """Columns that may hold histories, and how their entries are cut apart."""

    columns: tuple[str, ...]
    value: dict[str, Value]
    lists: TextLists
    by_name: bool


def guess_history(
    log: SampledTable,
    keys: KeyTexts,
    used: Collection[str],
    user: str,
    timestamp: str | None,
    label: LabelGuess,
    past: UntimedPast,
) -> Guess:
    """The history: a column comes before one made from the log, and that before none; `past` is
    what a log without times offers."""
    ways = [way for way in _ways(log, used) if len(way.lists.values)]
    fit = sorted((way for way in ways if _fits(way, keys)), key=lambda way: -_share(way, keys))
    if not fit:
        if by_name := [way for way in ways if way.by_name]:
            return _of_something(by_name[0], keys)
        return _from_log(log, timestamp, label, past)
    best = fit[0]
    guess = _guess(log, best, keys, user, timestamp)
    rivals = [w.columns[0] for w in fit[1:] if w.by_name and _share(w, keys) == _share(best, keys)]
    if rivals:
        listed = ", ".join(map(repr, [best.columns[0], *rivals]))
        guess.open(f"{listed} all hold item keys; say which is the history", "column")
    return guess


def history_columns(log: SampledTable, used: Collection[str]) -> list[str]:
    """Columns named as histories, of items or of anything else."""
    return [name for way in _ways(log, used) if way.by_name for name in way.columns]


def _from_log(
    log: SampledTable, timestamp: str | None, label: LabelGuess, past: UntimedPast
) -> Guess:
    value: dict[str, Value] = {"from": Word("log"), "max_length": LONGEST}
    if timestamp is None:
        return _from_train(value, past)
    kind = event_column(log, label)
    if kind is None:
        why = "earlier positives of the user, strictly before the row"
        if label.column is not None:
            why += f"; 'events: all, kind: {label.column}' adds what was seen and not liked"
        return Guess(value, why)
    value |= {"events": Word("all"), "kind": kind}
    return Guess(value, f"all that the user met strictly before the row, each with its {kind!r}")


def _from_train(value: dict[str, Value], past: UntimedPast) -> Guess:
    """Without times: the user's positives in train, where users of valid and test have some."""
    if not past.lack:
        which = "of a sample " if past.sampled else ""
        why = f"no timestamps: the user's positives in train, less the row's own; {past.share:.0%} "
        return Guess(value, f"{why}{which}of the valid and test rows are by users of train")
    guess = Guess({"from": Word("none")}, f"no history column, and {past.lack}")
    if past.sampled:
        guess.open(f"{past.lack}; if all rows show more write from: log, else from: none", "from")
    return guess


def event_column(log: SampledTable, label: LabelGuess) -> str | None:
    """The column that tells events apart: a behaviour, or a rating of several values."""
    for name in log.columns:
        if EVENT.match(name) and few_events(log.frame[name]):
            return name
    if label.column is None or not label.condition:
        return None
    rated = 2 < log.frame[label.column].drop_nulls().n_unique() <= MOST_EVENTS
    return label.column if rated else None


def _ways(log: SampledTable, used: Collection[str]) -> Iterator[_Way]:
    head = log.frame.head(_ROWS)
    numbered = _numbered(log)
    for stem, names in numbered.items():
        lists = head.select(pl.concat_list(pl.col(names).cast(pl.String))).to_series()
        yield _Way(tuple(names), {"column": f"{stem}*"}, ragged(lists), by_name=True)
    beside = {name for names in numbered.values() for name in names}
    for name, kind in head.schema.items():
        by_name = NAME.search(name) is not None
        if name in used or name in beside:
            continue
        if isinstance(kind, pl.List | pl.Array) and not kind.inner.is_nested():
            if (whole := _whole(head[name])) is not None:
                yield _Way((name,), {"column": name}, ragged(whole), by_name=by_name)
        elif kind == pl.String and (separator := _separator(head[name], by_name=by_name)):
            lists = cut_text(head[name], separator, Path(log.name), 0)
            value: dict[str, Value] = {"column": name, "separator": separator}
            yield _Way((name,), value, ragged(lists), by_name=by_name)


def _whole(column: pl.Series) -> pl.Series | None:
    """Lists of keys as text; fractions are no keys, whole numbers among them are."""
    lists = column.arr.to_list() if isinstance(column.dtype, pl.Array) else column
    if is_vector(lists.dtype):
        entries = lists.explode().drop_nulls().drop_nans()
        if not NAME.search(column.name) or (entries != entries.floor()).any():
            return None
        lists = lists.list.eval(pl.element().fill_nan(None).cast(pl.Int64, strict=False))
    return lists.cast(pl.List(pl.String))


def _numbered(log: SampledTable) -> dict[str, list[str]]:
    """Columns such as hist_1, hist_2, hist_3, by what they have in common."""
    stems: dict[str, list[str]] = {}
    for name in log.columns:
        if match := NUMBERED.match(name):
            stems.setdefault(match.group(1), []).append(name)
    return {stem: names for stem, names in stems.items() if len(names) > 2}


def _separator(column: pl.Series, *, by_name: bool) -> str:
    """What cuts the entries apart; one key alone needs none, so a named history gets a blank."""
    text = column.drop_nulls().str.strip_chars("[]() \t")
    shares = {mark: text.str.contains(mark, literal=True).sum() for mark in SEPARATORS}
    best = max(shares.values(), default=0)
    if not best:
        return " " if by_name and len(text) else ""
    return next(mark for mark, share in shares.items() if share >= best / 2)


def _share(way: _Way, keys: KeyTexts) -> float:
    """Share of the entries that are keys of items, paddings aside."""
    return keys.share(way.lists.values)


def _fits(way: _Way, keys: KeyTexts) -> bool:
    """Whether the column holds items: mostly if its name says so, else nearly all entries and many
    of them."""
    if way.by_name:
        return _share(way, keys) >= _KNOWN
    distinct = len({value for value in way.lists.values.tolist() if value is not None})
    many = distinct >= max(20, 0.3 * len(keys.log)) and int(way.lists.length.max()) > 1
    return many and _share(way, keys) >= _SURELY


def _of_something(way: _Way, keys: KeyTexts) -> Guess:
    listed = ", ".join(map(repr, way.columns[:3]))
    guess = Guess({"from": Word("none")}, "", way.columns)
    guess.open(
        f"{listed} is named as a history, but {1 - _share(way, keys):.0%} of its entries are no "
        "item; say from: none, or in which column the history is"
    )
    return guess


def _guess(log: SampledTable, way: _Way, keys: KeyTexts, user: str, timestamp: str | None) -> Guess:
    padding = find_padding(way.lists, keys)
    side_by_side = len(way.columns) > 1
    longest = max(LONGEST, len(way.columns)) if side_by_side else LONGEST
    text = "separator" in way.value
    padded = side_by_side or padding.value is not None
    value: dict[str, Value] = {"from": Word("padded" if padded else "list"), **way.value}
    why = padding.why if padded else "item keys written as text" if text else "a list of item keys"
    if padded:
        value["padding"] = _number(padding.value if padding.value is not None else "")
        if side_by_side:
            why = f"{len(way.columns)} columns side by side, oldest first; {why or 'no padding'}"
    newest, shown = _newest(log, way, padding, user, timestamp)
    if newest == "first":
        value["newest"] = Word("first")
    value["max_length"] = longest
    guess = Guess(value, f"{why}, {shown}", way.columns)
    if padding.doubt:
        guess.open(padding.doubt, "padding" if padded else None)
    elif not way.by_name and not any(re.search(r"\D", key) for key in keys.log):
        guess.open(
            f"{way.columns[0]!r} holds lists of numbers that are item keys, or something else"
        )
    return guess


def _number(padding: str) -> Value:
    return int(padding) if re.fullmatch(r"0|-?[1-9]\d*", padding) else padding


def _newest(
    log: SampledTable, way: _Way, padding: Padding, user: str, timestamp: str | None
) -> tuple[str, str]:
    """Which end is the newest, by how a user's history grows from one row to the next."""
    head = log.frame.head(_ROWS)
    frame = pl.DataFrame({"user": head[user], "row": np.arange(head.height)})
    if timestamp is not None:
        frame = frame.with_columns(time=head[timestamp])
    order = frame.sort(
        [c for c in ("user", "time", "row") if c in frame.columns], maintain_order=True
    )
    lists = way.lists.without(padding.value)
    votes, compared = {"last": 0, "first": 0}, 0
    pairs = order.select("user", "row").iter_rows()
    before: tuple[object, int] | None = None
    for owner, row in pairs:
        if before is not None and before[0] == owner:
            old, new = lists[before[1]], lists[row]
            compared += len(old) > 1 and len(new) > 2 and old != new
            grown = _grown(old, new)
            votes |= {grown: votes[grown] + 1} if grown else {}
        before = (owner, row)
    most = max(votes.values())
    if most < max(3, _GROWS * compared) or min(votes.values()) * 4 > most:
        return "last", "newest last (nothing shows which end is)"
    newest = max(votes, key=lambda end: votes[end])
    return newest, f"newest {newest}, as histories grow at that end"


def _grown(old: list[str], new: list[str]) -> str:
    """The end at which `new` has up to five entries more than `old`, which may have lost others."""
    if old == new or len(old) < 2 or len(new) < 3:
        return ""
    for more in range(1, min(6, len(new) - 1)):  # two at least are in both
        overlap = len(new) - more
        if new[:overlap] == old[-overlap:] and new[more:] != old[:overlap]:
            return "last"
        if new[more:] == old[:overlap] and new[:overlap] != old[-overlap:]:
            return "first"
    return ""
