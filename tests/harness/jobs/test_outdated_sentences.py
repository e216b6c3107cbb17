"""The sentence on runs of other code, from stand-ins for records: counted, named, cut."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fusefront.datasets.errors import DataContractError
from fusefront.harness.jobs import outdated_runs
from fusefront.harness.parts.identity import Code
from fusefront.harness.runs.records import NewerFormatError

NOW = Code("now", {f"fusefront.part{n}": "new" for n in range(9)} | {"own.part": "new"})


def sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: dict[str, list[str] | None]
) -> str:
    """Runs by name, each with the modules that have changed since; None = it lists no code."""

    def spec(path: Path) -> Any:
        if path.name == "unreadable":
            raise DataContractError("no spec")
        return SimpleNamespace(code="now" if path.name.startswith("new") else "then", of=path.name)

    def sources(path: Path, _: Any) -> Any:
        modules = changed[path.parent.name]
        if modules is None:
            raise DataContractError("no list")
        return {"sources": {**NOW.sources, **dict.fromkeys(modules, "old")}}

    (tmp_path / "matrix.json").touch()
    monkeypatch.setattr(outdated_runs, "read_spec", spec)
    monkeypatch.setattr(outdated_runs, "read_record", sources)
    current = {"unbuildable": None}
    monkeypatch.setattr(outdated_runs, "_code_now", lambda spec, *_: current.get(spec.of, NOW))
    entries = [SimpleNamespace(path=tmp_path / name) for name in changed]
    folder: Any = SimpleNamespace(path=tmp_path, completed=lambda: entries)
    none: Any = None
    return outdated_runs.reidentified(folder, none, none)


REST = "; they stay readable, and what this study needs is trained again"


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"new": ["fusefront.part0"], "unreadable": [], "unbuildable": []}, ""),
        (
            {"unreadable": [], "unbuildable": [], "a": ["own.part", "fusefront.part2"], "new": []},
            "1 recorded runs of this study were trained by other code (changed since: "
            f"part2, own.part){REST}",
        ),
        (
            {"a": None, "b": None},
            "2 recorded runs of this study were trained by other code (of some runs the code is "
            f"not on record){REST}",
        ),
        (
            {"a": [f"fusefront.part{n}" for n in (5, 4, 3)], "b": None,
             "c": [f"fusefront.part{n}" for n in (0, 1, 2, 3)]},
            "3 recorded runs of this study were trained by other code (changed since: part0, "
            f"part1, part2, part3, part4, part5; of some runs the code is not on record){REST}",
        ),
        (
            {"a": [f"fusefront.part{n}" for n in range(8)]},
            "1 recorded runs of this study were trained by other code (changed since: part0, "
            f"part1, part2, part3, part4, part5 and 2 more){REST}",
        ),
    ],
)  # fmt: skip
def test_runs_of_other_code_are_counted_and_up_to_six_modules_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    changed: dict[str, list[str] | None],
    expected: str,
) -> None:
    assert sentence(tmp_path, monkeypatch, changed) == expected


def test_a_matrix_that_cannot_be_read_says_nothing_but_a_newer_one_does(tmp_path: Path) -> None:
    (tmp_path / "matrix.json").touch()

    def refused(error: Exception) -> Any:
        def completed() -> None:
            raise error

        return SimpleNamespace(path=tmp_path, completed=completed)

    none: Any = None
    damaged = refused(DataContractError("no matrix"))
    assert outdated_runs.reidentified(damaged, none, none) == ""
    with pytest.raises(NewerFormatError):
        outdated_runs.reidentified(refused(NewerFormatError("newer")), none, none)


def test_settings_that_todays_code_cannot_build_have_no_code(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def built(kind: str, parts: Any, settings: Any, schema: Any) -> str:
        if "gone" in settings:
            raise ValueError("unknown setting 'gone'")
        return f"{kind} of {schema}"

    monkeypatch.setattr(outdated_runs, "schema_of", lambda store: f"the schema of {store}")
    monkeypatch.setattr(outdated_runs, "built_of", built)
    monkeypatch.setattr(outdated_runs, "code_of", lambda model: Code(model, {}))
    parts: Any = SimpleNamespace(baselines={"late": "a kind"})
    store: Any = "a store"

    def code(baseline: str, **settings: int) -> Code | None:
        spec: Any = SimpleNamespace(baseline=baseline, settings=settings)
        return outdated_runs._code_now(spec, store, parts)

    assert code("late", width=3) == Code("a kind of the schema of a store", {})
    assert code("late", gone=3) is None
    assert code("removed", width=3) is None
