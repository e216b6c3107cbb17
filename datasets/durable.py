"""Files and folders that survive a power cut and a kill: written under a temporary name, synced,
renamed.

A process holds a lock on what it writes, so that leftovers of a killed process can be told from
files in use, and are deleted. Imports little, so that serving can use it.
"""

import contextlib
import ctypes
import errno
import fcntl
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

TEMPORARY = "fusefront-"  # in the name of a temporary folder
MARK = ".tmp-"  # in the name of everything that is being written
FILE_MODE, FOLDER_MODE = 0o664, 0o775  # minus the umask; never writable by everybody
_HERE, _EXCHANGE = -100, 2  # AT_FDCWD, RENAME_EXCHANGE of Linux
_LONGEST = 180  # bytes of a name that its temporary name repeats


def sync_folder(path: Path) -> None:
    """Make a folder's entries durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync(path: Path) -> None:
    """Make a file's content, or a folder's entries, durable."""
    if path.is_dir():
        sync_folder(path)
        return
    with path.open("rb") as file:
        os.fsync(file.fileno())


def make_folder(path: Path) -> None:
    """Make a folder and its parents, each durable; existing folders stay."""
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(FOLDER_MODE, exist_ok=True)
    sync_folder(path.parent)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """An empty file to write to; when the block ends it is durable and gets the name `path`.

    A kill or a power cut leaves either the old or the new file, complete; an error leaves the old
    one.
    """
    with _beside(path, lambda name: name.touch(FILE_MODE, exist_ok=False)) as written:
        yield written
        place(written, path)


@contextlib.contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """The same for a folder, with everything in it."""
    with _beside(path, lambda name: name.mkdir(FOLDER_MODE)) as written:
        yield written
        place(written, path)


@contextlib.contextmanager
def scratch_folder(path: Path) -> Iterator[Path]:
    """A folder beside `path` that is deleted afterwards, unless it was renamed."""
    with _beside(path, lambda name: name.mkdir(FOLDER_MODE)) as written:
        yield written


@contextlib.contextmanager
def temporary_folder(purpose: str) -> Iterator[Path]:
    """A private folder in the system's temporary folder, deleted afterwards.

    Leftovers of killed processes of the same user are deleted first.
    """
    home = Path(tempfile.gettempdir())
    for path in temporary_leftovers():
        with abandoned(path) as free:
            if free:
                remove(path)
    with _beside(home / f"{TEMPORARY}{purpose}", lambda name: name.mkdir(0o700)) as folder:
        yield folder


def temporary_leftovers() -> list[Path]:
    """Our existing temporary folders, whoever uses them; only those of this user.

    Folders of earlier versions hold no lock, so that nobody can tell whether they are in use: `gc`
    shows them, and they are not deleted.
    """
    return _of_this_user(Path(tempfile.gettempdir()).glob(f".{TEMPORARY}*{MARK}*"))


def older_temporary_leftovers() -> list[Path]:
    """The same for earlier versions."""
    return _of_this_user(Path(tempfile.gettempdir()).glob(f"{TEMPORARY}init-*"))


def _of_this_user(paths: Iterable[Path]) -> list[Path]:
    mine = []
    for path in sorted(paths):
        with contextlib.suppress(FileNotFoundError):  # it has gone meanwhile
            if path.lstat().st_uid == os.getuid():
                mine.append(path)
    return mine


def write_bytes(path: Path, content: bytes) -> None:
    """Replace `path` by `content` in one step."""
    with replacing(path) as written:
        written.write_bytes(content)


def append_line(path: Path, line: str) -> None:
    """Append a line to a log, durably; an incomplete last line, left by a kill, is ended first."""
    make_folder(path.parent)
    new = not path.exists()
    with path.open("ab+") as file:
        file.seek(0, os.SEEK_END)
        if file.tell():
            file.seek(-1, os.SEEK_END)
            line = line if file.read(1) == b"\n" else f"\n{line}"
        file.write(f"{line}\n".encode())
        file.flush()
        os.fsync(file.fileno())
    if new:
        sync_folder(path.parent)


def place(written: Path, path: Path) -> None:
    """Rename a finished temporary file or folder to its name: synced first, then renamed, then its
    folder synced.

    An existing folder is exchanged with the new one in one step if the system can (Linux), and then
    deleted; elsewhere it is moved aside first.
    """
    for part in (*(sorted(written.rglob("*")) if written.is_dir() else ()), written):
        sync(part)
    old = None
    if written.is_dir() and path.exists():
        if _exchange(written, path):
            sync_folder(path.parent)
            shutil.rmtree(written)
            return
        old = path.with_name(f".{path.name}.old{os.getpid()}")
        path.rename(old)
    written.replace(path)
    sync_folder(path.parent)
    if old is not None:
        shutil.rmtree(old)


def _exchange(this: Path, other: Path) -> bool:
    """Exchange two names in one step; False if the system cannot."""
    try:
        swap = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError, TypeError):
        return False
    code: int = swap(_HERE, os.fsencode(this), _HERE, os.fsencode(other), _EXCHANGE)
    return code == 0


@contextlib.contextmanager
def _beside(path: Path, make: Callable[[Path], None]) -> Iterator[Path]:
    """A locked temporary name beside `path`; deleted afterwards unless it was renamed."""
    written, handle = _claim(path, make)
    try:
        yield written
    finally:
        remove(written)
        os.close(handle)


def _claim(path: Path, make: Callable[[Path], None]) -> tuple[Path, int]:
    stem = path.name.encode()[:_LONGEST].decode(errors="ignore")
    while True:
        written = path.with_name(f".{stem}{MARK}{os.getpid()}-{secrets.token_hex(4)}")
        try:
            make_folder(path.parent)
            make(written)
            handle = os.open(written, os.O_RDONLY)
        except FileNotFoundError:
            continue  # the empty folder was deleted, or the new name by a sweep
        if hold(handle) is not False and is_still(written, handle):
            return written, handle
        os.close(handle)  # a sweep was faster and removes the name


def hold(handle: int) -> bool | None:
    """Lock an open file for this process without waiting; False if it is locked, None if there are
    no locks."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in NO_LOCKS:
            return None
        raise
    return True


NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EBADF)


def is_still(path: Path, handle: int) -> bool:
    """Whether the name still refers to the open file."""
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False


def remove(path: Path) -> None:
    """Delete a file or folder if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def forget(path: Path) -> None:
    """Delete a file if it exists, durably, so that a power cut does not bring it back."""
    if path.exists():
        path.unlink(missing_ok=True)
        sync_folder(path.parent)


def leftovers(folder: Path) -> list[Path]:
    """Temporary files in `folder`, of this version or earlier ones; something moved aside counts
    once the new one has its name."""
    names = (f".*{MARK}*", ".*.tmp[0-9]*", ".*.tmp", ".*.partial", ".preparing-*")
    aside = [path for path in folder.glob(".*.old[0-9]*") if _replaced(path)]
    return sorted({*(path for name in names for path in folder.glob(name)), *aside})


def _replaced(old: Path) -> bool:
    return old.with_name(old.name[1:].rpartition(".old")[0]).exists()


def sweep(folder: Path) -> None:
    """Delete what killed processes left in `folder`; files that a process still writes stay."""
    for path in leftovers(folder):
        with abandoned(path) as free:
            if free:
                remove(path)


@contextlib.contextmanager
def abandoned(path: Path) -> Iterator[bool]:
    """Whether no process writes `path`; within the block none can begin to."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        yield False
        return
    try:
        yield hold(handle) is True and is_still(path, handle)
    finally:
        os.close(handle)
