"""`fusefront compare STUDY`: the table of strategies with intervals and verdicts."""

from pathlib import Path
from typing import Annotated

import typer

from fusefront.harness.cli.options import Json, Out, StudyName


def compare(
    study: StudyName,
    baseline: Annotated[
        str | None, typer.Option(help="Compare with this strategy [default: the study's].")
    ] = None,
    margin: Annotated[
        float | None,
        typer.Option(min=1e-6, max=0.5, help="Margin of equivalence [default: the study's]."),
    ] = None,
    effect: Annotated[
        float | None,
        typer.Option(min=1e-6, max=0.5, help="Difference that matters [default: the margin]."),
    ] = None,
    metric: Annotated[str, typer.Option(help="What verdicts are given on.")] = "auc",
    split: Annotated[
        str, typer.Option(help="test (recorded as opened) or valid (never opens test).")
    ] = "test",
    two_way: Annotated[
        bool, typer.Option("--two-way", help="Cluster rows by user and by item: other items, too.")
    ] = False,
    temperature: Annotated[
        bool, typer.Option("--temperature", help="Also scale logits by what validation says.")
    ] = False,
    paired_seeds: Annotated[
        bool, typer.Option("--paired-seeds", help="Use the correlation of equal seeds.")
    ] = False,
    tuned_again: Annotated[
        list[str] | None,
        typer.Option(
            "--tuned-again", help="The same study tuned with another seed.", metavar="STUDY"
        ),
    ] = None,
    out: Out = Path("out"),
    as_json: Json = False,
) -> None:
    """Compare a study's strategies with intervals over test rows and seeds, and say what it means.

    Looking at the test split is recorded in the study's opened.jsonl; a second look at other runs
    is told. Writes comparison.json into the study's folder.
    """
    import json
    import sys
    from dataclasses import replace

    from rich.console import Console

    from fusefront.harness.cli.show_comparison import comparison_parts
    from fusefront.harness.errors import UsageError
    from fusefront.harness.runs.store import find_study
    from fusefront.harness.statistics.study import compare_study, study_options, tuned_values

    if split not in ("test", "valid"):
        raise UsageError(f"got --split {split!r}, expected test or valid")
    folder = find_study(study, out)
    again = [find_study(name, out) for name in tuned_again or ()]
    options = study_options(folder)
    options = replace(
        options,
        baseline=baseline or options.baseline,
        margin=margin or options.margin,
        effect=effect,
        metric=metric,
        split=split,
        two_way=two_way,
        temperature=temperature,
        paired_seeds=paired_seeds,
    )
    if again:
        options = replace(options, tuned=tuned_values([folder, *again], metric, split))
    made = compare_study(folder, options)
    if as_json:
        sys.stdout.write(json.dumps(made.to_dict(), indent=1, ensure_ascii=False) + "\n")
        return
    console = Console(highlight=False, markup=False)
    for part in comparison_parts(made, wide=console.width >= 150):
        console.print(part)
