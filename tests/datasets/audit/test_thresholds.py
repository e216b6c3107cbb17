"""Each check at the counts where it turns: one row fewer, and it says less or nothing."""

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from fusefront.datasets.audit.catalogue import check_cold_items, check_missing
from fusefront.datasets.audit.clock import check_missing_times, check_rounded, check_scale
from fusefront.datasets.audit.counted import check_counted
from fusefront.datasets.audit.crowd import check_users_that_are_none
from fusefront.datasets.audit.finding import AuditReport, Finding, percent
from fusefront.datasets.audit.histories import check_future, check_target
from fusefront.datasets.audit.labels import check_classes, check_drift, say_rates
from fusefront.datasets.audit.overlap import (
    check_cold_users,
    check_repeated,
    check_siblings,
    check_time,
    check_users,
)
from fusefront.datasets.audit.rows import UserSample, sample_users
from fusefront.datasets.audit.shortcuts import check_shortcuts, single_aucs
from fusefront.datasets.audit.unseen import check_unseen
from fusefront.datasets.audit.vectors import check_columns, check_twins, moments
from fusefront.datasets.losses import Loss
from fusefront.datasets.manifest import StoredHistory

START = 1_600_000_000
Plant = Callable[..., Any]


@pytest.fixture
def build(planted: Plant, row_type: Any, request_type: Any) -> Plant:
    """A store of (user, item, label, time, ...) rows, one request each, by split."""

    def store(train: list[Any], valid: list[Any], test: list[Any], **changes: Any) -> Any:
        parts = {"train": train, "valid": valid, "test": test}
        requests = {
            name: [
                request_type(row[0], [row_type(*row[1:5])], row[5] if len(row) > 5 else ())
                for row in rows
            ]
            for name, rows in parts.items()
        }
        return planted(requests, **changes)

    return store


def severity(findings: list[Finding] | None, name: str) -> str | None:
    return next((f.severity for f in findings or [] if f.name == name), None)


def rows(count: int, **fixed: Any) -> list[tuple[Any, ...]]:
    """Rows of users of their own, item 1, at different times."""
    user, time = fixed.get("user", 0), fixed.get("time", START)
    return [(user + k, 1 + k % 3, k % 2, time + 7 * k) for k in range(count)]


# rows that know each other across a split


@pytest.mark.parametrize(
    ("shared", "level"),
    [(0, None), (4, "note"), (5, "warning"), (49, "warning"), (50, "severe")],
)
def test_siblings_are_severe_from_one_row_in_twenty(
    build: Plant, shared: int, level: str | None
) -> None:
    train, valid = rows(40, user=9000), rows(10, user=8000)
    test = rows(1000, user=0, time=START + 10**6)
    train += [(user, 2, 1, time) for user, _, _, time in test[:shared]]
    store = build(train, valid, test)
    findings = check_siblings(store, sample_users(store))
    assert severity(findings, "sibling_rows") == level
    if findings:
        assert findings[0].numbers == {"valid_share": 0.0, "test_share": shared / 1000}
        assert "rows of the same user and time" in findings[0].title
    untimed = UserSample(pl.DataFrame(), pl.DataFrame(), 1.0, timed=False, told_apart=False)
    assert check_siblings(store, untimed) is None
    assert check_repeated(store, untimed) is None


@pytest.mark.parametrize(
    ("repeats", "level"), [(4, None), (5, "note"), (19, "note"), (20, "warning")]
)
def test_repeats_within_a_split_are_a_note_from_one_in_two_hundred(
    build: Plant, repeats: int, level: str | None
) -> None:
    train = rows(900 - repeats, user=0)
    store = build(train + train[:repeats], rows(50, user=3000), rows(50, user=4000))
    findings = check_repeated(store, sample_users(store))
    assert severity(findings, "duplicate_rows") == level
    if findings:
        assert findings[0].numbers == {"share": repeats / 1000}


@pytest.mark.parametrize(
    ("across", "level"), [(0, None), (1, "warning"), (9, "warning"), (10, "severe")]
)
def test_rows_of_train_in_test_are_severe_from_one_in_a_hundred(
    build: Plant, across: int, level: str | None
) -> None:
    train = rows(300, user=0)
    later = rows(1000 - across, user=5000)
    store = build(train, later[:400], later[400:] + train[:across])
    findings = check_repeated(store, sample_users(store))
    assert severity(findings, "rows_in_train") == level
    assert severity(findings, "duplicate_rows") is None
    if findings:
        assert findings[0].numbers == {"share": across / 1000}
    changed = [(u, i, 1 - y, t) for u, i, y, t in train[:across]]  # another label, another row
    store = build(train, later[:400], later[400:] + changed)
    assert check_repeated(store, sample_users(store)) == []


