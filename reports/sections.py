"""The reviewer's half in the page's order: each section has a figure or a table, or says what to
run."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from fusefront.reports import (
    building_tables,
    code_tables,
    gap_tables,
    latency_tables,
    record_tables,
    search_tables,
    tables,
)
from fusefront.reports.curves import epochs, trials
from fusefront.reports.evidence import Ablation, Evidence
from fusefront.reports.figures.ablation import draw_ablation
from fusefront.reports.figures.calibration import draw_calibration
from fusefront.reports.figures.crossing import draw_crossing, strongest
from fusefront.reports.figures.load import call_lines, draw_calls, draw_queue, queue_lines
from fusefront.reports.figures.missing import GROUPS, draw_missing
from fusefront.reports.figures.scopes import draw_scopes
from fusefront.reports.figures.svg import Drawing
from fusefront.reports.figures.training import draw_epochs, draw_trials
from fusefront.reports.figures.waterfall import draw_waterfall
from fusefront.reports.figures.widths import draw_widths
from fusefront.reports.tables import Table
from fusefront.reports.words import reviewer
from fusefront.reports.words.building import plan_name
from fusefront.reports.words.phrase import Language


class Section(NamedTuple):
    """One heading of the reviewer's half."""

    key: str
    heading: str
    figures: tuple[Drawing, ...] = ()
    captions: tuple[str, ...] = ()  # one a figure
    table: Table | None = None
    notes: tuple[str, ...] = ()
    absent: str = ""
    code: str = ""  # to copy


class Draw(Protocol):
    """A figure of the evidence."""

    def __call__(
        self,
        evidence: Evidence,
        language: Language,
        *,
        name: str,
        title: str,
        description: str,
        printed: bool,
    ) -> Drawing: ...


class Brush(NamedTuple):
    """The settings with which figures are drawn."""

    language: Language
    printed: bool


def sections(evidence: Evidence, language: Language, *, printed: bool = False) -> list[Section]:
    """All of them; what was not measured says so."""
    brush = Brush(language, printed)
    return [
        _table(evidence, tables.leaderboard(evidence), reviewer.leaderboard(evidence)),
        *_front(evidence),
        *_fusing(evidence),
        _table(evidence, tables.cost(evidence)),
        *_latency(evidence, brush),
        *_backends(evidence),
        _table(evidence, tables.metrics(evidence)),
        _ablation(evidence, brush),
        *_building(evidence, brush),
        *_crossing(evidence, brush),
        _calibration(evidence, brush),
        _epochs(evidence, brush),
        _trials(evidence, brush),
        *_searches(evidence),
        *_explained(evidence),
        _missing(evidence, brush),
        *_codes(evidence, brush),
        _table(evidence, tables.slices(evidence)),
        *([_table(evidence, gap_tables.gaps(evidence))] if evidence.gaps else []),
        _what_if(evidence),
        _table(evidence, record_tables.audit(evidence)),
        _table(evidence, record_tables.environment(evidence)),
        _table(evidence, record_tables.runs(evidence)),
    ]


def exported(evidence: Evidence, shown: list[Section]) -> list[Table]:
    """Tables that are written as files: those of the page, and the whole what-if grid."""
    whole = record_tables.what_if_full(evidence)
    own_tables = [section.table for section in shown if section.table is not None]
    return [table for table in (*own_tables, whole) if table.rows]


def _table(evidence: Evidence, table: Table, note: str = "") -> Section:
    notes = tuple(text for text in (note, table.note) if text)
    if table.rows:
        return Section(table.name, table.title, table=table, notes=notes)
    missing = reviewer.absent(table.name, evidence) if table.name in reviewer.ABSENT else ""
    return Section(table.name, table.title, absent=missing)


def _front(evidence: Evidence) -> list[Section]:
    """The section on the frontier; () if nothing was timed."""
    return [_table(evidence, tables.front(evidence))] if evidence.front else []


