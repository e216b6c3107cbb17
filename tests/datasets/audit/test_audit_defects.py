"""Defects planted in a small log, each found with its numbers; the same log without it is not
flagged."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from fusefront.datasets.audit.finding import AuditReport, Finding
from fusefront.datasets.audit.report import audit, refuse_severe
from fusefront.datasets.audit.scores import calibration, logistic
from fusefront.datasets.losses import Loss
from fusefront.datasets.prepare import prepare
from fusefront.datasets.spec import parse_spec
from fusefront.datasets.store import PreparedDataset

ROWS, USERS, ITEMS = 4000, 200, 60
START = 1_600_000_000
Log = dict[str, Any]
NEW = {"placeholder_user", "heavy_user", "time_scale", "time_missing", "time_rounded", "outside"}


class Shop:
    """A log of independent draws: no column tells of another, unless a test plants it."""

    def __init__(self, folder: Path, seed: int = 0) -> None:
        self.folder = folder
        self.random = random = np.random.default_rng(seed)
        self.log: Log = {
            "u": random.integers(1, USERS + 1, ROWS),
            "i": random.integers(1, ITEMS + 1, ROWS),
            "y": (random.random(ROWS) < 0.4).astype(np.int64),
            "t": START + 371 * np.arange(ROWS),
        }
        self.items: Log = {"i": np.arange(1, ITEMS + 1)}
        self.vectors = random.standard_normal((ITEMS, 4)).astype(np.float32)
        self.spec: dict[str, Any] = {
            "name": "shop",
            "interactions": {"path": "log.parquet"},
            "columns": {"user": "u", "item": "i", "label": "y", "timestamp": "t"},
            "history": {"from": "log", "max_length": 5},
            "items": {"path": "items.parquet", "key": "i"},
            "modalities": {"text": {"path": "text.npy", "keyed_by": "row"}},
            "split": {"by": "time", "valid": 0.2, "test": 0.2},
        }

    def prepare(self) -> PreparedDataset:
        pl.DataFrame(self.log).write_parquet(self.folder / "log.parquet")
        pl.DataFrame(self.items).write_parquet(self.folder / "items.parquet")
        np.save(self.folder / "text.npy", self.vectors)
        return prepare(parse_spec(self.spec, "spec"), self.folder, self.folder / "out")

    def audit(self) -> AuditReport:
        return audit(self.prepare())


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def get(report: AuditReport, name: str) -> Finding:
    by_name = {finding.name: finding for finding in report.findings}
    assert name in by_name, f"{name} is not among {sorted(by_name)}"
    return by_name[name]


def names(report: AuditReport) -> set[str]:
    return {finding.name for finding in report.findings}


def number(finding: Finding, key: str) -> float:
    value = finding.numbers[key]
    assert not isinstance(value, str)
    return float(value)


def test_a_log_of_draws_is_not_flagged(shop: Shop) -> None:
    report = shop.audit()
    assert [f.name for f in report.findings if f.severity != "note"] == []
    assert not names(report) & NEW
    assert report.not_run == ()


# users


@pytest.mark.parametrize("share", [0.02, 0.3])
@pytest.mark.parametrize(
    "key",
    [
        "\\N",
        "None",
        "nan",
        "null",
        "",
        " ",
        "-1",
        "Unknown",
        "00000000-0000-0000-0000-000000000000",
    ],
)
def test_a_placeholder_among_text_users_is_named(shop: Shop, key: str, share: float) -> None:
    users = np.array([f"user {user}" for user in shop.log["u"]], dtype=object)
    nobody = shop.random.random(ROWS) < share
    users[nobody] = key
    shop.log["u"] = users.tolist()
    finding = get(shop.audit(), "placeholder_user")
    assert finding.severity == "warning"
    assert repr(key) in finding.title
    assert number(finding, "share") == nobody.mean()


def test_a_placeholder_among_whole_numbers_is_named(shop: Shop) -> None:
    nobody = shop.random.random(ROWS) < 0.02
    shop.log["u"] = np.where(nobody, -1, shop.log["u"])
    finding = get(shop.audit(), "placeholder_user")
    assert "'-1'" in finding.title
    assert number(finding, "share") == nobody.mean()
    test = nobody[int(0.8 * ROWS) :]
    assert number(finding, "test_share") == pytest.approx(test.mean(), abs=0.002)


def test_user_0_is_nobody_only_where_it_stands_far_above_the_next(shop: Shop) -> None:
    shop.log["u"] = shop.log["u"] - 1  # users from 0 on
    assert "placeholder_user" not in names(shop.audit())
    nobody = shop.random.random(ROWS) < 0.08
    shop.log["u"] = np.where(nobody, 0, shop.log["u"])
    assert "'0'" in get(shop.audit(), "placeholder_user").title


def test_one_user_with_much_of_the_log_is_a_warning(shop: Shop) -> None:
    robot = shop.random.random(ROWS) < 0.06
    shop.log["u"] = np.where(robot, 77, shop.log["u"])
    finding = get(shop.audit(), "heavy_user")
    assert finding.severity == "warning"
    assert number(finding, "share") == (shop.log["u"] == 77).mean()


def test_one_user_with_much_of_test_alone_is_a_warning(shop: Shop) -> None:
    late = np.arange(ROWS) >= 0.8 * ROWS
    robot = late & (shop.random.random(ROWS) < 0.2)
    shop.log["u"] = np.where(robot, 77, shop.log["u"])
    finding = get(shop.audit(), "heavy_user")
    assert number(finding, "share") < 0.05
    assert number(finding, "test_share") == pytest.approx((shop.log["u"][late] == 77).mean())


# times


def replace_times(store: PreparedDataset, change: Callable[[np.ndarray, np.ndarray], Any]) -> None:
    """A store as an earlier version could make it: times changed by (times, user of each row)."""
    for name in ("train", "valid", "test"):
        split = store.split(name)
        user = np.repeat(split.group, np.diff(split.row_start))
        path = store.path / name / "row" / "timestamp.npy"
        times = np.array(split.timestamp)
        np.save(path, np.asarray(change(times, user), np.int64))


@pytest.mark.parametrize("power", [1, 2])
def test_a_split_in_another_unit_is_severe(shop: Shop, power: int) -> None:
    store = shop.prepare()
    border = int(store.split("test").timestamp.min())  # type: ignore[union-attr]
    replace_times(store, lambda t, _: np.where(t >= border, t * 1000**power, t))
    finding = get(audit(store), "time_scale")
    assert finding.severity == "severe"
    assert "(in test)" in finding.title
    assert number(finding, "ratio") == pytest.approx(1000.0**power, rel=0.01)
    requests = {name: len(store.split(name).group) for name in ("train", "valid", "test")}
    assert number(finding, "share") == requests["test"] / sum(requests.values())


@pytest.mark.parametrize("part", [2, 10])
def test_a_part_of_the_users_in_milliseconds_is_severe(shop: Shop, part: int) -> None:
    store = shop.prepare()
    replace_times(store, lambda t, user: np.where(user % part == 0, t * 1000, t))
    finding = get(audit(store), "time_scale")
    assert finding.severity == "severe"
    assert number(finding, "users") == pytest.approx(3 * USERS / part, abs=30)


def test_seconds_since_the_start_beside_milliseconds_are_seen_in_the_log(shop: Shop) -> None:
    since = 1 + 37 * np.arange(ROWS)
    shop.log["t"] = np.where(shop.log["u"] % 4 == 0, since * 1000, since)
    shop.spec["split"] = {"by": "user", "valid": 0.2, "test": 0.2}
    assert get(shop.audit(), "time_scale").severity in ("severe", "warning")


@pytest.mark.parametrize("start", [0, 10, START, START * 1000])
def test_one_unit_from_any_start_is_no_jump(shop: Shop, start: int) -> None:
    shop.log["t"] = start + 7 * np.arange(ROWS)
    assert not names(shop.audit()) & {"time_scale", "time_missing", "time_rounded"}


def test_rows_without_a_time_are_counted(shop: Shop) -> None:
    none = shop.random.random(ROWS) < 0.03
    shop.log["t"] = np.where(none, 0, shop.log["t"])
    finding = get(shop.audit(), "time_missing")
    assert finding.severity == "warning"
    assert number(finding, "rows") == none.sum()
    assert number(finding, "share") == none.mean()


def test_times_that_32_bits_wrapped_are_a_warning(shop: Shop) -> None:
    shop.log["t"] = (START * 1000 + 37_000_003 * np.arange(ROWS)).astype(np.int32)
    finding = get(shop.audit(), "time_missing")
    below = int((shop.log["t"] < 0).sum())
    assert (finding.severity, number(finding, "rows")) == ("warning", below)
    shop.log["t"] = np.arange(ROWS)
    assert "time_missing" not in names(shop.audit())


@pytest.mark.parametrize("unit", [1, 1000])
def test_a_time_years_after_all_others_is_a_warning(shop: Shop, unit: int) -> None:
    """4,070,908,800 is 2099-01-01."""
    times = START + 371 * np.arange(ROWS)
    shop.log["t"] = unit * np.where(np.arange(ROWS) % 500 == 7, 4_070_908_800, times)
    finding = get(shop.audit(), "time_far")
    assert (finding.severity, number(finding, "rows")) == ("warning", 8)
    assert number(finding, "share") == 8 / ROWS
    shop.log["t"] = unit * np.where(np.arange(ROWS) % 500 == 7, times + 300_000_000, times)
    assert "time_far" not in names(shop.audit())  # not ten years


def test_a_time_cut_short_in_the_last_row_is_a_warning(shop: Shop) -> None:
    """A copy that broke off inside the last number: 10 digits of a time become 5 or 9."""
    whole = START + 371 * np.arange(ROWS)
    for cut in (10, 10**5):
        shop.log["t"] = np.where(np.arange(ROWS) == ROWS - 1, whole // cut, whole)
        assert {"time_far", "time_far_before"} & set(names(shop.audit())) == {"time_far_before"}
    finding = get(shop.audit(), "time_far_before")
    assert (finding.severity, number(finding, "rows")) == ("warning", 1)
    shop.log["t"] = np.where(np.arange(ROWS) == ROWS - 1, whole - 300_000_000, whole)
    assert "time_far_before" not in names(shop.audit())  # not ten years


def test_times_that_were_float32_are_a_warning(shop: Shop) -> None:
    shop.log["t"] = shop.log["t"].astype(np.float32).astype(np.int64)
    finding = get(shop.audit(), "time_rounded")
    assert finding.severity == "warning"
    assert number(finding, "step") == 128  # between 2^30 and 2^31 float32 has steps of 2^7
    assert number(finding, "share") == 1.0
    moments = list(zip(shop.log["u"].tolist(), shop.log["t"].tolist(), strict=True))
    alike = sum(moments.count(moment) > 1 for moment in moments) / ROWS
    assert number(finding, "tied") == pytest.approx(alike, abs=0.02)  # rows of a request are one


def test_thousandths_of_float32_seconds_are_found_too(shop: Shop) -> None:
    shop.log["t"] = shop.log["t"].astype(np.float32).astype(np.float64)
    store = shop.prepare()
    assert store.split("train").timestamp.max() > 10**12  # type: ignore[union-attr]
    assert number(get(audit(store), "time_rounded"), "step") == 128


def test_a_part_of_the_times_in_float32_is_found(shop: Shop) -> None:
    rounded = shop.random.random(ROWS) < 0.25
    narrow = shop.log["t"].astype(np.float32).astype(np.int64)
    shop.log["t"] = np.where(rounded, narrow, shop.log["t"])
    finding = get(shop.audit(), "time_rounded")
    assert number(finding, "share") == ((shop.log["t"] % 64) == 0).mean()


@pytest.mark.parametrize("step", [1, 2, 5, 8, 60, 300, 600, 3600, 43_200, 86_400, 604_800])
@pytest.mark.parametrize("scale", [1, 1000, 1_000_000])
def test_coarse_clocks_are_no_float32(shop: Shop, step: int, scale: int) -> None:
    times = np.sort(START + shop.random.integers(0, 90 * 86_400, ROWS))
    shop.log["t"] = times // step * step * scale
    assert "time_rounded" not in names(shop.audit())


# fields


def test_a_field_that_test_writes_in_another_way_is_a_warning(shop: Shop) -> None:
    late = np.arange(ROWS) >= 0.8 * ROWS
    kind = shop.random.integers(0, 5, ROWS)
    shop.log["c"] = [f"{k}.0" if new else str(k) for k, new in zip(kind, late, strict=True)]
    shop.log["d"] = kind
    shop.spec["candidate_fields"] = [{"column": "c"}, {"column": "d"}]
    report = shop.audit()
    finding = get(report, "unseen.candidate.c")
    assert finding.severity == "warning"
    assert finding.numbers == {"train_rows": 0.0, "valid_rows": 0.0, "test_rows": 1.0}
    assert "unseen.candidate.d" not in names(report)


def test_a_field_of_requests_and_of_items_is_looked_at_too(shop: Shop) -> None:
    shop.log["day"] = [str(t // 86_400) for t in shop.log["t"]]
    shop.items["g"] = [str(k % 3) for k in range(ITEMS)]
    shop.spec["request_fields"] = [{"column": "day"}]
    shop.spec["items"]["fields"] = [{"column": "g"}]
    report = shop.audit()
    assert number(get(report, "unseen.request.day"), "test_rows") > 0.9
    assert "unseen.item.g" not in names(report)


def test_a_field_that_is_rarely_filled_everywhere_is_not_unseen(shop: Shop) -> None:
    filled = shop.random.random(ROWS) < 0.2
    shop.log["c"] = ["a" if there else None for there in filled]
    shop.spec["candidate_fields"] = [{"column": "c"}]
    report = shop.audit()
    assert "unseen.candidate.c" not in names(report)
    counted = get(report, "counted.candidate.c.absent")
    assert counted.severity == "note"
    assert number(counted, "share") == pytest.approx(1 - filled.mean())


# what prepare counted


@pytest.mark.parametrize(("share", "severity"), [(0.005, None), (0.05, "note"), (0.3, "warning")])
def test_rows_that_were_left_out_are_shown_beyond_one_in_a_hundred(
    shop: Shop, share: float, severity: str | None
) -> None:
    unknown = shop.random.random(ROWS) < share
    shop.log["i"] = np.where(unknown, ITEMS + 7, shop.log["i"])
    shop.spec["items"]["unknown"] = "drop"
    report = shop.audit()
    name = "counted.rows.unknown_item"
    if severity is None:
        assert name not in names(report)
        return
    finding = get(report, name)
    assert finding.severity == severity
    assert number(finding, "count") == unknown.sum()
    assert number(finding, "among") == ROWS
    assert f"{unknown.sum():,} of {ROWS:,}" in finding.title


def test_every_loss_of_a_manifest_is_shown(shop: Shop) -> None:
    store = shop.prepare()
    losses = {
        "rows.merged": Loss(count=90, of=4000, what="rows are merged with another"),
        "history.unknown_item": Loss(count=39, of=4000, what="entries name no item"),
        "modality.text.absent": Loss(count=30, of=60, what="items have no text"),
    }
    manifest = store.manifest.model_copy(update={"losses": losses})
    shown = names(audit(PreparedDataset(store.path, manifest)))
    assert "counted.rows.merged" in shown
    assert "counted.history.unknown_item" not in shown  # less than 1 %
    assert "counted.modality.text.absent" not in shown  # `missing.text` says more of it


# scores


def planted(shop: Shop, spread: float = 1.5) -> np.ndarray:
    """True probabilities; labels are drawn from them."""
    logit = shop.random.normal(-0.5, spread, ROWS)
    probability = 1 / (1 + np.exp(-logit))
    shop.log["y"] = (shop.random.random(ROWS) < probability).astype(np.int64)
    return probability


def number_field(shop: Shop, values: np.ndarray, kind: str = "number") -> None:
    shop.log["p"] = values if kind == "number" else [f"{v:.4f}" for v in values]
    shop.spec["candidate_fields"] = [{"column": "p", "type": kind}]


def test_the_true_probability_as_a_feature_is_a_warning(shop: Shop) -> None:
    number_field(shop, planted(shop))
    finding = get(shop.audit(), "score.candidate.p")
    assert finding.severity == "warning"
    assert "looks like a probability of the label" in finding.title
    assert 0.7 < number(finding, "auc") < 0.85  # below what single-feature AUC alone warns of


def test_its_logit_is_one_too(shop: Shop) -> None:
    probability = planted(shop)
    number_field(shop, np.log(probability / (1 - probability)))
    assert "looks like a logit of the label" in get(shop.audit(), "score.candidate.p").title


def test_a_probability_as_a_category_of_texts_is_found(shop: Shop) -> None:
    probability = np.round(planted(shop), 2)
    number_field(shop, probability, "category")
    assert "score.candidate.p" in names(shop.audit())


def test_an_old_models_score_that_is_not_calibrated_ranks_far_above_the_rest(shop: Shop) -> None:
    noisy = np.log(planted(shop)) + shop.random.normal(0, 0.2, ROWS)
    number_field(shop, 700 + 40 * noisy)
    finding = get(shop.audit(), "score.candidate.p")
    assert number(finding, "auc") > number(finding, "others") + 0.1


@pytest.mark.parametrize("seed", range(20))
def test_honest_numbers_are_no_scores(tmp_path: Path, seed: int) -> None:
    """Shares, prices and counts that clicks depend on a little, as numbers do."""
    shop = Shop(tmp_path, seed)
    share, price = shop.random.random(ROWS), shop.random.lognormal(3, 1, ROWS)
    logit = -1 + 0.8 * share - 0.3 * np.log(price) + shop.random.normal(0, 0.5, ROWS)
    shop.log["y"] = (shop.random.random(ROWS) < 1 / (1 + np.exp(-logit))).astype(np.int64)
    shop.log |= {"share": share, "price": price, "age": shop.random.integers(1, 90, ROWS)}
    shop.spec["candidate_fields"] = [
        {"column": name, "type": "number"} for name in ("share", "price", "age")
    ]
    assert not [name for name in names(shop.audit()) if name.startswith("score.")]


def test_calibration_and_logistic_are_those_of_plain_loops() -> None:
    random = np.random.default_rng(3)
    score = random.normal(0, 2, 4000)
    label = (random.random(4000) < 1 / (1 + np.exp(-(0.3 + 0.9 * score)))).astype(np.uint8)
    fitted = logistic(score, label)
    gradient = [(label - fitted).sum(), ((label - fitted) * score).sum()]
    assert np.abs(gradient).max() < 1e-4  # the maximum of the likelihood
    off, slope, spread = calibration(fitted, label)
    order = np.argsort(fitted, kind="stable").reshape(20, 200)
    expected = [fitted[group].mean() for group in order]
    observed = [label[group].mean() for group in order]
    assert off == pytest.approx(np.abs(np.subtract(expected, observed)).mean())
    assert slope == pytest.approx(np.polyfit(expected, observed, 1)[0])
    assert spread == pytest.approx(max(observed) - min(observed))


# drawn negatives


def positives(shop: Shop, power: float, draw: str = "uniform") -> Shop:
    """A log of clicks alone, items by a power law."""
    weight = 1 / np.arange(1, ITEMS + 1) ** power
    shop.log["i"] = 1 + shop.random.choice(ITEMS, ROWS, p=weight / weight.sum())
    del shop.log["y"], shop.spec["columns"]["label"]
    shop.spec["negatives"] = {"per_positive": 4, "draw": draw}
    shop.items["g"] = np.arange(ITEMS) // 4
    shop.spec["items"]["fields"] = [{"column": "g"}]
    return shop


def test_negatives_that_we_drew_ourselves_are_no_leak(shop: Shop) -> None:
    report = positives(shop, 0.0).audit()
    assert [f.name for f in report.findings if f.severity != "note"] == []
    rate = get(report, "label_rate")
    assert rate.detail.startswith("It is that of the draw, 4 negatives for each positive")
    assert "place of the row in its request 1.0" not in get(report, "single_feature_auc").title


def test_popular_items_among_drawn_ones_are_no_leak(shop: Shop) -> None:
    report = positives(shop, 2.0).audit()
    leaks = [f for f in report.findings if f.name.startswith("label_from.")]
    assert {f.name for f in leaks} >= {"label_from.item popularity", "label_from.item.g"}
    assert {f.severity for f in leaks} == {"warning"}
    refuse_severe(report)


def test_a_leak_of_the_request_is_severe_among_drawn_ones_too(shop: Shop) -> None:
    """A field of the row itself does not differ between a positive and what is drawn for it."""
    shop = positives(shop, 0.0)
    shop.log["c"] = shop.random.integers(0, 4, ROWS)
    shop.spec["candidate_fields"] = [{"column": "c"}]
    store = shop.prepare()
    refuse_severe(audit(store))
    for name in ("train", "valid", "test"):
        path = store.path / name / "row" / "context_ids.npy"
        codes = np.load(path)
        codes[:, 0] = 1 + store.split(name).label
        np.save(path, codes)
    assert get(audit(store), "label_from.candidate.c").severity == "severe"


# files from outside


def test_paths_outside_are_noted(shop: Shop) -> None:
    store = shop.prepare()
    manifest = store.manifest.model_copy(update={"outside": ("../x.parquet",)})
    assert "../x.parquet" in get(audit(PreparedDataset(store.path, manifest)), "outside").title
