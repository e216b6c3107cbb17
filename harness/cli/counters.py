"""`fusefront counters BUNDLE LOG...`: the batch job that keeps counters up to date; needs no
torch."""

from pathlib import Path
from typing import Annotated

import typer

from fusefront.harness.cli.options import Json


def counters(
    bundle: Annotated[Path, typer.Argument(help="Folder that `export` wrote.", metavar="BUNDLE")],
    logs: Annotated[
        list[Path],
        typer.Argument(
            help="Log files with the columns of the data set's log, oldest first.", metavar="LOG..."
        ),
    ],
    to: Annotated[
        Path, typer.Option(help="The counter store: a new folder, or an existing one to update.")
    ],
    as_json: Json = False,
) -> None:
    """Count log files into a counter store, where `predict --counters` looks numbers up.

    Files counted before are not read again; the result is that of counting all files at once.
    """
    from fusefront.datasets.errors import DataContractError
    from fusefront.harness.cli.show import show
    from fusefront.harness.serving.bundle.counters import count_logs
    from fusefront.harness.serving.bundle.opened import BundleError, read_manifest

    try:
        read_manifest(bundle)
    except BundleError as error:
        raise DataContractError(str(error)) from None
    counted = count_logs(bundle, logs, to)
    if as_json:
        show({"store": str(to), **counted._asdict()})
        return
    for log in counted.before:
        typer.echo(f"{log}: counted before, passed over")
    typer.echo(
        f"{counted.rows:,} rows counted, {counted.all_rows:,} in all, up to time {counted.until}; "
        f"{counted.keys:,} sums: {to}"
    )
