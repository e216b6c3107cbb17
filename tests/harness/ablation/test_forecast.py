"""What a dry run says: trainings, minutes, and the smallest difference that would be seen."""

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from scipy import stats

from fusefront.datasets.errors import DataContractError
from fusefront.harness.ablation import forecast as module
from fusefront.harness.ablation.forecast import Resolution, forecast, resolved_by, seconds_of
from fusefront.harness.ablation.path import PathRuns
from fusefront.harness.statistics.joint import JointModel


def model(s2: list[float], rows: float, n: int = 3) -> JointModel:
    """Strategies whose paired differences have variance 2 * rows from the test rows."""
    size = len(s2)
    K = np.eye(size) * rows
    names = tuple("abcdef"[:size])
    zero = np.zeros(size)
    return JointModel(names, zero, np.array(s2), np.full(size, n), K, zero, K * 0, 5000, 4000)


def test_the_resolution_is_that_of_a_t_test_with_the_noise_at_hand() -> None:
    """Against the power of a two-sided t test, by its non-central distribution."""
    s2, rows, seeds, factor, comparisons = 4e-6, 1e-6, 3, 4.0, 5
    known = resolved_by(model([s2, s2, s2], rows), "a", comparisons, factor, seeds)
    assert known is not None
    variance = 2 * rows / factor + 2 * s2 / seeds
    seed_part = 2 * s2 / seeds
    df = variance**2 / (
        (2 * rows / factor) ** 2 / (4000 * factor - 1) + seed_part**2 / (2 * (seeds - 1))
    )
    critical = stats.t.ppf(1 - 0.05 / comparisons / 2, df)
    power = 1 - stats.nct.cdf(critical, df, known.typical / np.sqrt(variance))
    assert power == pytest.approx(0.80, abs=2e-3)
    assert known.worst == pytest.approx(known.typical)
    assert known.comparisons == comparisons


def test_the_noisiest_pair_is_the_worst_one() -> None:
    known = resolved_by(model([1e-6, 1e-6, 9e-6, 1e-6], 1e-7), "a", 1, 1.0, 3)
    assert known is not None
    assert known.worst > 1.5 * known.typical


@pytest.mark.parametrize(
    ("planted", "of", "seeds"),
    [
        (model([1e-6, 1e-6], 1e-7), "z", 3),  # has no runs
        (model([1e-6], 1e-7), "a", 3),  # nothing to compare with
        (model([1e-6, 1e-6], 1e-7, n=1), "a", 3),  # one seed
        (model([1e-6, 1e-6], 1e-7), "a", 1),
    ],
)
def test_noise_that_nothing_tells_is_not_known(planted: JointModel, of: str, seeds: int) -> None:
    assert resolved_by(planted, of, 1, 1.0, seeds) is None


def test_two_seeds_tell_their_noise() -> None:
    known = resolved_by(model([1e-6, 4e-6], 1e-7, n=2), "b", 1, 1.0, 2)
    assert known is not None
    assert known.typical == known.worst > 0


def test_a_pair_of_one_seed_or_without_noise_is_passed_over() -> None:
    planted = model([1e-6, 1e-6, 9e-6, 9e-6], 1e-7)
    planted.n[2] = 1
    known = resolved_by(planted, "a", 1, 1.0, 3)
    less = resolved_by(model([1e-6, 1e-6, 9e-6], 1e-7), "a", 1, 1.0, 3)
    assert known is not None
    assert less is not None
    assert known.worst == pytest.approx(less.worst)  # of a and d, as of a and c there
    assert resolved_by(model([0.0, 0.0], 0.0), "a", 1, 1.0, 3) is None


