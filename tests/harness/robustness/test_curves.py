"""Curves of hidden modalities from planted scores: every end by a plain loop, nothing trained."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import stats
from sklearn.metrics import roc_auc_score

from fusefront.datasets.errors import DataContractError
from fusefront.harness.errors import NothingToDoError, UsageError
from fusefront.harness.robustness import chosen, hide, study
from fusefront.harness.robustness.chosen import chosen_strategies, runs_with_weights
from fusefront.harness.robustness.condition import Hidden
from fusefront.harness.robustness.hide import hidden_requests, scores, shown_modalities
from fusefront.harness.robustness.study import (
    SHARES,
    HidingOptions,
    _pair,
    alone_ends,
    ends_of,
    key,
    measure,
)
from fusefront.harness.runs.hashes import WEIGHTS
from fusefront.harness.statistics.rows import RowTable

MODALITIES = ("text", "image")
RUNS = {"mine": (3, 5, 8), "today": (1, 2)}
REQUESTS, WIDTH = 60, 5
LABEL = (np.random.default_rng(4).random(REQUESTS * WIDTH) < 0.4).astype(np.uint8)
USER = np.repeat(np.random.default_rng(5).integers(0, 40, REQUESTS), WIDTH)


def store_of(items: int = 400) -> Any:
    schema = SimpleNamespace(items=items, modalities={"text": 4, "image": 3})
    return SimpleNamespace(manifest=SimpleNamespace(schema_=schema))


def logits_of(name: str, seed: int, hidden: Hidden) -> NDArray[np.float32]:
    """Scores that lose with the share, each strategy, modality and seed in its own way."""
    rng = np.random.default_rng([len(name), seed, MODALITIES.index(hidden.modality or "text")])
    noise, shown = rng.normal(size=len(LABEL)), rng.normal(size=len(LABEL))
    strength = (0.9 if name == "mine" else 0.5) + 0.05 * seed
    loss = hidden.share * (0.8 if hidden.modality == "text" else 0.3)
    base = np.random.default_rng([len(name), seed]).normal(size=len(LABEL))
    mixed = base + (loss > 0) * (0.2 * noise + loss * shown)
    return np.round(mixed + strength * (1 - loss) * LABEL, 1).astype(np.float32)  # with ties


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A study of planted runs; a model is its strategy and seed, and scores as planted."""
    entries = [
        SimpleNamespace(
            strategy=name,
            seed=seed,
            path=tmp_path / f"{name}-{seed}",
            run_id=f"{name}{seed}",
            role="strategy",
            state="completed",
            damage="",
            summary={"valid_auc": 0.6},
        )
        for seed in (1, 2, 3, 5, 8)
        for name in RUNS
        if seed in RUNS[name]
    ]
    for entry in entries:
        weights = entry.path / WEIGHTS
        weights.parent.mkdir(parents=True)
        weights.touch()
    rows = RowTable(
        LABEL,
        USER,
        np.repeat(np.arange(REQUESTS), WIDTH),
        np.zeros(len(LABEL), np.int32),
        np.arange(len(LABEL)),
    )
    monkeypatch.setattr(study, "PreparedDataset", SimpleNamespace(open=lambda path: store_of()))
    monkeypatch.setattr(chosen, "damage", lambda path, part, summary: "")
    monkeypatch.setattr(study, "open_test", lambda path, purpose: looks.append((path, purpose)))
    monkeypatch.setattr(study, "parts_of_runs", lambda paths, include: (list(paths), include))
    monkeypatch.setattr(
        study, "StudySource", lambda of: SimpleNamespace(rows=lambda split: rows, cluster="user")
    )

    def load_model(path: Path, store: Any, parts: Any) -> tuple[str, int]:
        assert parts == ([entry.path for entry in ordered], ("own.py",))
        name, _, seed = path.name.partition("-")
        return name, int(seed)

    def planted(
        model: tuple[str, int], store: Any, conditions: tuple[Hidden, ...], files: Any
    ) -> Any:
        for condition in conditions:
            yield condition, logits_of(*model, condition)

    monkeypatch.setattr(study, "load_model", load_model)
    monkeypatch.setattr(study, "scores", planted)
    ordered = [e for name in RUNS for e in entries if e.strategy == name]
    looks: list[Any] = []
    return SimpleNamespace(
        path=tmp_path,
        name="s",
        store_path="store",
        spec=SimpleNamespace(baseline="today"),
        looks=looks,
        entries_=entries,
        completed=lambda: entries,
        checked_entries=lambda **_: entries,
    )


