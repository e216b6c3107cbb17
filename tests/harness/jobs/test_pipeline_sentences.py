"""What a study lacks, which of the user's parts it uses, and what its end is, by stand-ins."""

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from fusefront.harness.dossier import comparison, decide
from fusefront.harness.errors import FusefrontError, GateError, NothingToDoError, UsageError
from fusefront.harness.jobs import pipeline
from fusefront.harness.jobs.pipeline import Conclusion, FilledMatrix, StudyRequest
from fusefront.harness.jobs.train import Tuned
from fusefront.harness.parts.included import RecordedPart
from fusefront.harness.parts.kinds import BACKEND, BASELINE, KINDS, METRIC, Kind
from fusefront.harness.parts.outside_parts import Own
from fusefront.harness.runs.study import Study, check_study
from fusefront.harness.serving.latency import study as latency_study

from .cell_stand_ins import A, B, C, cell


class StandInStudy:
    """A study's folder: damages by recipe (None is the main matrix), each of (strategy, seed)."""

    def __init__(self, damages: dict[Any, dict[tuple[str, int], str]]) -> None:
        self.damages = damages

    def matrix(self) -> Any:
        others = [each for each in self.damages if each is not None]
        return {"sensitivity": others} if others else {}

    def checked_entries(self, other: int | None = None) -> list[Any]:
        entries = self.damages.get(other, {}).items()
        return [SimpleNamespace(strategy=s, seed=n, damage=text) for (s, n), text in entries]


@pytest.mark.parametrize(
    ("failed", "left_out", "damages", "lacks"),
    [
        ([], {}, {}, None),
        ([], {}, {None: {("a", 0): ""}}, None),
        (
            [(B, "b broke"), (A, "a broke")],
            {},
            {None: {("c", 0): ""}},
            ("2 of 3 runs failed (a seed 0, b seed 0)", "first reason: b broke"),
        ),
        (
            [(B, "b broke")],
            {"z": "z is damaged", "y": "y is damaged"},
            {None: {("c", 0): "c is damaged"}, 0: {("a", 0): "a is damaged"}},
            (
                "3 of 3 runs failed or are damaged (a seed 0, b seed 0, c seed 0) and left out for "
                "a damaged search: y, z",
                "first reason: b broke",
            ),
        ),
        (
            [],
            {"z": "z is damaged"},
            {},
            ("left out for a damaged search: z", "first reason: z is damaged"),
        ),
        (
            [],
            {"z": "z is damaged"},
            {0: {("c", 3): "c is damaged"}},
            (
                "1 of 3 runs failed or are damaged (c seed 3) and left out for a damaged search: z",
                "first reason: c is damaged",
            ),
        ),
    ],
)
def test_what_a_matrix_lacks_is_counted_and_named(
    failed: Any, left_out: dict[str, str], damages: Any, lacks: tuple[str, str] | None
) -> None:
    folder: Any = StandInStudy(damages)
    assert FilledMatrix([A, B, C], failed, left_out).lacks(folder) == lacks


def study(**changes: Any) -> Study:
    raw = {
        "name": "s",
        "dataset": "d.yaml",
        "baseline": "late",
        "strategies": {
            "late": {"baseline": "mine", "operator": "of settings"},
            "other": {"baseline": "late_fusion", "space": {"head": ["of a space", "mlp"]}},
        },
        "tuning": {"trials": 1, "space": {"compressor": ["of the study", "pca"]}},
        "comparison": {"metrics": ["auc", "gain"]},
        "latency": {"backends": ["onnx", "fast"]},
    }
    return check_study({**raw, **changes}, "s.yaml")


def own(kind: Kind, name: str, package: str = "") -> Own:
    return Own(kind, name, object, "a file", (), package)


def test_metrics_and_backends_that_nobody_offers_are_refused() -> None:
    mine = [own(METRIC, "gain"), own(BACKEND, "fast")]
    pipeline._check_beside(study(), mine)
    with pytest.raises(UsageError, match=r"^metric 'gain' is not known; known: .*auc.*, slow;"):
        pipeline._check_beside(study(), [own(BACKEND, "gain"), own(METRIC, "slow")])
    with pytest.raises(UsageError, match=r"^latency backend 'fast' is not known; known: onnx, "):
        pipeline._check_beside(study(), mine[:1])


