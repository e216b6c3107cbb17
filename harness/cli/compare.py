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
        str, typer.Option(help="What verdicts are given on; it may be your own.")
    ] = "auc",
    split: Annotated[
        str, typer.Option(help="test (recorded as opened) or valid (never opens test).")
    ] = "test",
    two_way: Annotated[
        bool | None,
        typer.Option("--two-way/--one-way", help="Cluster by user and by item: other items, too."),
    ] = None,
    temperature: Annotated[
        bool | None,
        typer.Option("--temperature/--raw", help="Also scale logits by what validation says."),
    ] = None,
    paired_seeds: Annotated[
        bool | None,
        typer.Option("--paired-seeds/--own-seeds", help="Use the correlation of equal seeds."),
    ] = None,
    tuned_again: Annotated[
        list[str] | None,
        typer.Option(
            "--tuned-again", help="The same study tuned with another seed.", metavar="STUDY"
        ),
    ] = None,
    out: Out = Path("out"),
    include_path: Include = None,
    as_json: Json = False,
) -> None:
    """Compare a study's strategies with intervals over test rows and seeds, and say what it means.

    Looking at the test split is recorded in the study's opened.jsonl; a second look at other runs
    is told. Without another baseline, margin, metric, clustering or pairing than the study's it is
    kept as the study's comparison.json, which the decision and the report read.
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
