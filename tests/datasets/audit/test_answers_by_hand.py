"""Answers in histories, scores in columns and features of a request, against loops over rows."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from fusefront.datasets.audit import histories as audit_histories
from fusefront.datasets.audit import rows as audit_rows
from fusefront.datasets.audit.histories import check_future, check_made, check_target
from fusefront.datasets.audit.rows import sample_users
from fusefront.datasets.audit.scores import check_scores
from fusefront.datasets.audit.shortcuts import check_shortcuts, single_aucs
from fusefront.datasets.manifest import StoredHistory

START = 1_600_000_000
SPLITS = ("train", "valid", "test")
Plant = Callable[..., Any]


@pytest.fixture(scope="module")
def leaky(row_type: Any, request_type: Any) -> dict[str, list[Any]]:
    """Each user's requests in time order, whose histories often hold what is clicked next."""
    rng = np.random.default_rng(0)
    parts: dict[str, list[Any]] = {name: [] for name in SPLITS}
    for user in range(60):
        rows, count = [], int(rng.integers(1, 7))
        for k in range(count):
            time = START + 1000 * k + user
            items = rng.permutation(np.arange(1, 12))[: int(rng.integers(1, 4))].tolist()
            labels = (rng.random(len(items)) < 0.5).astype(int).tolist()
            rows.append([row_type(i, y, time) for i, y in zip(items, labels, strict=True)])
        for k, group in enumerate(rows):
            past = rng.integers(1, 12, int(rng.integers(0, 4))).tolist()
            clicked = [r.item for r in group if r.label]
            later = [r.item for r in rows[k + 1] if r.label] if k + 1 < count else []
            past += later if rng.random() < 0.5 else []
            past += clicked if rng.random() < 0.4 else []
            past += [group[0].item] if rng.random() < 0.1 else []
            parts[SPLITS[min(k // 3, 2)]].append(request_type(user, group, past))
    return parts


@pytest.mark.parametrize("values", [5, 4_000_000])
def test_targets_in_histories_are_those_of_a_loop(
    planted: Plant, leaky: Any, values: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_rows, "BLOCK_VALUES", values)
    rows = [(r, line) for name in SPLITS for r in leaky[name] for line in r.rows]
    share = {}
    for label in (0, 1):
        mine = [(r, line) for r, line in rows if line.label == label]
        inside = sum(line.item in r.history for r, line in mine) / len(mine)
        newest = sum(list(r.history)[-1:] == [line.item] for r, line in mine) / len(mine)
        share[label] = inside, newest
    (finding,) = check_target(planted(leaky), None)  # type: ignore[arg-type,misc]
    assert finding.numbers == pytest.approx(
        {"positives": share[1][0], "negatives": share[0][0], "positives_newest": share[1][1]}
    )
    assert 0 < share[0][1] < share[0][0] < share[1][0] < 1
    assert finding.severity == "severe"


@pytest.mark.parametrize("values", [3, 40, 4_000_000])
def test_the_future_in_the_request_before_is_that_of_a_loop(
    planted: Plant, leaky: Any, values: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_histories, "BLOCK_VALUES", values)
    hits, counts = [0, 0], [0, 0]
    for user in range(60):
        mine = [r for name in SPLITS for r in leaky[name] if r.user == user]
        mine.sort(key=lambda r: r.rows[0].time)
        clicked: set[int] = set()
        for k, request in enumerate(mine):
            for line in request.rows:
                if k and line.item not in clicked:
                    counts[line.label] += 1
                    hits[line.label] += line.item in mine[k - 1].history
            clicked |= {line.item for line in request.rows if line.label}
    store = planted(leaky)
    (finding,) = check_future(store, sample_users(store))  # type: ignore[misc]
    assert counts[1] > 50
    assert finding.numbers == pytest.approx(
        {"positives": hits[1] / counts[1], "negatives": hits[0] / counts[0], "rows": sum(counts)}
    )


def test_histories_of_train_are_said_with_their_length(
    planted: Plant, row_type: Any, request_type: Any
) -> None:
    past = [request_type(k, [row_type(1, k % 2, START + k)], [1, 2, 3]) for k in range(4)]
    parts = dict.fromkeys(SPLITS, past)
    of_train = StoredHistory(past="train")
    (finding,) = check_made(planted(parts, history=of_train), None)  # type: ignore[arg-type,misc]
    assert (finding.name, finding.numbers) == ("history_of_train", {"max_length": 3})
    assert finding.title == of_train.sentence()
    for past_of in ("earlier", "given"):
        store = planted(parts, history=StoredHistory(past=past_of))  # type: ignore[arg-type]
        assert check_made(store, None) == []  # type: ignore[arg-type]
    assert check_made(planted(parts), None) is None  # type: ignore[arg-type]
    bare = {name: [request_type(1, [row_type(1, 1, START)])] for name in SPLITS}
    assert check_made(planted(bare, history=of_train), None) is None  # type: ignore[arg-type]
    assert check_target(planted(bare), None) is None  # type: ignore[arg-type]


# scores


def graded(
    row_type: Any,
    request_type: Any,
    levels: int,
    *,
    by: str,
    turned: bool = False,
    no_code: int = 0,
) -> dict[str, list[Any]]:
    """Forty rows of each level, clicked at rates from .1 to .9; a level is a number or a code."""
    rows = []
    for level, rate in enumerate(np.linspace(0.1, 0.9, levels)):
        share = 1 - rate if turned else rate
        for k in range(40):
            code = 1 + level if by == "code" and k >= no_code else 0
            number = 7.0 * level if by == "number" else 0.0
            line = row_type(1 + k % 3, int(k % 40 < round(40 * share)), START, code, number)
            rows.append(request_type(40 * level + k, [line]))
    return {"train": rows, "valid": rows[::7], "test": rows[::9]}


@pytest.mark.parametrize("turned", [False, True])
def test_a_column_that_ranks_either_way_is_a_score(
    planted: Plant, row_type: Any, request_type: Any, turned: bool
) -> None:
    store = planted(graded(row_type, request_type, 60, by="number", turned=turned))
    (finding,) = check_scores(store, None)  # type: ignore[arg-type]
    split = store.split("train")
    auc = roc_auc_score(split.label, split.candidate_numbers[:, 0])
    assert finding.numbers["auc"] == pytest.approx(1 - auc if turned else auc)
    assert finding.name == "score.candidate.n"


@pytest.mark.parametrize(
    ("numbers", "others", "flagged"), [(50, 0, True), (49, 6, False), (54, 6, True), (54, 7, False)]
)
def test_a_category_of_numbers_in_text_is_read_as_a_score(
    planted: Plant, row_type: Any, request_type: Any, numbers: int, others: int, flagged: bool
) -> None:
    """At least fifty, and nine tenths of all values; rows without a value do not count."""
    words = [f"{0.1 + 0.8 * k / (numbers - 1):.6f}" for k in range(numbers)]
    words += [f"x{k}" for k in range(others)]
    parts = graded(row_type, request_type, numbers, by="code", no_code=4)
    store = planted(parts, words=words)
    findings = check_scores(store, None)  # type: ignore[arg-type]
    assert [f.name for f in findings] == ["score.candidate.c"] * flagged
    if flagged:
        rates = np.array([float(word) for word in words[:numbers]])
        clicks = [
            sum(k < round(40 * r) for k in range(4, 40)) for r in np.linspace(0.1, 0.9, numbers)
        ]
        score = np.repeat(rates, 36)
        label = np.concatenate([np.arange(36) < c for c in clicks])
        assert findings[0].numbers["auc"] == pytest.approx(roc_auc_score(label, score), abs=1e-9)


def test_a_column_of_one_label_is_no_score(
    planted: Plant, row_type: Any, request_type: Any
) -> None:
    parts = graded(row_type, request_type, 60, by="number")
    same = {
        name: [r._replace(rows=[line._replace(label=1) for line in r.rows]) for r in part]
        for name, part in parts.items()
    }
    assert check_scores(planted(same), None) == []  # type: ignore[arg-type]


# single features


def test_a_features_rate_is_drawn_to_the_mean_by_ten_rows(
    planted: Plant, row_type: Any, request_type: Any
) -> None:
    """Few rows a code: ranks by (clicks + 10 x mean rate) / (rows + 10), by a loop."""
    rng = np.random.default_rng(8)

    def part(count: int) -> list[Any]:
        return [
            request_type(
                k,
                [
                    row_type(
                        int(rng.integers(1, 30)),
                        int(rng.random() < 0.4),
                        START + k,
                        int(rng.integers(0, 26)),
                    )
                ],
            )
            for k in range(count)
        ]

    parts = {"train": part(150), "valid": part(120), "test": part(9)}
    words = [f"w{k}" for k in range(25)]
    store = planted(parts, words=words)
    train = [r.rows[0] for r in parts["train"]]
    mean = sum(line.label for line in train) / len(train)

    def rate(value: int, of: Callable[[Any], int]) -> float:
        mine = [line.label for line in train if of(line) == value]
        return (sum(mine) + 10 * mean) / (len(mine) + 10)

    valid = [r.rows[0] for r in parts["valid"]]
    label = [line.label for line in valid]
    aucs = single_aucs(store)
    by_code = [rate(line.code, lambda each: each.code) for line in valid]
    by_item = [rate(line.item, lambda each: each.item) for line in valid]
    shown = [sum(each.item == line.item for each in train) for line in valid]
    assert aucs["candidate.c"] == pytest.approx(roc_auc_score(label, by_code))
    assert aucs["item click rate"] == pytest.approx(roc_auc_score(label, by_item))
    assert aucs["item popularity"] == pytest.approx(roc_auc_score(label, shown))
    findings = check_shortcuts(store, sample_users(store))
    assert findings is not None
    best = findings[-1]
    assert list(best.numbers.values()) == sorted(best.numbers.values(), reverse=True)
    four = ", ".join(f"{name} {value:.3f}" for name, value in list(best.numbers.items())[:4])
    assert best.title == f"Best single features on valid: {four}."
    same = [r._replace(rows=[r.rows[0]._replace(label=1)]) for r in parts["valid"]]
    lone = planted(parts | {"valid": same}, words=words)
    assert single_aucs(lone) == {}
    assert check_shortcuts(lone, sample_users(lone)) is None
