"""Opens .npy files that a user gives; whatever is wrong with one becomes an error of one
sentence."""

import tokenize
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusefront.datasets.errors import DataContractError
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
    tokenize.TokenError,
)


def open_npy(path: Path, fix: str = "save it with numpy.save, no objects") -> NDArray[Any]:
    """One array of any shape [...], memory-mapped and never unpickled."""
    try:
        with path.open("rb") as file:
            archive = file.read(2) == b"PK"  # which numpy would open as an npz
        if archive:
            raise broken(path, "a zip or npz archive", "save the one array as npy")
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except DataContractError:
        raise
    except _UNREADABLE as error:
        reason = str(error).split("\n")[0][:120].rstrip(".")
        raise broken(path, f"not a readable npy file ({reason})", fix) from None
    return array
