"""Every check of the audit: a planted defect is found, a clean set is not flagged."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml
from sklearn.metrics import roc_auc_score

from fusefront.datasets.audit.finding import AuditReport, Finding
from fusefront.datasets.audit.ranking import auc
from fusefront.datasets.audit.report import CHECKS, audit, refuse_severe
from fusefront.datasets.audit.shortcuts import single_aucs
from fusefront.datasets.audit.vectors import twin_rows
from fusefront.datasets.errors import DataContractError
from fusefront.datasets.prepare import prepare
from fusefront.datasets.spec import load_spec
from fusefront.datasets.store import PreparedDataset
from fusefront.datasets.synthetic.write import write_world

Spec = dict[str, Any]
Edit = Callable[[pl.DataFrame], pl.DataFrame]


class World:
    """A written world whose files a test may damage before it is prepared."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.folder = folder
        sizes = {"train": 1_500, "valid": 400, "test": 400, "warm": 400, "cold": 100}
        self.path = write_world("tour", folder, **(sizes | options))
        self.spec: Spec = yaml.safe_load(self.path.read_text())

    def log(self, edit: Edit) -> "World":
        path = self.folder / "interactions.parquet"
        edit(pl.read_parquet(path)).write_parquet(path)
        return self

    def vectors(self, name: str, edit: Callable[[np.ndarray], None]) -> "World":
        array = np.load(self.folder / f"{name}.npy")
        edit(array)
        np.save(self.folder / f"{name}.npy", array)
        return self

    def prepare(self) -> PreparedDataset:
        self.path.write_text(yaml.safe_dump(self.spec))
        return prepare(load_spec(self.path), self.folder, self.folder / "out")

    def audit(self) -> AuditReport:
        return audit(self.prepare())


def finding_of(report: AuditReport, name: str) -> Finding:
    names = [finding.name for finding in report.findings]
    assert name in names, f"{name} is not among {names}"
    return report.findings[names.index(name)]


def names(report: AuditReport) -> set[str]:
    return {finding.name for finding in report.findings}


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    return World(tmp_path_factory.mktemp("clean")).prepare()


