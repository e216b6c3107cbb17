"""A container's limit counts where it leaves less than the machine has."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from fusefront.harness.training import free_memory as module
from fusefront.harness.training.free_memory import free_memory

MACHINE = 9_000


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a process on a machine with `MACHINE` bytes free."""
    memory = SimpleNamespace(available=MACHINE)
    monkeypatch.setattr(module.psutil, "virtual_memory", lambda: memory)
    (tmp_path / "self").mkdir()
    return tmp_path / "self"


def second(folder: Path, limit: str, used: int, droppable: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "memory.max").write_text(f"{limit}\n")
    (folder / "memory.current").write_text(f"{used}\n")
    stat = f"anon 3\nfile 4000\ninactive_file {droppable}\nactive_file 70\n"
    (folder / "memory.stat").write_text(stat)


@pytest.mark.parametrize(
    ("limit", "used", "droppable", "free"),
    [
        ("5000", 2000, 0, 3000),
        ("5000", 2000, 700, 3700),  # pages of the log that can be dropped
        ("max", 2000, 0, MACHINE),
        ("50000", 2000, 0, MACHINE),
        ("5000", 5600, 100, 0),
    ],
)
def test_the_second_version(
    own: Path, tmp_path: Path, limit: str, used: int, droppable: int, free: int
) -> None:
    (own / "cgroup").write_text("0::/jobs/mine\n")
    second(tmp_path / "groups" / "jobs" / "mine", limit, used, droppable)
    assert free_memory(own, tmp_path / "groups") == free


def test_a_group_above_may_have_the_smaller_limit(own: Path, tmp_path: Path) -> None:
    (own / "cgroup").write_text("0::/jobs/mine\n")
    groups = tmp_path / "groups"
    second(groups / "jobs" / "mine", "5000", 1000, 0)
    assert free_memory(own, groups) == 4000
    second(groups / "jobs", "6000", 4500, 0)
    assert free_memory(own, groups) == 1500
    second(groups, "7000", 6900, 0)  # a container sees its own group as the topmost
    assert free_memory(own, groups) == 100
    second(tmp_path, "10", 9, 0)  # no group
    assert free_memory(own, groups) == 100


def test_the_first_version(own: Path, tmp_path: Path) -> None:
    lines = ["9:name=systemd:/", "8:memory:/docker/a:b", "7:cpu,cpuacct:/docker/a:b"]
    (own / "cgroup").write_text("\n".join(lines))
    folder = tmp_path / "groups" / "memory" / "docker" / "a:b"
    folder.mkdir(parents=True)
    (folder / "memory.limit_in_bytes").write_text("8000")
    (folder / "memory.usage_in_bytes").write_text("3000")
    (folder / "memory.stat").write_text("inactive_file 5\ntotal_inactive_file 600\n")
    second(tmp_path / "groups", "10", 9, 0)  # of the other version, which does not count here
    assert free_memory(own, tmp_path / "groups") == 5600
    (folder / "memory.limit_in_bytes").write_text(str(2**63 - 4096))  # no limit
    assert free_memory(own, tmp_path / "groups") == MACHINE


def test_without_control_groups_the_machine_counts(own: Path, tmp_path: Path) -> None:
    assert free_memory(own, tmp_path / "groups") == MACHINE
    (own / "cgroup").write_text("0::/\n3:cpu:/\n")
    assert free_memory(own, tmp_path / "groups") == MACHINE


def test_this_process_may_take_something() -> None:
    assert 2**20 < free_memory() <= module.psutil.virtual_memory().total
