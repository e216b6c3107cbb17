"""Users that are not real: a placeholder shared by many people, or one that has much of the log."""

from collections.abc import Iterator

import numpy as np
import polars as pl

from fusefront.datasets.audit.finding import Finding, percent
from fusefront.datasets.audit.rows import SPLITS, UserSample
from fusefront.datasets.raw.hashing import text_hash
from fusefront.datasets.store import PreparedDataset

HEAVY, HEAVY_IN_SPLIT = 0.05, 0.1  # of all rows, of those of one split
EVEN = 3.0  # times what each user would hold if all held the same
APART = 5.0  # times the rows of the next user: how a user "0" that is none stands out
_WORDS = ("null", "none", "nan", "na", "n/a", "nil", "undefined", "unknown", "anonymous", "guest")
WORDS = [
    *(r"\N", "<NA>", "-", "-1", " ", "00000000-0000-0000-0000-000000000000", "0" * 16, "0" * 32),
    *(form for word in _WORDS for form in (word, word.upper(), word.capitalize())),
    *("NaN", "N/a", "#N/A"),
]


def check_users_that_are_none(store: PreparedDataset, _: UserSample) -> list[Finding]:
    r"""Placeholders such as '\N', 'nan', '' or -1, and users with more than 5 % of the rows."""
    rows = _rows_of_users(store)
    totals = {name: max(int(rows[name].sum()), 1) for name in (*SPLITS, "rows")}
    findings, codes = [], set()
    for code, name in _placeholders(rows):
        codes.add(code)
        findings.append(_placeholder(name, _shares(rows, code, totals)))
    even = EVEN / max(rows.height, 1)
    for code in _heaviest(rows):
        shares = _shares(rows, code, totals)
        much = max(shares[name] for name in SPLITS) > max(HEAVY_IN_SPLIT, even)
        if code not in codes and (much or shares["rows"] > max(HEAVY, even)):
            codes.add(code)
            findings.append(_heavy(shares))
    return findings


def _rows_of_users(store: PreparedDataset) -> pl.DataFrame:
    """user, rows, and the rows in each split; heaviest first."""
    parts = []
    for name in SPLITS:
        split = store.split(name)
        user = np.asarray(split.group)
        counts = np.diff(np.asarray(split.row_start))
        frame = pl.DataFrame({"user": user, name: counts}).group_by("user").sum()
        parts.append(frame)
    whole = pl.concat(parts, how="diagonal").group_by("user").sum()
    return whole.with_columns(rows=pl.sum_horizontal(SPLITS)).sort("rows", "user", descending=True)


def _heaviest(rows: pl.DataFrame) -> list[int]:
    """The heaviest user of the log and of each split."""
    tops = [rows["user"][int(rows[name].arg_max() or 0)] for name in ("rows", *SPLITS)]
    return list(dict.fromkeys(int(user) for user in tops))


def _placeholders(rows: pl.DataFrame) -> Iterator[tuple[int, str]]:
    """(code, how it is written) of every user whose key stands for nobody.

    Whole numbers are their own code, text is hashed; 0 counts where it stands far above the next
    user, for it is a user like others where keys count from 0.
    """
    known = set(rows["user"].to_list())
    hashed = (text_hash(pl.Series([*WORDS, "", "0"])) >> np.uint64(1)).astype(np.int64).tolist()
    written = dict(zip(hashed, [*WORDS, "", "0"], strict=True)) | {-1: "-1", 0: "0"}
    for code, name in written.items():
        if code not in known:
            continue
        if name != "0" or _stands_out(rows, code):
            yield code, name


def _stands_out(rows: pl.DataFrame, code: int) -> bool:
    others = rows.filter(pl.col("user") != code)["rows"]
    own = int(rows.filter(pl.col("user") == code)["rows"].sum())
    next_most = others.max() if len(others) else 0
    return isinstance(next_most, int) and own >= APART * max(next_most, 1)


def _shares(rows: pl.DataFrame, code: int, totals: dict[str, int]) -> dict[str, float]:
    row = rows.filter(pl.col("user") == code).row(0, named=True)
    return {name: int(row[name] or 0) / total for name, total in totals.items()}


def _percentages(shares: dict[str, float]) -> str:
    parts = ", ".join(f"{name} {percent(shares[name])}" for name in SPLITS)
    return f"{percent(shares['rows'])} of the rows ({parts})"


def _placeholder(name: str, shares: dict[str, float]) -> Finding:
    return Finding(
        "placeholder_user",
        "warning",
        f"The user {name!r} holds {_percentages(shares)}, and such a key stands for nobody.",
        "People without a key then share one history and one cluster: drop those rows, or give "
        "each session a key of its own.",
        {"share": shares["rows"], **{f"{name}_share": shares[name] for name in SPLITS}},
    )


def _heavy(shares: dict[str, float]) -> Finding:
    worst = max(SPLITS, key=shares.__getitem__)
    return Finding(
        "heavy_user",
        "warning",
        f"One user holds {_percentages(shares)}.",
        f"A robot, a test account or a shared key: intervals count it as one independent user, and "
        f"{percent(shares[worst])} of {worst} hang on it; leave it out, or say why it belongs.",
        {"share": shares["rows"], **{f"{name}_share": shares[name] for name in SPLITS}},
    )