@pytest.mark.parametrize(
    ("by", "after", "level"),
    [
        ("given", 1, "note"),
        ("given", 2, "warning"),
        ("user", 2, "note"),
        ("time", 1, "severe"),
        ("time", 0, None),
    ],
)
def test_train_rows_after_the_first_test_row(
    build: Plant, by: str, after: int, level: str | None
) -> None:
    late = START + 10**6
    train = rows(200 - after, user=0) + rows(after, user=900, time=late + 1)
    train[0] = (0, 1, 0, late - 5)
    test = [(5000, 1, 1, late), *rows(20, user=6000, time=late + 100)]
    store = build(train, rows(9, user=7000), test, split_by=by)
    findings = check_time(store, sample_users(store))
    assert severity(findings, "time_overlap") == level
    if findings:
        assert findings[0].numbers == {"train_share_after_test_start": after / 200}
        tied = build([*train[: 200 - after], *[(1, 1, 0, late)] * after], rows(9), test)
        assert check_time(tied, sample_users(tied)) == []  # at that moment is not later
    assert check_time(store, sample_users(store)._replace(timed=False)) is None


@pytest.mark.parametrize("by", ["user", "time"])
def test_users_of_train_are_counted_in_valid_and_test(build: Plant, by: str) -> None:
    store = build(rows(10), rows(8, user=7), [*rows(5, user=8), *rows(5, user=8)], split_by=by)
    sample = sample_users(store)
    shared = check_users(store, sample)
    assert severity(shared, "user_overlap") == ("severe" if by == "user" else "note")
    assert shared[0].numbers == {"valid_share": 3 / 8, "test_share": 2 / 5}
    assert (
        shared[0].title == "37.5 % of the valid users, 40.0 % of the test users are in train too."
    )
    cold = check_cold_users(store, sample)
    assert cold[0].numbers == {"valid_share": 5 / 8, "test_share": 6 / 10}
    apart = build(rows(10), rows(8, user=20), rows(5, user=30))
    assert check_users(apart, sample_users(apart)) == []
    same = build(rows(10), rows(8), rows(5))
    assert check_cold_users(same, sample_users(same)) == []


# labels


@pytest.mark.parametrize("name", ["train", "valid", "test"])
def test_a_split_of_one_label_is_severe(build: Plant, name: str) -> None:
    parts = {part: rows(6) for part in ("train", "valid", "test")}
    for label, word in ((0, "non-clicks"), (1, "clicks")):
        parts[name] = [(u, i, label, t) for u, i, _, t in rows(6)]
        finding = check_classes(build(**parts), None)  # type: ignore[arg-type]
        assert [(f.name, f.severity) for f in finding] == [(f"single_class.{name}", "severe")]
        assert finding[0].title == f"The {name} split holds {word} only (6 rows)."


@pytest.mark.parametrize(
    ("counts", "words"),
    [  # 5.02, 4.98, 2.01 and 1.98 standard errors of the difference
        ({"train": (5000, 10_000), "test": (5355, 10_000)}, "more than chance"),
        ({"train": (5000, 10_000), "test": (5352, 10_000)}, "may just give"),
        ({"train": (5000, 10_000), "test": (5142, 10_000)}, "may just give"),
        ({"train": (5000, 10_000), "test": (5140, 10_000)}, "no more than by chance"),
        ({"train": (4000, 10_000), "test": (5001, 10_000)}, "different populations"),
        ({"train": (4000, 10_000), "test": (5000, 10_000)}, "which is more than chance"),
        ({"train": (20, 100), "test": (100, 200)}, "may just give"),  # 5 to the last bit
        ({"train": (32, 100), "test": (88, 200)}, "no more than by chance"),  # 2 likewise
        ({"train": (0, 50), "test": (0, 0)}, "no more than by chance"),
    ],
)
def test_rates_are_told_from_chance(counts: dict[str, tuple[int, int]], words: str) -> None:
    finding = say_rates(counts)
    assert words in finding.detail
    assert (finding.severity == "warning") == (words == "different populations")
    drawn = say_rates(counts, drawn=3)
    assert drawn.severity == "note"
    assert "3 negatives for each positive" in drawn.detail
    (a, m), (b, n) = counts.values()
    pooled = (a + b) / (m + n)
    if pooled:
        error = (pooled * (1 - pooled) * (1 / m + 1 / n)) ** 0.5
        assert finding.numbers["errors"] == pytest.approx((b / n - a / m) / error)


