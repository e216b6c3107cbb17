"""Which machine and software a latency speaks of: latencies of two are never compared."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NotRequired

from typing_extensions import TypedDict

from fusefront.harness.runs.files import digest

_FLAGS = (
    "avx",
    "avx2",
    "avx512f",
    "avx512_vnni",
    "avx_vnni",
    "avx512_bf16",
    "amx_tile",
    "fma",
    "f16c",
)
_PACKAGES = ("onnxruntime", "torch", "numpy")


class Machine(TypedDict):
    """The machine of a measurement; None where the system does not say."""

    model: str | None
    family: str | None
    model_number: str | None
    stepping: str | None
    microcode: str | None
    machine: str
    flags: list[str]
    l3: str | None
    cores: int | None
    smt: str | None
    hypervisor: bool
    quota: str | None
    threads: int
    spinning: bool
    kernel: str
    clock: str | None
    python: str
    packages: dict[str, str | None]
    affinity: NotRequired[list[int] | None]  # cores that the process may use; None = unknown
    governor: NotRequired[str | None]
    builds: NotRequired[dict[str, str | None]]  # how the libraries were compiled


def identity(threads: int = 1, *, spinning: bool = False) -> Machine:
    """What never changes within a session; None where the system does not say."""
    info = _cpuinfo()
    flags = set((info.get("flags") or info.get("Features") or "").split())
    return {
        "model": info.get("model name"),
        "family": info.get("cpu family"),
        "model_number": info.get("model"),
        "stepping": info.get("stepping"),
        "microcode": info.get("microcode"),
        "machine": platform.machine(),
        "flags": sorted(flag for flag in _FLAGS if flag in flags),
        "l3": _read("/sys/devices/system/cpu/cpu0/cache/index3/size"),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "smt": _read("/sys/devices/system/cpu/smt/active"),
        "hypervisor": "hypervisor" in flags,
        "quota": _quota(),
        "threads": threads,
        "spinning": spinning,
        "kernel": platform.release(),
        "clock": _read("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "affinity": sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "governor": _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "builds": builds(),
    }


def builds() -> dict[str, str | None]:
    """How the scoring libraries were compiled; two builds of one version can differ in speed."""
    import numpy as np
    import onnxruntime as ort
    import torch

    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return {
        "onnxruntime": " ".join(ort.get_build_info().split()),
        "torch": digest(torch.__config__.show()),
        "numpy": f"{blas.get('name')} {blas.get('version')}",
    }


def fingerprint(facts: Machine) -> str:
    """The hash of the facts; latencies of different fingerprints are never compared."""
    return digest(facts)


def in_words(facts: Machine) -> str:
    """The machine in one line: processor, cores, threads, runtime."""
    cores = f"{facts['cores']} core{'s' if facts['cores'] != 1 else ''}"
    virtual = ", virtual" if facts["hypervisor"] else ""
    runtime = facts["packages"]["onnxruntime"]
    threads = "one thread" if facts["threads"] == 1 else f"{facts['threads']} threads"
    name = facts["model"] or facts["machine"]
    return f"{name} ({cores}{virtual}), ONNX Runtime {runtime or 'absent'}, {threads}"


def _cpuinfo() -> dict[str, str]:
    facts: dict[str, str] = {}
    for line in (_read("/proc/cpuinfo") or "").splitlines():
        key, _, value = line.partition(":")
        if not key.strip() and facts:
            break  # all cores are taken to be like the first
        facts.setdefault(key.strip(), value.strip())
    return facts


def _quota() -> str | None:
    """The processor quota of the control group, version 2 or 1."""
    if (text := _read("/sys/fs/cgroup/cpu.max")) is not None:
        return text
    quota = _read("/sys/fs/cgroup/cpu/cpu.cfs_quota_us")
    period = _read("/sys/fs/cgroup/cpu/cpu.cfs_period_us")
    return None if quota is None else f"{quota} {period}"


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
