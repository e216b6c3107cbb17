"""Controls that are solved: by scikit-learn on columns that a plain loop makes."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pytest
import torch
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score

from fusefront.baselines.contract import (
    Baseline,
    Context,
    Field,
    ItemTable,
    RequestBatch,
    Schema,
    gather,
)
from fusefront.baselines.models import counts
from fusefront.baselines.models.boosted import Boosted
from fusefront.baselines.models.counts import RIDGE, Counts, CountsSettings, pairs_of
from fusefront.baselines.models.popularity import PRIORS, Popularity
from fusefront.baselines.models.row_columns import is_small, moments
from fusefront.baselines.newton import solve_logistic

ITEMS, REQUESTS, WIDTH = 60, 500, 4
SCHEMA = Schema(
    ITEMS,
    {},
    (Field("kind", 4), Field("tags", 6, 3), Field("maker", 500)),
    1,
    (Field("device", 3),),
    2,
    (Field("place", 4),),
    1,
    0,
)


class Log(NamedTuple):
    items: ItemTable
    train: list[RequestBatch]
    valid: list[RequestBatch]


def drawn(rng: np.random.Generator, requests: int, worth: np.ndarray) -> RequestBatch:
    """Requests of 1 to 4 candidates whose clicks follow an item's worth and the numbers."""
    numbers = rng.normal(3.0, 2.0, (requests, 2)).astype(np.float32)
    own = rng.exponential(1.0, (requests, WIDTH, 1)).astype(np.float32)
    candidates = rng.integers(1, ITEMS + 1, (requests, WIDTH))
    mask = np.arange(WIDTH) < rng.integers(1, WIDTH + 1, (requests, 1))
    candidates = np.where(mask, candidates, 0)
    z = worth[candidates] + 0.3 * numbers[:, :1] * own[..., 0] - 0.2 * numbers[:, 1:] - 0.5
    labels = (rng.random(z.shape) < 1 / (1 + np.exp(-z))) & mask
    return RequestBatch(
        torch.arange(ITEMS + 1),
        torch.zeros(requests, 0, dtype=torch.int64),
        torch.zeros(requests, 0, dtype=torch.bool),
        torch.from_numpy(candidates),
        torch.from_numpy(mask),
        torch.from_numpy(np.flatnonzero(mask)),
        Context(torch.from_numpy(rng.integers(0, 3, (requests, 1))), torch.from_numpy(numbers)),
        Context(torch.from_numpy(rng.integers(0, 4, (requests, WIDTH, 1))), torch.from_numpy(own)),
        torch.from_numpy(labels.astype(np.float32)),
        torch.full((requests, WIDTH), -1),
        torch.arange(requests),
    )


@pytest.fixture(scope="module")
def log() -> Log:
    rng = np.random.default_rng(5)
    worth = rng.normal(0, 1, ITEMS + 1)
    train = [drawn(rng, REQUESTS, worth) for _ in range(3)]
    fields = np.stack([rng.integers(0, size, ITEMS + 1) for size in (4, 6, 6, 6, 500)], 1)
    fields[0] = 0
    shown, clicked = (np.zeros(ITEMS + 1, np.int64) for _ in range(2))
    for batch in train:
        real = batch.candidates.flatten()[batch.rows].numpy()
        np.add.at(shown, real, 1)
        np.add.at(clicked, real, batch.labels.flatten()[batch.rows].numpy().astype(np.int64))
    in_train = shown > 0
    items = ItemTable(
        {},
        torch.zeros(ITEMS + 1, 0, dtype=torch.bool),
        torch.from_numpy(fields),
        torch.from_numpy(rng.normal(50, 9, (ITEMS + 1, 1)).astype(np.float32)),
        torch.from_numpy(in_train),
        torch.from_numpy(shown),
        torch.from_numpy(clicked),
    )
    return Log(items, train, [drawn(rng, REQUESTS, worth) for _ in range(2)])