def test_noise_is_read_on_validation_and_carried_over_to_tests_rows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of 40 rows of validation and 100 of test the variance from rows falls by 2.5."""
    label = np.array([1, 0] * 20, np.uint8)
    manifest: dict[str, Any] = {"counts": {"test": {"rows": 100}}}
    source = SimpleNamespace(
        strategies=("a", "b"),
        rows=lambda split: SimpleNamespace(label=label) if split == "valid" else None,
        cluster="user",
        manifest=manifest,
    )
    requests: list[Any] = []

    def collect(at: Any, request: Any) -> Any:
        assert at is source
        assert request.layout.rows.label is label
        requests.append((request.split, request.metrics))
        return SimpleNamespace(models={"auc": "model"})

    monkeypatch.setattr(module, "StudySource", lambda folder: source)
    monkeypatch.setattr(module, "Layout", lambda rows, cluster: SimpleNamespace(rows=rows))
    monkeypatch.setattr(module, "PanelRequest", lambda layout, split, metrics: SimpleNamespace(
        layout=layout, split=split, metrics=metrics))  # fmt: skip
    monkeypatch.setattr(module, "collect", collect)
    monkeypatch.setattr(module, "resolved_by", lambda *about: about)
    folder = cast(Any, SimpleNamespace(spec=SimpleNamespace(seeds=(1, 2, 3))))
    known: Any = module.resolution(folder, "a", 7)
    assert known == ("model", "a", 7, 2.5, 3)
    assert requests == [("valid", ("auc",))]
    manifest.clear()  # how many rows test has is not known
    known = module.resolution(folder, "a", 7)
    assert known[3] == 1.0
    assert module.resolution(folder, "z", 7) is None
    for row in (0, 1):  # a single click, or a single row without, is enough to ask
        label[:] = row
        label[0] = not row
        assert module.resolution(folder, "a", 7) is not None
    for only in (0, 1):
        label[:] = only
        assert module.resolution(folder, "a", 7) is None


def entry(strategy: str, seconds: float | None) -> Any:
    summary = {} if seconds is None else {"seconds": seconds}
    return SimpleNamespace(strategy=strategy, summary=summary)


def study(*entries: Any) -> Any:
    return cast(Any, SimpleNamespace(completed=lambda: list(entries)))


def test_a_training_takes_what_those_on_record_took() -> None:
    others = entry("b", 9.0), entry("b", 11.0), entry("a", None)
    assert seconds_of(study(entry("a", 2.0), entry("a", 4.0), *others), "a") == 3.0
    assert seconds_of(study(*others), "a") == 10.0
    assert seconds_of(study(), "a") is None


def test_trainings_minutes_and_resolution_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "resolution", lambda *_: Resolution(0.00123, 0.0042, 7))
    words = forecast(study(entry("a", 30.0)), "a", "full", 24, 7, 2)
    assert (words["trainings"], words["minutes"], words["at_once"]) == (24, 6.0, 2)
    assert (words["resolves"], words["resolves_worst"]) == (0.00123, 0.0042)
    first, second, third = words["sentences"]
    assert first == "24 trainings for the full ablation of a; nothing was run"
    assert second.startswith("about 6.0 minutes, 2 at once, at the 30.0 s of a recorded training")
    assert third.startswith("it sees differences of 0.0012 AUC with 80 % power (0.0042 at the")
    assert "corrected for 7 comparisons" in third
    single = forecast(study(entry("a", 30.0)), "a", "full", 1, 1, 2)["sentences"][-1]
    assert "of the noisiest pair), from the study's own noise" in single


def test_a_paths_trainings_are_said_and_counted_in_the_minutes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "resolution", lambda *_: None)
    most = forecast(study(entry("a", 30.0)), "a", "full", 24, 7, 2, PathRuns(16, at_most=True))
    assert (most["trainings"], most["path_trainings"], most["path_at_most"]) == (24, 16, True)
    assert most["minutes"] == 10.0
    first, second, _ = most["sentences"]
    assert first.endswith("ablation of a, up to 16 more for its path; nothing was run")
    assert second.startswith("up to 10.0 minutes, 2 at once")
    exact = forecast(study(entry("a", 30.0)), "a", "full", 0, 7, 2, PathRuns(2, at_most=False))
    first, second, _ = exact["sentences"]
    assert first == "0 trainings for the full ablation of a, 2 more for its path; nothing was run"
    assert second.startswith("about 0.5 minutes, ")
    assert not exact["path_at_most"]


def test_what_is_not_known_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "resolution", lambda *_: None)
    words = forecast(study(), "a", "minimal", 1, 1, 2)
    assert (words["minutes"], words["resolves"]) == (None, None)
    assert words["sentences"][0].startswith("1 training for")
    assert words["sentences"][1] == "how long they take is not known: no run of a is on record"
    assert "takes two seeds of two strategies" in words["sentences"][2]

    def damaged(*_: Any) -> None:
        raise DataContractError("valid.parquet: not as recorded")

    monkeypatch.setattr(module, "resolution", damaged)
    words = forecast(study(entry("a", 1.0)), "a", "minimal", 0, 1, 2)
    assert words["sentences"][1].startswith("every run is on record")
    assert words["sentences"][2].endswith("is not known: valid.parquet: not as recorded")
