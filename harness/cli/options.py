"""Options that several verbs share."""

import os
from pathlib import Path
from typing import Annotated

import typer

StudyFile = Annotated[
    Path,
    typer.Argument(
        help="The study's YAML file, or the name of one that has been here.",
        show_default=False,
        metavar="STUDY",
    ),
]
StudyName = Annotated[
    str, typer.Argument(help="A study file, a study folder or a study's name.", metavar="STUDY")
]
Out = Annotated[Path, typer.Option(help="Folder of runs, studies and reports.")]
Data = Annotated[
    Path | None,
    typer.Option(help="Folder of the data files (default: the data set spec's folder)."),
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", help="Override a study key: a.b=value.", metavar="A.B=V"),
]
Include = Annotated[
    list[Path] | None,
    typer.Option("--include-path", help="File or folder with parts of your own."),
]
AllowOutside = Annotated[
    bool,
    typer.Option("--allow-outside", help="The spec's paths may lead outside the data folder."),
]
Verify = Annotated[
    bool,
    typer.Option("--verify", help="Compare all of the prepared store first, not once a day only."),
]
Jobs = Annotated[int, typer.Option(min=1, max=64, help="Trainings at a time, one thread each.")]
Json = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would run, run nothing.")]
Limit = Annotated[
    int | None, typer.Option(min=1, help="Only the first N strategies, for a quick try.")
]
Wandb = Annotated[
    bool, typer.Option("--wandb/--no-wandb", help="Mirror each run to an offline wandb run.")
]
Project = Annotated[str, typer.Option(help="Project of the mirror at Weights & Biases.")]
Entity = Annotated[
    str, typer.Option(help="User or team of the mirror there.", show_default="that of the key")
]


def _keep(seconds: float | None) -> float | None:
    """For all locks of this command and of the processes that it starts."""
    if seconds is not None:
        os.environ["FUSEFRONT_LOCK_WAIT_S"] = str(seconds)
    return seconds


Wait = Annotated[
    float | None,
    typer.Option(
        "--wait",
        min=0,
        max=1e9,
        metavar="SECONDS",
        callback=_keep,
        help="Wait no longer for what another command holds (default: without end).",
    ),
]
