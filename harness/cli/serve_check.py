"""`fusefront serve-check BUNDLE`: replay the golden requests; needs no torch."""

from pathlib import Path
from typing import Annotated

import typer

from fusefront.harness.cli.options import Json


def serve_check(
    bundle: Annotated[Path, typer.Argument(help="Folder that `export` wrote.", metavar="BUNDLE")],
    as_json: Json = False,
) -> None:
    """Verify a bundle's checksums, score its golden requests and compare with the recorded scores.

    Exit 3 if a file is damaged, 4 if the scores differ.
    """
    import json

    from fusefront.datasets.errors import DataContractError
    from fusefront.harness.errors import GateError
    from fusefront.harness.serving.bundle.golden import replay_rows
    from fusefront.harness.serving.bundle.opened import BundleError, replay

    try:
        result = replay(bundle)
        rows = replay_rows(bundle)
    except BundleError as error:
        raise DataContractError(str(error)) from None
    result["raw_rows"] = None if rows is None else rows._asdict()
    if as_json:
        typer.echo(json.dumps(result, indent=1))
    else:
        typer.echo(
            f"{bundle}: {result['requests']} golden requests, {result['predictions']:,} "
            f"predictions, largest difference {result['max_difference']:.1e}"
            + ("" if rows is None else f"; {rows.rows} raw rows, {rows.max_difference:.1e}")
        )
    if not result["passed"]:
        raise GateError(
            f"{bundle}: probabilities differ by {result['max_difference']:.1e} from the export"
            f" (at most {result['tolerance']:.0e}); do not serve it on this machine"
        )
    if rows is not None and not rows.passed:
        raise GateError(
            f"{bundle}: {rows.rows} raw rows do not score as at the export (a probability "
            f"differs by {rows.max_difference:.1e}): vocabularies, kinds, scalings or keys were "
            "changed; copy the bundle again"
        )
