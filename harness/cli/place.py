"""Failures of the machine and not of the program: a full disk, a read-only folder."""

import errno
import os
import re

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_PLACE = {
    **dict.fromkeys(_FULL, "free some space, or give another folder"),
    **dict.fromkeys(
        (errno.EROFS, errno.EACCES, errno.EPERM), "give one that can be read and written"
    ),
    **dict.fromkeys((errno.EMFILE, errno.ENFILE), "allow more open files (ulimit -n)"),
    errno.ENAMETOOLONG: "give a shorter name",
    errno.EIO: "check the disk",
    errno.ENOMEM: "free some memory",
    errno.ESTALE: "check the network disk",
}
_PATH = (errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ELOOP)  # another path helps
_NUMBER = re.compile(r"os error (\d+)|\bcode: (\d+), kind")  # how Rust libraries print it


def of_the_place(error: Exception) -> str:
    """A sentence on what the machine lacks and what to do; "" if the error has another cause."""
    if "No usable temporary directory" in str(error):
        return f"{str(error).split('] ')[-1]}; give one that can be written in TMPDIR"
    number = error.errno if isinstance(error, OSError) else None
    match = _NUMBER.search(str(error))
    if number is None and match is not None:
        number = int(match[1] or match[2])
    if number in _PATH:
        advice = "expected a path that can be used, give another"
    elif number in _PLACE:
        advice = f"{_PLACE[number]}, and give the same command again"
    else:
        return ""
    reason = os.strerror(number).lower()
    path = getattr(error, "filename", None)
    return f"got {path!r}: {reason}; {advice}" if path else f"{reason}; {advice}"
