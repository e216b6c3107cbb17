"""`fusefront codes RUN`: describes a run's item codes."""

from pathlib import Path
from typing import Annotated

import typer

from fusefront.harness.cli.options import Json, Out


def codes(
    run: Annotated[str, typer.Argument(help="A run's id or folder.", metavar="RUN")],
    out: Out = Path("out"),
    as_json: Json = False,
) -> None:
    """Print what a run's compressors keep: variance, use of codes, collisions, AUC by width.

    The curve of AUC against width needs nested codes (compressor `matryoshka`); one run is enough.
    """
    from rich.table import Table

    from fusefront.harness.cli.screen import screen
    from fusefront.harness.cli.show import show
    from fusefront.harness.dossier.widths import width_rows
    from fusefront.harness.errors import NothingToDoError, UsageError
    from fusefront.harness.runs.table import code_measures, find_run
    from fusefront.reports import numbers
    from fusefront.reports.evidence import Interval

    path = find_run(out, run)
    if path is None:
        raise UsageError(
            f"got run {run!r}, expected an id or folder of a completed run under {out}"
        )
    measures = code_measures(path)
    curve = width_rows(path)
    if as_json:
        show({"run": path.name, "codes": measures, "curve": curve})
        return
    if not measures and not curve:
        raise NothingToDoError(
            f"run {path.name}: its compressors have no measures, since they keep the vectors or "
            "project them at random; give a run with a fitted compressor, such as pca"
        )
    console = screen()
    if measures:
        table = Table("modality", "measure", "value", box=None)
        for row in measures:
            table.add_row(row["modality"], row["measure"], f"{row['value']:.4g}")
        console.print(table)
    if curve:
        table = Table(
            *("k", "split", "AUC", "against whole", "95% interval"),
            *("MACs an item", "MACs a candidate"),
            box=None,
        )
        for width in curve:
            table.add_row(
                f"{width['k']}",
                width["split"],
                f"{width['auc']:.4f}",
                numbers.signed(width["delta"]),
                numbers.bracket(Interval(width["delta"], width["low"], width["high"]))
                or "no interval",
                f"{width['macs_per_item']:,}",
                f"{width['macs_per_candidate']:,}",
            )
        console.print(table)