def looped(log: Log, batches: list[RequestBatch]) -> tuple[np.ndarray, np.ndarray]:
    """Raw columns and labels, one row at a time."""
    rows, labels = [], []
    for batch in batches:
        for r in range(REQUESTS):
            for k in range(WIDTH):
                if not batch.candidate_mask[r, k]:
                    continue
                item = int(batch.candidates[r, k])
                row = [float(log.items.numbers[item, 0])]
                row += [float(log.items.fields[item, 0] == v) for v in (1, 2, 3)]
                tags = [int(t) for t in log.items.fields[item, 1:4] if t > 0]
                row += [tags.count(v) / max(1, len(tags)) for v in range(1, 6)]
                row += [float(n) for n in batch.request_context.numbers[r]]
                row += [float(batch.request_context.ids[r, 0] == v) for v in (1, 2)]
                row += [float(batch.candidate_context.numbers[r, k, 0])]
                row += [float(batch.candidate_context.ids[r, k, 0] == v) for v in (1, 2, 3)]
                rows.append(row)
                labels.append(int(batch.labels[r, k]))
    return np.array(rows), np.array(labels)


def scores(model: Baseline, batches: list[RequestBatch]) -> np.ndarray:
    model.eval()
    with torch.no_grad():
        codes = model.encode_items(torch.arange(ITEMS + 1))
        ours = [
            model.score(gather(codes, batch, batch.items)).logits.flatten()[batch.rows]
            for batch in batches
        ]
    return torch.cat(ours).double().numpy()


def solved(kind: type[Baseline], log: Log, parts: object, **settings: object) -> Baseline:
    model = kind.build(SCHEMA, log.items, settings, parts, 0)
    model.solve(lambda: iter(log.train), lambda: iter(log.valid))
    return model


def regression(x: np.ndarray, y: np.ndarray, ridge: float) -> LogisticRegression:
    model = LogisticRegression(C=1 / (ridge * len(y)), solver="newton-cholesky", tol=1e-12)
    return model.fit(x, y)


def loss(logits: np.ndarray, y: np.ndarray) -> float:
    return float(log_loss(y, 1 / (1 + np.exp(-logits))))


@pytest.mark.parametrize("ridge", [1e-6, 1e-2])
def test_newton_finds_the_weights_of_scikit_learn(ridge):
    rng = np.random.default_rng(0)
    x = rng.normal(0, 1, (900, 6)) * [1, 5, 0.1, 1, 1, 1]
    y = (rng.random(900) < 1 / (1 + np.exp(-(x[:, 0] + 4 * x[:, 2] - 1)))).astype(float)

    def blocks() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for part in np.array_split(np.arange(900), 4):
            yield torch.from_numpy(x[part]), torch.from_numpy(y[part])

    ours = solve_logistic(blocks, 6, ridge).numpy()
    theirs = regression(x, y, ridge)
    np.testing.assert_allclose(ours[:-1], theirs.coef_[0], atol=1e-6)
    assert ours[-1] == pytest.approx(theirs.intercept_[0], abs=1e-6)


def test_newton_ends_where_no_weight_is_best_and_refuses_what_is_no_number():
    x = torch.linspace(-1, 1, 20, dtype=torch.float64).unsqueeze(-1)
    ours = solve_logistic(lambda: iter([(x, (x[:, 0] > 0).double())]), 1, 0.0)
    assert torch.isfinite(ours).all()
    assert ours[0] > 50
    x[3] = torch.nan
    with pytest.raises(ValueError, match="a feature is not finite; fix the numbers"):
        solve_logistic(lambda: iter([(x, x[:, 0])]), 1, 0.0)


