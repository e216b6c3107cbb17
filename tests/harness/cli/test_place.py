"""What the place does to a command is a sentence with exit code 2, nothing is half done, and the
same command works once the place is mended."""

import errno
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from fusefront.datasets import integrity
from fusefront.datasets.errors import PlaceError
from fusefront.datasets.locks import Wait, locked
from fusefront.datasets.store import PreparedDataset
from fusefront.harness.cli.main import main
from fusefront.harness.cli.place import of_the_place
from fusefront.harness.runs.store import StudyFolder

PREPARE = ("prepare", "data/dataset.yaml", "--out", "out")


@pytest.fixture
def raw_world(tmp_path: Path) -> Path:
    """A folder with a small world under data/."""
    from fusefront.datasets.synthetic.write import write_world

    write_world("tour", tmp_path / "data", seed=1, train=60, valid=20, test=30)
    return tmp_path


def command(
    folder: Path, *words: str | bytes, before: Callable[[], None] | None = None, **more: str
) -> tuple[int, str]:
    """Exit code and what was written, in a process of its own."""
    ended = subprocess.run(
        [str(Path(sys.executable).with_name("fusefront")), *words],
        cwd=folder,
        env={**os.environ, "FUSEFRONT_HOST_LOCK": str(folder / "host.lock"), **more},
        capture_output=True,
        preexec_fn=before,
        check=False,
    )
    return ended.returncode, (ended.stdout + ended.stderr).decode(errors="replace")


def call(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """The exit code of a command here."""
    monkeypatch.setattr(sys, "argv", ["fusefront", *words])
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def a_sentence(text: str) -> None:
    assert "Traceback" not in text
    assert text.strip().splitlines()[-1].startswith("fusefront: ")


def small_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))


def test_files_that_may_not_grow_are_a_sentence_and_nothing_stays(raw_world: Path) -> None:
    code, text = command(raw_world, *PREPARE, before=small_files)
    assert code == 2, text
    a_sentence(text)
    assert "file too large" in text
    assert files(raw_world / "out") == []
    code, text = command(raw_world, *PREPARE)
    assert code == 0, text


def test_bytes_that_are_no_utf8_are_a_sentence(raw_world: Path) -> None:
    odd_spec = os.fsencode(raw_world) + b"/data/\xff.yaml"
    os.rename(raw_world / "data" / "dataset.yaml", odd_spec)
    code, text = command(raw_world, "prepare", b"data/\xff.yaml")
    assert code == 2, text
    a_sentence(text)
    assert r"got the argument b'data/\xff.yaml', expected UTF-8" in text
    os.rename(odd_spec, raw_world / "data" / "dataset.yaml")
    odd = Path(os.fsdecode(os.fsencode(raw_world) + b"/data/\xfe.txt"))
    odd.write_bytes(b"\xfe")  # beside the data: it is nobody's
    code, text = command(raw_world, *PREPARE)
    assert code == 0, text
    code, text = command(raw_world, "init", "data", "--spec", "new.yaml")
    assert code == 3, text  # a spec could not name it
    a_sentence(text)
    assert text.endswith("cannot be written; rename it\n")
    odd.unlink()
    code, text = command(raw_world, "init", "data", "--spec", "new.yaml")
    assert code == 0, text
    (raw_world / "data" / "dataset.yaml").write_bytes(b"name: \xff\n")
    code, text = command(raw_world, *PREPARE)
    assert code == 2, text
    a_sentence(text)


LONG = "n" * 300


