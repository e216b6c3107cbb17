"""From evidence to a folder: one HTML page that needs no network, figures, tables, provenance."""

from pathlib import Path

import polars as pl
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from fusefront.reports import numbers, tables
from fusefront.reports.evidence import Evidence
from fusefront.reports.exchange import Json, write_json
from fusefront.reports.figures.frontier import draw_frontier
from fusefront.reports.figures.plane import plane
from fusefront.reports.figures.style import reink
from fusefront.reports.figures.svg import Drawing, standalone
from fusefront.reports.sheet import style_sheet
from fusefront.reports.words import costs, frontier, page, reasons
from fusefront.reports.words.decision import headline
from fusefront.reports.words.phrase import Language, joined

TEMPLATES = Path(__file__).parent / "templates"
METHODS = (
    "Differences are paired: every strategy scores the same test rows, trained from the same seeds. "
    "Brackets are 95% intervals over test rows (clustered) and training seeds together.",
    "Equivalent means that the whole 90% interval of the difference lies within the margin. "
    "Cannot tell means that the data allow a gain and a loss.",
    "Latency is that of one request on the exported model, one thread, item codes looked up; its "
    "interval speaks of this machine during this session only.",
)


def render(evidence: Evidence, out: Path, *, language: Language = "en", pdf: bool = False) -> Path:
    """Write index.html, figures/, tables/ and provenance.json under `out`; the page's path.

    Equal evidence gives equal bytes. `pdf` adds report.pdf and needs weasyprint.
    """
    out.mkdir(parents=True, exist_ok=True)
    drawings = _frontier(evidence, language)
    shown = tables.all_tables(evidence)
    for drawing in drawings:
        _write_figure(drawing, out / "figures")
    for table in shown:
        _write_table(table, out / "tables")
    index = out / "index.html"
    text = _page(evidence, language, drawings, shown)
    _replace(index, text.encode())
    evidence.save(out / "evidence.json")
    write_json(_provenance(evidence, drawings, shown), out / "provenance.json")
    if pdf:
        printed = _page(evidence, language, drawings, shown, printed=True)
        _write_pdf(printed, out / "report.pdf")
    return index


def _frontier(evidence: Evidence, language: Language) -> list[Drawing]:
    one = plane(evidence)
    title = frontier.finding(evidence, one, language).text
    described = frontier.description(evidence, one, language)
    made = [
        draw_frontier(
            evidence, language, name=name, title=title, description=described, narrow=narrow
        )
        for name, narrow in (("frontier-wide", False), ("frontier-narrow", True))
    ]
    return [drawing for drawing in made if drawing is not None]


def _page(
    evidence: Evidence,
    language: Language,
    drawings: list[Drawing],
    shown: list[tables.Table],
    *,
    printed: bool = False,
) -> str:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    said, study = headline(evidence, language), evidence.study
    return environment.get_template("page.html.jinja").render(
        language=language,
        title=f"{study.name}: {said.text}",
        css=Markup(style_sheet()),
        facts_line=(
            f"{study.name} · {study.dataset} · {numbers.count(study.rows_test)} test rows · "
            f"{study.seeds} seeds · {study.runs} runs"
        ),
        headline=said.html,
        why=joined(reasons.why(evidence, language)),
        frontier=_figure(evidence, language, drawings, printed=printed),
        strip_heading=costs.heading(evidence, language).html,
        strip=costs.items(evidence, language),
        lists=_lists(evidence, language),
        reviewer=page.section("reviewer", language),
        tables=shown,
        reproduce=f"fusefront run {study.name}.yaml\nfusefront report {study.name}",
        methods=(*METHODS, *study.notes),
    )


def _figure(
    evidence: Evidence, language: Language, drawings: list[Drawing], *, printed: bool
) -> dict[str, Markup] | None:
    if not drawings:
        return None
    one = plane(evidence)
    # a PDF knows no CSS variables in its figures, and no outlines by paint order
    svgs = [d.print_svg if printed else reink(d.svg, "css") for d in drawings]
    wide, narrow = (Markup(svg) for svg in svgs)
    return {
        "wide": wide,
        "narrow": narrow,
        "heading": frontier.finding(evidence, one, language).html,
        "caption": joined(frontier.caption(evidence, one, language)),
    }


def _lists(evidence: Evidence, language: Language) -> list[dict[str, object]]:
    made = (
        ("alternatives", page.alternatives(evidence, language)),
        ("risks", page.risks(evidence, language)),
        ("changes", page.changes(evidence, language)),
    )
    return [
        {"key": key, "heading": page.section(key, language), "lines": lines}
        for key, lines in made
        if lines
    ]


def _write_figure(drawing: Drawing, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    _replace(folder / f"{drawing.name}.svg", standalone(drawing.svg).encode())
    _replace(folder / f"{drawing.name}.png", drawing.png)


def _write_table(table: tables.Table, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    columns = {
        head: [row.cells[place] for row in table.rows] for place, head in enumerate(table.heads)
    }
    frame = pl.DataFrame(columns)
    frame.write_csv(folder / f"{table.name}.csv")
    frame.write_parquet(folder / f"{table.name}.parquet")


def _provenance(evidence: Evidence, drawings: list[Drawing], shown: list[tables.Table]) -> Json:
    runs: Json = {point.strategy: list(point.run_ids) for point in evidence.points}
    return {
        "format": 1,
        "figures": {drawing.name: runs for drawing in drawings},
        "tables": {table.name: runs for table in shown},
        "runs": {origin.run_id: origin.sha256 for origin in evidence.origins},
        "files": evidence.hashes,
    }


def _write_pdf(text: str, path: Path) -> None:
    try:
        from weasyprint import HTML
    except ImportError as error:
        raise RuntimeError(
            "a PDF needs weasyprint, which is not installed; pip install 'fusefront[pdf]'"
        ) from error
    HTML(string=text).write_pdf(path)


def _replace(path: Path, content: bytes) -> None:
    beside = path.with_name(f".{path.name}.tmp")
    beside.write_bytes(content)
    beside.replace(path)
