"""`fusefront explain STUDY`: what each modality adds to the AUC of a trained strategy."""

from pathlib import Path
from typing import Annotated

import typer

from fusefront.harness.cli.options import Include, Json, Out, StudyName


def explain(
    study: StudyName,
    strategy: Annotated[
        list[str] | None,
        typer.Option(
            "--strategy",
            help="Strategy to explain beside what runs today (default: the decision's choice).",
        ),
    ] = None,
    include_path: Include = None,
    out: Out = Path("out"),
    as_json: Json = False,
) -> None:
    """Show what each modality adds to the AUC of a trained model, over all subsets of modalities.

    Nothing is trained. Writes explanation.json into the study's folder: Shapley values, overall and
    by slice, with intervals over test rows and seeds; they sum to the AUC with all modalities minus
    that with none. Controls show whether each modality is used: removed, with vectors of other
    items, with random vectors of the same spectrum.
    """
    from fusefront.harness.cli.show import console, show, show_explanation
    from fusefront.harness.dossier.record_types import ExplanationRecord
    from fusefront.harness.robustness.explain import FILE, ExplainOptions, explain
    from fusefront.harness.runs.records import read_record
    from fusefront.harness.runs.store import find_study

    options = ExplainOptions(tuple(strategy or ()), tuple(include_path or ()))
    folder = find_study(study, out)
    explain(folder, options, console(quiet=as_json).print)
    record = read_record(folder.path / FILE, ExplanationRecord)
    show(record) if as_json else show_explanation(record)
