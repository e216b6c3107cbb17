"""The generator against a plain float64 loop, its rates, and its independence of chunk order."""

import math

import numpy as np
import pytest

from fusefront.datasets.errors import SpecError
from fusefront.datasets.synthetic.draws import CANDIDATES, HISTORY
from fusefront.datasets.synthetic.generator import Chunk, make_chunk, make_chunks
from fusefront.datasets.synthetic.latents import FACTORS, estimate_factors, vectors
from fusefront.datasets.synthetic.truth import WorldSource, build_source, true_logit
from fusefront.datasets.synthetic.worlds import WORLDS, find_world

NAMES = tuple(WORLDS)


@pytest.fixture(scope="module")
def sources() -> dict[str, WorldSource]:
    return {name: build_source(find_world(name), 3, warm=400, cold=100) for name in NAMES}


def slow_probability(source: WorldSource, chunk: Chunk, request: int, place: int) -> float:
    """eta of one row, in plain Python, from the equation in the documentation."""
    world, latents, truth = source.world, source.latents, source.truth
    candidate = int(chunk.candidates[request, place])
    items = [int(item) for item in chunk.history[request] if item]
    matches = []
    for m in range(len(world.dims)):
        having = [item for item in items if latents.present[item, m]]
        mean = [
            sum(float(latents.factors[item, m, k]) for item in having) / len(having)
            if having
            else 0.0
            for k in range(FACTORS)
        ]
        dot = sum(mean[k] * float(latents.factors[candidate, m, k]) for k in range(FACTORS))
        dot = dot if latents.present[candidate, m] else 0.0
        matches.append(max(-3.0, min(3.0, dot / float(truth.scale[m]))))
    group, variant = int(chunk.group[request]), int(chunk.variant[request, place])
    eta = truth.base
    eta += sum(w * a for w, a in zip(world.weights, matches, strict=True))
    eta += world.gate * matches[group % 2] + world.cross * matches[0] * matches[1]
    eta += world.popularity * float(latents.popularity[candidate])
    eta += sum(
        gamma * (float(latents.present[candidate, m]) - float(truth.mean_present[m]))
        for m, gamma in enumerate(world.presence_effect)
    )
    eta += float(latents.group_effect[group]) + float(latents.variant_effect[variant])
    return 1 / (1 + math.exp(-eta))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("returning", [0.0, 0.6])
def test_probabilities_equal_a_plain_loop(
    sources: dict[str, WorldSource], name: str, returning: float
) -> None:
    chunk = make_chunk(sources[name], "test", 0, size=64, returning=returning, train=64)
    for request in range(0, 64, 7):
        for place in range(CANDIDATES):
            expected = slow_probability(sources[name], chunk, request, place)
            assert chunk.p[request, place] == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("name", NAMES)
def test_the_click_rate_is_as_asked_and_matches_have_unit_spread(
    sources: dict[str, WorldSource], name: str
) -> None:
    source = sources[name]
    chunk = make_chunk(source, "train", 0)
    rate = 0.5 if source.world.base == 0.0 else 0.3
    assert chunk.p.mean() == pytest.approx(rate, abs=0.012)
    assert chunk.label.mean() == pytest.approx(chunk.p.mean(), abs=4 * 0.5 / 181)  # 32,768 rows


def test_labels_are_drawn_from_p(sources: dict[str, WorldSource]) -> None:
    chunk = make_chunk(sources["tour"], "train", 0)
    edges = np.quantile(chunk.p, np.linspace(0, 1, 11)[1:-1])
    bins = np.digitize(chunk.p, edges)
    for code in range(10):
        inside = bins == code
        error = math.sqrt(float(np.mean(chunk.p[inside] * (1 - chunk.p[inside]))) / inside.sum())
        assert abs(chunk.label[inside].mean() - chunk.p[inside].mean()) < 4.5 * error


