"""Files and folders that outlive a power cut; light, so that serving can import it."""

import os
from pathlib import Path


def sync_folder(path: Path) -> None:
    """Make a folder's entries durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
