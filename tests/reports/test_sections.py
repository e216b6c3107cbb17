"""The reviewer's half: every figure and table from evidence, and a sentence where there is none."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from fusefront.reports import bars, record_tables, tables
from fusefront.reports.curves import with_panels
from fusefront.reports.evidence import (
    Ablation,
    AblationStep,
    AuditFinding,
    CodeMeasure,
    ControlledModality,
    Evidence,
    Interval,
    MissingCurve,
    MissingModality,
    ModalityWorth,
    ServedBy,
    TrainingCurve,
    WeighedSlot,
    WidthCurve,
)
from fusefront.reports.figures.panels import apart
from fusefront.reports.render import render
from fusefront.reports.sections import Section, sections
from fusefront.reports.words import reviewer
from fusefront.reports.words.alternatives import alternatives
from fusefront.reports.words.changes import changes
from fusefront.reports.words.phrase import Language
from fusefront.reports.words.risks import risks

FIGURES = ("ablation", "calibration", "epochs", "trials", "missing")
WHERE_CODED = ("codes", "widths")  # without codes not even a heading


@pytest.fixture(scope="module")
def whole(full_evidence: Evidence) -> Evidence:
    """The planted study with curves over epochs, too."""
    epochs = tuple(
        TrainingCurve(p.strategy, "epochs", (p.auc.value - 0.01, p.auc.value), None, seed)
        for p in full_evidence.points
        for seed in range(2)
    )
    codes = tuple(
        CodeMeasure("pca64", "text", measure, 2, Interval(value, value / 2, value))
        for measure, value in (("codebook_use", 0.5), ("perplexity", 9.24), ("collision_rate", 0.2))
    )
    change = (Interval(-0.01, -0.02, -0.004), Interval(-0.001, -0.003, 0.001), Interval(0, 0, 0))
    width = WidthCurve("pca64", 0, "r0", (8, 16, 32), (0.70, 0.709, 0.71), change, (80, 160, 320))
    training = (*full_evidence.training, *epochs)
    return replace(full_evidence, training=training, codes=codes, widths=(width,))


@pytest.fixture(scope="module")
def shown(whole: Evidence) -> dict[str, Section]:
    return {section.key: section for section in sections(whole, "en", printed=True)}


def test_the_order_is_the_page_s(shown: dict[str, Section]) -> None:
    order = ["leaderboard", "cost", "metrics", "ablation", "calibration", "epochs", "trials"]
    order += ["missing", *WHERE_CODED, "slices", "what_if", "audit", "environment", "runs"]
    assert [key.replace("_grid", "") for key in shown] == order


@pytest.mark.parametrize("key", [*FIGURES, "widths"])
def test_a_figure_is_drawn_with_title_description_and_caption(
    shown: dict[str, Section], key: str
) -> None:
    section = shown[key]
    assert not section.absent
    for drawing, caption in zip(section.figures, section.captions, strict=True):
        root = ElementTree.fromstring(drawing.svg)
        texts = [element.text for element in root if element.tag.endswith(("title", "desc"))]
        assert all(texts)
        assert len(texts) == 2
        assert caption
        assert drawing.png.startswith(b"\x89PNG")
        assert drawing.print_svg


def test_where_evidence_is_absent_one_sentence_says_what_to_run(full_evidence: Evidence) -> None:
    study = replace(full_evidence.study, again=True, store="a b")
    bare = Evidence(study, full_evidence.decision, full_evidence.points[:1])
    results = {section.key: section.absent for section in sections(bare, "en")}
    for key in (*FIGURES, "slices", "what_if", "audit"):
        assert results[key], key
        assert results[key].count(". ") == 0
    assert not set(WHERE_CODED) & set(results)
    assert "`fusefront ablate demo --out 'a b' --of pca64`" in results["ablation"]
    assert "fusefront robustness demo" in results["missing"]
    assert "`fusefront run demo --out 'a b'` audits them" in results["audit"]


def test_codebook_numbers_and_the_curve_of_widths_are_in_tables(shown: dict[str, Section]) -> None:
    codes, widths = shown["codes"].table, shown["widths"].table
    assert codes is not None
    assert widths is not None
    assert [row.cells[1:] for row in codes.rows] == [
        ("text", "codebook use", "0.500", "0.250 to 0.500", "2"),
        ("text", "perplexity", "9.24", "4.62 to 9.24", "2"),
        ("text", "collision rate", "0.200", "0.100 to 0.200", "2"),
    ]
    assert widths.rows[0].cells == (
        "pca64", "0", "8", "0.7000", "\u22120.0100", "[\u22120.0200,\xa0\u22120.0040]", "80",
    )  # fmt: skip
    assert "shown to lose at 8 of 32." in shown["widths"].captions[0]


def test_an_ablation_names_what_is_put_in_a_parts_place() -> None:
    steps = (
        AblationStep("text", Interval(-0.02, -0.03, -0.01), verdict="worse", kind="modality"),
        AblationStep("head", Interval(-0.02, -0.03, -0.01), verdict="worse", kind="component"),
        AblationStep("head linear", Interval(-0.02, -0.03, -0.01), verdict="worse", kind="swap"),
        AblationStep("random text", Interval(-0.02, -0.03, -0.01), verdict="worse", kind="swap"),
        AblationStep("text alone", Interval(0.01, 0.004, 0.016), kind="alone"),
    )
    sentence = reviewer.ablation(Ablation(False, "pca64", steps))
    assert "again without that part or with what it names instead, at the" in sentence
    assert (
        "AUC falls when text or head is left out, or with head linear or random text. "
        "It rises with text alone."
    ) in sentence
    sentence = reviewer.ablation(Ablation(False, "pca64", steps[2:]))
    assert "AUC falls with head linear or random text. It rises" in sentence
    assert "instead" not in reviewer.ablation(Ablation(False, "pca64", steps[:2]))


def test_an_ablation_says_only_what_its_verdicts_say() -> None:
    steps = (
        AblationStep("text", Interval(-0.02, -0.03, -0.01), verdict="worse"),
        AblationStep("head", Interval(0.006, -0.0007, 0.012), verdict="cannot tell"),
        AblationStep("audio", Interval(0.01, 0.004, 0.016)),
    )
    sentence = reviewer.ablation(Ablation(False, "pca64", steps))
    assert "AUC falls when text is left out." in sentence
    assert "It rises when audio is left out." in sentence
    assert re.search(r"Not shown to matter .*: head\.", sentence)


def test_of_short_searches_nothing_is_claimed(full_evidence: Evidence) -> None:
    curve = TrainingCurve("pca64", "trials", (0.6, 0.7))
    short = replace(full_evidence, training=(curve,))
    assert "too few to tell" in reviewer.convergence(short)
    judged = replace(full_evidence, training=(replace(curve, settled=True),))
    assert "None of 1 judged still climbed" in reviewer.convergence(judged)


def test_only_strategies_within_reach_have_a_training_panel(whole: Evidence) -> None:
    chosen = with_panels(whole)
    assert chosen.shown[:2] == ["pca64", "late_weighted"]
    assert "popularity" in chosen.left_out
    assert len(chosen.shown) <= 12
    assert set(chosen.shown) | set(chosen.left_out) == {p.strategy for p in whole.points}


def test_labels_that_are_moved_apart_keep_their_order_and_their_middle() -> None:
    heights = [0.3, 0.0, 0.1, 5.0]
    placed = apart(heights, 1.0)
    assert np.argsort(placed).tolist() == np.argsort(heights).tolist()
    assert np.diff(sorted(placed)).min() >= 1.0 - 1e-9
    assert sorted(placed)[:3] == pytest.approx([-0.8666667, 0.1333333, 1.1333333])


def test_a_bar_ends_where_its_interval_does() -> None:
    limits = bars.axis([Interval(0.0, -0.01, 0.01), Interval(0.02, 0.01, 0.03)])
    drawn = bars.bar(Interval(0.02, 0.01, 0.03), limits, chosen=False)
    start, end = map(float, re.findall(r"M([\d.]+) 8\.0H([\d.]+)", drawn)[0])
    scale = bars.WIDTH / (limits[1] - limits[0])
    assert start == pytest.approx((0.01 - limits[0]) * scale, abs=0.06)
    assert end == pytest.approx((0.03 - limits[0]) * scale, abs=0.06)
    assert "Z" in bars.bar(Interval(-9.0, -9.1, -8.9), limits, chosen=False)  # off: an arrow


def test_the_what_if_table_holds_every_cell(whole: Evidence) -> None:
    table = record_tables.what_if_full(whole)
    assert whole.what_if is not None
    assert len(table.rows) == len(whole.what_if.rows)
    grid = record_tables.what_if(whole)
    assert any("pca" in cell.lower() for row in grid.rows for cell in row.cells)


def test_metrics_of_every_strategy_are_in_the_table(whole: Evidence) -> None:
    table = tables.metrics(whole)
    assert table.heads == ("strategy", "logloss", "gauc")
    assert len(table.rows) == len(whole.points)


def test_alternatives_give_the_verdict_then_what_decides(full_evidence: Evidence) -> None:
    sentence = [entry.lines[0].text for entry in alternatives(full_evidence, "en")]
    assert sentence[0].startswith("Equivalent to the choice (+0.0002 AUC [")
    assert "it is slower, p50 4.6" in sentence[0]
    assert sentence[1].startswith("Worse than the choice (−0.0012 AUC [−0.0018,")
    assert "which a limit of 10" in sentence[1]
    assert sentence[2].startswith("Better than the choice (+0.0008 AUC [0.0002,")
    assert "not wholly under the 10" in sentence[2]


def test_risks_name_leaks_slices_and_missing_modalities(full_evidence: Evidence) -> None:
    leak = AuditFinding("user_overlap", "error", "Users are in two splits. Split again.")
    lead = (Interval(0.006, 0.004, 0.008), Interval(-0.01, -0.02, -0.005))
    curve = MissingCurve("pca64", "text", (0.5, 1.0), lead, lead)
    evidence = replace(
        full_evidence,
        audit=(*full_evidence.audit, leak),
        missing=MissingModality("late_weighted", (curve,)),
    )
    sentence = {
        entry.head: " ".join(s.text for s in entry.lines) for entry in risks(evidence, "en")
    }
    assert sentence["Data audit"] == "Severe: Users are in two splits."
    assert "cold items (6% of rows) loses −0.0021 AUC [−0.0037," in sentence["Slices that lose"]
    assert (
        "With text hidden for 50% of the items it is still +0.0060" in sentence["Missing modality"]
    )
    assert (
        "falls behind what runs today with the same hidden, −0.0100 AUC"
        in sentence["Missing modality"]
    )
    bare = {e.head: e.lines[0].text for e in risks(replace(evidence, missing=None), "en")}
    assert "`fusefront robustness demo` measures it" in bare["Missing modality"]


def test_risks_say_what_the_choice_adds_to_the_regression_on_counters(
    full_evidence: Evidence,
) -> None:
    popularity, *others = full_evidence.points
    assert popularity.strategy == "popularity"

    def lines(difference: Interval) -> list[str]:
        counts = replace(popularity, strategy="counts", gain_vs_choice=difference)
        evidence = replace(full_evidence, points=(counts, *others))
        own = [e for e in risks(evidence, "en") if e.head == "Controls"]
        return [s.text.replace("\xa0", " ") for e in own for s in e.lines]

    assert lines(Interval(-0.0045, -0.0058, -0.0033))[-1] == (
        "Its gain over counts, a regression on counters and attributes alone: +0.0045 AUC "
        "[0.0033, 0.0058]."
    )
    assert "−0.0010 AUC [−0.0030, 0.0010]" in lines(Interval(0.0010, -0.0010, 0.0030))[-1]
    assert not any("counts" in s.text for e in risks(full_evidence, "en") for s in e.lines)


def test_changes_are_grouped_by_knob(full_evidence: Evidence) -> None:
    sentence = {e.head: [s.text for s in e.lines] for e in changes(full_evidence, "en")}
    assert sentence["Limit"] == [
        "No change at 8\u00a0ms or 12\u00a0ms.",
        "Below 4.5\u00a0ms: PCA-32.",
        "From 14.7\u00a0ms: QIN.",
    ]
    assert sentence["Margin"][1] == "At 0.0005\u00a0AUC: Learned-64."


@pytest.mark.parametrize("part", [alternatives, risks, changes])
def test_page_one_in_japanese_has_japanese_and_no_gap_before_a_stop(
    full_evidence: Evidence, part: Callable[..., list]
) -> None:
    for entry in part(full_evidence, "ja"):
        for line in entry.lines:
            assert re.search(r"[\u3040-\u30ff\u4e00-\u9fff]", line.text), line.text
            assert not re.search(r" [、。）]", line.text)
            assert not re.search(r"\d ms", line.text)  # numbers keep their unit: no plain space


def test_one_strategy_one_seed_and_failed_runs_make_a_page(
    full_evidence: Evidence, tmp_path: Path
) -> None:
    alone = replace(full_evidence.points[0], seeds=1, failed_seeds=2, run_ids=("a",), p99=None)
    study = replace(full_evidence.study, seeds=1, failed_runs=2, runs=3)
    evidence = Evidence(study, full_evidence.decision, (alone,))
    text = render(evidence, tmp_path).read_text(encoding="utf-8")
    assert "2 of 3 runs failed and are left out." in text
    assert "One seed: nothing is known of the next training." in text


def test_200_strategies_are_reported_without_torch(tmp_path: Path) -> None:
    """In a process of its own: the other tests of the suite import torch."""
    code = (
        "import sys, json; sys.path.insert(0, sys.argv[1]); from pathlib import Path;"
        "from conftest import crowd; from fusefront.reports.render import render;"
        "render(crowd(200, 10), Path(sys.argv[2]));"
        "print(json.dumps(sorted(m for m in sys.modules if m.split('.')[0] in"
        " ('torch', 'pytorch_lightning', 'onnxruntime'))))"
    )
    command = [sys.executable, "-c", code, str(Path(__file__).parent), str(tmp_path)]
    process = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(process.stdout) == []
    assert (tmp_path / "index.html").stat().st_size < 3_000_000


def test_other_ways_to_serve_have_a_table_where_any_was_timed(whole: Evidence) -> None:
    assert "backends" not in {section.key for section in sections(whole, "en")}
    first, second = whole.points[0].strategy, whole.points[1].strategy
    timed = (
        ServedBy(
            first, "bfloat16", Interval(0.5, 0.4, 0.6), Interval(1.25, 1.0, 1.5), 0.002, -3e-5
        ),
        ServedBy(first, "onnx", Interval(0.75, 0.7, 0.8), Interval(2.0), 1e-7),
        ServedBy(second, "onnx", Interval(0.8, 0.7, 0.9), Interval(2.0, 1.0, 3.0)),
        ServedBy("gone", "onnx", Interval(0.8), Interval(2.0)),
    )
    shown = {s.key: s for s in sections(replace(whole, backends=timed), "en")}
    table = shown["backends"].table
    assert table is not None
    assert table.heads[1:3] == ("backend", "p50 ms")
    cells = [row.cells[1:] for row in table.rows]
    assert [cell[0] for cell in cells] == ["bfloat16", "onnx", "onnx"]
    assert cells[0][1].startswith("0.5")
    assert "0.40" in cells[0][2]
    assert cells[0][5:] == ("2e-03", "-3e-05")
    assert cells[1][4:] == ("no interval", "1e-07", tables.NONE)
    assert cells[2][5:] == (tables.NONE, tables.NONE)
    assert table.rows[0].run_ids == whole.points[0].run_ids
    assert "what ships" in " ".join(shown["backends"].notes)


KINDS = ("items", "requests", "noise", "stale", "other", "cold_items", "cold_users")


def disturbed(evidence: Evidence) -> Evidence:
    """Two strategies under every kind; today's own area is known exactly."""
    lost = (0.0, 0.004, 0.012)
    curves = tuple(
        MissingCurve(
            name,
            "" if kind.startswith("cold") else "text",
            (0.0, 0.5, 0.75),
            tuple(Interval(at - loss * k, at - loss * k - 0.002, at - loss * k + 0.002)
                  for k in [1 + KINDS.index(kind) / 4] for loss in lost),
            tuple(Interval(at, at - 0.002, at + 0.002) for _ in lost),
            kind,
            Interval(-0.004, -0.006, -0.002),
        )
        for kind in KINDS
        for name, at in (("pca64", 0.02), ("late_weighted", 0.0))
    )  # fmt: skip
    return replace(evidence, missing=MissingModality("late_weighted", curves))


