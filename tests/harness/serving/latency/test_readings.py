"""What the kernel is read for: counters, load and identity, from planted files."""

import os
import resource
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import psutil
import pytest

from fusefront.harness.serving.latency import fingerprint, kernel_counters
from fusefront.harness.serving.latency.fingerprint import Machine, identity, in_words
from fusefront.harness.serving.latency.kernel_counters import (
    Counters,
    State,
    others,
    read_counters,
    read_state,
)


def test_counters_are_those_of_this_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    who: list[int] = []

    def usage(whose: int) -> Any:
        who.append(whose)
        return SimpleNamespace(ru_nvcsw=7, ru_nivcsw=5, ru_minflt=31, ru_majflt=2)

    monkeypatch.setattr(resource, "getrusage", usage)
    path = tmp_path / "schedstat"
    monkeypatch.setattr(kernel_counters, "_SCHEDSTAT", path)
    path.write_bytes(b"111 222 333\n")
    assert read_counters() == Counters(222, 12, 31, 2)
    assert who == [getattr(resource, "RUSAGE_THREAD", resource.RUSAGE_SELF)]
    for text in (b"", b"111", b"111 no 3"):
        path.write_bytes(text)
        assert read_counters() == Counters(None, 12, 31, 2)
    path.unlink()
    assert read_counters().run_delay_ns is None


def test_two_readings_are_subtracted_part_by_part() -> None:
    later = Counters(900, 40, 50, 60)
    assert later.since(Counters(300, 10, 15, 5)) == Counters(600, 30, 35, 55)
    assert later.since(Counters(0, 0, 0, 0)) == later
    assert Counters(0, 1, 1, 1).since(Counters(0, 1, 1, 1)) == Counters(0, 0, 0, 0)
    for known, unknown in ((later, later._replace(run_delay_ns=None)),):
        assert known.since(unknown) == Counters(None, 0, 0, 0)
        assert unknown.since(known) == Counters(None, 0, 0, 0)


def process(pid: int, name: str | None, user: float | None, system: float = 0.0) -> Any:
    times = None if user is None else SimpleNamespace(user=user, system=system)
    return SimpleNamespace(info={"pid": pid, "name": name, "cpu_times": times})


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three processes beside this one, of which one may not be read."""
    alive = [
        process(7, "cat", 1.5, 0.25),
        process(os.getpid(), "own", 9.0, 9.0),
        process(8, None, 2.0, 4.0),
        process(9, "dog", None),
    ]
    monkeypatch.setattr(psutil, "process_iter", lambda attributes: alive)
    monkeypatch.setattr(psutil, "cpu_times", lambda: SimpleNamespace(steal=12.5))
    monkeypatch.setattr(psutil, "getloadavg", lambda: (0.25, 0.5, 0.75))
    path = tmp_path / "pressure"
    monkeypatch.setattr(kernel_counters, "_PRESSURE", path)
    path.write_text(
        "some avg10=1.00 avg60=2.00 avg300=3.00 total=4567\n"
        "full avg10=0.00 avg60=0.00 avg300=0.00 total=89\n"
    )
    return path


def test_a_state_is_what_the_machine_says(machine: Path) -> None:
    assert read_state() == State(4567, 12.5, 0.25, {7: ("cat", 1.75), 8: ("?", 6.0)})


def test_what_a_machine_does_not_say_is_nothing(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused() -> tuple[float, float, float]:
        raise OSError

    monkeypatch.setattr(psutil, "getloadavg", refused)
    monkeypatch.setattr(psutil, "cpu_times", lambda: SimpleNamespace())
    for text in ("", "some avg10=1.00\n", "some total=many\n"):
        machine.write_text(text)
        state = read_state()
        assert (state.stalled_us, state.steal_s, state.load) == (None, None, None)
    machine.unlink()
    assert read_state().stalled_us is None


def busy(**processes: tuple[int, float]) -> State:
    return State(None, None, None, {pid: (name, s) for name, (pid, s) in processes.items()})


def test_others_are_the_busiest_first_from_two_hundredths_of_a_core() -> None:
    before = busy(quiet=(1, 3.0), least=(2, 0.0), busy=(3, 0.0), other=(4, 9.0))
    after = busy(quiet=(1, 3.19), least=(2, 0.2), busy=(3, 20.0), fresh=(5, 5.0))
    assert others(before, after, 10.0) == [
        "busy 2.00 cores",
        "fresh 0.50 cores",
        "least 0.02 cores",
    ]
    assert others(before, after, 10.0, least=0.5) == ["busy 2.00 cores", "fresh 0.50 cores"]
    assert others(before, busy(other=(4, 0.5)), 10.0, least=0.0) == ["other 0.00 cores"]  # no less
    assert others(before, busy(other=(4, 9.0)), 0.0) == []


CPUINFO = """processor\t: 0
model name\t: Some Core @ 2.00GHz
cpu family\t: 6
model\t\t: 85
stepping\t: 7
microcode\t: 0x5003
flags\t\t: fpu avx2 avx avx512_vnni sse hypervisor fma

