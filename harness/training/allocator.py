"""Memory that a training step frees stays with the process, and the next step reuses its pages.

glibc returns every big tensor to the system as it is freed and has the next one zeroed again: up to
half of a training step is spent there. Only for processes that train: where latency is measured the
allocator stays as it ships.
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
    """Have this process keep what it frees; False where the system has no such allocator.

    The process's environment says so from then on, as it would had it been started with it.
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
    """Return to the system what is free, between two runs; nothing where there is no such call.

    A GPU's too, which trainings of other processes share.
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
