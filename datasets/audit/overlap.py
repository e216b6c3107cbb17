"""Checks for overlap between splits: users, rows of one request, repeated rows, time."""

import polars as pl

from fusefront.datasets.audit.finding import Finding, percent
from fusefront.datasets.audit.rows import SPLITS, UserSample
from fusefront.datasets.store import PreparedDataset

TRAIN = 0


def check_users(store: PreparedDataset, sample: UserSample) -> list[Finding]:
    """Users of train who are in valid or test as well."""
    users = sample.rows.select("split", "user").unique()
    train = users.filter(pl.col("split") == TRAIN)
    shares = {}
    for code, name in enumerate(SPLITS[1:], 1):
        mine = users.filter(pl.col("split") == code)
        shares[name] = mine.join(train, on="user", how="semi").height / max(mine.height, 1)
    if not any(shares.values()):
        return []
    broken = store.manifest.split_by == "user"
    listing = ", ".join(f"{percent(share)} of the {name} users" for name, share in shares.items())
    advice = (
        "A user-disjoint split must share none: prepare again."
        if broken
        else "Right for users who come back; for new users, split by: user instead."
    )
    return [
        Finding(
            "user_overlap",
            "severe" if broken else "note",
            f"{listing[0].upper()}{listing[1:]} are in train too.",
            advice,
            {f"{name}_share": share for name, share in shares.items()},
        )
    ]


def check_siblings(store: PreparedDataset, sample: UserSample) -> list[Finding] | None:
    """Rows whose request (user and time, or user and history) also has rows in train."""
    if not sample.told_apart:
        return None
    train = sample.requests.filter(pl.col("split") == TRAIN).select("key").unique()
    shares = {}
    for code, name in enumerate(SPLITS[1:], 1):
        mine = sample.rows.filter(pl.col("split") == code)
        shares[name] = mine.join(train, on="key", how="semi").height / max(mine.height, 1)
    worst = max(shares.values())
    if worst == 0:
        return []
    what = "user and time" if sample.timed else "user and history"
    return [
        Finding(
            "sibling_rows",
            "severe" if worst >= 0.05 else "warning" if worst >= 0.005 else "note",
            f"{percent(shares['test'])} of the test rows and {percent(shares['valid'])} of the "
            f"valid rows have siblings in train: rows of the same {what}.",
            "Train then shows the answer of the same request; "
            f"{_whole(store, timed=sample.timed)}.",
            {f"{name}_share": share for name, share in shares.items()},
        )
    ]


def _whole(store: PreparedDataset, *, timed: bool) -> str:
    """How to keep requests in one split, for the split that the data have."""
    if store.manifest.split_by == "time":
        return (
            "an id of columns.request stands on both sides of the cut: where it is no request but "
            "none, say so by columns.no_request"
        )
    if store.manifest.split_by == "given":
        return "keep requests whole in the given split, or split by: user"
    way = "split by: time or by: user" if timed else "split by: user"
    return f"keep requests whole (columns.request) and {way}"


def check_repeated(_: PreparedDataset, sample: UserSample) -> list[Finding] | None:
    """The same row twice within a split, and rows of valid or test that are in train."""
    if not sample.told_apart:
        return None
    columns = ["user", "key", "item", "label", "context"]
    within = sample.rows.group_by("split", *columns).len()
    twice = int((within["len"] - 1).sum()) / max(sample.rows.height, 1)
    train = within.filter(pl.col("split") == TRAIN).select(columns)
    later = sample.rows.filter(pl.col("split") != TRAIN)
    across = later.join(train, on=columns, how="semi").height / max(later.height, 1)
    findings = []
    if twice >= 0.005:
        findings.append(
            Finding(
                "duplicate_rows",
                "warning" if twice >= 0.02 else "note",
                f"{percent(twice)} of the rows repeat another row of their split: same user, "
                "request, item, context and label.",
                "Repeats weigh double in training and make intervals too narrow; drop them from "
                "the log.",
                {"share": twice},
            )
        )
    if across >= 0.001:
        findings.append(
            Finding(
                "rows_in_train",
                "severe" if across >= 0.01 else "warning",
                f"{percent(across)} of the valid and test rows are in train, row for row.",
                "The model has seen the answers; remove them from train or split again.",
                {"share": across},
            )
        )
    return findings


def check_time(store: PreparedDataset, sample: UserSample) -> list[Finding] | None:
    """Training rows that are later than test rows."""
    if not sample.timed:
        return None
    times = sample.rows.group_by("split").agg(pl.col("time").min().alias("first"))
    by_split = {row["split"]: row for row in times.iter_rows(named=True)}
    if TRAIN not in by_split or 2 not in by_split:
        return []
    train = sample.rows.filter(pl.col("split") == TRAIN)["time"]
    after = int((train > by_split[2]["first"]).sum()) / max(len(train), 1)
    if after == 0:
        return []
    by = store.manifest.split_by
    by_file = by == "given" and after >= 0.01
    return [
        Finding(
            "time_overlap",
            "severe" if by == "time" else "warning" if by_file else "note",
            f"{percent(after)} of the train rows are later than the first test row.",
            "Train then knows the trends of the test period; for figures that hold tomorrow, "
            "split by: time.",
            {"train_share_after_test_start": after},
        )
    ]


def check_cold_users(_: PreparedDataset, sample: UserSample) -> list[Finding]:
    """Requests of users that train has not seen."""
    train = sample.rows.filter(pl.col("split") == TRAIN).select("user").unique()
    shares = {}
    for code, name in enumerate(SPLITS[1:], 1):
        mine = sample.requests.filter(pl.col("split") == code)
        shares[name] = mine.join(train, on="user", how="anti").height / max(mine.height, 1)
    if not any(shares.values()):
        return []
    return [
        Finding(
            "cold_users",
            "note",
            f"{percent(shares['test'])} of the test requests and {percent(shares['valid'])} of the "
            "valid requests are by users that train has not seen.",
            "Nothing learned per user helps there; the slice when: cold_user shows them apart.",
            {f"{name}_share": share for name, share in shares.items()},
        )
    ]
