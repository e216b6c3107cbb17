"""Drawn interleavings of two studies on one folder, with kills.

`interleave.py FOLDER COUNT [FIRST]`; FIRST: where to go on; each number has draws of its own.
"""

import json
import shutil
import signal
import sys
import time
from hashlib import sha256
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).parent))
import warm
from test_sharing import leftovers, trained, write_studies

EACH = 6  # interleavings on one folder, then both studies undisturbed


def interleave(folder: Path, count: int, first: int = 0) -> None:
    """Two to three commands at drawn moments, each killed or not; then all is as undisturbed."""
    calm = folder / "calm"
    calm.mkdir()
    write_studies(calm, trials=2)
    for name in ("first", "second"):
        assert warm.end(warm.start(calm, words("run", name))) == 0, logs(calm)
    session = calm / "out" / "studies" / "first" / "bench"
    again = folder / "again"
    again.mkdir()
    write_studies(again, trials=2)
    for name in ("first", "second"):
        assert warm.end(warm.start(again, words("run", name), session=session)) == 0, logs(again)
    written = [path.stat().st_mtime for path in again.rglob("*")]
    lasts = (max(written) - min(written)) / 2  # seconds of a command from nothing
    expected = outcome(calm)
    assert outcome(again) == expected
    kills = commands = 0
    shared = folder / "0"
    for number in range(first - first % EACH, count):
        random = Random(number)
        if number % EACH == 0:  # a fresh folder: the world and the store are disputed, too
            shutil.rmtree(shared, ignore_errors=True)
            shared = folder / str(number)
            shared.mkdir()
            write_studies(shared, trials=2)
            killed: set[int] = set()
        started = []
        for _ in range(random.choice((2, 2, 3))):
            verb, name = random.choice(("run", "run", "tune")), random.choice(("first", "second"))
            started.append(warm.start(shared, words(verb, name), session=session))
            time.sleep(random.uniform(0, lasts / 4))
        for pid in started:
            dies = random.random() < 0.7
            after = random.uniform(0, lasts) if dies else 3600.0
            code = warm.kill(pid, after)
            assert code in (0, -signal.SIGKILL), f"{number}: {logs(shared)}"
            killed |= {pid} if code else set()
            kills, commands = kills + bool(code), commands + 1
        trained_once_or_after_a_kill(shared, killed)
        if number % EACH == EACH - 1 or number == count - 1:
            quiet = [warm.start(shared, words("run", n), session=session) for n in STUDIES]
            assert [warm.end(pid) for pid in quiet] == [0, 0], f"{number}: {logs(shared)}"
            trained_once_or_after_a_kill(shared, killed)
            assert outcome(shared) == expected, f"after interleaving {number}"
            assert leftovers(shared) == []
            print(f"{number + 1} interleavings, {commands} commands, {kills} kills", flush=True)


STUDIES = ("first", "second")


def words(verb: str, name: str) -> list[str]:
    return [verb, f"{name}.yaml", "--out", "out", "--jobs", "1", "--no-wandb"]


def logs(folder: Path) -> str:
    """The ends of what the commands wrote."""
    return "\n".join(path.read_text()[-2000:] for path in sorted(folder.glob("*.log")))


def trained_once_or_after_a_kill(folder: Path, killed: set[int]) -> None:
    """No training of a run begins while another was not killed."""
    log = folder / "trainings"
    begun = [line.split() for line in log.read_text().splitlines()] if log.exists() else []
    for run_id in {run_id for run_id, _ in begun}:
        pids = [int(pid) for other, pid in begun if other == run_id]
        assert set(pids[:-1]) <= killed, f"run {run_id} was trained by {pids}, killed: {killed}"
    ids = trained(folder)
    assert len(ids) == len(set(ids)), "a run is on record twice"


def outcome(folder: Path) -> dict[str, object]:
    """What two studies came to: SHA-256 of all scores and weights, and records without clocks."""
    content: dict[str, object] = {}
    for path in sorted(folder.glob("out/runs/*/*/*/*/*.*")):
        if not path.name.startswith("."):
            content[f"{path.parent.parent.name}/{path.name}"] = sha256(
                path.read_bytes()
            ).hexdigest()
    for path in sorted(folder.glob("out/studies/*/tuning/*/[!.]*.json")):
        record = json.loads(path.read_text())
        content[f"{path.parents[2].name} {path.parent.name}/{path.name}"] = {
            key: value for key, value in record.items() if key not in ("seconds", "evidence")
        }
    for name in ("comparison.json", "matrix.json"):
        for path in sorted(folder.glob(f"out/studies/*/{name}")):
            record = json.loads(path.read_text())
            content[f"{path.parent.name} {name}"] = record.get("strategies", record.get("cells"))
    return content


if __name__ == "__main__":
    interleave(Path(sys.argv[1]), *map(int, sys.argv[2:]))
