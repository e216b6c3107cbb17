"""`fusefront ablate STUDY.yaml --of STRATEGY`: which part earns its place."""

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
    Out,
    Project,
    Set,
    StudyFile,
    Verify,
    Wait,
    Wandb,
)


def ablate(
    study: StudyFile,
    of: Annotated[str, typer.Option("--of", help="The strategy whose parts are left out in turn.")],
    plan: Annotated[
        str,
        typer.Option(
            help="minimal: each modality and component out; full: also one modality alone, other"
            " parts, code widths; factorial: parts crossed; modalities: every subset of them; or a"
            " YAML file of factors and levels.",
            metavar="minimal|full|factorial|modalities|FILE.yaml",
        ),
    ] = "minimal",
    path: Annotated[
        bool | None,
        typer.Option(
            "--path/--no-path",
            help="Also train a path from the plainest model to the whole, one part a step"
            " (default: yes, but with --retune no: it searches every step).",
        ),
    ] = None,
    greedy: Annotated[
        bool,
        typer.Option(
            "--greedy", help="Each step of the path adds the part that adds most to those before."
        ),
    ] = False,
    retune: Annotated[
        bool,
        typer.Option("--retune", help="Search again without each part, with the study's budget."),
    ] = False,
    bench: Annotated[
        bool,
        typer.Option("--bench", help="Also time the whole strategy and each one without a part."),
    ] = False,
    data: Data = None,
    out: Out = Path("out"),
    overrides: Set = None,
    include_path: Include = None,
    allow_outside: AllowOutside = False,
    verify: Verify = False,
    jobs: Jobs = 2,
    as_json: Json = False,
    wandb: Wandb = True,
    project: Project = "fusefront",
    entity: Entity = "",
    wait: Wait = None,
    dry_run: DryRun = False,
) -> None:
    """Train a strategy without each modality and each component, and show what each part is worth.

    Runs that exist are used again. The differences, with intervals, are printed and go into the
    study's report. --dry-run prints what would be trained, how long that takes and the smallest
    difference that it could detect. Exit 2 if the study has no such strategy or the plan is not
    valid.
    """
    from fusefront.harness.ablation.path import NO_PATH
    from fusefront.harness.ablation.planned import plan_ablation
    from fusefront.harness.ablation.routes import path_runs
    from fusefront.harness.ablation.run import AblationOptions, ablate_study
    from fusefront.harness.cli.show import console, show, show_deltas, show_removals
    from fusefront.harness.errors import UsageError
    from fusefront.harness.jobs.pipeline import StudyRequest
    from fusefront.harness.runs.tracking import Account

    if greedy and path is False:
        raise UsageError("--greedy orders the path's parts, and --no-path has no path; give one")
    request = StudyRequest(
        study,
        out,
        data,
        tuple(overrides or ()),
        tuple(include_path or ()),
        jobs,
        wandb,
        allow_outside=allow_outside,
        verify=verify,
        account=Account(project, entity),
    )
    options = AblationOptions(plan, path, greedy, retune, bench)
    if dry_run:
        planned = plan_ablation(request, of, console(quiet=as_json), plan, retuned=retune)
        crossed = planned.designed.crossed
        runs = path_runs(planned, greedy=greedy) if options.has_path(crossed=crossed) else NO_PATH
        show_removals(planned.matrix(), planned.forecast(of, runs), as_json=as_json)
        return
    record = ablate_study(request, of, console(quiet=as_json), options)
    show(record) if as_json else show_deltas(record)
