"""`fusefront report STUDY --out DIR`: the page, the figures, the tables and where each number is
from."""

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
    pdf: Annotated[bool, typer.Option("--pdf", help="Write report.pdf, too.")] = False,
    slo_ms: Annotated[
        float | None,
        typer.Option(
            "--slo-ms",
            min=1e-6,
            max=1e9,
            help="What if the limit were this? In a folder of its own, not recorded.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write one self-contained page for whoever decides and for whoever checks.

    Comparison and decision are made first where they are missing. The page reads without network
    and without script.
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
