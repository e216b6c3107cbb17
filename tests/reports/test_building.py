"""What to build first, in words, tables and figures; every number is one of the evidence."""

from dataclasses import replace
from typing import Any

import pytest

from fusefront.reports.building_tables import building, crossing, retrained
from fusefront.reports.cost_cells import cost_cells
from fusefront.reports.evidence import (
    Ablation,
    AblationStep,
    BuildStep,
    CrossedCell,
    CrossedEffect,
    Evidence,
    Interval,
    ModalityWorth,
    RetrainedWorth,
    SliceGap,
    StepCost,
)
from fusefront.reports.figures.crossing import corner, draw_crossing, strongest
from fusefront.reports.figures.waterfall import draw_waterfall
from fusefront.reports.gap_tables import gaps, worths
from fusefront.reports.sections import sections
from fusefront.reports.tables import ablation as ablation_table
from fusefront.reports.words import reviewer
from fusefront.reports.words.building import build_first, main_ablation, part_name, plan_name
from fusefront.reports.words.phrase import LANGUAGES

TEXT = AblationStep("text", Interval(-0.03, -0.04, -0.02), kind="modality")
HEAD = AblationStep("head", Interval(-0.01, -0.013, -0.008), kind="component", mde=0.002)
ID = AblationStep("use_id", Interval(-0.001, -0.003, 0.001), kind="component", mde=0.0025)
BOTH = ("operator", "head")
PATH = (
    BuildStep("text", 0.71, Interval(0.11, 0.10, 0.12)),
    BuildStep("use_id + head", 0.73, Interval(0.02, -0.01, 0.05)),
)
WHOLE = Ablation(
    False, "pca64", (TEXT, HEAD, ID), first=("text", "head"), path_start=0.60, path=PATH
)


def texts(ablation: Ablation, language: Any = "en") -> list[str]:
    return [each.text.replace("\xa0", " ") for each in build_first(ablation, language)]


def test_three_sentences_say_first_path_and_rest() -> None:
    first, path, rest = texts(WHOLE)
    assert first == (
        "Build text first: without it pca64 loses 0.0300 AUC [0.0200, 0.0400]; its latency was not "
        "measured."
    )
    assert path == (
        "From the plainest model (AUC 0.6000) up, text adds +0.1100 [0.1000, 0.1200], no "
        "other step is shown to add any; all parts together add +0.1300."
    )
    based = texts(replace(WHOLE, path_base="image"))[1]
    assert based.startswith("From the plainest model (image, AUC 0.6000) up, text adds")
    assert rest == (
        "Not shown to add anything: id embedding (a difference of 0.0025 would be seen with 80% "
        "power)."
    )


def costed(cost: StepCost) -> Ablation:
    return replace(WHOLE, steps=(replace(TEXT, cost=cost), HEAD, ID))


def test_what_the_first_part_costs_is_said() -> None:
    free = StepCost(p50=Interval(0.01, -0.02, 0.04), measurable=False)
    assert texts(costed(free))[0].endswith("and it costs nothing measurable.")
    dear = StepCost(
        p50=Interval(0.4, 0.3, 0.5), measurable=True, auc_per_ms=Interval(0.075, 0.05, 0.11)
    )
    assert texts(costed(dear))[0].endswith(
        "; it adds 0.40 ms [0.30, 0.50] at p50, 0.0750 AUC a millisecond [0.0500, 0.1100]."
    )
    late = replace(free, p99=Interval(1.5, 1.0, 2.0), measurable_p99=True)
    assert texts(costed(late))[0].endswith("; it adds 1.50 ms [1.00, 2.00] at p99.")
    late = replace(late, measurable_p99=False)
    assert texts(costed(late))[0].endswith("and it costs nothing measurable.")
    plain = replace(dear, auc_per_ms=None)
    assert texts(costed(plain))[0].endswith("[0.30, 0.50] at p50.")


def test_without_a_path_the_next_parts_are_named() -> None:
    bare = replace(WHOLE, path=(), path_start=None)
    assert texts(bare)[1] == "Next, by the lower end of what they add: head."
    assert texts(replace(bare, first=("text",)))[1].startswith("No other part is shown")
    assert texts(replace(bare, first=()))[0] == ("No part of pca64 is shown to add AUC by itself.")
    assert texts(replace(bare, steps=(TEXT, HEAD)))[2] == "Every part is shown to add AUC."
    harm = AblationStep("pooler", Interval(0.01, 0.005, 0.015), kind="component")
    assert texts(replace(bare, steps=(TEXT, harm)))[2] == "AUC rises when pooler is left out."


