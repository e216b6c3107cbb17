"""The comparison as a whole: planted differences, controls, slices, degenerate inputs, JSON."""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from scipy import special
from sklearn.metrics import roc_auc_score

from fusefront.harness.errors import UsageError
from fusefront.harness.statistics.compare import compare
from fusefront.harness.statistics.comparison import Comparison
from fusefront.harness.statistics.options import Options
from fusefront.harness.statistics.rows import RowTable
from fusefront.harness.statistics.score_source import MemorySource, SliceCodes

ROWS = 12_000


def world(seed=0, rows=ROWS):
    rng = np.random.default_rng(seed)
    known = rng.normal(size=rows)
    label = (rng.random(rows) < special.expit(known - 1)).astype(np.uint8)
    request = np.repeat(np.arange(rows // 4), 4)
    item = rng.integers(0, 300, rows)
    return rng, known, RowTable(label, request // 3, request, item, np.arange(rows))


def vectors(rng, known, quality, seeds=3, spread=0.02):
    """Scores of one strategy: signal of `quality`, noise for the rest, a spread over seeds."""
    own = rng.normal(size=len(known))
    return {
        r: (
            quality * known
            + 0.3 * own
            + (0.5 + spread * rng.normal()) * rng.normal(size=len(known))
        ).astype(np.float32)
        for r in range(seeds)
    }


@pytest.fixture(scope="module")
def source():
    rng, known, rows = world()
    scores = {
        "early_fusion": vectors(rng, known, 0.5),
        "good": vectors(rng, known, 1.0),
        "poor": vectors(rng, known, 0.2),
        "twin": vectors(rng, known, 0.5),
        "id_only": vectors(rng, known, 0.5),
        "popularity": {r: np.zeros(ROWS, np.float32) for r in range(3)},
        "unimodal_text": vectors(rng, known, 0.3),
        "unimodal_image": vectors(rng, known, 0.1),
        "shuffled": vectors(rng, known, 0.5),
    }
    controls = ("id_only", "popularity", "unimodal_text", "unimodal_image", "shuffled")
    cold = SliceCodes("cold", ("warm", "cold"), (rows.item < 30).astype(np.int16))
    few = SliceCodes("few", ("some",), np.where(np.arange(ROWS) < 60, 0, -1).astype(np.int16))
    return MemorySource(rows, scores, dict.fromkeys(controls, "control"), (cold, few))


@pytest.fixture(scope="module")
def comparison(source):
    return compare(source, Options("early_fusion", temperature=True), "demo")


def test_planted_differences_get_their_verdicts(comparison):
    assert comparison.row("good").verdict == "better"
    assert comparison.row("poor").verdict == "worse"
    assert comparison.row("twin").verdict == "cannot tell"
    assert comparison.row("early_fusion").verdict == "baseline"


def test_values_are_means_over_seeds_of_sklearns(source, comparison):
    label = source.table.label
    for name in ("good", "poor"):
        aucs = [roc_auc_score(label, v) for v in source.scores[name].values()]
        assert comparison.row(name).metrics["auc"].value == pytest.approx(np.mean(aucs), abs=1e-12)


def test_every_metric_has_an_interval_around_it(comparison):
    for estimate in comparison.row("good").metrics.values():
        if np.isfinite(estimate.low):
            assert estimate.low < estimate.value < estimate.high
        else:
            assert estimate.note


def test_the_best_set_is_the_planted_winner(comparison):
    assert comparison.best_set == ("good",)
    assert (comparison.row("good").rank_low, comparison.row("good").rank_high) == (1, 1)
    assert comparison.row("twin").rank_high > comparison.row("twin").rank_low


def test_the_winners_interval_is_wider_than_its_own(comparison):
    own = comparison.row("good").differences["auc"]
    assert comparison.winner.name == "good"
    assert comparison.winner.high - comparison.winner.low >= (own.high - own.low) * 0.999
    assert comparison.selected.name == "good"


def test_controls_that_are_not_beaten_are_named(comparison):
    text = "\n".join(comparison.warnings)
    assert "twin does not beat id_only: the modalities add nothing that is seen here." in text
    assert "twin does not beat shuffled" in text
    assert "twin does not beat early_fusion" in text
    assert "good does not beat" not in text
    # of the unimodal controls only the best on validation is the bar
    assert "poor does not beat unimodal_text" in text
    assert "does not beat unimodal_image" not in text


def test_missing_controls_are_named(source):
    fewer = replace(
        source, scores={n: source.scores[n] for n in ("early_fusion", "good", "id_only")}
    )
    warnings = compare(fewer, Options("early_fusion")).warnings
    assert (
        "Controls missing from this comparison: popularity, counts, boosted, unimodal, shuffled."
        in warnings
    )


def test_a_constant_strategy_has_auc_a_half_and_no_variation(comparison):
    estimate = comparison.row("popularity").metrics["auc"]
    assert estimate.value == 0.5
    assert estimate.note == "no variation: every score is the same"
    assert "popularity: every score is the same, no variation." in comparison.warnings


def test_equivalence_that_could_never_be_shown_is_said(source, comparison):
    assert any("could never show equivalence within ±0.001" in line for line in comparison.warnings)
    wide = compare(source, Options("early_fusion", margin=0.2))
    assert wide.row("twin").verdict == "equivalent"
    assert wide.row("twin").reason == "equivalent within ±0.2"
    good = wide.row("good")
    assert good.verdict == "better, by less than the margin"
    assert good.reason.startswith(
        f"better by {good.differences['auc'].value:.4f}, less than the margin of 0.2; adjusted p ="
    )


def test_slices_have_metrics_and_one_adjusted_family(comparison):
    rows = {(row.slice, row.value, row.strategy): row for row in comparison.slices}
    good, few = rows["cold", "warm", "good"], rows["few", "some", "good"]
    assert good.verdict == "better"
    assert set(good.metrics) >= {"auc", "logloss", "pr_auc", "mrr"}
    assert good.p_adjusted >= comparison.row("good").p
    assert few.verdict == "no verdict"
    assert "clusters hold one of the classes, 10 are needed" in few.note
    assert np.isnan(few.metrics["auc"].low)


def test_a_slice_of_one_class_says_so(source):
    code = np.where(source.table.label > 0, 0, -1).astype(np.int16)
    sliced = replace(source, declared=(SliceCodes("clicked", ("yes",), code),))
    rows = compare(sliced, Options("early_fusion")).slices
    assert {row.note for row in rows} == {"one class only: no metric"}


def test_variance_shares_add_to_one(comparison):
    for share in comparison.variance:
        parts = [share.rows, share.seeds, share.both, share.tuning]
        assert np.nansum(parts) == pytest.approx(1)
        assert np.isnan(share.tuning)


def test_tuning_runs_add_their_share(source):
    tuned = {"good": [0.70, 0.76, 0.82], "early_fusion": [0.60, 0.66, 0.72]}
    comparison = compare(source, Options("early_fusion", tuned=tuned))
    share = next(share for share in comparison.variance if share.strategy == "good")
    assert share.tuning > 0.9
    assert share.buy == "more tuning runs"


def test_temperature_is_reported_beside_the_raw_model(comparison):
    row = comparison.row("good")
    assert row.metrics["logloss_scaled"].value < row.metrics["logloss"].value
    assert comparison.temperature["good"] != 1.0
    assert (
        len(comparison.curves["ece"]["good"]) == len(comparison.curves["ece_scaled"]["good"]) == 15
    )


def test_json_round_trip_keeps_everything(comparison):
    text = json.dumps(comparison.to_dict(), allow_nan=False)
    again = Comparison.from_dict(json.loads(text))
    assert json.dumps(again.to_dict()) == text
    assert again.row("twin").needs == comparison.row("twin").needs
    assert again.model.c_all == comparison.c_all


def test_polars_table_has_one_row_a_strategy(comparison):
    frame = comparison.to_polars()
    assert frame.height == 9
    assert frame.filter(pl.col("strategy") == "good")["auc_low"][0] < frame["auc"][1]


def test_one_seed_never_gives_a_verdict(source):
    scores = {name: {0: by[0]} for name, by in source.scores.items()}
    comparison = compare(replace(source, scores=scores), Options("early_fusion"))
    assert {row.verdict for row in comparison.strategies} == {"baseline", "no verdict"}
    difference = comparison.row("good").differences["auc"]
    assert difference.note == "these trained models only; no verdict on the strategy"
    assert np.isfinite(difference.low)
    assert comparison.best_set == ()
    assert any("one seed" in line for line in comparison.warnings)
    assert {row.verdict for row in comparison.slices} == {"baseline", "no verdict"}


def test_two_seeds_are_warned_of(source):
    scores = {name: {r: by[r] for r in (0, 1)} for name, by in source.scores.items()}
    comparison = compare(replace(source, scores=scores), Options("early_fusion"))
    assert any("may cover as little as 88 %" in line for line in comparison.warnings)


def test_identical_predictions_are_said_and_not_tested(source):
    scores = {**source.scores, "copy": source.scores["early_fusion"]}
    comparison = compare(replace(source, scores=scores), Options("early_fusion"))
    row = comparison.row("copy")
    assert row.verdict == "no verdict"
    assert row.reason.startswith("identical predictions to 'early_fusion'")
    assert row.differences["auc"].value == 0
    assert (
        "early_fusion and copy predicted the very same numbers with every seed."
        in comparison.warnings
    )


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_scores_that_are_no_numbers_are_refused(source, bad):
    broken = {r: v.copy() for r, v in source.scores["twin"].items()}
    broken[1][5] = bad
    comparison = compare(
        replace(source, scores={**source.scores, "twin": broken}), Options("early_fusion")
    )
    row = comparison.row("twin")
    assert row.metrics == {}
    assert row.reason.startswith("refused: seed 1 has 1 score that is NaN or infinite")
    with pytest.raises(UsageError, match="baseline 'twin' is refused: seed 1"):
        compare(replace(source, scores={**source.scores, "twin": broken}), Options("twin"))


@pytest.mark.parametrize(("value", "what"), [(0, "negatives only"), (1, "positives only")])
def test_one_class_is_refused(source, value, what):
    table = source.table._replace(label=np.full(ROWS, value, np.uint8))
    with pytest.raises(UsageError, match=what):
        compare(replace(source, table=table), Options("early_fusion"))


def test_one_positive_is_an_estimate_without_an_interval(source):
    label = np.zeros(ROWS, np.uint8)
    label[7] = 1
    comparison = compare(
        replace(source, table=source.table._replace(label=label)), Options("early_fusion")
    )
    assert np.isnan(comparison.row("good").metrics["auc"].low)
    assert comparison.row("good").verdict == "no verdict"
    assert any("Only 1 cluster holds one of the classes" in line for line in comparison.warnings)


def test_without_intervals_nothing_is_said_of_controls(source):
    """No test was made, so "does not beat" would be a claim without evidence."""
    label = np.zeros(ROWS, np.uint8)
    label[7] = 1
    comparison = compare(
        replace(source, table=source.table._replace(label=label)),
        Options("early_fusion", metrics=("auc",)),
    )
    assert not any("does not beat" in line for line in comparison.warnings)
    assert not any("may cover about 92 %" in line for line in comparison.warnings)


def test_a_control_of_one_seed_is_not_called_unbeaten(source):
    scores = {**source.scores, "id_only": {0: source.scores["id_only"][0]}}
    comparison = compare(replace(source, scores=scores), Options("early_fusion", metrics=("auc",)))
    assert not any(line.startswith("good does not beat") for line in comparison.warnings)


def test_one_request_is_an_estimate_only(source):
    table = source.table._replace(request=np.zeros(ROWS, np.int64))
    comparison = compare(replace(source, table=table), Options("early_fusion", cluster="request"))
    assert comparison.row("good").metrics["auc"].note == "one cluster: an estimate only"
    assert comparison.row("good").verdict == "no verdict"


def test_rows_without_a_mixed_request_have_no_request_metric(source):
    alone = source.table._replace(request=np.arange(ROWS))
    comparison = compare(replace(source, table=alone), Options("early_fusion"))
    assert comparison.row("good").metrics["mrr"].note == (
        "undefined: no request holds both a positive and a negative"
    )
    json.dumps(comparison.to_dict(), allow_nan=False)
    options = Options("early_fusion", metric="mrr", metrics=("mrr",))
    judged = compare(replace(source, table=alone), options)
    assert judged.weight is None  # there is no request to weigh
    assert {row.verdict for row in judged.strategies} == {"baseline", "no verdict"}


def test_two_way_clustering_changes_the_error(source):
    comparison = compare(source, Options("early_fusion", two_way=True, metrics=("auc",)))
    assert comparison.cluster == "user and item"
    assert comparison.clusters == 300
    plain = compare(source, Options("early_fusion", metrics=("auc",)))
    for two, row in zip(comparison.slices, plain.slices, strict=True):
        if two.mc:
            assert two.metrics["auc"].value == row.metrics["auc"].value
            assert two.metrics["auc"].low != row.metrics["auc"].low or two.mc < 10


def test_unknown_names_and_senseless_options_are_refused(source):
    with pytest.raises(UsageError, match="got strategy 'nobody'"):
        compare(source, Options("nobody"))
    with pytest.raises(UsageError, match="got metric 'ece' for verdicts"):
        compare(source, Options("early_fusion", metric="ece"))
    with pytest.raises(UsageError, match="got cluster 'item', expected user or request"):
        compare(source, Options("early_fusion", cluster="item"))
    with pytest.raises(UsageError, match="got margin -1"):
        compare(source, Options("early_fusion", margin=-1))


def test_paired_seeds_need_the_same_seeds(source):
    fewer = {**source.scores, "good": {r: source.scores["good"][r] for r in (0, 1)}}
    with pytest.raises(UsageError, match="paired seeds need the same seeds"):
        compare(replace(source, scores=fewer), Options("early_fusion", paired_seeds=True))


def test_verdicts_can_be_given_on_a_loss_where_less_is_better(source):
    shouting = {r: 5 * v for r, v in source.scores["early_fusion"].items()}
    louder = replace(source, scores={**source.scores, "shouting": shouting})
    row = compare(louder, Options("early_fusion", metric="logloss")).row("shouting")
    assert row.verdict == "worse"
    assert row.differences["logloss"].low > 0
    assert row.differences["auc"].value == 0


def test_a_strategy_with_one_seed_among_others_gets_no_verdict_and_they_do(source):
    scores = {name: source.scores[name] for name in ("early_fusion", "good")}
    scores["single"] = {0: source.scores["poor"][0]}
    comparison = compare(replace(source, scores=scores), Options("early_fusion"))
    assert comparison.row("single").verdict == "no verdict"
    assert comparison.row("single").reason.startswith("'single' has one seed")
    assert comparison.row("good").verdict == "better"
    assert comparison.best_set == ()


def test_the_baseline_alone_makes_a_table(source):
    comparison = compare(
        replace(source, scores={"early_fusion": source.scores["early_fusion"]}),
        Options("early_fusion"),
    )
    assert [row.verdict for row in comparison.strategies] == ["baseline"]
    json.dumps(comparison.to_dict(), allow_nan=False)
