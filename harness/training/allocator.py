"""Keeps the memory that a training step frees in the process, so that the next step reuses its
pages.

By default glibc returns every big tensor to the system when it is freed, and the system fills the
pages of the next one with zeros: up to half of a training step. Only processes that train do this;
where latency is measured, the allocator keeps its defaults.
"""

import ctypes
import os
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of malloc.h
LIMITS = {  # glibc's words for them, which environment.json records
    "MALLOC_MMAP_THRESHOLD_": 1 << 30,
    "MALLOC_TRIM_THRESHOLD_": (1 << 31) - 1,
}


def keep_freed_memory() -> bool:
    """Let this process keep what it frees; returns False where the system has no such allocator.

    The settings are also put into the process's environment variables, where `environment.json`
    reads them.
    """
    libc = _libc()
    if libc is None:
        return False
    results = [
        libc.mallopt(M_MMAP_THRESHOLD, LIMITS["MALLOC_MMAP_THRESHOLD_"]),
        libc.mallopt(M_TRIM_THRESHOLD, LIMITS["MALLOC_TRIM_THRESHOLD_"]),
    ]
    if not all(results):
        return False
    os.environ.update({name: str(limit) for name, limit in LIMITS.items()})
    return True


def give_freed_memory_back() -> None:
    """Return free memory to the system between two runs; does nothing where the C library cannot.

    Free memory of a GPU is returned, too: trainings of other processes share it.
    """
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    libc = _libc()
    if libc is not None:
        libc.malloc_trim(0)


def _libc() -> ctypes.CDLL | None:
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "mallopt") and hasattr(libc, "malloc_trim") else None
