"""`fusefront tune STUDY.yaml --trials N`: the search alone, winners frozen, test unopened."""

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


def tune(
    study: StudyFile,
    trials: Annotated[
        int | None,
        typer.Option(min=1, help="Number of trials of each strategy (default: the study's)."),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(
            min=0.001,
            help="Most seconds for all trials of a strategy together (default: the study's).",
        ),
    ] = None,
    export: Annotated[
        Path | None,
        typer.Option(
            help="Also write the trials for Optuna: a database if FILE ends in .db, else a journal."
        ),
    ] = None,
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
    """Search the hyper-parameters of every strategy, with the same number of trials and seconds.

    A trial is one training. The best AUC on validation wins, and `run` trains the winners with the
    study's seeds. The key `tuning` of the study says what is searched, and how (sampler, halving,
    budget_macs, slo_ms, timed). After a kill the same command goes on; several at once share the
    work. With --dry-run, --export writes the recorded trials. The first Ctrl-C ends after the
    running trials, the second at once. Exit 4 if a strategy got a smaller search than another and
    `tuning.accept` gives no reason.
    """
    from fusefront.harness.cli.show import console, show_matrix, show_winners
    from fusefront.harness.errors import FusefrontError, GateError
    from fusefront.harness.jobs.pipeline import StudyRequest, begin, tune_study
    from fusefront.harness.runs.tracking import Account
    from fusefront.harness.tuning.optuna_export import export_trials

    extra = [f"tuning.trials={trials}"] if trials is not None else []
    extra += [f"tuning.seconds={seconds}"] if seconds is not None else []
    request = StudyRequest(
        study,
        out,
        data,
        (*(overrides or ()), *extra),
        tuple(include_path or ()),
        jobs,
        wandb,
        limit,
        allow_outside,
        verify,
        Account(project, entity),
    )
    if dry_run:
        plan, workspace = begin(request, console(quiet=as_json))
        if export is not None:
            export_trials(plan.searches(workspace.folder), plan.study.name, workspace.root, export)
        show_matrix(plan, as_json=as_json)
        return
    searched = tune_study(request, console(quiet=as_json), export)
    show_winners(list(searched.winners.values()), searched.spent, as_json=as_json)
    if searched.left_out:
        names, first = ", ".join(searched.left_out), next(iter(searched.left_out.values()))
        raise FusefrontError(f"left out for a damaged search: {names}; first reason: {first}")
    if searched.without:
        raise FusefrontError("; ".join(searched.without))
    if searched.unequal:
        raise GateError(searched.unequal)