def test_a_study_uses_its_files_and_what_it_names_of_packages() -> None:
    """By kind and name: a backend that is called as a metric is another part."""
    operator = next(kind for kind in KINDS if kind.word == "operator")
    unused = [own(METRIC, "fast", "p 1"), own(BASELINE, "yours", "p 1"), own(operator, "o", "p 1")]
    used = [
        own(METRIC, "gain", "p 1"),
        own(BACKEND, "fast", "p 1"),
        own(BASELINE, "mine", "p 1"),
        own(operator, "of settings", "p 1"),
        own(operator, "of a space", "p 1"),
        own(operator, "of the study", "p 1"),
        own(METRIC, "of a file"),
    ]
    assert pipeline._of_the_study([*unused, *used], study()) == used


def test_recorded_parts_are_needed_where_the_study_names_them() -> None:
    needed = pipeline._needed(study())
    parts = [("metric", "gain"), ("latency backend", "fast"), ("baseline", "mine")]
    assert all(needed(RecordedPart(kind=kind, name=name)) for kind, name in parts)
    others = [("metric", "fast"), ("latency backend", "gain"), ("baseline", "gone")]
    assert not any(needed(RecordedPart(kind=kind, name=name)) for kind, name in others)


@pytest.fixture
def request_here(tmp_path: Path) -> StudyRequest:
    return StudyRequest(Path("s.yaml"), tmp_path)


class StandInMirror:
    def __init__(self) -> None:
        self.calls: list[Any] = []

    def decided(self, folder: Path, page: Path) -> None:
        self.calls.append((folder, page))

    def close(self) -> None:
        self.calls.append("closed")


def concluded(
    monkeypatch: pytest.MonkeyPatch, root: Path, mirror: Any, gate: str = ""
) -> tuple[Conclusion, list[Any]]:
    """The conclusion and the steps, in their order; `gate` is why nothing can be decided."""
    steps: list[Any] = []

    def decide_study(folder: Any, *, tell: Any) -> str:
        steps.append("decided")
        tell("as [decided]")
        if gate:
            raise GateError(gate)
        return "take a"

    def report(folder: Any, page: Path) -> Path:
        steps.append(page)
        return page / "index.html"

    monkeypatch.setattr(
        latency_study, "bench_study", lambda _, *, tell, include: steps.append(("timed", include))
    )
    monkeypatch.setattr(
        comparison, "compare_study", lambda _, *, include: steps.append(("compared", include))
    )
    monkeypatch.setattr(decide, "decide_study", decide_study)
    monkeypatch.setattr(decide, "report_study", report)
    folder: Any = SimpleNamespace(root=root, path=root / "studies" / "s", name="s")
    console = Console(file=io.StringIO())
    workers = SimpleNamespace(include=[Path("my.py")])
    workspace: Any = SimpleNamespace(workers=workers, console=console, mirror=mirror)
    conclusion = pipeline.conclude(folder, workspace)
    assert console.file.getvalue() == "as [decided]\n"  # type: ignore[attr-defined]
    return conclusion, steps


def test_a_conclusion_is_timed_compared_decided_and_reported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    mirror, include = StandInMirror(), (Path("my.py"),)
    page = tmp_path / "reports" / "s" / "index.html"
    conclusion, steps = concluded(monkeypatch, tmp_path, mirror)
    assert conclusion == Conclusion(page, "take a")
    assert steps == [("timed", include), ("compared", include), "decided", page.parent]
    assert mirror.calls == [(tmp_path / "studies" / "s", page), "closed"]
    conclusion, steps = concluded(monkeypatch, tmp_path, None, "nothing is significant")
    assert conclusion == Conclusion(page, "nothing is significant")
    assert steps[-1] == page.parent


def ended(
    monkeypatch: pytest.MonkeyPatch,
    request_here: StudyRequest,
    *,
    failed: Any = (),
    refused: str = "",
    less: str = "",
) -> Conclusion:
    """A whole study, of which some runs failed, which cannot be concluded or is unequal."""
    plan = SimpleNamespace(study=SimpleNamespace(tuning=SimpleNamespace(accept={})))
    workspace = SimpleNamespace(root=request_here.out, folder=request_here.out)
    matrix = FilledMatrix([A, B], list(failed), {})

    def conclude(*_: Any) -> Conclusion:
        if refused:
            raise FusefrontError(refused)
        return Conclusion(Path("page"), "take a")

    monkeypatch.setattr(pipeline, "begin", lambda *_: (plan, workspace))
    monkeypatch.setattr(pipeline, "train", lambda *_: matrix)
    monkeypatch.setattr(pipeline, "conclude", conclude)
    monkeypatch.setattr(pipeline, "StudyFolder", lambda *_: StandInStudy({}))
    monkeypatch.setattr(pipeline, "study_budgets", lambda _: [])
    monkeypatch.setattr(pipeline, "unequal", lambda *_: less)
    return pipeline.run_study(request_here, Console(file=io.StringIO()))


