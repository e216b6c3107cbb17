"""`fusefront report STUDY --out DIR`: the page, its figures and tables, and the source of each
number."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from fusefront.harness.cli.options import Json, StudyName


def report(
    study: StudyName,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the report (default: reports/STUDY beside the study's runs)."),
    ] = None,
    store: Annotated[Path, typer.Option(help="Folder of runs, studies and reports.")] = Path("out"),
    lang: Annotated[Literal["en", "ja"], typer.Option(help="Language of page one.")] = "en",
    pdf: Annotated[bool, typer.Option("--pdf", help="Also write report.pdf.")] = False,
    slo_ms: Annotated[
        float | None,
        typer.Option(
            "--slo-ms",
            min=1e-6,
            max=1e9,
            help="Show the decision at another limit (ms); goes to its own folder, not recorded.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write one self-contained page for the decision maker and the reviewer.

    Comparison and decision are made first if they are missing. The page needs no network and no
    script.
    """
    import json
    import sys

    from fusefront.harness.dossier.decide import report_study
    from fusefront.harness.runs.store import find_study

    folder = find_study(study, store)
    target = folder.root / "reports" / folder.name if out is None else out
    page = report_study(folder, target, language=lang, pdf=pdf, slo_ms=slo_ms)
    line = json.dumps({"report": str(page)}) if as_json else f"Report: {page}"
    sys.stdout.write(line + "\n")
