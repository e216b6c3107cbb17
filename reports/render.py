"""From evidence to a folder: one HTML page that needs no network, figures, tables, provenance."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from fusefront.reports import bars
from fusefront.reports.cells import kind_of, sorting_value
from fusefront.reports.evidence import Evidence
from fusefront.reports.exchange import write_json
from fusefront.reports.exports import write_table
from fusefront.reports.figures.frontier import draw_frontier
from fusefront.reports.figures.style import reink
from fusefront.reports.figures.svg import Drawing, standalone
from fusefront.reports.japanese_font import font_faces
from fusefront.reports.page_style import sort_script, style_sheet
from fusefront.reports.pdf import write_pdf
from fusefront.reports.plane import plane
from fusefront.reports.provenance import provenance
from fusefront.reports.sections import Section, exported, sections
from fusefront.reports.tables import Table
from fusefront.reports.words import building, costs, frontier, grade, page
from fusefront.reports.words.alternatives import alternatives
from fusefront.reports.words.changes import changes
from fusefront.reports.words.commands import reproduce
from fusefront.reports.words.decision import headline
from fusefront.reports.words.phrase import Language, Name, Sentence, coded, joined, sentence
from fusefront.reports.words.reasons import why
from fusefront.reports.words.reviewer import methods
from fusefront.reports.words.risks import risks

TEMPLATES = Path(__file__).parent / "templates"


def render(
    evidence: Evidence,
    out: Path,
    *,
    language: Language = "en",
    pdf: bool = False,
    other_page: str = "",
) -> Path:
    """Write index.html, figures/, tables/ and provenance.json under `out`; returns the page's path.

    Equal evidence gives equal bytes. `pdf` adds report.pdf and needs weasyprint. `other_page` is
    the relative path of the page in the other language; "" = there is none.
    """
    out.mkdir(parents=True, exist_ok=True)
    hero = _frontier(evidence, language, printed=pdf)
    shown = sections(evidence, language, printed=pdf)
    drawings = [*hero, *(figure for section in shown for figure in section.figures)]
    written = exported(evidence, shown)
    for drawing in drawings:
        _write_figure(drawing, out / "figures")
    for table in written:
        write_table(table, out / "tables")
    index = out / "index.html"
    index.write_bytes(_page(evidence, language, hero, shown, other_page=other_page).encode())
    evidence.save(out / "evidence.json")
    write_json(
        provenance(evidence, [drawing.name for drawing in drawings], written),
        out / "provenance.json",
    )
    if pdf:
        write_pdf(_page(evidence, language, hero, shown, printed=True), out / "report.pdf")
    return index


def _frontier(evidence: Evidence, language: Language, *, printed: bool = False) -> list[Drawing]:
    chart = plane(evidence)
    title = frontier.finding(evidence, chart, language).text
    described = frontier.description(evidence, chart, language)
    drawings = [
        draw_frontier(
            evidence,
            language,
            name=name,
            title=title,
            description=described,
            narrow=narrow,
            printed=printed and not narrow,
        )
        for name, narrow in (("frontier-wide", False), ("frontier-narrow", True))
    ]
    return [drawing for drawing in drawings if drawing is not None]


def _page(
    evidence: Evidence,
    language: Language,
    hero: list[Drawing],
    shown: list[Section],
    *,
    printed: bool = False,
    other_page: str = "",
) -> str:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    environment.filters["inlined"] = lambda drawing: _inlined(drawing, printed=printed)
    environment.filters["barred"] = lambda table: _barred(table, printed=printed)
    environment.filters["coded"] = coded
    environment.filters["sorting"] = sorting_value
    environment.filters["kind"] = kind_of
    verdict, study = grade.title(evidence, language), evidence.study
    mark = grade.shape(evidence)
    closest = alternatives(evidence, language)
    text = environment.get_template("page.html.jinja").render(
        language=language,
        title=f"{study.name}: {verdict.text}",
        css=Markup(style_sheet()),
        script=Markup("" if printed else sort_script()),
        say=lambda key: page.section(key, language),
        synthetic=study.synthetic,
        other_page=other_page,
        headline=verdict.html,
        supposed=grade.supposition(evidence, language),
        shape=mark,
        grade=None if mark is None else grade.grade_word(mark, language),
        grounds=joined(grade.grounds(evidence, language)),
        sure=joined(grade.sure(evidence, language)),
        why=joined(_why(evidence, language)),
        facts=page.facts(evidence, language),
        frontier=_hero(evidence, language, hero),
        strip_heading=costs.heading(evidence, language).html,
        strip=costs.items(evidence, language),
        alternatives_heading=page.alternatives_heading(evidence, len(closest), language),
        alternatives=closest,
        building=_building(evidence, language),
        risks=risks(evidence, language),
        changes=changes(evidence, language),
        sections=shown,
        reproduce=reproduce(evidence),
        methods=methods(evidence),
        remarks=study.notes,
    )
    return text.replace("<style>", f"<style>{font_faces(text)}", 1)


def _why(evidence: Evidence, language: Language) -> list[Sentence]:
    """The decision in a sentence, unless it is the headline, and its reasons."""
    whole = [] if grade.shape(evidence) is None else [headline(evidence, language)]
    return [*whole, *why(evidence, language)]


def _hero(evidence: Evidence, language: Language, drawings: list[Drawing]) -> dict[str, object]:
    chart = plane(evidence)
    return {
        "drawings": drawings,
        "heading": frontier.finding(evidence, chart, language).html,
        "caption": joined(frontier.caption(evidence, chart, language)),
    }


def _building(evidence: Evidence, language: Language) -> dict[str, object] | None:
    """What to build first, where a strategy was taken apart."""
    ablation = building.main_ablation(evidence.ablations)
    if ablation is None:
        return None
    phrase = building.HEADING_TUNED if building.is_tuned(ablation) else building.HEADING
    heading = sentence(phrase, language, name=Name(ablation.end))
    text = joined(building.build_first(ablation, language))
    return {"heading": heading.html, "text": text}


def _inlined(drawing: Drawing, *, printed: bool) -> Markup:
    """The figure for embedding; PDFs support neither CSS variables in figures nor outlines by paint
    order."""
    return Markup(drawing.print_svg if printed else reink(drawing.svg, "css"))


def _barred(table: Table, *, printed: bool) -> list[Markup]:
    """The bar of each row, "" where it has none."""
    limits = bars.axis([row.bar for row in table.rows if row.bar is not None])
    svgs = [
        str(bars.bar(row.bar, limits, chosen=row.chosen)) if row.bar is not None else ""
        for row in table.rows
    ]
    return [Markup(svg if printed else reink(svg, "css")) for svg in svgs]


def _write_figure(drawing: Drawing, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    (folder / f"{drawing.name}.svg").write_bytes(standalone(drawing.svg).encode())
    (folder / f"{drawing.name}.png").write_bytes(drawing.png)
