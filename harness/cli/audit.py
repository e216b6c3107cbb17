"""`fusefront audit SPEC.yaml`: leaks, shortcuts and broken content of a data set."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fusefront.harness.cli.options import AllowOutside, Data, Include, Json, Out

if TYPE_CHECKING:
    from fusefront.datasets.audit.finding import AuditReport

_STYLES = {"severe": "bold red", "warning": "yellow", "note": "dim"}


def audit(
    spec: Annotated[
        Path,
        typer.Argument(
            help="The data set's YAML file.", show_default=False, metavar="DATASET.yaml"
        ),
    ],
    data: Data = None,
    out: Out = Path("out"),
    include_path: Include = None,
    allow_outside: AllowOutside = False,
    as_json: Json = False,
) -> None:
    """Check a data set before anything is trained on it; it is prepared first if need be.

    Findings are ranked. Severe ones stop a study and end this command with exit code 3, unless the
    data set's YAML lists them under `accept`.
    """
    import json
    import sys

    from rich.console import Console

    from fusefront.datasets.audit.report import audit as look
    from fusefront.datasets.audit.report import refuse_severe
    from fusefront.datasets.integrity import check_store
    from fusefront.harness.jobs.data_source import describe, prepared

    of = describe(spec, data, tuple(include_path or ()), outside=allow_outside)
    tell = Console(stderr=True, quiet=as_json, soft_wrap=True)
    store = prepared(of, out, lambda line: tell.print(line, markup=False, highlight=False))
    check_store(store)
    report = look(store)
    if as_json:
        text = json.dumps(report.to_json(of.spec.accept), indent=1, ensure_ascii=False)
        sys.stdout.write(text + "\n")
    else:
        _show(report, of.spec.accept)
    refuse_severe(report, of.spec.accept)


def _show(report: "AuditReport", accept: tuple[str, ...]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    table = Table("severity", "finding", "what was found", box=None, pad_edge=False)
    table.columns[0].no_wrap = True
    table.columns[1].overflow = "fold"
    for finding in report.findings:
        style = _STYLES[finding.severity]
        known = " (accepted)" if finding.severity == "severe" and finding.name in accept else ""
        table.add_row(
            f"[{style}]{finding.severity}{known}[/]",
            escape(finding.name),
            f"{escape(finding.title)} [dim]{escape(finding.detail)}[/]",
        )
    console.print(table)
    if report.passed:
        console.print(f"Nothing found by: {', '.join(report.passed)}.", markup=False)
    if report.not_run:
        why = "the data set lacks the times or histories they need"
        console.print(f"Could not run, {why}: {', '.join(report.not_run)}.", markup=False)
    if report.sampled_users < 1:
        console.print(
            f"Users, siblings and histories were looked at for {report.sampled_users:.2%} of the "
            "users.",
            markup=False,
        )
