"""`fusefront init`: proposes a first spec for your own data, or writes a synthetic world to
files."""

from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from fusefront.harness.cli.options import AllowOutside, Include

PUBLISHED = (
    "microlens_mmctr, microlens_pairs, mmrec, tiktok, amazon_2023, movielens_ml1m, "
    "movielens_small, kuairand, mind, hm, yambda_listens, yambda_likes, tencent_gr"
)


def init(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="A folder of data, or files.", metavar="DIR_OR_FILES"),
    ] = None,
    spec: Annotated[Path, typer.Option(help="File to write the proposed spec to.")] = Path(
        "dataset.yaml"
    ),
    layout: Annotated[
        str | None,
        typer.Option(
            help=f"The files have this published layout: {PUBLISHED}, or your own.", metavar="NAME"
        ),
    ] = None,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify", help="First compare the files with the layout's published SHA-256."
        ),
    ] = False,
    synthetic: Annotated[
        str | None,
        typer.Option(help="Write this synthetic world (known truth) instead.", metavar="WORLD"),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the world's files.")] = Path("world"),
    seed: Annotated[int, typer.Option(help="Seed of the world.")] = 0,
    train: Annotated[int, typer.Option(min=1, help="Requests of the world's train split.")] = 8000,
    force: Annotated[bool, typer.Option("--force", help="Overwrite existing files.")] = False,
    include_path: Include = None,
    allow_outside: AllowOutside = False,
) -> None:
    """Propose a commented data set spec: edit the marked guesses, then `prepare` or `run`."""
    from fusefront.harness.cli.show import console
    from fusefront.harness.errors import UsageError
    from fusefront.harness.jobs.propose import write_proposal, write_synthetic
    from fusefront.harness.parts.data_parts import layout_allowed

    messages = console()
    if synthetic is not None:
        study = write_synthetic(synthetic, out, seed=seed, train=train, force=force)
        messages.print(f"world {synthetic}: {out}", markup=False)
        messages.print(f"then: fusefront run {quote(str(study))}", markup=False)
        return
    if not paths:
        raise UsageError("no data given; give a folder or files, or --synthetic WORLD")
    proposed = write_proposal(
        paths,
        spec,
        layout=layout,
        verified=verify,
        force=force,
        allowed=layout_allowed(layout, tuple(include_path or ()), outside=allow_outside),
    )
    look = "" if layout else "; check the lines marked 'guess'"
    messages.print(f"proposed spec: {spec}{look}", markup=False)
    lines = [proposed.trial] if proposed.trial else []
    lines += [f"left out, {place}: {why}" for place, why in proposed.left_out.items()]
    lines += [f"UNKNOWN, {place}: {why}" for place, why in proposed.unknown.items()]
    for line in lines:
        messages.print(line, markup=False, highlight=False)
    words = quote(str(proposed.study)), quote(str(_folder(paths)))
    first = f"write what is UNKNOWN in {spec}, then" if proposed.unknown else "then"
    messages.print(f"{first}: fusefront run {words[0]} --data {words[1]}", markup=False)


def _folder(paths: list[Path]) -> Path:
    return paths[0] if paths[0].is_dir() else paths[0].parent
