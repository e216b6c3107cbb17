"""Publishes a report in one step: files are written to a temporary folder and moved, the page
last."""

from collections.abc import Callable
from pathlib import Path

from fusefront.datasets.durable import (
    forget,
    make_folder,
    scratch_folder,
    sweep,
    sync,
    sync_folder,
)
from fusefront.datasets.locks import Wait, locked

LOCK = ".lock"


def publish(write: Callable[[Path], Path], out: Path, *, keep_pdf: bool = False) -> Path:
    """Put what `write` writes into a folder under `out`; returns the page that it returned.

    Other files in `out` stay, except a report.pdf that was not written again; with `keep_pdf` it
    stays, because it shows the same evidence. Two reports into one folder are written one after the
    other.
    """
    with locked(out / LOCK, Wait("waiting for another report into the same folder to be written")):
        sweep(out)
        with scratch_folder(out / "report") as scratch:
            page = write(scratch)
            files = [path for path in sorted(scratch.rglob("*")) if path.is_file()]
            for path in sorted(files, key=lambda path: path == page):
                _move(path, out / path.relative_to(scratch))
            if (scratch / "report.pdf") not in files and not keep_pdf:
                forget(out / "report.pdf")  # it would show other evidence
    return out / page.relative_to(scratch)


def _move(path: Path, target: Path) -> None:
    make_folder(target.parent)
    sync(path)
    path.replace(target)
    sync_folder(target.parent)