def periods(clicks: list[int], rows_each: int = 400) -> list[tuple[int, int, int, int]]:
    """Twenty periods of a hundred moments, so many clicks in each."""
    return [
        (k, 1, int(k < count), START + 100 * period + k % 100)
        for period, count in enumerate(clicks)
        for k in range(rows_each)
    ]


@pytest.mark.parametrize(
    ("low", "high", "drifts"),
    [
        (100, 200, True),
        (100, 150, False),
        (100, 140, False),
        (200, 310, True),
        (200, 280, False),  # beyond chance, and less than by half
        (20, 40, False),  # twice as many, and no more than chance
    ],
)
def test_a_rate_that_moves_by_half_is_a_drift(
    build: Plant, low: int, high: int, drifts: bool
) -> None:
    every = periods(
        [low + 8, *[low] * 3, *[(low + high) // 2] * 12, *[high] * 3, high - 8]
    )  # the rates at both ends are not the extreme ones
    store = build(every[: 12 * 400], every[12 * 400 : 16 * 400], every[16 * 400 :])
    findings = check_drift(store, None)  # type: ignore[arg-type]
    assert findings is not None
    assert bool(findings) == drifts
    if findings:
        assert findings[0].numbers == {
            "lowest": low / 400,
            "highest": high / 400,
            "first_period": (low + 8) / 400,
            "last_period": (high - 8) / 400,
        }
    assert check_drift(build(rows(9), rows(9), rows(9), timed=False), None) is None  # type: ignore[arg-type]
    drawn = build(every[:400], every[400:800], every[800:1200], drawn=2)
    assert check_drift(drawn, None) is None  # type: ignore[arg-type]


@pytest.mark.parametrize(("few", "drifts"), [(99, False), (100, True)])
def test_a_period_of_under_a_hundred_rows_has_no_rate(build: Plant, few: int, drifts: bool) -> None:
    every = periods([100] * 20)
    odd = [(k, 1, 1, START + 500 + k % 100) for k in range(few)]  # the sixth clicks always
    every = [*every[: 5 * 400], *odd, *every[6 * 400 :]]
    findings = check_drift(build(every[:4000], every[4000:6000], every[6000:]), None)  # type: ignore[arg-type]
    assert bool(findings) == drifts


# splits of a row, and of none


def test_the_row_of_a_split_counts_whole_and_no_row_counts_nothing(build: Plant) -> None:
    train = [(0, 1, 1, START, 1), (1, 2, 0, START + 1, 1)]
    present = np.array([True, True, False])
    store = build(train, [(0, 3, 1, START, 0)], [], present=present)
    sample = sample_users(store)
    whole = {"valid_share": 1.0, "test_share": 0.0}
    assert check_users(store, sample)[0].numbers == whole
    siblings = check_siblings(store, sample)
    assert siblings is not None
    assert (siblings[0].numbers, siblings[0].severity) == (whole, "severe")
    assert check_cold_users(store, sample) == []
    (missing,) = check_missing(store, None)  # type: ignore[arg-type]
    shares = {"train_rows": 0.0, "valid_rows": 1.0, "test_rows": 0.0}
    assert missing.numbers == {"items": 1 / 3, "gap": 1.0, **shares}
    (cold,) = check_cold_items(store, None)  # type: ignore[arg-type]
    assert cold.numbers == {"valid_rows": 1.0, "test_rows": 0.0, "items": 0}
    (unseen,) = check_unseen(store, None)  # type: ignore[arg-type]
    assert unseen.numbers == shares
    assert check_time(store, sample) == []
    stranger = build(train, [(5, 1, 1, START)], [])
    assert check_cold_users(stranger, sample_users(stranger))[0].numbers == whole
    again = build(train, train[:1], [])
    repeated = check_repeated(again, sample_users(again))
    assert [(f.name, f.numbers) for f in repeated or ()] == [("rows_in_train", {"share": 1.0})]


# items


def test_missing_vectors_and_cold_items_are_shares_of_rows(build: Plant) -> None:
    present = np.array([True, True, False, False, True])
    train = [(k, 1 + k % 2, k % 2, START) for k in range(10)]
    valid = [(k, 1 + k % 3, 0, START) for k in range(9)]
    test = [(k, 5 if k < 3 else 3 if k < 8 else 1, 1, START) for k in range(10)]
    store = build(train, valid, test, present=present)
    (missing,) = check_missing(store, None)  # type: ignore[arg-type]
    assert missing.severity == "warning"
    assert missing.numbers == pytest.approx(
        {"items": 0.4, "gap": 0.5, "train_rows": 0.0, "valid_rows": 1 / 3, "test_rows": 0.5}
    )
    assert "on 50.0 % more of the test rows than of the train rows" in missing.detail
    (cold,) = check_cold_items(store, None)  # type: ignore[arg-type]
    assert cold.numbers == pytest.approx({"valid_rows": 3 / 9, "test_rows": 0.8, "items": 2})
    for lack, level in ((2, "note"), (3, "warning")):  # of ten rows of test, of none before
        test = [(k, 3 if k < lack else 1, 1, START) for k in range(10)]
        few = build(train, train, test, present=present)
        (missing,) = check_missing(few, None)  # type: ignore[arg-type]
        assert missing.severity == level
    even = [(0, 1, 1, START), (0, 3, 1, START)]
    alike = build(even * 4, even, even, present=present)
    (missing,) = check_missing(alike, None)  # type: ignore[arg-type]
    assert missing.severity == "note"  # half of the rows everywhere
    assert "Presence is passed to every model" in missing.detail
    most = [*even * 4, (0, 3, 1, START)]
    (missing,) = check_missing(build(most, most, most, present=present), None)  # type: ignore[arg-type]
    assert missing.severity == "warning"
    assert check_missing(build(even, even, even, present=present | True), None) == []  # type: ignore[arg-type]
    assert check_cold_items(alike, None) == []  # type: ignore[arg-type]


@pytest.mark.parametrize(("cold", "level"), [(5, None), (4, "warning")])
def test_an_item_cold_split_shows_cold_items_on_half_of_its_rows(
    build: Plant, cold: int, level: str | None
) -> None:
    test = [(k, 9 if k < cold else 1, k % 2, START) for k in range(10)]
    store = build(rows(6), rows(6), test, split_by="item_cold")
    assert severity(check_cold_items(store, None), "item_overlap") == level  # type: ignore[arg-type]
    other = build(rows(6), rows(6), test, split_by="time")
    assert severity(check_cold_items(other, None), "item_overlap") is None  # type: ignore[arg-type]


@pytest.mark.parametrize(("empty", "level"), [(5, "warning"), (4, None)])
def test_values_unknown_to_train_on_half_more_of_the_rows(
    build: Plant, planted: Plant, row_type: Any, request_type: Any, empty: int, level: str | None
) -> None:
    def part(none: int) -> list[Any]:
        return [
            request_type(k, [row_type(1, k % 2, START, 0 if k < none else 1)]) for k in range(10)
        ]

    for name in ("valid", "test"):
        parts = {"train": part(0), "valid": part(1), "test": part(1)} | {name: part(empty)}
        findings = check_unseen(planted(parts), None)  # type: ignore[arg-type]
        assert severity(findings, "unseen.candidate.c") == level
    rare = {"train": part(4), "valid": part(8), "test": part(8)}
    assert check_unseen(planted(rare), None) == []  # type: ignore[arg-type]
    rare = {"train": part(4), "valid": part(9), "test": part(8)}
    (finding,) = check_unseen(planted(rare), None)  # type: ignore[arg-type]
    assert finding.numbers == {"train_rows": 0.4, "valid_rows": 0.9, "test_rows": 0.8}


# what prepare counted


@pytest.mark.parametrize(
    ("key", "count", "level"),
    [
        ("rows.gone", 10, None),
        ("rows.gone", 11, "note"),
        ("rows.gone", 199, "note"),
        ("rows.gone", 200, "warning"),
        ("history.gone", 200, "warning"),
        ("candidate.c.absent", 900, "note"),
        ("modality.text.absent", 900, None),
        ("modality.text.unknown_key", 900, "note"),
    ],
)
def test_losses_are_shown_beyond_one_in_a_hundred(
    build: Plant, key: str, count: int, level: str | None
) -> None:
    losses = {key: Loss(count=count, of=1000, what="things are gone")}
    store = build(rows(4), rows(4), rows(4), losses=losses)
    findings = check_counted(store, None)  # type: ignore[arg-type]
    assert severity(findings, f"counted.{key}") == level
    if findings:
        assert findings[0].numbers == {"count": count, "among": 1000, "share": count / 1000}
        assert ("A study does not see them" in findings[0].detail) == (key[0] in "rh")


# users


@pytest.mark.parametrize(("own", "heavy"), [(50, False), (51, True)])
def test_a_user_with_over_a_twentieth_of_the_log_is_heavy(
    build: Plant, own: int, heavy: bool
) -> None:
    train = [*rows(600 - own, user=10), *([(5, 1, 1, START)] * own)]
    store = build(train, rows(200, user=3000), rows(200, user=4000))
    findings = check_users_that_are_none(store, None)  # type: ignore[arg-type]
    assert severity(findings, "heavy_user") == ("warning" if heavy else None)
    if findings:
        assert findings[0].numbers == {
            "share": own / 1000,
            "train_share": own / 600,
            "valid_share": 0.0,
            "test_share": 0.0,
        }


@pytest.mark.parametrize(("own", "heavy"), [(20, False), (21, True)])
def test_a_user_with_over_a_tenth_of_a_split_is_heavy(build: Plant, own: int, heavy: bool) -> None:
    test = [*rows(200 - own, user=4000), *([(5, 1, 1, START)] * own)]
    store = build(rows(600, user=10), rows(200, user=3000), test)
    findings = check_users_that_are_none(store, None)  # type: ignore[arg-type]
    assert severity(findings, "heavy_user") == ("warning" if heavy else None)


@pytest.mark.parametrize(("own", "reported"), [(19, False), (20, True)])
def test_user_0_is_nobody_from_five_times_the_next(build: Plant, own: int, reported: bool) -> None:
    next_user = [(9, 1, 1, START)] * 4
    train = [*rows(3000, user=10_000), *next_user, *([(0, 1, 1, START)] * own)]
    store = build(train, rows(9, user=7000), rows(9, user=8000))
    findings = check_users_that_are_none(store, None)  # type: ignore[arg-type]
    assert (severity(findings, "placeholder_user") == "warning") == reported


def test_users_that_hold_what_all_hold_are_not_heavy(build: Plant) -> None:
    few = [(k % 4, 1, k % 2, START) for k in range(40)]  # a quarter each
    assert check_users_that_are_none(build(few, few, few), None) == []  # type: ignore[arg-type]
    uneven = [*few, *([(3, 1, 1, START)] * 90)]  # 100 of 130: over three quarters
    findings = check_users_that_are_none(build(uneven, few, few), None)  # type: ignore[arg-type]
    assert severity(findings, "heavy_user") == "warning"


def test_nobody_who_holds_much_is_reported_once(build: Plant) -> None:
    train = [*rows(100, user=10_000), *([(-1, 1, 1, START)] * 50)]
    store = build(train, rows(50, user=7000), rows(50, user=8000))
    findings = check_users_that_are_none(store, None)  # type: ignore[arg-type]
    assert [finding.name for finding in findings] == ["placeholder_user"]


# times


@pytest.mark.parametrize(
    ("factor", "few", "level"),
    [
        (1000, 20, "severe"),
        (1000, 5, "severe"),
        (1000, 4, None),
        (700, 20, "warning"),
        (10**6, 20, "severe"),
        (100, 20, None),
        (20, 20, None),
    ],
)
def test_users_whose_times_are_a_thousand_times_others(
    build: Plant, factor: int, few: int, level: str | None
) -> None:
    train = rows(60, user=0)
    odd = [(9000 + k, 1, k % 2, (START + 7 * k) * factor) for k in range(few)]
    store = build(train + odd, rows(20, user=500), rows(20, user=700))
    findings = check_scale(store, sample_users(store))
    assert severity(findings, "time_scale") == level
    if findings:
        assert findings[0].numbers["share"] == few / (100 + few)
        assert findings[0].numbers["users"] == few
        assert findings[0].numbers["ratio"] == pytest.approx(factor, rel=0.01)
        thousands = "1,000" if factor < 10**6 else "10^6"
        assert f"{thousands} times above all others" in findings[0].title
        assert "(in train)" in findings[0].title
    assert check_scale(store, sample_users(store)._replace(timed=False)) is None


def test_a_split_below_the_others_is_named_and_few_users_tell_nothing(build: Plant) -> None:
    test = [(700 + k, 1, k % 2, (START + 7 * k) // 1000) for k in range(6)]
    store = build(rows(60), rows(20, user=500), test)
    (finding,) = check_scale(store, sample_users(store))  # type: ignore[misc]
    assert "(in test) are 1,000 times below all others" in finding.title
    small = build(rows(3), rows(1, user=500), [(k, 1, 1, START // 1000) for k in range(90, 95)])
    assert check_scale(small, sample_users(small)) == []


@pytest.mark.parametrize(("zero", "level"), [(0, None), (1, "note"), (2, "warning")])
def test_rows_without_a_time_are_a_warning_from_one_in_a_hundred(
    build: Plant, zero: int, level: str | None
) -> None:
    train = [(u, i, y, -k if k < zero else t) for k, (u, i, y, t) in enumerate(rows(150))]
    store = build(train, rows(20), rows(30))
    findings = check_missing_times(store, sample_users(store))
    assert severity(findings, "time_missing") == level
    if findings:
        assert findings[0].numbers == {"rows": zero, "share": zero / 200}
    relative = build(
        [(u, i, y, t - START) for u, i, y, t in train[2:]], rows(2, time=5), rows(2, time=9)
    )
    assert check_missing_times(relative, sample_users(relative)) == []


@pytest.mark.parametrize(("step", "flagged"), [(64, True), (128, True), (32, False), (192, False)])
@pytest.mark.parametrize("whole", [1, 1000])
def test_times_that_are_multiples_of_a_power_of_two(
    build: Plant, step: int, flagged: bool, whole: int
) -> None:
    first = START // (64 * step) * 64 * step

    def part(count: int, user: int) -> list[Any]:
        return [(user + k // 2, 1, k % 2, whole * (first + step * (k // 2))) for k in range(count)]

    store = build(part(60, 0), part(20, 100), part(20, 200), time_unit="s" if whole == 1 else "ms")
    findings = check_rounded(store, sample_users(store))
    assert severity(findings, "time_rounded") == ("warning" if flagged else None)
    if findings:
        assert findings[0].numbers == {"step": step, "share": 1.0, "tied": 1.0}
        assert f"multiples of {step}" in findings[0].title


@pytest.mark.parametrize(("rounded", "flagged"), [(9, False), (10, True)])
def test_a_tenth_of_rounded_times_is_enough(build: Plant, rounded: int, flagged: bool) -> None:
    base = START // 4096 * 4096
    odd = [base + 64 * 7 * k + 1 for k in range(100 - rounded)]
    times = [base + 128 * k for k in range(rounded)] + odd
    lines = [(k, 1, k % 2, time) for k, time in enumerate(times)]
    store = build(lines[:80], lines[80:90], lines[90:])
    findings = check_rounded(store, sample_users(store))
    assert severity(findings, "time_rounded") == ("warning" if flagged else None)


# histories


def target(build: Plant, hits: int, newest: int, clicks: int = 100, **changes: Any) -> Any:
    """Clicks of which so many have their item in their history, some as its newest entry."""
    lines = []
    for k in range(clicks):
        past = [7, 8, 2] if k < newest else [2, 7, 8] if k < hits else [7, 8, 9]
        lines.append((k, 2, 1, START + k, 0, past))
    lines += [(k, 3, 0, START + k, 0, [7, 8, 9]) for k in range(100)]
    return build(lines, lines[-2:], lines[-2:], **changes)


@pytest.mark.parametrize(
    ("hits", "newest", "level"),
    [
        (4, 0, None),
        (5, 0, "note"),
        (14, 0, "note"),
        (15, 0, "warning"),
        (29, 0, "warning"),
        (30, 0, "severe"),
        (5, 5, "warning"),
        (4, 4, None),
        (19, 19, "warning"),
        (20, 20, "severe"),
    ],
)
def test_targets_in_histories_by_their_share(
    build: Plant, hits: int, newest: int, level: str | None
) -> None:
    store = target(build, hits, newest)
    findings = check_target(store, None)  # type: ignore[arg-type]
    assert severity(findings, "target_in_history") == level
    if findings:
        assert findings[0].numbers == pytest.approx(
            {"positives": hits / 100, "negatives": 0, "positives_newest": newest / 100}
        )


@pytest.mark.parametrize(
    ("past", "severity_of_it", "share"), [([3, 7, 8], "severe", 1.0), ([7, 8, 3], None, 1.0)]
)
def test_the_only_row_without_a_click_counts_whole(
    build: Plant, past: list[int], severity_of_it: str | None, share: float
) -> None:
    """All clicks are their newest entry; the other row has its item too, earlier or last."""
    clicks = [(k, 2, 1, START + k, 0, [7, 8, 2]) for k in range(60)]
    store = build([*clicks, (900, 3, 0, START, 0, past)], clicks[:1], clicks[:1])
    findings = check_target(store, None)  # type: ignore[arg-type]
    assert severity(findings, "target_in_history") == severity_of_it
    if findings:
        numbers = {"positives": 1.0, "negatives": share, "positives_newest": 1.0}
        assert findings[0].numbers == numbers


@pytest.mark.parametrize(
    ("hits", "newest", "past", "level"),
    [
        (94, 19, "given", "warning"),
        (95, 0, "given", "severe"),
        (50, 20, "given", "severe"),
        (99, 50, "earlier", "warning"),
        (16, 0, "given", "warning"),
    ],
)
def test_repeats_beside_drawn_negatives_are_severe_where_nearly_all_do(
    build: Plant, hits: int, newest: int, past: str, level: str
) -> None:
    changes = {"drawn": 1, "history": StoredHistory(past=past)}  # type: ignore[arg-type]
    findings = check_target(target(build, hits, newest, **changes), None)  # type: ignore[arg-type]
    assert severity(findings, "target_in_history") == level
    assert findings is not None
    assert "Drawn negatives are never items that the user clicked" in findings[0].detail


def test_few_clicks_tell_nothing_and_no_histories_cannot(build: Plant) -> None:
    assert check_target(target(build, 49, 49, clicks=49), None) == []  # type: ignore[arg-type]
    assert severity(check_target(target(build, 50, 50, clicks=50), None), "target_in_history")  # type: ignore[arg-type]
    bare = build(rows(9), rows(9), rows(9))
    assert check_target(bare, None) is None  # type: ignore[arg-type]
    assert check_future(bare, sample_users(bare)) is None


@pytest.mark.parametrize(
    ("future", "level"),
    [(4, None), (5, "note"), (14, "note"), (15, "warning"), (29, "warning"), (30, "severe")],
)
def test_clicks_that_the_request_before_knew_are_of_the_future(
    build: Plant, future: int, level: str | None
) -> None:
    train = []
    for user in range(100):
        before = [2, 20] if user < future else [20, 21]
        train.append((user, 3, 0, START, 0, before))
        train.append((user, 2, 1, START + 5, 0, [20]))
        train.append((user, 2, 1, START + 9, 0, [20, 2]))  # clicked before by then
        train.append((user, 4, 0, START + 12, 0, [20, 2]))
    store = build(train, rows(2, user=900), rows(2, user=950))
    findings = check_future(store, sample_users(store))
    assert severity(findings, "future_in_history") == level
    if findings:
        numbers = findings[0].numbers
        assert numbers["positives"] == pytest.approx(future / 100)
        assert numbers["negatives"] == 0
        assert numbers["rows"] == 200
    tied = [(u, i, y, START, 0, past) for u, i, y, _, _, past in train]
    store = build(tied, rows(2, user=900), rows(2, user=950))
    assert check_future(store, sample_users(store)) == []  # no request is before another


# shortcuts


def test_a_column_that_gives_the_label_away_by_its_auc(
    planted: Plant, row_type: Any, request_type: Any
) -> None:
    """AUC .95 is severe, .85 a warning, by how many codes of valid agree with the label."""
    for agree, level in ((96, "severe"), (93, "warning"), (86, "warning"), (80, None)):

        def part(right: int) -> list[Any]:
            return [
                request_type(
                    k,
                    [
                        row_type(
                            1 + k % 3, k % 2, START, 1 + (k % 2 if k // 2 < right else 1 - k % 2)
                        )
                    ],
                )
                for k in range(200)
            ]

        store = planted({"train": part(95), "valid": part(agree), "test": part(9)})
        aucs = single_aucs(store)
        label = [k % 2 for k in range(200)]
        code = [k % 2 if k // 2 < agree else 1 - k % 2 for k in range(200)]
        assert aucs["candidate.c"] == pytest.approx(roc_auc_score(label, code))
        findings = check_shortcuts(store, sample_users(store))
        assert severity(findings, "label_from.candidate.c") == level
        assert findings is not None
        assert findings[-1].name == "single_feature_auc"
        assert next(iter(findings[-1].numbers)) == "candidate.c"
        assert findings[-1].title.count(", ") == min(len(findings[-1].numbers), 4) - 1


# vectors


def test_columns_that_are_constant_or_a_hundred_times_the_others(build: Plant) -> None:
    rng = np.random.default_rng(0)
    vectors = rng.choice([-1.0, 1.0], (40, 5))
    every = [(k, 1 + k % 40, k % 2, START) for k in range(80)]

    def check(table: np.ndarray) -> list[Finding]:
        return check_columns(build(every, every, every, vectors=table), None)  # type: ignore[arg-type]

    assert check(vectors) == []
    for factor, flagged in ((99.0, False), (101.0, True)):
        table = vectors.copy()
        table[:, 3] *= factor
        assert severity(check(table), "exploding_columns.text") == ("warning" if flagged else None)
    table = vectors.copy()
    table[:, 2] = 5.0
    (finding,) = check(table)
    assert (finding.severity, finding.numbers) == (
        "warning",
        {"columns": 1, "width": 5, "first": 2},
    )
    table[:] = 5.0
    (finding,) = check(table)
    assert (finding.severity, finding.numbers["columns"]) == ("severe", 5)
    table[3, 1] = np.inf
    table[4, 1] = np.nan
    (finding,) = check(table)
    assert (finding.name, finding.numbers) == ("not_finite.text", {"values": 2})
    store = build(every, every, every, vectors=vectors)
    mean, deviation, broken = moments(store, "text", np.arange(1, 41))
    np.testing.assert_allclose(mean, vectors.mean(0))
    np.testing.assert_allclose(deviation, vectors.std(0))
    assert broken == 0


@pytest.mark.parametrize(("twins", "level"), [(0, None), (1, "note"), (4, "note"), (5, "warning")])
def test_near_copies_are_a_warning_from_one_in_twenty(
    build: Plant, twins: int, level: str | None
) -> None:
    vectors = np.random.default_rng(0).standard_normal((200, 16))
    for k in range(twins):  # one twin is two items that are alike
        vectors[100 + k] = vectors[k] * 1.0
    every = [(k, 1 + k % 200, k % 2, START) for k in range(200)]
    findings = check_twins(build(every, every, every, vectors=vectors), None)  # type: ignore[arg-type]
    assert severity(findings, "near_duplicates.text") == level
    if findings:
        assert findings[0].numbers == {"items": 2 * twins, "share": twins / 100}


# the report


def test_shares_are_said_with_a_digit_or_two_figures() -> None:
    texts = {0.0: "0.0 %", 0.01: "1.0 %", 0.0099: "0.99 %", 0.5: "50.0 %", 0.00012: "0.012 %"}
    for share, text in texts.items():
        assert percent(share) == text


def test_what_is_accepted_is_no_longer_severe() -> None:
    findings = (Finding("a", "severe", "A.", "b.", {"n": 1}), Finding("c", "note", "C.", "d.", {}))
    report = AuditReport("shop", "f" * 16, findings, ("p",), ("q",), 0.5)
    assert report.severe() == findings[:1]
    assert report.severe(("a",)) == ()
    assert report.to_json(("a",)) == {
        "format": 1,
        "dataset": "shop",
        "fingerprint": "f" * 16,
        "sampled_users": 0.5,
        "findings": [
            {
                "name": "a",
                "severity": "severe",
                "title": "A.",
                "detail": "b.",
                "numbers": {"n": 1},
                "text": "A. b.",
                "accepted": True,
            },
            {
                "name": "c",
                "severity": "note",
                "title": "C.",
                "detail": "d.",
                "numbers": {},
                "text": "C. d.",
                "accepted": False,
            },
        ],
        "passed": ["p"],
        "not_run": ["q"],
    }