@pytest.mark.parametrize("language", LANGUAGES)
def test_both_languages_have_three_sentences(language: Any) -> None:
    assert len(texts(WHOLE, language)) == 3
    assert all("{" not in text for text in texts(WHOLE, language))


def test_the_page_speaks_of_the_ablation_with_a_path() -> None:
    bare = replace(WHOLE, end="other", path=(), steps=(TEXT, HEAD, ID, ID))
    swaps = Ablation(False, "swap", (replace(TEXT, kind="swap"),))
    additive = Ablation(True, "sum", (TEXT,))
    assert main_ablation((bare, WHOLE, swaps)) is WHOLE
    assert main_ablation((swaps, additive)) is None
    assert part_name("presence_features") == "presence features"


TUNED = replace(WHOLE, plan="retuned", mode="tuned again, each with the study's budget")


def test_of_several_ablations_each_says_its_plan(full_evidence: Evidence) -> None:
    """In its captions and in every row; a single one needs no name in its caption."""
    full = replace(WHOLE, plan="full", steps=(TEXT,))
    both = replace(full_evidence, ablations=(full, TUNED))
    for table, plans in (
        (ablation_table(both), ["full"] + ["minimal, tuned again"] * len(TUNED.steps)),
        (building(both), ["full"] * len(full.path) + ["minimal, tuned again"] * len(TUNED.path)),
    ):
        assert table.heads[1] == "plan"
        assert [row.cells[1] for row in table.rows] == plans
    by_key = {each.key: each for each in sections(both, "en")}
    for key in ("ablation", "building"):
        first, second = by_key[key].captions
        assert first.startswith("Plan full. ")
        assert second.startswith("Plan minimal, tuned again. ")
    alone = {s.key: s for s in sections(replace(full_evidence, ablations=(full,)), "en")}
    assert not alone["ablation"].captions[0].startswith("Plan")
    assert plan_name(replace(TUNED, plan="factorial-retuned")) == "factorial, tuned again"
    assert plan_name(replace(WHOLE, plan="my-retuned")) == "my-retuned"


def test_page_one_prefers_the_parents_own_hyper_parameters() -> None:
    wide = replace(TUNED, steps=(*TUNED.steps, *TUNED.steps))
    assert main_ablation((wide, WHOLE)) is WHOLE
    assert main_ablation((wide, replace(WHOLE, path=()))) is wide


def test_the_retrained_shares_are_a_table(full_evidence: Evidence) -> None:
    """With the error of a drawing in words where orders were drawn; no table without shares."""
    shares = (
        RetrainedWorth("text", Interval(0.12, 0.10, 0.14)),
        RetrainedWorth("image", Interval(0.001, -0.002, 0.004)),
        RetrainedWorth("all modalities", Interval(0.121, 0.099, 0.143)),
    )
    chain = replace(WHOLE, shares=shares)
    table = retrained(replace(full_evidence, ablations=(WHOLE, chain)))
    assert [row.cells[2] for row in table.rows] == ["text", "image", "all modalities"]
    assert [row.bar for row in table.rows] == [share.auc for share in shares]
    assert "over all subsets. The" in table.note
    assert "drawing" not in table.note
    drawn = replace(chain, shares=(replace(shares[0], drawing=0.002), *shares[1:]))
    note = retrained(replace(full_evidence, ablations=(drawn,))).note
    assert "over drawn orders in which they come. The" in note
    assert "at once, with the error of the drawing in them." in note
    names = [each.key for each in sections(replace(full_evidence, ablations=(chain,)), "en")]
    assert "retrained" in names
    names = [each.key for each in sections(replace(full_evidence, ablations=(WHOLE,)), "en")]
    assert "retrained" not in names


def test_the_caption_says_how_the_order_came_about() -> None:
    ordered = reviewer.building(WHOLE)
    assert "The order is by what each part adds alone on validation, so test chose" in ordered
    assert ordered.endswith("grey: not shown to add anything.")
    greedy = replace(WHOLE, path_greedy=True)
    words = reviewer.building(greedy)
    assert "Each step adds the part that adds most on validation to those before it" in words
    assert "no completed runs" not in words
    for count, subject in ((1, "1 subset of the parts has"), (3, "3 subsets of the parts have")):
        words = reviewer.building(replace(greedy, path_untrained=count))
        assert f"{subject} no completed runs, so that steps chose among the others" in words