@pytest.mark.parametrize("returning", [0.0, 0.4])
def test_chunks_are_equal_in_any_order(sources: dict[str, WorldSource], returning: float) -> None:
    def make(number: int) -> Chunk:
        return make_chunk(sources["tour"], "test", number, size=50, returning=returning, train=120)

    forward = [make(number) for number in range(4)]
    backward = [make(number) for number in reversed(range(4))][::-1]
    again = build_source(find_world("tour"), 3, warm=400, cold=100)
    fresh = make_chunk(again, "test", 3, size=50, returning=returning, train=120)
    for chunk, other in zip([*forward, forward[3]], [*backward, fresh], strict=True):
        for left, right in zip(chunk, other, strict=True):
            np.testing.assert_array_equal(left, right)
    assert not np.array_equal(forward[0].p, forward[1].p)


def test_seed_split_chunk_and_chunk_size_each_change_the_data(
    sources: dict[str, WorldSource],
) -> None:
    source = sources["tour"]
    other = build_source(find_world("tour"), 4, warm=400, cold=100)
    base = make_chunk(source, "valid", 1, size=40).candidates
    variants = [
        make_chunk(other, "valid", 1, size=40),
        make_chunk(source, "test", 1, size=40),
        make_chunk(source, "valid", 2, size=40),
        make_chunk(source, "valid", 1, size=41),
    ]
    for variant in variants:
        assert not np.array_equal(base, variant.candidates[:40])


def test_a_longer_split_begins_with_the_shorter_one(sources: dict[str, WorldSource]) -> None:
    short = list(make_chunks(sources["tour"], "train", 70, size=50, returning=0.3))
    long = list(make_chunks(sources["tour"], "train", 130, size=50, returning=0.3))
    assert [len(chunk.user) for chunk in short] == [50, 20]
    assert [len(chunk.user) for chunk in long] == [50, 50, 30]
    np.testing.assert_array_equal(short[1].p, long[1].p[:20])
    np.testing.assert_array_equal(short[1].history, long[1].history[:20])


def test_histories_are_left_padded_warm_and_8_to_16_long(sources: dict[str, WorldSource]) -> None:
    source = sources["tour"]
    chunk = make_chunk(source, "test", 0)
    real = chunk.history > 0
    assert set(np.unique(real.sum(axis=1))) == set(range(8, 17))
    assert np.all(np.diff(real.astype(int), axis=1) >= 0)
    assert chunk.history.max() <= source.latents.warm
    cold = chunk.candidates > source.latents.warm
    assert cold.mean() == pytest.approx(0.2, abs=0.01)
    assert make_chunk(source, "train", 0).candidates.max() <= source.latents.warm


def test_popular_items_are_shown_in_proportion_to_exp_b(sources: dict[str, WorldSource]) -> None:
    source = sources["null"]
    shown = np.concatenate([make_chunk(source, "train", n).candidates.ravel() for n in range(4)])
    counts = np.bincount(shown, minlength=502)[1:401]
    weight = np.exp(source.latents.popularity[1:401])
    expected = weight / weight.sum() * len(shown)
    chi_square = float(np.sum((counts - expected) ** 2 / expected))
    assert chi_square < 400 + 4.5 * math.sqrt(2 * 400)


@pytest.mark.parametrize("name", ["missing_not_at_random", "tour"])
def test_the_asked_share_of_items_lacks_the_modality(name: str) -> None:
    source = build_source(find_world(name), 0)
    for m, missing in enumerate(source.world.missing):
        assert source.latents.present[1:, m].mean() == pytest.approx(1 - missing, abs=0.025)
    partial = int(np.argmax(source.world.missing))
    present = source.latents.present[1:, partial]
    popularity = source.latents.popularity[1:]
    assert popularity[present].mean() > popularity[~present].mean() + 0.3


def test_returning_users_keep_their_history_and_add_their_clicks(
    sources: dict[str, WorldSource],
) -> None:
    chunk = make_chunk(sources["tour"], "train", 0, size=300, returning=0.5)
    last: dict[int, list[int]] = {}
    visits = 0
    for row, user in enumerate(chunk.user.tolist()):
        shown = [item for item in chunk.history[row].tolist() if item]
        if user in last:
            visits += 1
            assert shown == last[user]
        clicked = chunk.candidates[row][chunk.label[row] == 1].tolist()
        last[user] = [*shown, *clicked][-HISTORY:]
    assert visits == pytest.approx(150, abs=40)


