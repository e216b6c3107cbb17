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
            help="Rows to score: column item, optionally history (list of items, newest last), and"
            " the data set's context columns.",
            metavar="FILE.parquet",
        ),
    ],
    to: Annotated[
        Path | None,
        typer.Option(help="Parquet file of the scores.", show_default="FILE.scores.parquet"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Score a parquet file of any length; rows keep their order."""
    import json

    from fusefront.datasets.errors import DataContractError
    from fusefront.harness.serving.bundle.opened import BundleError
    from fusefront.harness.serving.bundle.predict import write_scores

    target = to or file.with_suffix(".scores.parquet")
    try:
        told = write_scores(bundle, file, target)
    except BundleError as error:
        raise DataContractError(str(error)) from None
    typer.echo(json.dumps(told) if as_json else f"{told['rows']:,} rows scored: {target}")