def test_a_study_ends_with_the_worst_that_is_known_of_it(
    monkeypatch: pytest.MonkeyPatch, request_here: StudyRequest
) -> None:
    assert ended(monkeypatch, request_here) == Conclusion(Path("page"), "take a")
    with pytest.raises(GateError, match=r"^a got less; the page is page$"):
        ended(monkeypatch, request_here, less="a got less")
    failed = [(A, "a broke")]
    with pytest.raises(
        FusefrontError,
        match=r"^1 of 2 runs failed \(a seed 0\); the others are in page; first reason: a broke$",
    ):
        ended(monkeypatch, request_here, failed=failed, less="a got less")
    with pytest.raises(
        FusefrontError,
        match=r"^1 of 2 runs failed \(a seed 0\); first reason: a broke; so nothing is concluded: "
        r"no baseline$",
    ):
        ended(monkeypatch, request_here, failed=failed, refused="no baseline")
    with pytest.raises(FusefrontError, match=r"^no baseline$"):
        ended(monkeypatch, request_here, refused="no baseline")


def trained(monkeypatch: pytest.MonkeyPatch, trials: int) -> tuple[FilledMatrix, list[Any]]:
    """A study with one other recipe, and the calls; its search left `z` out."""
    calls: list[Any] = []
    plan: Any = SimpleNamespace(
        study=SimpleNamespace(
            tuning=SimpleNamespace(trials=trials), sensitivity=[{"clip": 1}], name="s"
        ),
        lacking=lambda left_out: calls.append(left_out) or plan,
        final=lambda winners: calls.append(winners) or [A, B],
        under=lambda recipe: SimpleNamespace(final=lambda winners: [cell("a", 5)]),
    )
    searched = Tuned({"a": {"params": {"k": 3}}}, {"z": "damaged"})  # type: ignore[typeddict-item]
    monkeypatch.setattr(pipeline, "tune", lambda *_: searched)
    monkeypatch.setattr(pipeline, "write_matrix", lambda *of: calls.append(("written", *of[2:])))
    monkeypatch.setattr(pipeline, "fill", lambda *of: calls.append(of[2:]) or [(A, "broke")])
    monkeypatch.setattr(pipeline, "end", lambda _: calls.append("end"))
    workspace: Any = None
    return pipeline.train(plan, workspace), calls


@pytest.mark.parametrize("trials", [0, 1])
def test_the_matrix_of_a_study_is_filled_with_that_of_its_other_recipes(
    monkeypatch: pytest.MonkeyPatch, trials: int
) -> None:
    matrix, calls = trained(monkeypatch, trials)
    other, left_out = cell("a", 5), {"z": "damaged"} if trials else {}
    assert matrix == ([A, B, other], [(A, "broke")], left_out)
    assert calls[:2] == [left_out, {"a": {"k": 3}} if trials else {}]
    ((written, cells, others),) = calls[2:3]
    assert (written, cells, list(others.values())) == ("written", [A, B], [[other]])
    assert calls[3:] == [([A, B, other], "run"), "end"]


@pytest.mark.parametrize("error", [None, KeyboardInterrupt])
def test_trials_are_exported_also_after_an_error(
    monkeypatch: pytest.MonkeyPatch, request_here: StudyRequest, error: Any
) -> None:
    calls: list[Any] = []
    study_ = SimpleNamespace(name="s", tuning=SimpleNamespace(trials=1, accept={}))
    plan = SimpleNamespace(study=study_, searches=lambda _: [], searched=list)
    workspace = SimpleNamespace(root=request_here.out, folder=request_here.out)

    def tune(*_: Any) -> Tuned:
        if error:
            raise error
        return Tuned({}, {})

    monkeypatch.setattr(pipeline, "begin", lambda *_: (plan, workspace))
    monkeypatch.setattr(pipeline, "tune", tune)
    monkeypatch.setattr(pipeline, "end", lambda _: calls.append("end"))
    monkeypatch.setattr(pipeline, "export_trials", lambda *of: calls.append(of))
    monkeypatch.setattr(pipeline, "budgets", lambda *_: [])
    console = Console(file=io.StringIO())
    for export in (Path("trials.db"), None):
        if error:
            with pytest.raises(error):
                pipeline.tune_study(request_here, console, export)
        else:
            pipeline.tune_study(request_here, console, export)
    assert calls == ["end", ([], "s", request_here.out, Path("trials.db")), "end"]
    study_.tuning.trials = 0
    with pytest.raises(NothingToDoError):
        pipeline.tune_study(request_here, console, Path("trials.db"))
    assert len(calls) == 3