@pytest.fixture(scope="module")
def returning(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    folder = tmp_path_factory.mktemp("returning")
    return World(folder, returning=0.5, timestamps=True).prepare()


@pytest.mark.parametrize("kind", ["clean", "returning"])
def test_a_clean_set_is_not_flagged(kind: str, request: pytest.FixtureRequest) -> None:
    report = audit(request.getfixturevalue(kind))
    assert [f.name for f in report.findings if f.severity != "note"] == []
    checks = {*report.passed, *report.not_run}
    assert checks <= set(CHECKS)
    without_times = {"time order", "future in history", "label drift"}
    without_times |= {"time scale", "missing times", "rounded times", "far times"}
    assert set(report.not_run) == (without_times if kind == "clean" else set())
    refuse_severe(report)


def test_checks_that_cannot_tell_say_so_instead_of_passing(tmp_path: Path) -> None:
    world = World(tmp_path).log(random_rows)
    world.spec["history"] = {"from": "none"}
    report = world.audit()
    assert {"sibling rows", "repeated rows", "target in history"} <= set(report.not_run)
    assert not set(report.not_run) & set(report.passed)


def test_facts_that_every_set_has_are_noted(clean: PreparedDataset) -> None:
    report = audit(clean)
    rates = finding_of(report, "label_rate").numbers
    counts = clean.manifest.counts
    assert rates["train_rate"] == counts["train"].positives / counts["train"].rows
    assert finding_of(report, "cold_items").numbers["test_rows"] == pytest.approx(0.2, abs=0.03)
    assert finding_of(report, "cold_users").numbers["test_share"] == 1.0
    missing = finding_of(report, "missing.audio")
    assert missing.numbers["items"] == pytest.approx(1 - clean.manifest.present["audio"] / 500)
    split = clean.split("test")
    audio = list(clean.manifest.schema_.modalities).index("audio")
    absent = ~clean.items.present[split.item, audio]
    assert missing.numbers["test_rows"] == pytest.approx(float(absent.mean()))


def test_shared_users_are_severe_in_a_user_disjoint_split_only(
    returning: PreparedDataset,
) -> None:
    assert finding_of(audit(returning), "user_overlap").severity == "note"
    manifest = returning.manifest.model_copy(update={"split_by": "user"})
    report = audit(PreparedDataset(returning.path, manifest))
    finding = finding_of(report, "user_overlap")
    assert finding.severity == "severe"
    train, test = (set(returning.split(name).group.tolist()) for name in ("train", "test"))
    assert finding.numbers["test_share"] == pytest.approx(len(train & test) / len(test))


def random_rows(log: pl.DataFrame) -> pl.DataFrame:
    """MMCTR-Bench's leak: rows, not requests, are drawn into the splits."""
    draw = pl.Series(np.random.default_rng(0).random(log.height))
    split = pl.when(draw < 0.8).then(pl.lit("train")).when(draw < 0.9).then(pl.lit("valid"))
    return log.with_columns(split=split.otherwise(pl.lit("test")))


@pytest.mark.parametrize("timestamps", [False, True])
def test_siblings_in_train_are_severe(tmp_path: Path, timestamps: bool) -> None:
    report = World(tmp_path, timestamps=timestamps).log(random_rows).audit()
    finding = finding_of(report, "sibling_rows")
    assert finding.severity == "severe"
    # a row has a sibling in train unless all 7 others are elsewhere
    assert finding.numbers["test_share"] == pytest.approx(1 - 0.2**7, abs=0.005)


def test_the_advice_about_siblings_fits_the_split(tmp_path: Path) -> None:
    """Nobody is told to split by time who does so, or who has no times."""
    timed = World(tmp_path / "timed", timestamps=True).log(random_rows).prepare()
    untimed = World(tmp_path / "untimed", timestamps=False).log(random_rows).prepare()

    def advice(store: PreparedDataset, split_by: str) -> str:
        manifest = store.manifest.model_copy(update={"split_by": split_by})
        return finding_of(audit(PreparedDataset(store.path, manifest)), "sibling_rows").detail

    assert "columns.no_request" in advice(timed, "time")
    assert "by: time" not in advice(timed, "time")
    assert "whole in the given split" in advice(timed, "given")
    assert "by: time or by: user" in advice(timed, "random")
    assert "by: time" not in advice(untimed, "random")
    assert "by: user" in advice(untimed, "random")


def test_repeated_rows_are_found_within_and_across_splits(tmp_path: Path) -> None:
    def repeat(log: pl.DataFrame) -> pl.DataFrame:
        train = log.filter(pl.col("split") == "train")
        copies = train.head(1_200)
        leaked = train.tail(600).with_columns(split=pl.lit("test"))
        return pl.concat([log, copies, leaked])

    report = World(tmp_path).log(repeat).audit()
    assert finding_of(report, "duplicate_rows").severity == "warning"
    assert finding_of(report, "duplicate_rows").numbers["share"] == pytest.approx(
        1_200 / 20_200, abs=0.004
    )
    across = finding_of(report, "rows_in_train")
    assert across.severity == "severe"
    assert across.numbers["share"] == pytest.approx(600 / (6_400 + 600), abs=0.003)


def test_training_rows_later_than_test_rows_are_found(tmp_path: Path) -> None:
    def backwards(log: pl.DataFrame) -> pl.DataFrame:
        return log.with_columns(timestamp=pl.col("timestamp").max() - pl.col("timestamp"))

    report = World(tmp_path, timestamps=True).log(backwards).audit()
    assert finding_of(report, "time_overlap").severity == "warning"
    assert finding_of(report, "time_overlap").numbers["train_share_after_test_start"] == 1.0


def with_target(log: pl.DataFrame) -> pl.DataFrame:
    """The history is cut after the click: it ends with the row's own target."""
    return log.with_columns(
        history=pl.when(pl.col("label") == 1)
        .then(pl.concat_list("history", "item"))
        .otherwise("history")
    )


def test_a_history_with_its_own_target_is_severe(tmp_path: Path) -> None:
    report = World(tmp_path).log(with_target).audit()
    finding = finding_of(report, "target_in_history")
    assert finding.severity == "severe"
    assert finding.numbers["positives"] == 1.0
    assert finding.numbers["positives_newest"] == 1.0
    assert float(finding.numbers["negatives"]) < 0.1


def test_a_tenth_of_the_rows_with_their_own_target_is_a_warning(tmp_path: Path) -> None:
    def some(log: pl.DataFrame) -> pl.DataFrame:
        chosen = pl.Series(np.random.default_rng(0).random(log.height) < 0.1)
        history = pl.when(chosen).then(with_target(log)["history"]).otherwise(log["history"])
        return log.with_columns(history=history)

    report = World(tmp_path, warm=2_000).log(some).audit()
    assert finding_of(report, "target_in_history").severity == "warning"


def test_one_history_a_user_on_every_row_is_severe(tmp_path: Path) -> None:
    def static(log: pl.DataFrame) -> pl.DataFrame:
        clicks = log.filter(pl.col("label") == 1)
        everything = clicks.group_by("user").agg(pl.col("item").alias("all"))
        joined = log.join(everything, on="user", how="left", maintain_order="left")
        whole = pl.col("all").fill_null([]).cast(pl.List(pl.Int32))
        return joined.with_columns(history=whole).drop("all")

    world = World(tmp_path, returning=0.5, timestamps=True).log(static)
    world.spec["history"]["max_length"] = 400
    report = world.audit()
    finding = finding_of(report, "future_in_history")
    assert finding.severity == "severe"
    assert finding.numbers["positives"] == 1.0


def test_repeat_consumption_alone_is_no_future_leak(tmp_path: Path) -> None:
    """Users click the same item again and again; histories are built causally."""

    def loyal(log: pl.DataFrame) -> pl.DataFrame:
        favourite = pl.col("user").hash(1) % 400 + 10_000
        clicked = pl.when(pl.col("label") == 1).then(favourite).otherwise("item")
        return log.with_columns(item=clicked.cast(pl.Int32)).drop("history")

    world = World(tmp_path, returning=0.6, timestamps=True).log(loyal)
    world.spec["history"] = {"from": "log", "max_length": 50}
    assert "future_in_history" not in names(world.audit())


def test_a_column_known_only_after_the_click_is_severe(tmp_path: Path) -> None:
    random = np.random.default_rng(0)

    def leak(log: pl.DataFrame) -> pl.DataFrame:
        seconds = np.where(
            log["label"].to_numpy() == 1, random.normal(30, 2, log.height), random.choice([0, 60])
        )
        return log.with_columns(
            seconds=pl.Series(seconds + random.normal(0, 1, log.height)),
            page=(pl.col("label") == 1) ^ pl.Series(random.random(log.height) < 0.08),
        )

    world = World(tmp_path).log(leak)
    world.spec["candidate_fields"] += [
        {"column": "seconds", "type": "number"},
        {"column": "page", "type": "category"},
    ]
    report = world.audit()
    assert finding_of(report, "label_from.candidate.seconds").severity == "severe"
    assert finding_of(report, "label_from.candidate.page").severity == "warning"
    with pytest.raises(DataContractError, match=r"accept: \[label_from\.candidate\.seconds\]"):
        refuse_severe(report)


def test_clicks_that_come_first_in_each_request_are_severe(tmp_path: Path) -> None:
    def first(log: pl.DataFrame) -> pl.DataFrame:
        place = pl.int_range(pl.len()).over("request")
        return log.with_columns(label=(place < 2).cast(pl.Int64))

    report = World(tmp_path).log(first).audit()
    assert finding_of(report, "label_from.place of the row in its request").severity == "severe"


def test_single_feature_aucs_equal_scikit_learn(clean: PreparedDataset) -> None:
    train, valid = clean.split("train"), clean.split("valid")
    rate = train.label.mean()
    found_aucs = single_aucs(clean)
    code = train.candidate_ids[:, 0]
    rates = {
        value: (train.label[code == value].sum() + 10 * rate) / ((code == value).sum() + 10)
        for value in np.unique(code)
    }
    scores = [rates[value] for value in valid.candidate_ids[:, 0]]
    assert found_aucs["candidate.v"] == pytest.approx(roc_auc_score(valid.label, scores), abs=1e-9)
    popularity = np.bincount(train.item, minlength=501)[valid.item]
    expected = roc_auc_score(valid.label, popularity)
    assert found_aucs["item popularity"] == pytest.approx(expected, abs=1e-9)


def test_auc_with_ties_equals_scikit_learn() -> None:
    random = np.random.default_rng(0)
    label = (random.random(500) < 0.3).astype(np.uint8)
    score = random.integers(0, 6, 500).astype(np.float64)
    assert auc(label, score) == pytest.approx(roc_auc_score(label, score), abs=1e-12)


def test_a_split_with_one_class_is_severe(clean: PreparedDataset) -> None:
    counts = clean.manifest.counts
    only = counts["test"].model_copy(update={"positives": 0})
    manifest = clean.manifest.model_copy(update={"counts": {**counts, "test": only}})
    report = audit(PreparedDataset(clean.path, manifest))
    assert finding_of(report, "single_class.test").severity == "severe"


def test_a_label_rate_that_differs_between_splits_is_a_warning(tmp_path: Path) -> None:
    def thin(log: pl.DataFrame) -> pl.DataFrame:
        unlucky = (pl.col("split") == "test") & (pl.int_range(pl.len()) % 2 == 0)
        return log.with_columns(label=pl.when(unlucky).then(0).otherwise("label"))

    report = World(tmp_path).log(thin).audit()
    assert finding_of(report, "label_rate").severity == "warning"


def test_a_label_rate_that_moves_over_time_is_a_warning(tmp_path: Path) -> None:
    def fading(log: pl.DataFrame) -> pl.DataFrame:
        keep = np.random.default_rng(0).random(log.height) > np.linspace(0, 0.7, log.height)
        return log.with_columns(label=pl.Series(log["label"].to_numpy() * keep).cast(pl.Int64))

    report = World(tmp_path, timestamps=True).log(fading).audit()
    finding = finding_of(report, "label_drift")
    assert finding.severity == "warning"
    assert float(finding.numbers["last_period"]) < 0.5 * float(finding.numbers["first_period"])


def test_constant_and_exploding_columns_are_found(tmp_path: Path) -> None:
    def damage(x: np.ndarray) -> None:
        x[:, 5] = 0.7
        x[:, 9] *= 5_000

    world = World(tmp_path).vectors("text", damage)
    world.vectors("image", lambda x: x.__setitem__(slice(None), 1.0))
    report = world.audit()
    dead = finding_of(report, "constant_columns.text")
    assert (dead.severity, dead.numbers["columns"], dead.numbers["first"]) == ("warning", 1, 5)
    loud = finding_of(report, "exploding_columns.text")
    assert (loud.severity, loud.numbers["worst"]) == ("warning", 9)
    assert finding_of(report, "constant_columns.image").severity == "severe"


def test_values_that_are_not_finite_are_severe(clean: PreparedDataset, tmp_path: Path) -> None:
    """Prepare refuses them; a store that was made otherwise may still hold them."""
    copy = tmp_path / "store"
    for path in clean.path.rglob("*"):
        target = copy / path.relative_to(clean.path)
        if path.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    broken = np.load(copy / "items" / "modality_text.npy")
    broken[3, 4], broken[8, 0] = np.inf, np.nan
    np.save(copy / "items" / "modality_text.npy", broken)
    report = audit(PreparedDataset(copy, clean.manifest))
    finding = finding_of(report, "not_finite.text")
    assert (finding.severity, finding.numbers["values"]) == ("severe", 2)


def test_near_duplicate_vectors_are_found_and_counted(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    sources = random.permutation(500)[:80]

    def copy(x: np.ndarray) -> None:
        x += 3.0  # far from the origin, as encoders' outputs are
        x[sources[:40]] = x[sources[40:]] * 1.0 + random.normal(0, 1e-3, (40, x.shape[1]))

    world = World(tmp_path).vectors("image", copy)
    store = world.prepare()
    twins = twin_rows(store, "image", np.arange(1, 501))
    assert set(twins.tolist()) == {int(row) + 1 for row in sources}
    finding = finding_of(audit(store), "near_duplicates.image")
    assert (finding.severity, finding.numbers["items"]) == ("warning", 80)


def test_a_modality_that_test_lacks_more_than_train_is_a_warning(tmp_path: Path) -> None:
    world = World(tmp_path)
    items = pl.read_parquet(tmp_path / "items.parquet")
    cold = items["cold"].to_numpy()
    items.with_columns(has_text=~pl.Series(cold)).write_parquet(tmp_path / "items.parquet")
    world.vectors("text", lambda x: x.__setitem__(cold, 0.0))
    few = [10_000 + row for row in range(150)]

    def rarer(log: pl.DataFrame) -> pl.DataFrame:
        drop = (pl.col("split") == "test") & pl.col("item").is_in(few)
        return log.filter(~drop)

    finding = finding_of(world.log(rarer).audit(), "missing.text")
    assert finding.severity == "warning"
    assert finding.numbers["train_rows"] == 0.0
    assert float(finding.numbers["test_rows"]) > 0.2


def test_a_cold_split_whose_test_rows_are_mostly_warm_is_a_warning(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.log(lambda log: log.drop("split"))
    world.spec["split"] = {"by": "item_cold", "valid": 0.02, "test": 0.02}
    store = world.prepare()
    overlap = finding_of(audit(store), "item_overlap")
    assert overlap.severity == "warning"
    cold = ~np.isin(store.split("test").item, store.split("train").item)
    assert overlap.numbers["test_rows_cold"] == pytest.approx(float(cold.mean()))


def test_findings_are_ranked_and_carry_their_numbers(tmp_path: Path) -> None:
    report = World(tmp_path).log(random_rows).log(with_target).audit()
    order = [("severe", "warning", "note").index(f.severity) for f in report.findings]
    assert order == sorted(order)
    text = json.loads(json.dumps(report.to_json(accept=("sibling_rows",))))
    accepted = {f["name"] for f in text["findings"] if f["accepted"]}
    assert accepted == {"sibling_rows"}
    assert all(f["text"].endswith((".", ".]")) for f in text["findings"])
    assert {f["name"] for f in text["findings"]} == names(report)


def test_severe_findings_stop_until_each_is_accepted_by_name(tmp_path: Path) -> None:
    report = World(tmp_path).log(random_rows).log(with_target).audit()
    severe = tuple(finding.name for finding in report.severe())
    assert {"target_in_history"} <= set(severe)
    with pytest.raises(DataContractError, match="To go on all the same, add to the spec: accept"):
        refuse_severe(report, severe[1:])
    refuse_severe(report, severe)


def test_a_sample_of_the_users_finds_the_same_leak(tmp_path: Path) -> None:
    store = World(tmp_path).log(random_rows).prepare()
    whole, part = audit(store), audit(store, most_rows=4_000)
    assert whole.sampled_users == 1.0
    assert part.sampled_users == pytest.approx(0.2, abs=0.01)
    for name in ("test_share", "valid_share"):
        expected = float(finding_of(whole, "sibling_rows").numbers[name])
        assert float(finding_of(part, "sibling_rows").numbers[name]) == pytest.approx(
            expected, abs=0.02
        )
