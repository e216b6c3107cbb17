"""Opening .npy files that a person gives: whatever is wrong with one is a sentence."""

import tokenize
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusefront.datasets.raw.files import broken

# what numpy raises of damaged headers, of archives and of files that are no arrays at all
_UNREADABLE = (
    ValueError,
    TypeError,
    OSError,
    EOFError,
    SyntaxError,
    MemoryError,
    RecursionError,
    OverflowError,
    zipfile.BadZipFile,
    tokenize.TokenError,
)


def open_npy(path: Path, fix: str = "save it with numpy.save, no objects") -> NDArray[Any]:
    """One array, memory-mapped and never unpickled."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except _UNREADABLE as error:
        reason = str(error).split("\n")[0][:120].rstrip(".")
        raise broken(path, f"not a readable npy file ({reason})", fix) from None
    if not isinstance(array, np.ndarray):
        raise broken(path, "an npz archive", "save the one array as npy")
    return array