@pytest.mark.parametrize(
    "words",
    [
        ("prepare", f"{LONG}.yaml"),
        ("prepare", "data/dataset.yaml", "--out", LONG),
        ("prepare", "data/dataset.yaml", "--data", LONG),
        ("run", f"{LONG}.yaml"),
        ("compare", LONG),
        ("decide", LONG),
        ("report", LONG),
        ("runs", "--out", LONG),
        ("export", LONG),
        ("verify", LONG),
        ("gc", "--out", LONG),
        ("reproduce", LONG),
        ("codes", LONG),
        ("predict", LONG, LONG),
        ("serve-check", LONG),
        ("init", LONG),
        ("check", LONG),
        ("sync", "--dry-run", "--out", LONG),
        ("counters", LONG, LONG, "--to", LONG),
    ],
)
def test_a_name_of_300_characters_is_a_sentence(
    raw_world: Path,
    words: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(raw_world)
    before = files(raw_world)
    assert call(monkeypatch, *words) in (2, 3, 5)  # 3: no bundle
    a_sentence(capsys.readouterr().err)
    assert files(raw_world) == before


@pytest.mark.parametrize("where", ["study", "strategy"])
def test_a_long_name_in_a_study_is_refused_before_anything_is_written(
    raw_world: Path, where: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name = {"study": "s", "strategy": "é" * 70 + "x" * 10, where: LONG}
    study = {
        "name": name["study"],
        "dataset": "data/dataset.yaml",
        "strategies": {name["strategy"]: {"baseline": "popularity"}},
        "baseline": name["strategy"],
        "controls": False,
    }
    (raw_world / "study.yaml").write_text(yaml.safe_dump(study))
    monkeypatch.chdir(raw_world)
    assert call(monkeypatch, "run", "study.yaml", "--dry-run") == 2
    assert "got a name of 300 bytes" in capsys.readouterr().err
    assert not (raw_world / "out").exists()
    (raw_world / "study.yaml").write_text(yaml.safe_dump({**study, "name": "n" * 150}))
    if where == "study":
        assert call(monkeypatch, "run", "study.yaml", "--dry-run") == 0


def refusing(number: int, root: Path) -> Callable[[str, int], None]:
    """An audit hook, which nobody can take out again: while `refusing.on` is this number, whatever
    would be written under `root` is refused."""
    written = os.O_WRONLY | os.O_RDWR | os.O_CREAT

    def hook(event: str, arguments: object) -> None:
        if refusing.on != number or not isinstance(arguments, tuple):  # type: ignore[attr-defined]
            return
        path = arguments[0] if arguments else None
        if event == "open" and not (isinstance(arguments[2], int) and arguments[2] & written):
            return
        writes = event in ("open", "os.mkdir", "os.rename", "os.link", "os.remove")
        if writes and isinstance(path, str | os.PathLike) and Path(path).is_relative_to(root):
            raise OSError(number, os.strerror(number), str(path))

    return hook


refusing.on = 0  # type: ignore[attr-defined]


@pytest.mark.parametrize("number", [errno.EROFS, errno.ENOSPC, errno.EACCES])
def test_a_folder_that_takes_nothing_is_a_sentence_for_verbs_that_write(
    trained_study: StudyFolder,
    number: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Those that only read go on."""
    root = trained_study.root
    (trained_study.path / "comparison.json").unlink()
    before = files(root)
    sys.addaudithook(refusing(number, root))  # type: ignore[arg-type]
    monkeypatch.setattr(refusing, "on", number)
    late = next(e for e in trained_study.completed() if e.strategy == "late_fusion")
    writing = [
        ("compare", "shop", "--out", str(root)),
        ("report", "shop", "--store", str(root)),
        ("export", late.run_id, "--out", str(root)),
        ("decide", "shop", "--out", str(root)),
    ]
    for words in writing:
        assert call(monkeypatch, *words) == 2, words
        error = capsys.readouterr().err
        a_sentence(error)
        assert os.strerror(number).lower() in error
        assert files(root) == before
    for words in (("runs",), ("verify", "shop"), ("codes", late.run_id), ("gc",)):
        assert call(monkeypatch, *words, "--out", str(root)) in (0, 5), words
        capsys.readouterr()
    monkeypatch.setattr(refusing, "on", False, raising=False)
    assert call(monkeypatch, *writing[0]) == 0
    assert files(root) != before


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (OSError(errno.ENOSPC, "x", "a"), "got 'a': no space left on device; free some space"),
        (OSError(errno.ENAMETOOLONG, "x"), "file name too long; give a shorter name"),
        (RuntimeError("failed to write (os error 28)"), "no space left on device; free some"),
        (RuntimeError("IoError(Os { code: 30, kind: ReadOnlyFilesystem })"), "read-only file"),
        (FileNotFoundError(2, "No usable temporary directory found in ['/x']"), "No usable temp"),
        (FileNotFoundError(2, "x", "a"), ""),
        (ValueError("os error"), ""),
    ],
)
def test_only_what_is_of_the_place_is_said(error: Exception, sentence: str) -> None:
    text = of_the_place(error)
    assert text.startswith(sentence)
    assert bool(text) == bool(sentence)


@pytest.mark.parametrize("jump", [-3 * 86400.0, -3600.0, 3 * 86400.0, 40 * 365 * 86400.0])
def test_a_clock_that_jumps_makes_a_store_be_checked_again_and_no_lock_wait_longer(
    raw_world: Path, jump: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(raw_world)
    assert call(monkeypatch, *PREPARE) == 0
    store = PreparedDataset.open(next((raw_world / "out" / "prepared").glob("*/*/")))
    integrity.check_store(store, whole=True)
    label = store.path / "train" / "row" / "label.npy"
    now = json.loads((store.path / integrity.NOTE).read_text())["time"]
    monkeypatch.setattr(time, "time", lambda: now + jump)
    looked: list[Path] = []
    whole = integrity.whole_check
    monkeypatch.setattr(integrity, "whole_check", lambda path: looked.append(path) or whole(path))
    integrity.check_store(store)
    assert looked == [store.path]  # later than a day, or earlier than the note
    integrity.check_store(store)
    assert looked == [store.path]
    assert json.loads((store.path / integrity.NOTE).read_text())["time"] == now + jump
    with (
        locked(raw_world / "lock", Wait("")),
        pytest.raises(PlaceError, match=r"after 0\.3 s"),
        locked(raw_world / "lock", Wait("waiting", limit=0.3)),
    ):
        pass
    assert label.exists()


HOMELESS = {
    "HOME": "/dev/null/home",
    "XDG_CONFIG_HOME": "/dev/null/c",
    "XDG_CACHE_HOME": "/dev/null/d",
}
STUDY = """
name: small
dataset: {synthetic: tour, seed: 3, train: 60, valid: 30, test: 40}
baseline: popularity
strategies: {popularity: {}, late_fusion: {token_width: 8}}
controls: false
seeds: [0]
training: {epochs: 1, batch_rows: 512}
latency: {candidates: [4], decide_at: 4, rounds: 3}
"""


@pytest.mark.slow
@pytest.mark.parametrize("home", ["gone", "nowhere"])
def test_a_whole_study_needs_no_home(tmp_path: Path, home: str) -> None:
    (tmp_path / "small.yaml").write_text(STUDY)
    environment = {"HOME": "", "XDG_CONFIG_HOME": ""} if home == "gone" else HOMELESS
    code, text = command(tmp_path, "run", "small.yaml", "--jobs", "1", **environment)
    assert code == 0, text
    assert "Traceback" not in text
    assert len(list(tmp_path.glob("out/runs/*/*/*/summary.json"))) == 2
    assert len(list(tmp_path.glob("out/runs/*/*/*/wandb/mirrored.json"))) == 2


@pytest.mark.slow
def test_a_full_disk_is_a_sentence_and_then_the_same_command_works(tmp_path: Path) -> None:
    """A small file system of its own, where this user may mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this user may mount nothing")
    try:
        (tmp_path / "small.yaml").write_text(STUDY)
        words = ("run", "small.yaml", "--jobs", "1", "--no-wandb", "--out", str(disk / "out"))
        sizes = ("600k", "900k", "1200k", "1800k", "64m")
        codes = []
        for size in sizes:
            again = ["mount", "-o", f"remount,size={size}", str(disk)]
            subprocess.run(again, capture_output=True, check=True)
            code, text = command(tmp_path, *words)
            codes.append(code)
            assert "Traceback" not in text, text
            if code:
                a_sentence(text)
                assert "no space left on device" in text.lower()
        assert codes[0] in (1, 2)
        assert codes[-1] == 0
        assert set(codes) <= {0, 1, 2}
        assert not [name for name in files(disk) if ".tmp-" in name]
    finally:
        subprocess.run(["umount", str(disk)], capture_output=True, check=False)
