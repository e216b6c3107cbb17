"""`fusefront prepare SPEC.yaml`: makes the prepared store from raw files."""

from pathlib import Path
from typing import Annotated

import typer

from fusefront.harness.cli.options import AllowOutside, Data, Include, Json, Out, Wait


def prepare(
    spec: Annotated[Path, typer.Argument(help="The data set's YAML file.", metavar="SPEC.yaml")],
    data: Data = None,
    out: Out = Path("out"),
    max_memory: Annotated[
        str | None, typer.Option(help="Most memory to use, as 500M or 4G (default: 4G).")
    ] = None,
    include_path: Include = None,
    allow_outside: AllowOutside = False,
    as_json: Json = False,
    wait: Wait = None,
) -> None:
    """Write the memory-mapped store that every strategy reads; an existing store is not made again.

    Exit 3 if the data break a rule of the spec.
    """
    from fusefront.datasets.prepare import prepare as prepare_store
    from fusefront.datasets.preparing.budget import parse_size
    from fusefront.harness.cli.show import console, show
    from fusefront.harness.jobs.data_source import describe

    of = describe(spec, data, tuple(include_path or ()), outside=allow_outside)
    limit = None if max_memory is None else parse_size(max_memory)
    messages = console(quiet=as_json)
    store = prepare_store(
        of.spec,
        of.data,
        out,
        max_memory=limit,
        progress=lambda line: messages.print(line, markup=False),
        allowed=of.allowed,
    )
    counts = {split: part.model_dump() for split, part in store.manifest.counts.items()}
    if as_json:
        show({"store": str(store.path), "fingerprint": store.fingerprint, "counts": counts})
        return
    for split, part in counts.items():
        messages.print(f"{split}: {part['rows']:,} rows in {part['requests']:,} requests")
    messages.print(f"store: {store.path}", markup=False)
