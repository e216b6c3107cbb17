"""`fusefront robustness STUDY`: scores when a modality is missing or disturbed at serving time, or
items and users are new."""

from pathlib import Path
from typing import Annotated

import typer

from fusefront.harness.cli.options import Include, Json, Out, StudyName

WORDS = {
    "items": "hidden, of the items",
    "requests": "hidden, of the requests",
    "noise": "with noise, of the deviation",
    "stale": "of other items, of the items",
    "cold_items": "ids never seen, of the items",
    "cold_users": "without a history, of the users",
    "other": "of the second file, of the items",
}
NOUN = {"cold_items": "items", "cold_users": "users"}


def robustness(
    study: StudyName,
    strategy: Annotated[
        list[str] | None,
        typer.Option(
            "--strategy",
            help="Strategy to measure beside what runs today (default: the decision's choice).",
        ),
    ] = None,
    share: Annotated[
        list[float] | None,
        typer.Option("--share", help="Share of the items to hide (default: 0.25 0.5 0.75 1)."),
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option(
            help="items or requests: hidden for a share of them; noise: of a size, in deviations of"
            " the vectors; stale: the vectors of other items for a share; cold_items, cold_users: a"
            " share of the items whose ids, of the users whose histories are not known"
            " (default: all six).",
        ),
    ] = None,
    vectors: Annotated[
        list[str] | None,
        typer.Option(
            help="A second vector file of a modality (stale, or of another encoder), swapped in for"
            " a share of the items: parquet with a column of keys and one of lists, or npy with a"
            " row an item.",
            metavar="MODALITY=FILE",
        ),
    ] = None,
    include_path: Include = None,
    out: Out = Path("out"),
    as_json: Json = False,
) -> None:
    """Hide each modality for a share of the items or requests, add noise to its vectors or swap
    them, make items and users new, and score the test split again, without training.

    Writes robustness.json into the study's folder; `report` shows it. Intervals cover test rows and
    seeds. A strategy of an ablation (say, trained with modality dropout) can be named, too.
    """
    from fusefront.harness.cli.show import console, show
    from fusefront.harness.robustness.condition import KINDS
    from fusefront.harness.robustness.study import SHARES, HidingOptions, measure
    from fusefront.harness.robustness.vector_file import named_files
    from fusefront.harness.runs.store import find_study

    options = HidingOptions(
        tuple(strategy or ()),
        tuple(share or SHARES),
        tuple(include_path or ()),
        tuple(kind or KINDS),
        named_files(vectors or []),
    )
    messages = console(quiet=as_json)
    curves = measure(find_study(study, out), options, messages.print)
    if as_json:
        show(curves)
        return
    for curve in curves:
        last, area = curve["gain"][-1], curve["area"]
        typer.echo(
            f"{curve['strategy']}, {curve['modality'] or NOUN[curve['kind']]} "
            f"{WORDS[curve['kind']]} "
            f"{curve['shares'][-1]:.0%}: {last['value']:+.4f} AUC from what runs today as it is; "
            f"mean change over the shares {area['value']:+.4f}"
        )
