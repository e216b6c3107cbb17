"""Two thousand generated damages of a study's records, weights, predictions and spec: no traceback."""

import contextlib
import io
import json
import random
import shutil
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from fusefront.harness.cli import main as program
from fusefront.harness.runs.store import StudyFolder

VERBS = ("runs", "verify", "compare", "decide", "gate", "plan", "codes", "export")
WRONG: tuple[object, ...] = (
    *(None, "x", [], {}, -1, 1e308, True, [None], {"a": None}, "é\0", 0.5, float("nan")),
)
Place = tuple[str | int, ...]


def call(words: list[str]) -> str:
    """Run a verb here as the program does; its traceback, empty where it ended in order."""
    program.app.registered_commands.clear()
    quiet = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["fusefront", *words])
        try:
            with contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
                program.main()
        except SystemExit:
            return ""
        except BaseException:
            return traceback.format_exc()
    return ""


def places(value: object, here: Place = ()) -> Iterator[Place]:
    """Every key and the first three entries of every list."""
    inner: list[tuple[str | int, object]] = []
    if isinstance(value, dict):
        inner = list(value.items())
    elif isinstance(value, list):
        inner = list(enumerate(value[:3]))
    for key, part in inner:
        yield (*here, key)
        yield from places(part, (*here, key))


def changed(raw: bytes, rng: random.Random) -> bytes:
    """JSON with one value of another type, or one key less."""
    value = json.loads(raw)
    where = rng.choice(list(places(value)) or [()])
    if not where:
        return b"[]"
    inside = value
    for key in where[:-1]:
        inside = inside[key]
    if rng.random() < 0.3:
        del inside[where[-1]]
    else:
        inside[where[-1]] = rng.choice(WRONG)
    return json.dumps(value).encode()


def damage(path: Path, rng: random.Random) -> str:
    """Damage the file; what was done, for the message."""
    raw = path.read_bytes()
    at = rng.randrange(len(raw))
    whole = {
        "empty": b"",
        "halved": raw[: len(raw) // 2],
        "null": b"null",
        "a list": b"[1]",
        "latin-1": "é".encode("latin-1") + raw,
        "noise": rng.randbytes(200),
        "one bit": raw[:at] + bytes([raw[at] ^ (1 << rng.randrange(8))]) + raw[at + 1 :],
    }
    kinds = [*whole, "gone", "a folder"]
    kinds += ["changed"] * 12 if path.suffix == ".json" else []
    kinds += ["another table"] * 4 if path.suffix == ".parquet" else []
    kind = rng.choice(kinds)
    if kind == "changed":
        path.write_bytes(changed(raw, rng))
    elif kind == "another table":
        frame = pl.read_parquet(path, glob=False)
        name = rng.choice(frame.columns)
        other = [frame.drop(name), frame.head(1), frame.with_columns(pl.lit("x").alias(name))]
        rng.choice(other).write_parquet(path)
    elif kind in whole:
        path.write_bytes(whole[kind])
    else:
        path.unlink()
        if kind == "a folder":
            path.mkdir()
    return kind


def restore(saved: Path, out: Path) -> None:
    shutil.rmtree(out)
    shutil.copytree(saved, out)


def tracebacks(study: StudyFolder, seed: int, count: int) -> list[str]:
    """The tracebacks of `count` damages, each with its file, damage and verb."""
    rng, out = random.Random(seed), study.root
    run = json.loads((study.path / "matrix.json").read_text())["cells"][0]["run_id"]
    call(["decide", "shop", "--out", str(out)])
    saved = out.with_name("saved")
    shutil.copytree(out, saved)
    names = [
        str(path.relative_to(saved))
        for path in sorted(saved.rglob("*"))
        if path.is_file() and path.stat().st_size and path.parts[-1] != ".lock"
    ]
    records = [name for name in names if not name.startswith(("prepared", "data"))]
    failed = []
    for _ in range(count):
        name = rng.choice(records if rng.random() < 0.8 else names)
        kind = damage(out / name, rng)
        verb = rng.choice(VERBS if rng.random() < 0.1 else VERBS[:-1])
        words = {
            "runs": [],
            "gate": ["shop", "--against", "shop"],
            "codes": [run],
            "export": [run],
        }.get(verb, ["shop"])
        if traceback := call([verb, *words, "--out", str(out)]):
            failed.append(f"{name}, {kind}, {verb}: {traceback}")
        restore(saved, out)
    return failed


def test_a_few_damages_end_without_a_traceback(trained_study: StudyFolder) -> None:
    failed = tracebacks(trained_study, 0, 25)
    assert not failed, failed[0]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 5))
def test_five_hundred_damages_end_without_a_traceback(
    seed: int, trained_study: StudyFolder
) -> None:
    failed = tracebacks(trained_study, seed, 500)
    ends = sorted({failure.strip().rpartition("File ")[2] for failure in failed})
    assert not failed, f"{len(failed)} of 500: " + "\n".join([*ends, failed[0]])
