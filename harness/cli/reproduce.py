"""`fusefront reproduce RUN`: train a recorded run again and compare."""

from pathlib import Path
from typing import Annotated

import typer

from fusefront.harness.cli.options import Include, Json, Out


def reproduce(
    run: Annotated[str, typer.Argument(help="A run's folder or id.", metavar="RUN")],
    out: Out = Path("out"),
    include_path: Include = None,
    as_json: Json = False,
) -> None:
    """Train a recorded run again from its config, in a temporary folder; exit 4 if its numbers
    differ."""
    from fusefront.harness.cli.show import console, show
    from fusefront.harness.jobs.reproduce import reproduce_run

    result = reproduce_run(run, out, tuple(include_path or ()))
    if as_json:
        show(result)
    else:
        console().print(str(result["sentence"]), markup=False)