@pytest.mark.parametrize("language", ["en", "ja"])
def test_every_kind_of_disturbance_is_drawn(full_evidence: Evidence, language: Language) -> None:
    """New items and users share a figure; each caption says how and what it costs."""
    shown = {part.key: part for part in sections(disturbed(full_evidence), language)}["missing"]
    names = [drawing.name for drawing in shown.figures]
    assert names == [
        f"missing-{name}" for name in ("wide", "requests", "noise", "stale", "other", "cold")
    ]
    captions = dict(zip(names, shown.captions, strict=True))
    assert "pca64, text hidden of 75% of the items: −0.0120 AUC." in captions["missing-wide"]
    assert "pca64, noise of 75% on text: −0.0180 AUC." in captions["missing-noise"]
    assert (
        "75% of the items new: −0.0270 AUC and 75% of the users new: −0.0300 AUC."
        in (captions["missing-cold"])
    )
    table = shown.table
    assert table is not None
    assert [row.cells[1:4] for row in table.rows[::2]] == [
        (reviewer.DISTURBED[kind], "–" if kind.startswith("cold") else "text", "75%")
        for kind in KINDS
    ]
    assert table.rows[0].cells[4:] == (
        "−0.0040",
        "[−0.0060,\xa0−0.0020]",
        "+0.0200",
        "[0.0180,\xa00.0220]",
    )
    assert table.rows[1].cells[6:] == ("–", "–")  # today's own
    assert risks(disturbed(full_evidence), language)  # of items alone, as before