def test_popularity_has_the_loss_of_maximum_likelihood_and_validations_prior(log, parts):
    model = solved(Popularity, log, parts)
    shown, clicked = log.items.impressions.numpy(), log.items.clicks.numpy()
    rate = clicked.sum() / shown.sum()
    item, label = {}, {}
    for split in ("train", "valid"):
        batches = getattr(log, split)
        item[split] = np.concatenate([b.candidates.flatten()[b.rows].numpy() for b in batches])
        label[split] = np.concatenate([b.labels.flatten()[b.rows].numpy() for b in batches])
    by_prior = {}
    for prior in PRIORS:
        odds = [
            math.log((c + prior * rate) / (n - c + prior * (1 - rate)))
            for n, c in zip(shown, clicked, strict=True)
        ]
        by_prior[prior] = np.array(odds)
    aucs = {p: roc_auc_score(label["valid"], s[item["valid"]]) for p, s in by_prior.items()}
    best = max(PRIORS, key=lambda prior: aucs[prior])
    assert model.report() == {"prior": best}
    column = by_prior[best][item["train"]][:, None]
    theirs = regression(column, label["train"], 1e-12)
    ml = loss(theirs.decision_function(column), label["train"])
    assert loss(scores(model, log.train), label["train"]) == pytest.approx(ml, abs=1e-6)
    fixed = solved(Popularity, log, parts, prior=7.0)
    assert fixed.report() == {"prior": 7.0}


def test_counts_is_the_logistic_regression_of_scikit_learn_on_looped_columns(log, parts):
    model = solved(Counts, log, parts)
    x, y = looped(log, log.train)
    mean, scale = x.mean(0), x.std(0)
    blocks = [[0], [1, 2, 3], [4, 5, 6, 7, 8], [9], [10], [11, 12], [13], [14, 15, 16]]
    pairs = {
        (i, j)
        for a, left in enumerate(blocks)
        for right in blocks[a if len(left) == 1 else a + 1 :]
        for i in left
        for j in right
    }
    assert set(zip(model.left.tolist(), model.right.tolist(), strict=True)) == pairs

    def expanded(raw: np.ndarray) -> np.ndarray:
        z = (raw - mean) / scale
        ordered = zip(model.left.tolist(), model.right.tolist(), strict=True)
        return np.concatenate([z, np.stack([z[:, i] * z[:, j] for i, j in ordered], 1)], 1)

    theirs = regression(expanded(x), y, RIDGE)
    np.testing.assert_allclose(model.weight.detach().numpy(), theirs.coef_[0], atol=2e-6, rtol=2e-6)
    columns, label = looped(log, log.valid)
    ours, theirs = scores(model, log.valid), theirs.decision_function(expanded(columns))
    np.testing.assert_allclose(ours, theirs, atol=2e-5)
    assert loss(ours, label) == pytest.approx(loss(theirs, label), abs=1e-6)
    assert roc_auc_score(label, ours) > 0.6


def test_products_are_taken_in_whole_blocks_while_they_fit_numbers_first():
    sizes, numeric = [1, 1, 3], [True, True, False]
    model = [pairs_of(sizes, numeric, CountsSettings(columns=n)) for n in (5, 7, 8, 10, 12, 14, 99)]
    numbers = [(0, 0), (0, 1), (1, 1)]
    assert model[0] == []
    assert model[1] == numbers[:2]
    assert model[2] == numbers
    assert model[3] == numbers
    assert model[4] == [*numbers, (0, 2), (0, 3), (0, 4)]
    assert model[5] == [*numbers, (0, 2), (0, 3), (0, 4), (1, 2), (1, 3), (1, 4)]
    assert model[6] == model[5]


def test_counts_solves_many_rows_from_a_share_of_them_to_the_same_weights(log, parts, monkeypatch):
    whole = solved(Counts, log, parts).weight.detach().clone()
    monkeypatch.setattr("fusefront.baselines.models.counts.FIRST_ROWS", 1300)
    torch.testing.assert_close(solved(Counts, log, parts).weight, whole, atol=1e-6, rtol=1e-6)