def _latency(evidence: Evidence, brush: Brush) -> list[Section]:
    """How far the session holds, both scopes, queues and calls: what of it was measured.

    Drawn where there is a line to draw: two strategies in both scopes, two loads, two sizes.
    """
    parts: tuple[tuple[Table, Draw | None], ...] = (
        (latency_tables.session(evidence), None),
        (latency_tables.scopes(evidence), draw_scopes if len(evidence.scopes) > 1 else None),
        (latency_tables.arriving(evidence), draw_queue if queue_lines(evidence) else None),
        (latency_tables.at_once(evidence), draw_calls if call_lines(evidence) else None),
    )
    return [_drawn(evidence, part, draw, brush) for part, draw in parts if part.rows]


def _drawn(evidence: Evidence, table: Table, draw: Draw | None, brush: Brush) -> Section:
    """A figure above its table; what the table's note says is the figure's caption, too."""
    if draw is None:
        return _table(evidence, table)
    figure = _figure(evidence, table.name, brush, draw, table.note)
    return figure._replace(table=table)


def _backends(evidence: Evidence) -> tuple[Section, ...]:
    """The section on backends; () if only the shipped backend was timed."""
    return (_table(evidence, tables.backends(evidence)),) if evidence.backends else ()


def _absent(evidence: Evidence, key: str) -> Section:
    return Section(key, reviewer.HEADING[key], absent=reviewer.absent(key, evidence))


def _figure(evidence: Evidence, key: str, brush: Brush, draw: Draw, caption: str) -> Section:
    heading = reviewer.HEADING[key]
    drawing = draw(
        evidence,
        brush.language,
        name=f"{key}-wide",
        title=heading,
        description=reviewer.alt_text(evidence, key),
        printed=brush.printed,
    )
    return Section(key, heading, (drawing,), (caption,))


def _ablation(evidence: Evidence, brush: Brush) -> Section:
    if not evidence.ablations:
        return _absent(evidence, "ablation")
    heading = reviewer.HEADING["ablation"]
    drawings = tuple(
        draw_ablation(
            evidence,
            ablation,
            brush.language,
            name=f"ablation-{at}",
            title=f"{heading}: {ablation.end}",
            description=reviewer.alt_text(evidence, "ablation"),
            printed=brush.printed,
        )
        for at, ablation in enumerate(evidence.ablations, 1)
    )
    captions = _of_plans(evidence, evidence.ablations, reviewer.ablation)
    return Section("ablation", heading, drawings, captions, tables.ablation(evidence))


def _building(evidence: Evidence, brush: Brush) -> list[Section]:
    """From the plainest model to the whole; nothing where no ablation followed a path."""
    paths = [each for each in evidence.ablations if each.path]
    captions = _of_plans(evidence, paths, reviewer.building)
    table = building_tables.building
    return _a_drawing_each(evidence, brush, "building", paths, draw_waterfall, captions, table)


def _crossing(evidence: Evidence, brush: Brush) -> list[Section]:
    """Interactions of parts; nothing where no factorial plan ran."""
    crossed = [each for each in evidence.ablations if strongest(each)]
    captions = _of_plans(evidence, crossed, reviewer.crossing)
    table = building_tables.crossing
    return _a_drawing_each(evidence, brush, "crossing", crossed, draw_crossing, captions, table)


def _of_plans(
    evidence: Evidence, ablations: Sequence[Ablation], words: Callable[[Ablation], str]
) -> tuple[str, ...]:
    """A caption of each; where the study has several ablations each names its plan."""
    if len(evidence.ablations) < 2:
        return tuple(words(each) for each in ablations)
    return tuple(f"Plan {plan_name(each)}. {words(each)}" for each in ablations)


def _a_drawing_each(
    evidence: Evidence,
    brush: Brush,
    key: str,
    ablations: Sequence[Ablation],
    draw: Callable[..., Drawing],
    captions: tuple[str, ...],
    table: Callable[[Evidence], Table],
) -> list[Section]:
    """One section with a drawing and a caption of each ablation; none without ablations."""
    if not ablations:
        return []
    heading = reviewer.HEADING[key]
    drawings = tuple(
        draw(
            evidence,
            ablation,
            brush.language,
            name=f"{key}-{at}",
            title=f"{heading}: {ablation.end}",
            description=reviewer.alt_text(evidence, key),
            printed=brush.printed,
        )
        for at, ablation in enumerate(ablations, 1)
    )
    return [Section(key, heading, drawings, captions, table(evidence))]