def measured(folder: Any, *, shares: tuple[float, ...] = (1.0, 0.5)) -> tuple[Any, list[str]]:
    messages: list[str] = []
    options = HidingOptions(shares=shares, include=cast(Any, ("own.py",)))
    return measure(folder, options, messages.append), messages


def influence(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """The AUC's influence of each row, summed over users, by the double loop over pairs."""
    s = logits.astype(np.float64)
    wins = (s[:, None] > s[None, :]) + 0.5 * (s[:, None] == s[None, :])
    clicked, other = LABEL == 1, LABEL == 0
    value = np.where(clicked, wins[:, other].mean(1), 1 - wins[:, clicked].mean(1))
    auc = wins[np.ix_(clicked, other)].mean()
    rows = (value - auc) / np.where(clicked, clicked.sum(), other.sum())
    return np.array([rows[user == USER].sum() for user in np.unique(USER)])


def mean_auc(name: str, hidden: Hidden) -> float:
    values = [roc_auc_score(LABEL, logits_of(name, seed, hidden)) for seed in RUNS[name]]
    return float(np.mean(values))


NOTHING = Hidden("", 0.0)


def test_every_point_is_a_difference_of_mean_auc(folder: Any) -> None:
    curves, messages = measured(folder)
    order = [(curve["strategy"], curve["modality"]) for curve in curves]
    assert order == [(name, modality) for name in RUNS for modality in MODALITIES]
    assert {tuple(curve["shares"]) for curve in curves} == {(0.0, 0.5, 1.0)}
    for curve in curves:
        name, modality = curve["strategy"], curve["modality"]
        for at, share in enumerate(curve["shares"]):
            hidden = Hidden(modality, share) if share else NOTHING
            own = mean_auc(name, hidden)
            gain, lead = curve["gain"][at], curve["lead"][at]
            assert gain["value"] == pytest.approx(own - mean_auc("today", NOTHING), abs=1e-6)
            assert lead["value"] == pytest.approx(own - mean_auc("today", hidden), abs=1e-6)
            for ends in (gain, lead) if name == "mine" else ():
                assert ends["low"] < ends["value"] < ends["high"]
    assert messages == [
        f"{name}, seed {seed}: 5 conditions" for name, seeds in RUNS.items() for seed in seeds
    ]
    assert folder.looks == [(folder.path, "robustness")]


@pytest.mark.parametrize("shares", [(0.25, 1.0), (0.5,)])
def test_the_area_is_the_mean_change_over_the_shares(
    folder: Any, shares: tuple[float, ...]
) -> None:
    """By numpy's trapezoids, over unequal steps, or over one; of the range that was measured."""
    curves, _ = measured(folder, shares=shares)
    for curve in curves:
        name, modality = curve["strategy"], curve["modality"]
        whole = mean_auc(name, NOTHING)
        change = [
            mean_auc(name, Hidden(modality, s) if s else NOTHING) - whole for s in (0, *shares)
        ]
        expected = np.trapezoid(change, [0, *shares]) / shares[-1]
        area = curve["area"]
        assert area["value"] == pytest.approx(expected, abs=1e-6)
        assert area["low"] < area["value"] < area["high"]
        assert curve["kind"] == "items"


def test_where_nothing_is_hidden_the_area_is_nothing(folder: Any) -> None:
    curves, messages = measured(folder, shares=(0.0,))
    assert {tuple(curve["shares"]) for curve in curves} == {(0.0,)}
    assert all(curve["area"] == {"value": 0.0, "low": 0.0, "high": 0.0} for curve in curves)
    assert messages[0] == "mine, seed 3: 1 conditions"


def test_a_model_that_reads_nothing_of_it_loses_nothing(
    folder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its scores are the same under every condition: no change, and no width around it."""

    def planted(
        model: tuple[str, int], store: Any, conditions: tuple[Hidden, ...], files: Any
    ) -> Any:
        for condition in conditions:
            yield condition, logits_of(*model, condition if model[0] == "mine" else NOTHING)

    monkeypatch.setattr(study, "scores", planted)
    curves, _ = measured(folder, shares=(0.5, 1.0))
    for curve in curves:
        if curve["strategy"] == "today":
            assert curve["area"] == {"value": 0.0, "low": 0.0, "high": 0.0}
        else:
            assert curve["area"]["low"] < curve["area"]["value"] < 0


def test_kinds_are_measured_one_after_the_other(folder: Any) -> None:
    options = HidingOptions(
        shares=(0.5,), kinds=("requests", "noise"), include=cast(Any, ("own.py",))
    )
    curves = measure(folder, options, lambda _: None)
    assert [curve["kind"] for curve in curves] == ["requests"] * 4 + ["noise"] * 4
    with pytest.raises(UsageError, match="got kind 'none', expected of items, requests, noise"):
        measure(folder, HidingOptions(kinds=("none",)), lambda _: None)


def test_each_kind_has_the_curves_that_it_can_have() -> None:
    """Cold items and users once, a second file for its own modality, last and once."""
    options = HidingOptions(kinds=("other", "cold_users", "items"), vectors={"image": Path("f")})
    assert options.measured(MODALITIES) == [
        ("cold_users", ""),
        ("items", "text"),
        ("items", "image"),
        ("other", "image"),
    ]
    options = HidingOptions(kinds=("stale",), vectors={"text": Path("f")})
    assert options.measured(MODALITIES) == [
        ("stale", "text"),
        ("stale", "image"),
        ("other", "text"),
    ]
    assert HidingOptions(kinds=("cold_items",)).measured(()) == [("cold_items", "")]
    with pytest.raises(UsageError, match="kind 'other' needs a second vector file: --vectors"):
        HidingOptions(kinds=("other",)).check()
    HidingOptions(kinds=("other",), vectors={"text": Path("f")}).check()


def test_curves_of_cold_users_and_of_a_file_are_in_pairs(
    folder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is read once, its vectors handed to every model; curves stand kind by kind."""
    handed: list[Any] = []

    def planted(model: tuple[str, int], store: Any, conditions: Any, files: Any) -> Any:
        handed.append(files)
        for condition in conditions:
            yield condition, logits_of(*model, condition)

    monkeypatch.setattr(study, "scores", planted)
    monkeypatch.setattr(study, "second_vectors", lambda store, name, path: (name, path))
    options = HidingOptions(
        shares=(0.5,),
        kinds=("cold_users",),
        include=cast(Any, ("own.py",)),
        vectors={"image": Path("old.parquet")},
    )
    curves = measure(folder, options, lambda _: None)
    assert handed == [{"image": ("image", Path("old.parquet"))}] * 5
    assert [(c["kind"], c["strategy"], c["modality"]) for c in curves] == [
        ("cold_users", "mine", ""),
        ("cold_users", "today", ""),
        ("other", "mine", "image"),
        ("other", "today", "image"),
    ]
    for curve in curves:
        own = mean_auc(curve["strategy"], Hidden(curve["modality"], 0.5))
        today = mean_auc("today", Hidden(curve["modality"], 0.5))
        assert curve["gain"][1]["value"] == pytest.approx(own - mean_auc("today", NOTHING))
        assert curve["lead"][1]["value"] == pytest.approx(own - today)


def test_today_is_compared_with_its_own_models(folder: Any) -> None:
    """Two seeds that lose unlike amounts: what they have in common, and how they vary."""
    curves, _ = measured(folder)
    (curve,) = (c for c in curves if (c["strategy"], c["modality"]) == ("today", "text"))
    assert curve["gain"][0] == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert curve["lead"] == [{"value": 0.0, "low": 0.0, "high": 0.0}] * 3
    hidden = Hidden("text", 1.0)
    pairs = [(logits_of("today", s, NOTHING), logits_of("today", s, hidden)) for s in (1, 2)]
    change = [roc_auc_score(LABEL, after) - roc_auc_score(LABEL, before) for before, after in pairs]
    first, second = (influence(after) - influence(before) for before, after in pairs)
    scale = len(first) / (len(first) - 1)
    rows = max(scale * float(first @ second), 0.0)
    trained = scale * float(((first + second) / 2) @ ((first + second) / 2))
    seeds = float(np.var(change, ddof=1)) / 2
    total = max(rows + seeds, trained)
    point = curve["gain"][-1]
    assert point["value"] == pytest.approx(np.mean(change), abs=1e-6)
    widths = [point["high"] - point["value"], point["value"] - point["low"]]
    assert widths[0] == pytest.approx(widths[1])
    least = stats.norm.ppf(0.975) * np.sqrt(total)
    most = stats.t.ppf(0.975, 1) * np.sqrt(total)
    assert least < widths[0] <= most * (1 + 1e-6)


def test_what_is_written_is_what_is_given_back(folder: Any) -> None:
    curves, _ = measured(folder)
    written = json.loads((folder.path / "robustness.json").read_text())
    assert written == {
        "format": 1,
        "reference": "today",
        "runs": {name: [e.run_id for e in folder.entries_ if e.strategy == name] for name in RUNS},
        "curves": curves,
    }


def test_shares_are_sorted_once_each_and_nothing_is_always_there(folder: Any) -> None:
    curves, messages = measured(folder, shares=(0.75, 0.25, 0.75, 0.0))
    assert curves[0]["shares"] == [0.0, 0.25, 0.75]
    assert messages[0] == "mine, seed 3: 5 conditions"
    assert SHARES == (0.0, 0.25, 0.5, 0.75, 1.0)
    assert HidingOptions().shares == SHARES
    with pytest.raises(UsageError, match=r"got share 1\.25, expected shares"):
        measured(folder, shares=(0.5, 1.25, -1.0))


@pytest.mark.parametrize(
    ("hidden", "name"),
    [
        (Hidden("", 0.5, "cold_users"), "a |  | 0.5 | cold_users"),
        (Hidden("text", 0.0), "a"),
        (Hidden("", 0.0), "a"),
        (Hidden("text", 0.25), "a | text | 0.25"),
        (Hidden("image", 1.0), "a | image | 1"),
        (Hidden("image", 0.5, "noise"), "a | image | 0.5 | noise"),
        (Hidden("image", 0.0, "noise"), "a"),
    ],
)
def test_nothing_hidden_is_one_condition(hidden: Hidden, name: str) -> None:
    assert key("a", hidden) == name


def test_ends_that_are_none_are_written_as_none() -> None:
    inf, nan = float("inf"), float("nan")
    assert ends_of(0.5, 0.25, 0.75) == {"value": 0.5, "low": 0.25, "high": 0.75}
    assert ends_of(0.5, -inf, 0.75) == {"value": 0.5, "low": None, "high": 0.75}
    assert ends_of(0.5, 0.25, nan) == {"value": 0.5, "low": 0.25, "high": None}


@pytest.mark.parametrize(("df", "quantile"), [(3.0, stats.t.ppf(0.975, 3)), (np.inf, 1.959964)])
def test_an_interval_of_one_is_students(df: float, quantile: float) -> None:
    model = cast(
        Any,
        SimpleNamespace(
            index=lambda name: ("a", "b").index(name),
            alone=lambda at: (0.5 + at, 0.01 * (1 + at), df),
            pair=lambda a, b: SimpleNamespace(difference=a - 3 * b, low=a - 9, high=b + 9),
        ),
    )
    for at, name in enumerate("ab"):
        ends = alone_ends(model, name)
        half = quantile * 0.01 * (1 + at)
        assert ends["value"] == 0.5 + at
        assert ends["high"] == pytest.approx(0.5 + at + half, rel=1e-6)
        assert ends["low"] == pytest.approx(0.5 + at - half, rel=1e-6)
    assert _pair(model, "b", "a") == {"value": 1, "low": -8, "high": 9}
    assert _pair(model, "a", "b") == {"value": -3, "low": -9, "high": 10}


def test_runs_without_weights_or_with_damage_are_left_out(
    folder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages: list[str] = []
    first, second, third = (e for e in folder.entries_ if e.strategy == "mine")
    first.damage = "the first is damaged"
    monkeypatch.setattr(
        chosen, "damage", lambda path, part, summary: "bad weights" if path == second.path else ""
    )
    assert runs_with_weights(folder, "mine", messages.append) == [third]
    assert messages == ["left out: the first is damaged", "left out: bad weights"]
    third.state = "running"
    with pytest.raises(DataContractError, match=r"^the first is damaged$"):
        runs_with_weights(folder, "mine", messages.append)
    monkeypatch.setattr(chosen, "damage", lambda path, part, summary: "")
    first.damage = ""
    first.state = "failed"
    (second.path / WEIGHTS).unlink()
    with pytest.raises(NothingToDoError, match=r"^study 's' has no completed run of 'mine' with"):
        runs_with_weights(folder, "mine", messages.append)


def entry(name: str, seed: int, auc: float | None, role: str = "strategy") -> Any:
    summary = {} if auc is None else {"valid_auc": auc}
    return SimpleNamespace(strategy=name, seed=seed, role=role, summary=summary)


def test_the_best_on_validation_stands_for_who_is_not_decided(tmp_path: Path) -> None:
    """By the first seed of each; controls and today's are no rivals."""
    runs = [
        entry("today", 0, 0.9),
        entry("none", 0, None),
        entry("a", 0, 0.6),
        entry("a", 1, 0.99),
        entry("b", 0, 0.7),
        entry("b", 1, 0.1),
        entry("twin", 0, 0.7),
        entry("shuffled", 0, 0.95, "control"),
    ]
    spec = SimpleNamespace(baseline="today")
    planted = cast(Any, SimpleNamespace(path=tmp_path, spec=spec, completed=lambda: runs))
    assert chosen_strategies(planted, ()) == ["b", "today"]
    runs[:] = [runs[0], runs[1]]
    assert chosen_strategies(planted, ()) == ["none", "today"]
    runs[:] = runs[:1]
    assert chosen_strategies(planted, ()) == ["today"]
    assert chosen_strategies(planted, ("x", "today", "x", "y")) == ["x", "y", "today"]


def test_only_what_is_hidden_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing hidden encodes the whole table; a share hides the items that were drawn."""
    encoded: list[Any] = []

    def encode_table(model: Any, items: int, keep: torch.Tensor | None) -> int:
        assert (model, items) == ("model", 400)
        encoded.append(keep)
        return len(encoded)

    monkeypatch.setattr(hide, "encode_table", encode_table)
    monkeypatch.setattr(hide, "predict", lambda model, codes, store, split: (codes, split))
    conditions = (Hidden("text", 0.0), Hidden("image", 1e-9), Hidden("text", 0.5))
    store = store_of()
    results = list(scores(cast(Any, "model"), store, conditions))
    assert results == [(each, (at + 1, "test")) for at, each in enumerate(conditions)]
    assert encoded[0] is None
    for keep, hidden in zip(encoded[1:], conditions[1:], strict=True):
        np.testing.assert_array_equal(keep.numpy(), shown_modalities(store, hidden))


def test_by_request_every_row_has_the_modality_or_has_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two passes for any number of shares, mixed by whole requests that are nested."""
    passes: list[Any] = []

    def encode_table(model: Any, items: int, keep: torch.Tensor | None) -> int:
        passes.append(keep)
        return len(passes)

    monkeypatch.setattr(hide, "encode_table", encode_table)
    monkeypatch.setattr(hide, "predict", lambda model, codes, *_: np.full(40, float(codes)))
    store = store_of()
    start = np.arange(0, 41, 4)
    store.split = lambda name: SimpleNamespace(row_start=start)
    conditions = tuple(Hidden("image", share, "requests") for share in (0.0, 0.3, 0.7, 1.0))
    results = [logits for _, logits in scores(cast(Any, "model"), store, conditions)]
    assert len(passes) == 2
    assert not passes[1].numpy()[:, 1].any()
    assert passes[1].numpy()[:, 0].all()
    assert set(results[0]) == {1.0}
    assert set(results[3]) == {2.0}
    for logits in results:
        assert (np.ptp(logits.reshape(-1, 4), axis=1) == 0).all()
    assert (results[1] <= results[2]).all()
    draw = np.random.default_rng([0, 1, 1]).random(10)
    for share in (0.7, float(draw[3])):
        hidden = hidden_requests(store, Hidden("image", share))
        assert hidden.tolist() == [bool(v < share) for v in draw for _ in range(4)]
    draw = np.random.default_rng([8, 1, 0]).random(10)
    hidden = hidden_requests(store, Hidden("text", 0.5), seed=8)
    assert hidden.tolist() == [bool(v < 0.5) for v in draw for _ in range(4)]


def test_all_are_disturbed_unless_a_share_is_said() -> None:
    assert Hidden("text") == ("text", 1.0, "items")


def test_items_lose_a_modality_one_by_one_and_shares_are_nested() -> None:
    store = store_of()
    for column, name in enumerate(MODALITIES):
        draw = np.random.default_rng([0, column]).random(401)
        for share in (0.0, 0.3, float(draw[9]), 1.0):
            keep = shown_modalities(store, Hidden(name, share))
            assert keep.shape == (401, 2)
            assert keep[:, column].tolist() == [bool(value >= share) for value in draw]
            assert keep[:, 1 - column].all()
    other = shown_modalities(store, Hidden("text", 0.3), seed=7)[:, 0]
    draw = np.random.default_rng([7, 0]).random(401)
    assert other.tolist() == [bool(value >= 0.3) for value in draw]