def test_boosted_scores_as_the_trees_of_scikit_learn(log, parts):
    model = solved(Boosted, log, parts, trees=30, leaves=7, depth=4)
    x, y = looped(log, log.train)
    grower = HistGradientBoostingClassifier(
        max_iter=30, max_leaf_nodes=7, max_depth=4, early_stopping=False
    ).fit(x, y)
    columns, label = looped(log, log.valid)
    np.testing.assert_allclose(
        scores(model, log.valid), grower.decision_function(columns), atol=1e-5
    )
    assert roc_auc_score(label, scores(model, log.valid)) > 0.6


def test_a_row_at_a_threshold_goes_left_and_trees_have_room_for_their_leaves(log, parts):
    """Rows whose every number is one of the trees' own thresholds, by scikit-learn."""
    model = solved(Boosted, log, parts, trees=10, leaves=5, depth=3)
    for name in ("column", "left", "right", "threshold", "value"):
        assert getattr(model, name).shape == (10, 2 * 5 - 1)
    x, y = looped(log, log.train)
    grower = HistGradientBoostingClassifier(
        max_iter=10, max_leaf_nodes=5, max_depth=3, early_stopping=False
    ).fit(x, y)
    nodes = np.concatenate([tree.nodes for (tree,) in grower._predictors])
    inner = nodes[nodes["is_leaf"] == 0]
    at = x[: len(inner)].copy()
    at[np.arange(len(inner)), inner["feature_idx"]] = inner["num_threshold"]
    with torch.no_grad():
        ours = model.logits_of(torch.from_numpy(at)).numpy()
    np.testing.assert_allclose(ours, grower.decision_function(at), atol=1e-5)


def test_boosted_grows_on_an_even_share_of_the_batches_where_rows_are_many(log, parts):
    """Three batches of which two have fewer rows than the limit: the first and the third."""
    limit = sum(len(batch.rows) for batch in log.train) - 1
    assert limit > sum(len(batch.rows) for batch in log.valid)
    model = solved(Boosted, log, parts, trees=5, rows=limit)
    x, y = looped(log, [log.train[0], log.train[2]])
    grower = HistGradientBoostingClassifier(max_iter=5, max_depth=8, early_stopping=False)
    columns, _ = looped(log, log.valid)
    np.testing.assert_allclose(
        scores(model, log.valid), grower.fit(x, y).decision_function(columns), atol=1e-5
    )
    every = solved(Boosted, log, parts, trees=5, rows=limit + 1)
    x, y = looped(log, log.train)
    np.testing.assert_allclose(
        scores(every, log.valid), grower.fit(x, y).decision_function(columns), atol=1e-5
    )