def test_test_users_continue_where_training_left_them(sources: dict[str, WorldSource]) -> None:
    source = sources["tour"]
    train = make_chunk(source, "train", 0, size=300, returning=0.5)
    state = {
        user: [
            *(item for item in train.history[row].tolist() if item),
            *train.candidates[row][train.label[row] == 1].tolist(),
        ][-HISTORY:]
        for row, user in enumerate(train.user.tolist())
    }
    users: dict[str, set[int]] = {}
    for split in ("valid", "test"):
        chunk = make_chunk(source, split, 0, size=300, returning=0.5, train=300)
        users[split] = set()
        for row, user in enumerate(chunk.user.tolist()):
            if user in state and user not in users[split]:
                users[split].add(user)
                assert [item for item in chunk.history[row].tolist() if item] == state[user]
        assert len(users[split]) > 30
    assert not users["valid"] & users["test"]


def test_users_of_training_that_was_not_written_do_not_return(
    sources: dict[str, WorldSource],
) -> None:
    chunk = make_chunk(sources["tour"], "test", 0, size=100, returning=0.5, train=10)
    train = make_chunk(sources["tour"], "train", 0, size=100, returning=0.5)
    from_train = set(chunk.user.tolist()) & set(train.user.tolist())
    assert from_train
    assert from_train <= set(train.user[:10].tolist())


@pytest.mark.parametrize("width", [64, 768])
def test_the_ridge_estimate_is_the_best_linear_guess_of_the_latents(width: int) -> None:
    world = find_world("noise", (width, width))
    source = build_source(world, 1, warm=3_000, cold=10)
    x = vectors(world, source.latents, 1, 0)
    assert x.shape == (3_011, width)
    assert x.dtype == np.float32
    assert not x[0].any()
    guess = estimate_factors(world, source.latents, 1, 0, x)[1:]
    truth = source.latents.factors[1:, 0]
    design = x[1:].astype(np.float64)
    fitted = design @ np.linalg.lstsq(design, truth, rcond=None)[0]
    error = float(np.mean((guess - truth) ** 2))
    least_squares = float(np.mean((fitted - truth) ** 2)) / (1 - width / 3_010)
    assert error == pytest.approx(least_squares, rel=0.12)


def test_absent_vectors_are_zero_and_leave_no_trace(sources: dict[str, WorldSource]) -> None:
    source = sources["tour"]
    x = vectors(source.world, source.latents, 3, 2)
    absent = ~source.latents.present[:, 2]
    assert absent[1:].any()
    assert not x[absent].any()
    assert np.all(np.abs(x[~absent]).sum(axis=1) > 0)


def test_the_x_oracle_falls_little_short_of_the_truth() -> None:
    source = build_source(find_world("additive"), 0)
    chunk = make_chunk(source, "test", 0)
    estimate = np.stack(
        [
            estimate_factors(
                source.world, source.latents, 0, m, vectors(source.world, source.latents, 0, m)
            )
            for m in range(3)
        ],
        axis=1,
    )
    parts = chunk.history, chunk.group, chunk.candidates, chunk.variant
    known, guessed = true_logit(source, *parts), true_logit(source, *parts, estimate)
    assert 0.93 < np.corrcoef(known.ravel(), guessed.ravel())[0, 1] < 0.999


def test_the_redundant_world_says_everything_twice() -> None:
    factors = build_source(find_world("redundant"), 0).latents.factors
    np.testing.assert_array_equal(factors[:, 0], factors[:, 1])


@pytest.mark.parametrize(
    ("name", "dims", "sentence"),
    [
        ("tuor", None, "unknown synthetic world 'tuor'; choose one of additive, "),
        ("tour", (64, 64), "has 3 modalities, so 'dims' needs as many widths"),
        ("noise", (64, 4), "of at least 8, got \\(64, 4\\)"),
    ],
)
def test_a_wrong_world_is_refused_with_a_sentence(
    name: str, dims: tuple[int, ...] | None, sentence: str
) -> None:
    with pytest.raises(SpecError, match=sentence):
        find_world(name, dims)