def test_the_tables_hold_the_path_and_the_costs(full_evidence: Evidence) -> None:
    table = building(replace(full_evidence, ablations=(WHOLE,)))
    assert [row.cells[2] for row in table.rows] == ["+ text", "+ id embedding + head"]
    assert [row.cells[4] for row in table.rows] == ["+0.1100", "+0.0200"]
    cost = StepCost(
        Interval(0.4, 0.3, 0.5), Interval(0.9, 0.2, 1.6), True, Interval(0.1, 0.05, 0.2),
        12_500.0, 24.0,
    )  # fmt: skip
    step = replace(TEXT, cost=cost, logloss=Interval(0.02, 0.01, 0.03))
    assert [str(cell).replace("\xa0", " ") for cell in cost_cells(step)] == [
        "+0.0200 [0.0100, 0.0300]", "–", "+0.40 [0.30, 0.50]", "+0.90 [0.20, 1.60]",
        "+0.1000 [0.0500, 0.2000]", "+12.5", "+24",
    ]  # fmt: skip
    free = cost_cells(replace(step, cost=replace(cost, measurable=False)))
    assert str(free[2]) == "nothing measurable"
    for measurable, text in ((False, "nothing measurable"), (True, "+0.90 [0.20, 1.60]")):
        cells = cost_cells(replace(step, cost=replace(cost, measurable_p99=measurable)))
        assert str(cells[3]).replace("\xa0", " ") == text


def test_what_a_modality_adds_is_in_words_that_its_interval_says(full_evidence: Evidence) -> None:
    ends = {
        "adds": Interval(0.02, 0.01, 0.03),
        "costs": Interval(-0.02, -0.03, -0.01),
        "not shown to contribute": Interval(0.01, -0.01, 0.03),
        "contributes nothing": Interval(0.0, 0.0, 0.0),
        "no interval": Interval(0.01, None, None),
    }
    shown = tuple(ModalityWorth("pca64", "", "text", interval) for interval in ends.values())
    shown = (*shown[:-1], replace(shown[-1], rows="new: yes"))
    table = worths(replace(full_evidence, worths=shown))
    assert [row.cells[-1] for row in table.rows] == list(ends)
    assert [row.cells[1] for row in table.rows] == ["all test rows"] * 4 + ["new: yes"]
    (section,) = (
        each
        for each in sections(replace(full_evidence, worths=shown), "en")
        if each.key == "worths"
    )
    assert section.table == table


def test_gaps_are_shown_where_their_interval_leaves_zero_out(full_evidence: Evidence) -> None:
    gap = SliceGap("pca64", "maker", "exposure", "a", "b", Interval(0.1, 0.05, 0.15))
    pair = (gap, replace(gap, measure="auc", gap=Interval(0.1, -0.05, 0.25)))
    table = gaps(replace(full_evidence, gaps=pair))
    assert [row.cells[-1] for row in table.rows] == ["shown", "not shown"]
    assert table.rows[0].cells[1:3] == ("maker: a − b", "share shown in the first places")


def crossed() -> Ablation:
    auc = {("as it is", "as it is"): 0.76, ("operator", "as it is"): 0.755,
           ("as it is", "head"): 0.75, ("operator", "head"): 0.50}  # fmt: skip
    cells = tuple(
        CrossedCell((("operator", a), ("head", b)), value) for (a, b), value in auc.items()
    )
    cells = (CrossedCell((), cells[0].auc), *cells[1:])
    effects = (
        CrossedEffect(("operator",), ("operator",), Interval(-0.13, -0.14, -0.12), 2),
        CrossedEffect(BOTH, BOTH, Interval(-0.245, -0.26, -0.23), 1),
    )
    return Ablation(False, "pca64", (TEXT,), effects=effects, cells=cells)


def test_the_corners_of_a_pair_are_its_cells() -> None:
    ablation = crossed()
    (pair,) = strongest(ablation)
    corners = [corner(ablation, pair, a, b) for a in (False, True) for b in (False, True)]
    assert corners == pytest.approx([0.76, 0.75, 0.755, 0.50])


def test_figures_are_drawn(full_evidence: Evidence) -> None:
    """Each draws its names; the drawings differ with what they show."""
    words = {"name": "x-1", "title": "t", "description": "d"}
    fall = draw_waterfall(full_evidence, WHOLE, "en", **words)
    other = draw_waterfall(full_evidence, replace(WHOLE, path=PATH[:1]), "en", **words)
    assert fall.png != other.png
    lines = draw_crossing(full_evidence, crossed(), "en", **words)
    assert len(lines.png) > 5000
    table = crossing(replace(full_evidence, ablations=(crossed(),)))
    assert [row.cells[0] for row in table.rows] == ["pca64", "pca64"]
    assert table.rows[1].cells[2] == "operator × head"
