"""`fusefront predict BUNDLE FILE.parquet`: scores a file as a stream; needs no torch."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fusefront.harness.cli.options import Include, Json, Out

if TYPE_CHECKING:
    from fusefront.datasets.row_encoder import NumberSource


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
        typer.Option(
            help="Parquet file to write the scores to.", show_default="FILE.scores.parquet"
        ),
    ] = None,
    counters: Annotated[
        Path | None,
        typer.Option(
            help="Counter store that `counters` wrote: gives the numbers that FILE lacks."
        ),
    ] = None,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain",
            help="Instead of probabilities what each modality, the history, counters, fields and"
            " ids add to each row's logit (needs torch; by the bundle alone, or its run under"
            " --out where the model holds more than its weights).",
        ),
    ] = False,
    out: Out = Path("out"),
    include_path: Include = None,
    as_json: Json = False,
) -> None:
    """Score a file of any length; rows keep their order.

    With --explain each row gets exact Shapley values over all subsets of the trained model's input
    groups. They sum to the row's logit minus the logit of a row of which nothing is known. Exit 3
    if a value cannot be read.
    """
    import json

    from fusefront.datasets.errors import DataContractError
    from fusefront.harness.serving.bundle.counters import look_up
    from fusefront.harness.serving.bundle.opened import BundleError, read_manifest
    from fusefront.harness.serving.bundle.predict import write_scores

    target = to or file.with_suffix(".explained.parquet" if explain else ".scores.parquet")
    try:
        counting = None
        if counters is not None:
            read_manifest(bundle)
            counting = look_up(bundle, counters)
        if explain:
            _explain(bundle, file, target, out, tuple(include_path or ()), counting, as_json)
            return
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


def _explain(
    bundle: Path,
    file: Path,
    target: Path,
    out: Path,
    include: tuple[Path, ...],
    counting: "NumberSource | None",
    as_json: bool,
) -> None:
    import json

    from fusefront.harness.robustness.explained_file import explain_file

    result = explain_file(bundle, file, target, out, include, counting)
    if as_json:
        losses = {key: loss.model_dump() for key, loss in result["losses"].items()}
        typer.echo(json.dumps({**result, "losses": losses}))
        return
    for loss in result["losses"].values():
        typer.echo(loss.sentence())
    for group, size in result["mean_size"].items():
        typer.echo(f"{group}: moves the logit by {size:.3f} on average")
    typer.echo(f"{result['rows']:,} rows explained: {target}")
