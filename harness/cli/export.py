"""`fusefront export RUN`: the serving bundle of a run."""

from pathlib import Path
from typing import Annotated

import typer

from fusefront.harness.cli.options import Include, Json, Out


def export(
    run: Annotated[str, typer.Argument(help="A run's id or folder.", metavar="RUN")],
    to: Annotated[
        Path | None,
        typer.Option(help="Folder to write the bundle to.", show_default="export/ of the run"),
    ] = None,
    rows: Annotated[
        str, typer.Option(help="Number format of the code table: float32, float16 or int8.")
    ] = "float16",
    licence: Annotated[str, typer.Option(help="Licence to name in the model card.")] = "not stated",
    out: Out = Path("out"),
    include_path: Include = None,
    as_json: Json = False,
) -> None:
    """Write a run's bundle: codes, ONNX scorer, vocabularies, card, golden requests, checksums.

    Exit 4 if the exported graph does not score as the run was recorded.
    """
    from fusefront.harness.cli.show import show
    from fusefront.harness.errors import UsageError
    from fusefront.harness.runs.seal import open_test_of_run
    from fusefront.harness.runs.table import find_run
    from fusefront.harness.serving.bundle.opened import read_manifest
    from fusefront.harness.serving.bundle.write import export_run, load_run

    folder = find_run(out, run)
    if folder is None:
        raise UsageError(
            f"got run {run!r}, expected an id or folder of a completed run under {out}"
        )
    loaded = load_run(folder, out, tuple(include_path or ()))
    if "sha256" not in loaded.summary:
        typer.echo(
            f"{folder}: recorded before hashes of weights were kept; they are taken as they lie",
            err=True,
        )
    open_test_of_run(out, folder.name, f"model card of {folder.name}")
    path = export_run(loaded, to or folder / "export", rows=rows, licence=licence)  # type: ignore[arg-type]
    manifest = read_manifest(path)
    size = sum(file["bytes"] for file in manifest["files"].values())
    summary = {
        "bundle": str(path),
        "strategy": manifest["strategy"],
        "bytes": size,
        **manifest["serving"],
    }
    if as_json:
        show(summary)
        return
    typer.echo(
        f"{path}: {summary['strategy']}, {size / 1e6:.1f} MB, {rows} rows of "
        f"{summary['bytes_per_item']:.0f} bytes an item, scores within "
        f"{summary['max_difference']:.1e} of training"
    )
