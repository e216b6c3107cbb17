"""`fusefront run STUDY.yaml` and `fusefront demo`: the main job, from data to report."""

from pathlib import Path
from typing import Annotated

import typer

from fusefront.harness.cli.options import (
    AllowOutside,
    Data,
    DryRun,
    Entity,
    Include,
    Jobs,
    Json,
    Limit,
    Out,
    Project,
    Set,
    StudyFile,
    Verify,
    Wait,
    Wandb,
)


def run(
    study: StudyFile,
    data: Data = None,
    out: Out = Path("out"),
    overrides: Set = None,
    include_path: Include = None,
    allow_outside: AllowOutside = False,
    verify: Verify = False,
    jobs: Jobs = 2,
    limit: Limit = None,
    dry_run: DryRun = False,
    as_json: Json = False,
    wandb: Wandb = True,
    project: Project = "fusefront",
    entity: Entity = "",
    wait: Wait = None,
) -> None:
    """Prepare the data, tune and train every strategy, measure, compare, decide, report.

    Runs that exist are not trained again: after a kill, the same command goes on where it stopped.
    """
    from fusefront.harness.cli.show import console, show_conclusion, show_matrix
    from fusefront.harness.jobs.pipeline import StudyRequest, begin, run_study
    from fusefront.harness.runs.tracking import Account

    request = StudyRequest(
        study,
        out,
        data,
        tuple(overrides or ()),
        tuple(include_path or ()),
        jobs,
        wandb,
        limit,
        allow_outside,
        verify,
        Account(project, entity),
    )
    if dry_run:
        show_matrix(begin(request, console(quiet=as_json))[0], as_json=as_json)
    else:
        show_conclusion(run_study(request, console(quiet=as_json)), as_json=as_json)


def demo(
    out: Out = Path("out"),
    jobs: Jobs = 2,
    quick: Annotated[
        bool, typer.Option(help="Use fewer rows and seeds, to finish sooner.")
    ] = False,
    wandb: Wandb = True,
    project: Project = "fusefront",
    entity: Entity = "",
    wait: Wait = None,
) -> None:
    """Run everything on an embedded synthetic world of known truth: a few minutes, no data
    needed."""
    from fusefront.harness.cli.show import console, show_conclusion
    from fusefront.harness.jobs.demo import demo_file
    from fusefront.harness.jobs.pipeline import StudyRequest, run_study
    from fusefront.harness.runs.tracking import Account

    request = StudyRequest(
        demo_file(quick=quick), out, jobs=jobs, wandb=wandb, account=Account(project, entity)
    )
    show_conclusion(run_study(request, console()), as_json=False)
