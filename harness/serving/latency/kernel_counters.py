"""The kernel's counters of a thread and of the machine; None where the kernel has none."""

import resource
from pathlib import Path
from typing import NamedTuple

import psutil

_SCHEDSTAT = Path("/proc/thread-self/schedstat")
_PRESSURE = Path("/proc/pressure/cpu")


class Counters(NamedTuple):
    """Cumulative counts of this thread; subtract two readings."""

    run_delay_ns: int | None  # ns that it could run and waited for a core
    switches: int  # voluntary and forced
    minor_faults: int
    major_faults: int

    def since(self, before: "Counters") -> "Counters":
        """What was added since the reading `before`."""
        known = self.run_delay_ns is not None and before.run_delay_ns is not None
        delay = (self.run_delay_ns or 0) - (before.run_delay_ns or 0)
        return Counters(
            delay if known else None,
            self.switches - before.switches,
            self.minor_faults - before.minor_faults,
            self.major_faults - before.major_faults,
        )


def read_counters() -> Counters:
    """Read the counters; takes about two microseconds."""
    who = getattr(resource, "RUSAGE_THREAD", resource.RUSAGE_SELF)
    usage = resource.getrusage(who)
    switches = usage.ru_nvcsw + usage.ru_nivcsw
    return Counters(_run_delay(), switches, usage.ru_minflt, usage.ru_majflt)


def _run_delay() -> int | None:
    try:
        return int(_SCHEDSTAT.read_bytes().split()[1])
    except (OSError, IndexError, ValueError):
        return None


class State(NamedTuple):
    """The state of the machine at one moment; not part of its identity."""

    stalled_us: int | None  # pressure: some task waited for a core, cumulative
    steal_s: float | None  # cumulative over cores
    load: float | None
    busy: dict[int, tuple[str, float]]  # pid -> (name, processor seconds), other processes


def read_state() -> State:
    """Pressure, steal, load average and the processor time of every other process."""
    steal = getattr(psutil.cpu_times(), "steal", None)
    try:
        load: float | None = psutil.getloadavg()[0]
    except OSError:
        load = None
    own = {psutil.Process().pid}
    busy = {}
    for process in psutil.process_iter(["pid", "name", "cpu_times"]):
        times = process.info["cpu_times"]
        if times is not None and process.info["pid"] not in own:
            busy[process.info["pid"]] = (process.info["name"] or "?", times.user + times.system)
    return State(_stalled(), steal, load, busy)


def _stalled() -> int | None:
    try:
        some = _PRESSURE.read_text().splitlines()[0]
        return int(some.rsplit("total=", 1)[1])
    except (OSError, IndexError, ValueError):
        return None


def others(before: State, after: State, seconds: float, *, least: float = 0.02) -> list[str]:
    """Other processes that ran between two states: 'name 0.41 cores', busiest first; `least` is in
    cores."""
    used: dict[str, float] = {}
    for pid, (name, now) in after.busy.items():
        was = before.busy.get(pid, (name, 0.0))[1]
        used[name] = used.get(name, 0.0) + max(now - was, 0.0) / max(seconds, 1e-9)
    listed = sorted(((share, name) for name, share in used.items() if share >= least), reverse=True)
    return [f"{name} {share:.2f} cores" for share, name in listed]
