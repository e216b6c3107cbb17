"""The front as a whole on the page: its area, where it bends and how surely, and regret."""

from dataclasses import replace

from fusefront.reports.evidence import Evidence, FrontShape, Interval
from fusefront.reports.exports import table_frame
from fusefront.reports.figures.frontier import draw_frontier
from fusefront.reports.plane import plane
from fusefront.reports.sections import sections
from fusefront.reports.tables import front
from fusefront.reports.words import frontier

SHAPE = FrontShape(
    Interval(0.00912, 0.0051, 0.0133),
    46.1,
    "pca16",
    0.62,
    {"pca16": 0.62, "pca32": 0.3, "early_gmu": 0.01},
    {"pca64": Interval(0.00021, 0.0, 0.0012), "pca128": Interval(0.00001, 0.0, 0.0004)},
)


def caption(evidence: Evidence, language: str = "en") -> str:
    shown = frontier.caption(evidence, plane(evidence), language)  # type: ignore[arg-type]
    return " ".join(each.text for each in shown).replace("\u00a0", " ")


def test_the_caption_has_the_area_and_the_bend_with_its_chance(full_evidence: Evidence) -> None:
    whole = replace(full_evidence, front=SHAPE)
    text = caption(whole)
    assert "covers 0.0091 [0.0051, 0.0133] AUC × log ms up to 46.1 ms" in text
    assert "Its bend is at PCA-16 in 62% of the redraws (ringed, thin), at PCA-32 30%:" in text
    assert "GMU" not in text  # 1 in 100
    assert "再標本の62%でPCA-16" in caption(whole, "ja")
    unsure = replace(SHAPE, knee_chance=0.31, knees={"pca16": 0.31, "pca32": 0.3})
    text = caption(replace(whole, front=unsure))
    assert "not known: at PCA-16 in only 31% of the redraws, at PCA-32 30%." in text
    assert "ringed" not in text
    straight = replace(SHAPE, knee=None, knees={}, knee_chance=0.0)
    text = caption(replace(whole, front=straight))
    assert "covers" in text
    assert "bend" not in text
    assert "covers" not in caption(full_evidence)


def test_only_a_bend_that_is_likely_is_ringed(full_evidence: Evidence) -> None:
    drawn = {}
    for chance in (0.0, 0.49, 0.62):
        shape = replace(SHAPE, knee_chance=chance) if chance else None
        drawing = draw_frontier(
            replace(full_evidence, front=shape), "en", name="x", title="t", description="d"
        )
        assert drawing is not None
        drawn[chance] = drawing.svg
    assert drawn[0.0] == drawn[0.49] != drawn[0.62]


def test_the_table_has_who_is_on_it_its_bend_and_what_the_best_has_more(
    full_evidence: Evidence,
) -> None:
    table = front(replace(full_evidence, front=SHAPE))
    frame = table_frame(table)
    assert frame["p99_ms"].is_sorted()
    rows = {row["strategy"]: row for row in frame.iter_rows(named=True)}
    assert (rows["pca64"]["regret"], rows["pca64"]["regret_high"]) == (0.00021, 0.0012)
    assert (rows["pca16"]["bend"], rows["qin"]["bend"], rows["qin"]["regret"]) == (0.62, 0.0, None)
    point = full_evidence.point("pca64")
    assert point is not None
    assert rows["pca64"]["on_frontier"] == point.on_frontier_probability
    shown = {row.cells[0].values[0]: row.cells for row in table.rows}  # type: ignore[attr-defined]
    assert shown["pca128"][4] == ">\u00a00"
    assert not front(full_evidence).rows
    assert "front" in {each.key for each in sections(replace(full_evidence, front=SHAPE), "en")}
    assert "front" not in {each.key for each in sections(full_evidence, "en")}
