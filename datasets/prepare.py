"""Raw files to the prepared store: streamed, written beside, renamed when whole."""

import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from fusefront.datasets.allowed import NOTHING, Allowed, confine, unquoted
from fusefront.datasets.durable import place, remove, scratch_folder, sweep
from fusefront.datasets.errors import DataContractError, SpecError
from fusefront.datasets.locks import Wait, lock_file, locked
from fusefront.datasets.preparing.fingerprint import fingerprint
from fusefront.datasets.preparing.finish import Job
from fusefront.datasets.preparing.pipeline import write_store
from fusefront.datasets.spec import DatasetSpec
from fusefront.datasets.store import PreparedDataset

Progress = Callable[[str], None]


def prepare(
    spec: DatasetSpec,
    data_dir: Path,
    out_dir: Path,
    *,
    max_memory: int | None = None,
    progress: Progress | None = None,
    allowed: Allowed = NOTHING,
) -> PreparedDataset:
    """Write out_dir/prepared/<name>/<fingerprint>/, or open it if it exists.

    `max_memory` in bytes (default 4 GiB) bounds chunks and buckets. `allowed` holds plug-ins and
    says whether the spec's paths may leave `data_dir`. After an error or a kill nothing is left
    behind.

    Raises:
        DataContractError: the data do not match the spec; one sentence with file, column, row and
            what to do.
    """
    say = progress or (lambda _: None)
    if not data_dir.is_dir():
        raise DataContractError(f"{data_dir}: no such data folder; give it with --data")
    outside = confine(spec, data_dir, allowed)
    for name in outside:
        say(f"WARNING: {name} lies outside the data folder, as --allow-outside permits")
    print_name = fingerprint(spec, data_dir, allowed)
    home = out_dir / "prepared" / spec.name
    target = home / print_name
    if (target / "manifest.json").exists():
        say(f"already prepared: {target}")
        return PreparedDataset.open(target)
    lock = lock_file(out_dir, "store", print_name)
    with locked(lock, Wait(f"waiting for another process to prepare {spec.name!r}", say)):
        if not (target / "manifest.json").exists():
            sweep(home)
            remove(target)  # a store without its manifest is none
            with _scratch(target) as folder, _room(out_dir), unquoted(data_dir):
                job = Job(spec, data_dir, folder, print_name, allowed, outside)
                write_store(job, max_memory, say)
                place(folder, target)
    return PreparedDataset.open(target)


@contextlib.contextmanager
def _scratch(target: Path) -> Iterator[Path]:
    """A folder beside the target; gone afterwards unless it was renamed."""
    try:
        with scratch_folder(target) as folder:
            yield folder
    finally:
        with contextlib.suppress(OSError):  # leave no empty folders after a refusal
            target.parent.rmdir()
            target.parent.parent.rmdir()


@contextlib.contextmanager
def _room(out: Path) -> Iterator[None]:
    """Turns a full disk into an error message for the user."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        reason = os.strerror(error.errno).lower()
        raise SpecError(f"{out}: {reason}; free some, or give another folder by --out") from None
