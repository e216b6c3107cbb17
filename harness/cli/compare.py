"""`fusefront compare STUDY`: the table of strategies with intervals and verdicts."""

from pathlib import Path
from typing import Annotated

import typer

from fusefront.harness.cli.options import Include, Json, Out, StudyName


def compare(
    study: StudyName,
    baseline: Annotated[
        str | None, typer.Option(help="Compare with this strategy (default: the study's).")
    ] = None,
    margin: Annotated[
        float | None,
        typer.Option(min=1e-6, max=0.5, help="Margin of equivalence (default: the study's)."),
    ] = None,
    effect: Annotated[
        float | None,
        typer.Option(min=1e-6, max=0.5, help="Difference that matters (default: the margin)."),
    ] = None,
    metric: Annotated[
        str,
        typer.Option(help="Metric that verdicts are given on; it may be your own (default: auc)."),
    ] = "auc",
    split: Annotated[
        str, typer.Option(help="test (recorded as opened) or valid (never opens test).")
    ] = "test",
    two_way: Annotated[
        bool | None,
        typer.Option(
            "--two-way/--one-way",
            help="Cluster by user and by item: intervals cover other items, too.",
        ),
    ] = None,
    temperature: Annotated[
        bool | None,
        typer.Option(
            "--temperature/--raw", help="Also measure logits at a temperature fitted on validation."
        ),
    ] = None,
    paired_seeds: Annotated[
        bool | None,
        typer.Option(
            "--paired-seeds/--own-seeds",
            help="Pair the runs of equal seeds, which narrows intervals if they correlate.",
        ),
    ] = None,
    tuned_again: Annotated[
        list[str] | None,
        typer.Option(
            "--tuned-again",
            help="A study that differs in its tuning seed; may be repeated.",
            metavar="STUDY",
        ),
    ] = None,
    out: Out = Path("out"),
    include_path: Include = None,
    as_json: Json = False,
) -> None:
    """Compare a study's strategies with intervals over test rows and seeds, and give verdicts.

    Looking at the test split is recorded in the study's opened.jsonl, and a second look at other
    runs is reported. If baseline, margin, metric, clustering and pairing are the study's own, the
    result is written to its comparison.json, which the decision and the report read.
    """
    import json
    import sys

    from fusefront.harness.cli.screen import screen
    from fusefront.harness.cli.show_comparison import comparison_parts
    from fusefront.harness.results import Results

    comparison = Results(study, out).compare(
        baseline,
        margin=margin,
        effect=effect,
        metric=metric,
        split=split,
        two_way=two_way,
        temperature=temperature,
        paired_seeds=paired_seeds,
        tuned_again=tuned_again or (),
        include=include_path or (),
    )
    if as_json:
        sys.stdout.write(json.dumps(comparison.to_dict(), indent=1, ensure_ascii=False) + "\n")
        return
    console = screen()
    for part in comparison_parts(comparison, wide=console.width >= 150):
        console.print(part)
