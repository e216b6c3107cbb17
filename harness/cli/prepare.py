"""`fusefront prepare SPEC.yaml`: the prepared store from raw files."""

from pathlib import Path
from typing import Annotated

import typer

from fusefront.harness.cli.options import Data, Json, Out


def prepare(
    spec: Annotated[Path, typer.Argument(help="The data set's YAML file.", metavar="SPEC.yaml")],
    data: Data = None,
    out: Out = Path("out"),
    max_memory: Annotated[
        str | None, typer.Option(help="At most this much memory: 500M, 4G [default: 4G].")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write the memory-mapped store that every strategy reads; done before is not done again."""
    from fusefront.datasets.prepare import prepare as prepare_store
    from fusefront.datasets.spec import load_spec
    from fusefront.harness.cli.show import console, show
    from fusefront.harness.errors import UsageError

    folder = data or spec.parent
    if not folder.is_dir():
        raise UsageError(f"--data {folder}: not a folder; give the one that holds the data files")
    limit = None if max_memory is None else size_of(max_memory)
    told = console(quiet=as_json)
    store = prepare_store(
        load_spec(spec),
        folder,
        out,
        max_memory=limit,
        progress=lambda line: told.print(line, markup=False),
    )
    counts = {split: part.model_dump() for split, part in store.manifest.counts.items()}
    if as_json:
        show({"store": str(store.path), "fingerprint": store.fingerprint, "counts": counts})
        return
    for split, part in counts.items():
        told.print(f"{split}: {part['rows']:,} rows in {part['requests']:,} requests")
    told.print(f"store: {store.path}", markup=False)


def size_of(text: str) -> int:
    """Bytes of 500M or 4G.

    >>> size_of("500M"), size_of("4G")
    (524288000, 4294967296)
    """
    from fusefront.harness.errors import UsageError

    units = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
    number, unit = text[:-1], text[-1:].upper()
    if unit not in units or not number.replace(".", "", 1).isdigit():
        raise UsageError(f"--max-memory {text!r}: expected a number and K, M or G, such as 4G")
    return int(float(number) * units[unit])