def test_counts_solves_first_from_an_even_share_of_the_batches(log, parts, monkeypatch):
    rows = [len(batch.rows) for batch in log.train]
    calls = []

    def watched(blocks, columns, ridge, start):
        calls.append(([len(y) for _, y in blocks()], start))
        return solve_logistic(blocks, columns, ridge, start)

    monkeypatch.setattr(counts, "solve_logistic", watched)
    monkeypatch.setattr(counts, "FIRST_ROWS", sum(rows) // 2)
    model = solved(Counts, log, parts)
    (share, first), (whole, second) = calls
    assert (share, whole) == ([rows[0], rows[2]], rows)
    assert first is None
    torch.testing.assert_close(second[:-1].float(), model.weight.detach(), atol=0.5, rtol=0.5)
    assert model.report() == {"columns": 17.0, "products": len(model.weight) - 17.0}


def test_a_share_of_the_rows_is_solved_first_from_400_000_rows_on():
    rows = (1, 199_999, 399_999, 400_000, 599_999, 600_000, 100_000_000)
    assert [counts.strides(n) for n in rows] == [[1], [1], [1], [2, 1], [2, 1], [3, 1], [500, 1]]


def test_a_column_that_was_constant_in_train_moves_no_logit(log, parts):
    shut = [
        batch._replace(
            candidate_context=batch.candidate_context._replace(
                numbers=torch.full_like(batch.candidate_context.numbers, 0.1)
            )
        )
        for batch in log.train
    ]
    model = solved(Counts, log._replace(train=shut), parts)
    other = [
        batch._replace(
            candidate_context=batch.candidate_context._replace(
                numbers=torch.zeros_like(batch.candidate_context.numbers)
            )
        )
        for batch in log.valid
    ]
    np.testing.assert_array_equal(scores(model, log.valid), scores(model, other))
    assert model.scale[13] == 0
    assert (model.scale != 0).sum() == len(model.scale) - 1


def test_moments_are_those_of_all_rows_and_what_rounding_leaves_is_constant():
    rng = np.random.default_rng(1)
    x = rng.normal([0.0, 5.0, -300.0, 0.5, 1e8], [1.0, 0.1, 40.0, 0.0, 1.0], (400, 5))
    x[:, 3] = 0.1 * 3
    step = np.where(np.arange(400) % 2, 1.0, -1.0)
    small = [0.9e-9 * step, 1.1e-9 * step, 3 + 3.9e-9 * step, 3 + 4.1e-9 * step, -3 + 4.1e-9 * step]
    x = np.concatenate([x, np.stack(small, 1)], 1)
    parts = [
        (torch.from_numpy(x[a:b]), torch.zeros(b - a)) for a, b in ((0, 10), (10, 90), (90, 400))
    ]
    mean, deviation = moments(iter(parts), 10)
    np.testing.assert_allclose(mean.numpy(), x.mean(0), rtol=1e-12, atol=1e-18)
    constant = [3, 5, 7]
    assert (deviation == 0).nonzero().flatten().tolist() == constant
    others = [column for column in range(10) if column not in constant]
    np.testing.assert_allclose(deviation.numpy()[others], x.std(0)[others], rtol=1e-6)
    pair = torch.tensor([[1e-9], [-1e-9]], dtype=torch.float64)  # as far from 0 as rounding may be
    assert moments(iter([(pair, pair)]), 1)[1].tolist() == [0.0]


@pytest.mark.parametrize(("size", "small"), [(2, True), (65, True), (66, False)])
def test_a_field_of_more_than_64_values_acts_as_an_id(size, small):
    assert is_small(Field("shop", size)) == small  # one code is for absent


BARE = Schema(9, {"text": 4}, (Field("maker", 500),), 0, (), 0, (), 0, 8)
HAVING = (
    {"item_numbers": 1},
    {"request_numbers": 1},
    {"candidate_numbers": 1},
    {"item_numbers": 1, "request_numbers": 1},
    {"item_numbers": 1, "candidate_numbers": 2, "request_numbers": 1},
    {"item_fields": (Field("maker", 500), Field("kind", 3))},
    {"request_fields": (Field("device", 3),)},
    {"candidate_fields": (Field("place", 3),)},
    {"candidate_fields": (Field("place", 3),), "item_numbers": 1},
)


@pytest.mark.parametrize("change", HAVING)
def test_a_number_or_a_small_field_anywhere_is_enough_to_learn_from(change, parts):
    assert Counts.check(BARE._replace(**change), {}, parts).products


def test_codes_of_a_control_of_rows_are_the_items_columns(log, parts):
    model = Counts.build(SCHEMA, log.items, {}, parts, 0)
    codes = model.encode_items(torch.arange(ITEMS + 1))
    assert codes.history.values.shape == (ITEMS + 1, 0)
    assert codes.candidate.values.shape == (ITEMS + 1, 9)
    assert codes.candidate.present.flatten().tolist() == [False] + [True] * ITEMS


@pytest.mark.parametrize("kind", [Counts, Boosted])
def test_a_control_of_numbers_says_where_there_are_none(kind, parts):
    with pytest.raises(ValueError, match="no number and no small field to learn from"):
        kind.check(BARE, {}, parts)
