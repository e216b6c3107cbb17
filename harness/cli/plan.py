"""`fusefront plan --effect 0.002 [STUDY]`: how many rows and seeds detect a difference."""

from pathlib import Path
from typing import Annotated

import typer

from fusefront.harness.cli.options import Json, Out


def plan(
    effect: Annotated[
        float, typer.Option(min=1e-6, max=0.5, help="Difference of AUC that matters.")
    ],
    study: Annotated[
        str | None,
        typer.Argument(help="A study already run, as a pilot.", metavar="[STUDY]"),
    ] = None,
    rows_per_day: Annotated[
        float | None,
        typer.Option(min=1.0, help="Logged rows a day, to express rows as days of traffic."),
    ] = None,
    row_se: Annotated[
        float | None,
        typer.Option(min=1e-7, help="Without a pilot: standard error of a difference at --rows."),
    ] = None,
    seed_sd: Annotated[
        float | None,
        typer.Option(min=0.0, help="Without a pilot: standard deviation of AUC over seeds."),
    ] = None,
    rows: Annotated[
        int | None,
        typer.Option(min=100, help="Without a pilot: number of test rows that --row-se refers to."),
    ] = None,
    comparisons: Annotated[
        int | None, typer.Option(min=1, help="How many strategies are compared with the baseline.")
    ] = None,
    out: Out = Path("out"),
    as_json: Json = False,
) -> None:
    """Print how many test rows (or days of traffic) and seeds detect a difference with 80 % power.

    A pilot study shows how noisy rows and seeds are; its seed variance is taken at the upper bound.
    The pilot's test split is read for this, which is recorded. Without a pilot the noise is
    assumed, and the assumption is printed.
    """
    import json
    import sys

    from fusefront.harness.cli.screen import screen
    from fusefront.harness.cli.show_comparison import plan_table
    from fusefront.harness.dossier.comparison import plan_from_study
    from fusefront.harness.errors import UsageError
    from fusefront.harness.statistics.planner import (
        ASSUMED_ROW_SE,
        ASSUMED_ROWS,
        ASSUMED_SEED_SD,
    )
    from fusefront.harness.statistics.planner import plan as make

    if study is None:
        result = make(
            effect,
            pilot_rows=ASSUMED_ROWS if rows is None else rows,
            comparisons=comparisons or 1,
            rows_per_day=rows_per_day,
            row_se=ASSUMED_ROW_SE if row_se is None else row_se,
            seed_sd=ASSUMED_SEED_SD if seed_sd is None else seed_sd,
        )
    elif row_se is not None or seed_sd is not None or rows is not None:
        raise UsageError(
            "got a pilot study and assumed noise; give STUDY, or --row-se, --seed-sd and --rows"
        )
    else:
        from fusefront.harness.runs.store import find_study

        result = plan_from_study(find_study(study, out), effect, comparisons, rows_per_day)
    if as_json:
        content = {**result._asdict(), "lines": [line._asdict() for line in result.lines]}
        sys.stdout.write(json.dumps({"format": 1, **content}, indent=1) + "\n")
        return
    for part in plan_table(result):
        screen().print(part)
