"""The plan says beforehand what the counters' temporary files take at most."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fusefront.datasets.counting.count import FILE
from fusefront.datasets.counting.rows import MOMENT
from fusefront.datasets.counting.spread import Gathered, KeyParts
from fusefront.datasets.prepare import prepare
from fusefront.datasets.preparing import budget
from fusefront.datasets.preparing.counters import disk_of
from fusefront.datasets.raw.files import NpyWriter

from .conftest import SPEC

MANY: list[object] = [
    {"of": "user"},
    {"of": "item", "frozen": "train"},
    {"of": ["user", "item.genres"]},
    {"of": ["item", "request.device"], "window": "7d", "lag": "1h"},
    {"of": "item.brand", "decay": "7d"},
    {"of": "user", "last": 20},
    {"residual": "user"},
    {"residual": ["user", "item.genres"]},
]


def peak_of(
    world: Any, counters: list[object], out: Path, patch: pytest.MonkeyPatch, **changes: object
) -> int:
    """Bytes of temporary files at the fullest moment of the counting, looked at at each write."""
    peak = 0

    def watching(call: Callable[..., Any]) -> Callable[..., Any]:
        def watch(*args: Any, **options: Any) -> Any:
            nonlocal peak
            result = call(*args, **options)
            files = [
                path
                for path in out.rglob("*")
                if path.is_file()
                and ("counting" in path.parts or path.name in (FILE, f"{MOMENT}.npy"))
            ]
            peak = max(peak, sum(path.stat().st_size for path in files))
            return result

        return watch

    for kind, name in ((KeyParts, "add"), (Gathered, "add"), (NpyWriter, "append")):
        patch.setattr(kind, name, watching(getattr(kind, name)))
    prepare(world.spec(counters, **changes), world.folder, out)
    return peak


@pytest.mark.parametrize("part", [64, 1 << 18])
@pytest.mark.parametrize("counters", [MANY[:1], MANY[2:3], MANY], ids=["user", "genres", "many"])
def test_temporary_files_stay_under_the_plan(
    world: Any, counters: list[object], part: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.write()
    monkeypatch.setattr(budget, "_PART", part)
    genres = {"column": "genres", "type": "categories", "max_values": 3}  # as many as there are
    items = SPEC["items"] | {"fields": [genres, {"column": "brand"}]}  # type: ignore[operator]
    peak = peak_of(world, counters, tmp_path, monkeypatch, items=items)
    limit = disk_of(world.spec(counters, items=items), "s", len(world.rows))
    assert peak <= limit + 8 * 128  # headers of arrays
    assert limit < 6 * peak  # three genres for every item, and a copy of each key's records


def test_the_sentence_of_the_plan_counts_them(world: Any, tmp_path: Path) -> None:
    world.write()
    lines: list[str] = []
    prepare(world.spec(MANY), world.folder, tmp_path, progress=lines.append)
    phrase = f"at most {budget.size(disk_of(world.spec(MANY), 's', 1000))} of temporary files"
    assert any(phrase in line for line in lines)
    assert disk_of(world.spec([]), "s", 1000) == 0


@pytest.mark.parametrize(
    ("counters", "bytes_of_a_row"),
    [
        # a record of 25 bytes twice, a result of 24, two sums of 8, and the row's time of 8
        (MANY[:1], 8 + 16 + (2 * 25 + 24)),
        # eight genres a film at most
        (MANY[2:3], 8 + 16 + 8 * (2 * 25 + 24)),
        # the sums of users stand beside
        ([MANY[0], MANY[2]], 8 + 16 + 16 + 8 * (2 * 25 + 24)),
        # a window's result twice, that of the whole past once, the sums of both
        (MANY[3:4], 8 + 32 + (2 * 25 + 3 * 24)),
    ],
)
def test_the_plan_of_a_row_is_worked_out_by_hand(
    world: Any, counters: list[object], bytes_of_a_row: int
) -> None:
    assert disk_of(world.spec(counters), "s", 1000) == 1000 * bytes_of_a_row
