"""`fusefront ablate STUDY.yaml --of STRATEGY`: which part earns its place."""

from pathlib import Path
from typing import Annotated

import typer

from fusefront.harness.cli.options import Data, Include, Jobs, Json, Out, Set, StudyFile, Wandb


def ablate(
    study: StudyFile,
    of: Annotated[str, typer.Option("--of", help="The strategy to take apart.")],
    data: Data = None,
    out: Out = Path("out"),
    overrides: Set = None,
    include_path: Include = None,
    jobs: Jobs = 2,
    as_json: Json = False,
    wandb: Wandb = True,
) -> None:
    """Train a strategy without each modality and without each component; what the study has run is reused.

    The deltas, with intervals, are printed and go into the study's report.
    """
    from fusefront.harness.ablation.run import ablate_study
    from fusefront.harness.cli.show import console, show, show_deltas
    from fusefront.harness.jobs.pipeline import Request

    asked = Request(
        study, out, data, tuple(overrides or ()), tuple(include_path or ()), jobs, wandb
    )
    rows = ablate_study(asked, of, console(quiet=as_json))
    show(rows) if as_json else show_deltas(of, rows)