processor\t: 1
model name\t: Another Core
bogomips\t: 4000.00
"""
FILES = {
    "/proc/cpuinfo": CPUINFO.strip(),
    "/sys/devices/system/cpu/cpu0/cache/index3/size": "32768K",
    "/sys/devices/system/cpu/smt/active": "1",
    "/sys/fs/cgroup/cpu.max": "200000 100000",
    "/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
    "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "50000",
    "/sys/devices/system/clocksource/clocksource0/current_clocksource": "tsc",
}


@pytest.fixture
def read_files(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    known = dict(FILES)
    monkeypatch.setattr(fingerprint, "_read", known.get)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 2, 5}, raising=False)
    return known


def test_a_machine_is_its_first_core_and_what_the_kernel_says(read_files: dict[str, str]) -> None:
    facts = identity(2, spinning=True)
    assert (facts["model"], facts["family"], facts["model_number"]) == (
        "Some Core @ 2.00GHz",
        "6",
        "85",
    )
    assert (facts["stepping"], facts["microcode"]) == ("7", "0x5003")
    assert facts["flags"] == ["avx", "avx2", "avx512_vnni", "fma"]
    assert (facts["l3"], facts["smt"], facts["clock"]) == ("32768K", "1", "tsc")
    assert (facts["cores"], facts["hypervisor"], facts["quota"]) == (3, True, "200000 100000")
    assert (facts["threads"], facts["spinning"]) == (2, True)
    assert (identity()["threads"], identity()["spinning"]) == (1, False)
    assert set(facts["packages"]) == {"onnxruntime", "torch", "numpy"}
    assert all(facts["packages"].values())


def test_cores_governor_and_builds_are_part_of_the_axis(
    read_files: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = identity()
    assert (plain["affinity"], plain["governor"]) == ([0, 2, 5], None)
    assert set(plain["builds"]) == {"onnxruntime", "torch", "numpy"}
    assert all(plain["builds"].values())
    axes = {fingerprint.fingerprint(plain)}
    read_files["/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"] = "powersave"
    assert identity()["governor"] == "powersave"
    axes.add(fingerprint.fingerprint(identity()))
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 2, 6}, raising=False)
    axes.add(fingerprint.fingerprint(identity()))  # as many cores, others
    monkeypatch.setattr(fingerprint, "builds", lambda: {"onnxruntime": "another compiler"})
    axes.add(fingerprint.fingerprint(identity()))
    assert len(axes) == 4


def test_a_quota_is_that_of_either_version_of_the_control_group(
    read_files: dict[str, str],
) -> None:
    del read_files["/sys/fs/cgroup/cpu.max"]
    assert identity()["quota"] == "-1 50000"
    del read_files["/sys/fs/cgroup/cpu/cpu.cfs_quota_us"]
    assert identity()["quota"] is None


def test_a_machine_that_says_nothing_has_an_identity(
    read_files: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    read_files.clear()
    monkeypatch.setattr(fingerprint, "_PACKAGES", ("no-such-package",))
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 11)
    facts = identity()
    assert (facts["model"], facts["flags"], facts["hypervisor"]) == (None, [], False)
    assert (facts["quota"], facts["l3"]) == (None, None)
    assert facts["cores"] == 11
    assert facts["packages"] == {"no-such-package": None}
    read_files["/proc/cpuinfo"] = "Features\t: fp asimd f16c\n"  # as an ARM says it
    assert identity()["flags"] == ["f16c"]


def test_files_are_read_without_their_ends(tmp_path: Path) -> None:
    (tmp_path / "smt").write_bytes(b" 1\xff\n")
    assert fingerprint._read(str(tmp_path / "smt")) == "1�"
    assert fingerprint._read(str(tmp_path / "none")) is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "Core (4 cores, virtual), ONNX Runtime 1.2, one thread"),
        ({"cores": 1}, "Core (1 core, virtual), ONNX Runtime 1.2, one thread"),
        ({"cores": 2}, "Core (2 cores, virtual), ONNX Runtime 1.2, one thread"),
        ({"hypervisor": False}, "Core (4 cores), ONNX Runtime 1.2, one thread"),
        ({"threads": 3}, "Core (4 cores, virtual), ONNX Runtime 1.2, 3 threads"),
        ({"model": None}, "arm64 (4 cores, virtual), ONNX Runtime 1.2, one thread"),
        (
            {"packages": {"onnxruntime": None}},
            "Core (4 cores, virtual), ONNX Runtime absent, one thread",
        ),
    ],
)
def test_a_machine_in_words(changes: dict[str, Any], words: str) -> None:
    facts = {
        "model": "Core",
        "machine": "arm64",
        "cores": 4,
        "hypervisor": True,
        "threads": 1,
        "packages": {"onnxruntime": "1.2"},
        **changes,
    }
    assert in_words(cast(Machine, facts)) == words
