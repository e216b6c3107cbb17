"""`fusefront predict BUNDLE FILE.parquet`: scores in a stream; needs no torch."""

from pathlib import Path
from typing import Annotated

import typer

from fusefront.harness.cli.options import Json


def predict(
    bundle: Annotated[Path, typer.Argument(help="Folder that `export` wrote.", metavar="BUNDLE")],
    file: Annotated[
        Path,
        typer.Argument(
            help="Rows to score, parquet or csv: column item, optionally history (list of items,"
            " newest last), and the data set's context columns; or the columns of its log.",
            metavar="FILE",
        ),
    ],
    to: Annotated[
        Path | None,
        typer.Option(help="Parquet file of the scores.", show_default="FILE.scores.parquet"),
    ] = None,
    counters: Annotated[
        Path | None,
        typer.Option(
            help="Counter store that `counters` wrote: gives the numbers that FILE lacks."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Score a file of any length; rows keep their order."""
    import json

    from fusefront.datasets.errors import DataContractError
    from fusefront.harness.serving.bundle.counters import look_up
    from fusefront.harness.serving.bundle.opened import BundleError, read_manifest
    from fusefront.harness.serving.bundle.predict import write_scores

    target = to or file.with_suffix(".scores.parquet")
    try:
        counting = None
        if counters is not None:
            read_manifest(bundle)
            counting = look_up(bundle, counters)
        summary = write_scores(bundle, file, target, counting)
    except BundleError as error:
        raise DataContractError(str(error)) from None
    if as_json:
        losses = {key: loss.model_dump() for key, loss in summary["losses"].items()}
        typer.echo(json.dumps({**summary, "losses": losses}))
        return
    for loss in summary["losses"].values():
        typer.echo(loss.sentence())
    typer.echo(f"{summary['rows']:,} rows scored: {target}")
