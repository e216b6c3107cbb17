"""Options that several verbs share."""

import os
from pathlib import Path
from typing import Annotated

import typer

StudyFile = Annotated[
    Path,
    typer.Argument(
        help="The study's YAML file, or the name of a study that was run before.",
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
    typer.Option(
        "--set", help="Override a key of the study: a.b=value; may be repeated.", metavar="A.B=V"
    ),
]
Include = Annotated[
    list[Path] | None,
    typer.Option("--include-path", help="File or folder with your own parts; may be repeated."),
]
AllowOutside = Annotated[
    bool,
    typer.Option("--allow-outside", help="Let the spec's paths point outside the data folder."),
]
Verify = Annotated[
    bool,
    typer.Option(
        "--verify", help="Check the hashes of the whole prepared store now, not only once a day."
    ),
]
Jobs = Annotated[
    int,
    typer.Option(
        min=0,
        max=64,
        help="How many trainings run at a time, one thread each; 0: as many as a short measurement "
        "finds faster and the memory holds.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would run, and run nothing.")]
Limit = Annotated[
    int | None, typer.Option(min=1, help="Use only the first N strategies, for a quick try.")
]
Wandb = Annotated[
    bool,
    typer.Option("--wandb/--no-wandb", help="Mirror each run to an offline Weights & Biases run."),
]
Project = Annotated[str, typer.Option(help="Project of the mirror at Weights & Biases.")]
Entity = Annotated[
    str, typer.Option(help="User or team of the mirror there.", show_default="that of the key")
]


def _keep(seconds: float | None) -> float | None:
    """Apply the limit to all locks of this command and of the processes that it starts."""
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
        help="Most seconds to wait for a lock of another command (default: no limit).",
    ),
]