def test_an_old_record_without_areas_has_its_figure_and_no_table(full_evidence: Evidence) -> None:
    shown = {part.key: part for part in sections(full_evidence, "en")}["missing"]
    assert [drawing.name for drawing in shown.figures] == ["missing-wide"]
    assert shown.table is None


def test_an_explanation_is_said_in_words_and_tables(full_evidence: Evidence) -> None:
    worth = ModalityWorth("pca64", "", "text", Interval(0.04, 0.03, 0.05))
    ends = {
        "removed": Interval(-0.04, -0.05, -0.03),
        "shuffled": Interval(-0.002, -0.01, 0.006),
        "random": Interval(0.0, 0.0, 0.0),
        "turned": Interval(0.01, None, None),
    }
    evidence = replace(
        full_evidence,
        worths=(worth,),
        controlled=tuple(ControlledModality("pca64", "text", k, v) for k, v in ends.items()),
        explained=("pca64: text is used.",),
        weighed=(
            WeighedSlot("pca64", "gate (fuse)", "", "text", Interval(0.61, 0.5, 0.7), 0.93),
            WeighedSlot("pca64", "gate (fuse)", "age: new", "text", Interval(0.2, None, None), 1.0),
        ),
    )
    shown = {part.key: part for part in sections(evidence, "en")}
    assert shown["worths"].notes[0] == "pca64: text is used."
    table = shown["controls"].table
    assert table is not None
    words = [(row.cells[2], row.cells[3], row.cells[5]) for row in table.rows]
    assert words == [
        ("removed", "−0.0400", "loses"),
        ("shuffled", "−0.0020", "no loss shown"),
        ("random", "0.0000", "no score changes"),
        ("turned", "+0.0100", "no interval"),
    ]
    weights = shown["weights"].table
    assert weights is not None
    assert [row.cells[1:] for row in weights.rows] == [
        ("gate (fuse)", "all test rows", "text", "0.610", "[0.500,\xa00.700]", "93%"),
        ("gate (fuse)", "age: new", "text", "0.200", "no interval", "100%"),
    ]
    assert "controls" not in {part.key for part in sections(full_evidence, "en")}
