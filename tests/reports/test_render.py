"""The page: complete, escaped, the same bytes twice, whatever is missing."""

import csv
import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import astuple, replace
from html.parser import HTMLParser
from pathlib import Path

import polars as pl
import pytest

from fusefront.reports import render as module
from fusefront.reports.cells import TableEntry, ends_head, value_head
from fusefront.reports.evidence import Evidence, Interval
from fusefront.reports.exports import write_table
from fusefront.reports.figures.style import PALETTE, contrast
from fusefront.reports.render import render
from fusefront.reports.tables import Row, Table
from fusefront.reports.words.decision import headline

CASES = [
    ("clear", "better"),
    ("tie", "equivalent"),
    ("infeasible", "infeasible"),
    ("thin", "too_little"),
]


class Page(HTMLParser):
    """Tags, addresses and text of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.words: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [v for k, v in attrs if k in ("src", "href", "xlink:href") and v]

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_the_page_needs_nothing_from_outside(full_evidence: Evidence, tmp_path: Path) -> None:
    page = Page(render(full_evidence, tmp_path))
    assert page.tags.count("h1") == 1
    assert page.tags.count("script") == 1  # the one that sorts tables, inline
    assert all(address.startswith(("#", "data:")) for address in page.addresses)


def test_the_same_evidence_gives_the_same_bytes(full_evidence: Evidence, tmp_path: Path) -> None:
    for name in ("a", "b"):
        render(full_evidence, tmp_path / name)
    first = {p.relative_to(tmp_path / "a"): p.read_bytes() for p in (tmp_path / "a").rglob("*.*")}
    for path, content in first.items():
        assert (tmp_path / "b" / path).read_bytes() == content, path


@pytest.mark.parametrize(("case", "reason"), CASES)
@pytest.mark.parametrize("language", ["en", "ja"])
def test_the_headline_of_each_case_is_the_page_s_one_heading(
    case: str, reason: str, language: str, with_case: Callable[..., Evidence], tmp_path: Path
) -> None:
    bare = {"points": (), "training": (), "calibration": (), "missing": None, "ablations": ()}
    evidence = replace(with_case(case, reason), **bare)  # figures are drawn elsewhere
    text = "".join(Page(render(evidence, tmp_path, language=language)).words)
    sentence = headline(evidence, language).text
    assert "".join(sentence.split()) in "".join(text.replace("\u200b", "").split())


def test_odd_names_are_text_and_never_markup(full_evidence: Evidence, tmp_path: Path) -> None:
    odd = "<script>alert(1)</script> {{ 7 * 7 }} 🦊 " + "long" * 30
    points = tuple(
        replace(p, strategy=odd, label=odd) if p.strategy == "naml" else p
        for p in full_evidence.points
    )
    page = render(replace(full_evidence, points=points), tmp_path)
    assert Page(page).tags.count("script") == 1
    assert "<script>alert" not in page.read_text(encoding="utf-8")
    assert "49" not in [word.strip() for word in Page(page).words]


def test_a_page_without_optional_parts_still_says_the_decision(
    full_evidence: Evidence, tmp_path: Path
) -> None:
    bare = Evidence(full_evidence.study, full_evidence.decision, full_evidence.points[:1])
    assert "h1" in Page(render(bare, tmp_path)).tags


def test_tables_are_typed_numbers_with_ends_and_units_of_their_own(
    full_evidence: Evidence, tmp_path: Path
) -> None:
    render(full_evidence, tmp_path)
    best, *_ = sorted(full_evidence.points, key=lambda point: -point.auc.value)
    folder = tmp_path / "tables"
    for path in sorted(folder.glob("*.csv")):
        frame = pl.read_parquet(path.with_suffix(".parquet"))
        text = path.read_text(encoding="utf-8")
        assert not re.search("[\u2212\u00a0\u2013]", text), path.name
        written = pl.read_csv(path, schema=frame.schema)
        quoted = [
            pl.col(name).str.strip_prefix("'")
            for name, kind in frame.schema.items()
            if kind == pl.String
        ]
        assert written.with_columns(quoted).equals(frame.with_columns(quoted)), path.name
    frame = pl.read_parquet(folder / "leaderboard.parquet")
    assert frame.height == len(full_evidence.points)
    assert best.gain is not None
    assert best.p99 is not None
    first = frame.row(0, named=True)
    assert first["strategy"] == best.strategy
    assert (first["auc"], first["auc_low"], first["auc_high"]) == astuple(best.auc)
    assert (first["gain"], first["gain_low"], first["gain_high"]) == astuple(best.gain)
    assert first["p99_ms"] == best.p99.value
    today = frame.filter(pl.col("strategy") == full_evidence.decision.today).row(0, named=True)
    assert today["gain"] is today["gain_low"] is None
    cost = pl.read_parquet(folder / "cost.parquet")
    assert set(cost["currency"]) == {"USD"}
    sizes = {p.strategy: p.bundle_bytes for p in full_evidence.points}
    assert dict(zip(cost["strategy"], cost["bytes_in_service"], strict=True)) == sizes


def test_provenance_names_the_source_of_every_figure_and_cell(
    full_evidence: Evidence, tmp_path: Path
) -> None:
    render(full_evidence, tmp_path)
    record = json.loads((tmp_path / "provenance.json").read_text())
    assert record["figures"].keys() == {p.stem for p in (tmp_path / "figures").glob("*.svg")}
    every = {run for point in full_evidence.points for run in point.run_ids}
    assert set(record["figures"]["frontier-wide"]["runs"]) == every
    for name, figure in record["figures"].items():
        assert set(figure["runs"]) <= record["runs"].keys()
        assert bool(figure["runs"]) == (name != "trials-wide"), name
    assert record["tables"].keys() == {p.stem for p in (tmp_path / "tables").glob("*.csv")}
    for name, table in record["tables"].items():
        frame = pl.read_csv(tmp_path / "tables" / f"{name}.csv", infer_schema=False)
        assert list(table["columns"]) == frame.columns
        assert [row["key"] for row in table["rows"]] == frame[frame.columns[0]].to_list()
        for row in table["rows"]:
            assert set(row["runs"]) <= record["runs"].keys()
    best = max(full_evidence.points, key=lambda point: point.auc.value)
    assert record["tables"]["leaderboard"]["rows"][0]["runs"] == list(best.run_ids)


def test_an_interval_that_was_not_measured_is_said_so(
    full_evidence: Evidence, tmp_path: Path
) -> None:
    points = tuple(replace(p, auc=Interval(p.auc.value)) for p in full_evidence.points)
    render(replace(full_evidence, points=points), tmp_path)
    frame = pl.read_csv(tmp_path / "tables" / "leaderboard.csv")
    assert frame["auc_low"].null_count() == frame["auc_high"].null_count() == frame.height
    assert "no interval" in (tmp_path / "index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("role", ["ink", "soft", "accent", "bad"])
def test_text_has_the_contrast_that_aa_asks(theme: str, role: str) -> None:
    for ground in ("paper", "veil"):
        pair = (getattr(PALETTE[role], theme), getattr(PALETTE[ground], theme))
        assert contrast(*pair) >= 4.5


@pytest.mark.needs("pdf")
def test_the_pdf_has_page_one_first_and_its_figure_in_colour(
    full_evidence: Evidence, tmp_path: Path
) -> None:
    bare = {"training": (), "calibration": (), "missing": None, "ablations": ()}
    render(replace(full_evidence, **bare), tmp_path, pdf=True)
    pdf = (tmp_path / "report.pdf").read_bytes()
    assert pdf.startswith(b"%PDF")
    page = _page_of(full_evidence)
    figure = page[page.index("<svg") : page.index("</svg>")]
    assert PALETTE["accent"].light in figure
    assert "var(--" not in figure


@pytest.mark.slow
@pytest.mark.needs("pdf", "pdftotext")
@pytest.mark.parametrize(
    ("language", "first", "last", "beyond"),
    [
        ("en", "Decision report", "Square brackets", "For the reviewer"),
        ("ja", "意思決定レポート", "角括弧", "以下は検証者向け"),
    ],
)
def test_page_one_is_one_sheet_of_a4(
    full_evidence: Evidence, tmp_path: Path, language: str, first: str, last: str, beyond: str
) -> None:
    render(full_evidence, tmp_path, language=language, pdf=True)
    command = ["pdftotext", "-f", "1", "-l", "1", "-raw", str(tmp_path / "report.pdf"), "-"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert first in text
    assert last in text
    assert beyond not in text


def _page_of(evidence: Evidence) -> str:
    drawings = module._frontier(evidence, "en", printed=True)
    return module._page(evidence, "en", drawings, [], printed=True)


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
        ("+cmd", "'+cmd"),
        ("-cmd", "'-cmd"),
        ("@sum", "'@sum"),
        ("\tx", "'\tx"),
        ("\rx", "'\rx"),
        ("-0.5", "'-0.5"),
        ("-1+cmd", "'-1+cmd"),
        ("", ""),
        ("a=b", "a=b"),
    ],
)
def test_no_cell_of_a_csv_begins_a_formula(cell: str, written: str, tmp_path: Path) -> None:
    heads = ("strategy", value_head("AUC", "auc"))
    table = Table("names", "", heads, (Row((cell, TableEntry("−0.7", -0.7))),))
    write_table(table, tmp_path)
    with (tmp_path / "names.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [["strategy", "auc"], [written, "-0.7"]]
    assert pl.read_parquet(tmp_path / "names.parquet").rows() == [(cell, -0.7)]


def test_a_cell_of_another_width_than_its_head_is_refused(tmp_path: Path) -> None:
    table = Table("names", "", (ends_head("AUC", "auc"),), (Row((TableEntry("0.7", 0.7),)),))
    with pytest.raises(ValueError, match="got 1 values, expected 2 of 'AUC'"):
        write_table(table, tmp_path)