def _calibration(evidence: Evidence, brush: Brush) -> Section:
    if not evidence.calibration:
        return _absent(evidence, "calibration")
    caption = reviewer.calibration(evidence)
    return _figure(evidence, "calibration", brush, draw_calibration, caption)


def _epochs(evidence: Evidence, brush: Brush) -> Section:
    if not epochs(evidence):
        return _absent(evidence, "epochs")
    return _figure(evidence, "epochs", brush, draw_epochs, reviewer.training(evidence))


def _trials(evidence: Evidence, brush: Brush) -> Section:
    if not trials(evidence):
        return _absent(evidence, "trials")
    return _figure(evidence, "trials", brush, draw_trials, reviewer.convergence(evidence))


def _fusing(evidence: Evidence) -> tuple[Section, ...]:
    """The section on ways of fusing; () if nothing is known of the searches."""
    if evidence.searched is None or not evidence.searched.sentences:
        return ()
    table = search_tables.fusing(evidence)
    shown = table if table.rows else None
    return (Section("fusing", table.title, table=shown, notes=evidence.searched.sentences),)


def _searches(evidence: Evidence) -> list[Section]:
    """What was spent, which parameters mattered, and the winners to copy."""
    if evidence.searched is None or not evidence.searched.searches:
        return []
    spent, weights = search_tables.spent(evidence), search_tables.importance(evidence)
    sections = [Section(spent.name, spent.title, table=spent, notes=(spent.note,))]
    if weights.rows:
        sections.append(Section(weights.name, weights.title, table=weights, notes=(weights.note,)))
    heading = reviewer.HEADING["winners"]
    return [*sections, Section("winners", heading, code=search_tables.winners(evidence))]


def _explained(evidence: Evidence) -> list[Section]:
    """What each modality adds, whether it is used and how it is weighed, in words and tables;
    nothing where it was not asked."""
    shown = []
    if evidence.worths:
        section = _table(evidence, gap_tables.worths(evidence))
        shown.append(section._replace(notes=(*evidence.explained, *section.notes)))
    if evidence.controlled:
        shown.append(_table(evidence, gap_tables.controls(evidence)))
    if evidence.weighed:
        shown.append(_table(evidence, gap_tables.weights(evidence)))
    if (retrained := building_tables.retrained(evidence)).rows:
        shown.append(_table(evidence, retrained))
    return shown


def _missing(evidence: Evidence, brush: Brush) -> Section:
    if evidence.missing is None or not evidence.missing.curves:
        return _absent(evidence, "missing")
    measured = {curve.kind for curve in evidence.missing.curves}
    heading = reviewer.HEADING["missing"]
    drawings, captions = [], []
    for name, kinds in GROUPS.items():
        if not measured & set(kinds):
            continue
        drawings.append(
            draw_missing(
                evidence,
                brush.language,
                name=f"missing-{name}",
                title=f"{heading}: {reviewer.DISTURBED[kinds[0]]}",
                description=reviewer.alt_text(evidence, "missing"),
                printed=brush.printed,
                kinds=kinds,
            )
        )
        captions.append(reviewer.missing(evidence, kinds))
    table = gap_tables.disturbed(evidence)
    notes = (table.note,) if table.rows else ()
    return Section(
        "missing", heading, tuple(drawings), tuple(captions), table if table.rows else None, notes
    )


def _codes(evidence: Evidence, brush: Brush) -> list[Section]:
    """The section on item codes; () if no strategy compresses."""
    sections = [_table(evidence, code_tables.codes(evidence))] if evidence.codes else []
    if evidence.widths:
        figure = _figure(evidence, "widths", brush, draw_widths, reviewer.widths(evidence))
        sections.append(figure._replace(table=code_tables.widths(evidence)))
    return sections


def _what_if(evidence: Evidence) -> Section:
    table = record_tables.what_if(evidence)
    heading = reviewer.HEADING["what_if"]
    if evidence.what_if is None or not table.rows:
        assumptions = evidence.what_if.assumptions if evidence.what_if else ()
        return Section(
            "what_if", heading, notes=assumptions, absent=reviewer.absent("what_if", evidence)
        )
    notes = (reviewer.what_if(evidence), table.note, *evidence.what_if.assumptions)
    return Section("what_if", heading, table=table, notes=notes)
