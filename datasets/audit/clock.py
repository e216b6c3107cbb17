"""Checks of times that are wrong: two units in one log, missing times, roundings to float32."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fusefront.datasets.audit.finding import Finding, percent
from fusefront.datasets.audit.rows import SPLITS, UserSample, blocks
from fusefront.datasets.store import PreparedDataset

GAP = 1.5  # decades without any user's newest time between two units
NEAR = 0.35  # decades that the medians may miss 10^3, 10^6 or 10^9 by
EXACT = 0.05  # so near are times of one decade of years
FEWEST, LEAST = 5, 0.01  # users, and share of the requests, on either side
DATES = 1e8  # larger numbers are taken for times since 1970, in any unit
ROUND, SHARE = 64, 0.1  # multiples of it, and the share of the rows that makes them odd

FAR = 10.0  # spans of the middle nine tenths of the log that a time may lie beyond them
YEARS = 315_576_000  # ten years in seconds, likewise
TICKS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}

Longs = NDArray[np.int64]


def check_scale(_: PreparedDataset, sample: UserSample) -> list[Finding] | None:
    """Times of some users, or of one split, that are 10^3, 10^6 or 10^9 times those of the
    others."""
    if not sample.timed:
        return None
    users = (
        sample.requests.filter(pl.col("time") > 0)
        .group_by("split", "user")
        .agg(pl.col("time").max().alias("newest"), pl.len().alias("requests"))
        .with_columns(size=pl.col("newest").log10())
        .sort("size")
    )
    if users.height < 2 * FEWEST:
        return []
    size = users["size"].to_numpy()
    steps = np.diff(size)
    at = int(steps.argmax())
    if steps[at] < GAP:
        return []
    low, high = users.head(at + 1), users.tail(users.height - at - 1)
    ratio = float(np.median(size[at + 1 :]) - np.median(size[: at + 1]))
    thousands = round(ratio / 3)
    few = min(low.height, high.height) < FEWEST
    shares = [
        float(part["requests"].sum()) / float(users["requests"].sum()) for part in (low, high)
    ]
    if few or min(shares) < LEAST or thousands < 1 or abs(ratio - 3 * thousands) > NEAR:
        return []
    minority = low if shares[0] < shares[1] else high
    where = [name for code, name in enumerate(SPLITS) if code in set(minority["split"].to_list())]
    return [
        Finding(
            "time_scale",
            "severe" if abs(ratio - 3 * thousands) <= EXACT else "warning",
            f"The times of {percent(min(shares))} of the requests (in {' and '.join(where)}) are "
            f"{'1,000' if thousands == 1 else f'10^{3 * thousands}'} times "
            f"{'below' if minority is low else 'above'} all others.",
            "Seconds beside milliseconds: histories and splits by time are then wrong; write all "
            "times in one unit.",
            {"share": min(shares), "ratio": 10.0**ratio, "users": minority.height},
        )
    ]


def check_missing_times(store: PreparedDataset, sample: UserSample) -> list[Finding] | None:
    """Rows with a time of 0 or less, in a log whose other rows are dates."""
    if not sample.timed:
        return None
    zero = rows = 0
    for time in _times(store):
        zero, rows = zero + int((time <= 0).sum()), rows + len(time)
    middle = sample.requests["time"].median()
    if not zero or not isinstance(middle, float):
        return []
    share = zero / rows
    if middle < DATES:
        return _wrapped(store, rows)
    return [
        Finding(
            "time_missing",
            "warning" if share >= LEAST else "note",
            f"{zero:,} rows ({percent(share)}) have the time 0 or one before 1970.",
            "They count as the oldest of the log, with empty histories; drop them, or mend the "
            "times.",
            {"rows": zero, "share": share},
        )
    ]


def _wrapped(store: PreparedDataset, rows: int) -> list[Finding]:
    """Times below 0, which arise when milliseconds are stored in 32 bits."""
    below = sum(int((time < 0).sum()) for time in _times(store))
    if not below:
        return []
    return [
        Finding(
            "time_missing",
            "warning",
            f"{below:,} rows ({percent(below / rows)}) have a time below 0.",
            "32 bits make such numbers of milliseconds, and the order of the log is lost; read the "
            "log's own column as int64, or mend the times.",
            {"rows": below, "share": below / rows},
        )
    ]


def check_far(store: PreparedDataset, sample: UserSample) -> list[Finding] | None:
    """Rows whose time is years away from all others: 9999-12-31 for an unknown time, or a number
    that was cut short, like the last one of an incompletely copied file."""
    if not sample.timed:
        return None
    unit = store.manifest.time_unit
    early, late = (sample.requests["time"].quantile(q, "nearest") for q in (0.05, 0.95))
    if unit not in TICKS or early is None or late is None:
        return []
    reach = max(FAR * (late - early), YEARS * TICKS[unit])
    times = _times(store)
    rows = sum(map(len, times))
    after = sum(int((time > late + reach).sum()) for time in times)
    before = sum(int(((time < early - reach) & (time > 0)).sum()) for time in times)
    later = Finding(
        "time_far",
        "warning",
        f"{after:,} rows ({percent(after / rows)}) are over ten years later than the rest.",
        "They count as the newest, with all of a user's history before them, and a split by "
        "time puts them into test; drop them, or mend the times.",
        {"rows": after, "share": after / rows},
    )
    earlier = Finding(
        "time_far_before",
        "warning",
        f"{before:,} rows ({percent(before / rows)}) are over ten years earlier than the rest.",
        "They count as the oldest, with empty histories; a number cut short is such a time, as "
        "the last of a file that was not copied whole; drop them, or mend the times.",
        {"rows": before, "share": before / rows},
    )
    return [finding for finding, far in ((later, after), (earlier, before)) if far]


def check_rounded(store: PreparedDataset, sample: UserSample) -> list[Finding] | None:
    """Times that were rounded to float32: multiples of a power of two from 64 on."""
    if not sample.timed:
        return None
    step, rounded, rows = _step(store)
    if not step:
        return []
    requests = sample.requests
    alike = requests.select(pl.struct("user", "time").is_duplicated().mean()).item()
    unit = store.manifest.time_unit
    return [
        Finding(
            "time_rounded",
            "warning",
            f"{percent(rounded / rows)} of the times are multiples of "
            f"{step:,}{_unit(unit, step)}, a power of two; {percent(float(alike))} of the "
            "requests share their time with another of the same user.",
            "So are times that were kept as float32, which holds 7 digits: the order of a user's "
            "rows is lost; read the log's own column as int64.",
            {"step": step, "share": rounded / rows, "tied": float(alike)},
        )
    ]


def _unit(unit: str, step: int) -> str:
    return f" {unit}" if unit and step else ""


def _times(store: PreparedDataset) -> list[Longs]:
    return [
        np.asarray(block.split.timestamp[block.rows])
        for name in SPLITS
        for block in blocks(store, name)
        if block.split.timestamp is not None
    ]


def _step(store: PreparedDataset) -> tuple[int, int, int]:
    """(the power of two that the rounded times are multiples of, 0 if none; their number; the
    number of all).

    Days and hours are multiples of 64 seconds too, but also of odd numbers: those are no rounding.
    A clock that ticks every 8 seconds has an eighth of such multiples by itself, so three times as
    many are required. Thousandths of whole units are treated as whole units.
    """
    times = [time[time != 0] for time in _times(store)]
    rows = sum(map(len, times))
    whole = 1000 if rows and all((time % 1000 == 0).all() for time in times) else 1
    step = rounded = clock = 0
    for time in times:
        clock = int(np.gcd(clock, np.gcd.reduce(time // whole))) if len(time) else clock
        multiples = time[(time // whole) % ROUND == 0] // whole
        rounded += len(multiples)
        step = int(np.gcd(step, np.gcd.reduce(multiples))) if len(multiples) else step
    power = step >= ROUND and step & (step - 1) == 0
    by_itself = np.gcd(clock, ROUND) / ROUND
    enough = clock == step or rounded >= rows * max(SHARE, 3 * by_itself)
    return (step if power and enough else 0), rounded, rows
