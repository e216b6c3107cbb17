"""What an ablation does from step to step, with every neighbour planted; nothing is trained."""

import json
from contextlib import nullcontext
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from rich.console import Console

from fusefront.datasets.errors import DataContractError
from fusefront.harness.ablation import planned as planning
from fusefront.harness.ablation import run as ablating
from fusefront.harness.ablation.path import NO_PATH, BuildPath, PathRuns
from fusefront.harness.ablation.plan import AblatedStrategy, Factor, Level
from fusefront.harness.ablation.planned import Planned, record_name
from fusefront.harness.ablation.run import AblationOptions, ablate_study
from fusefront.harness.errors import UsageError
from fusefront.harness.serving.latency import study as timing
from fusefront.harness.tuning.search import NoWinnerError

OWN = "as it is"


def cell_of(levels: dict[str, str]) -> AblatedStrategy:
    name = "a " + ", ".join(word for word in levels.values() if word != OWN)
    return AblatedStrategy(name, "cell", name, cast(Any, ""), (), tuple(levels.items()))


def out(word: str, kind: str = "component") -> AblatedStrategy:
    return AblatedStrategy(f"a without {word}", kind, word, cast(Any, ""))


def factor(word: str, kind: str = "component") -> Factor:
    return Factor(word, kind, (Level(word, ({word: None},)),))


@pytest.fixture
def ablation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`a` taken apart; what each step is given is noted."""
    world = SimpleNamespace(
        removed=[],
        designed=SimpleNamespace(name="minimal", crossed=False, factors=[]),
        workbench=SimpleNamespace(modalities=["text", "image"], of="a"),
        plan=SimpleNamespace(study=SimpleNamespace(name="small", margin=0.002)),
        workspace=SimpleNamespace(folder=tmp_path, root=tmp_path),
        cells=[],
        parent_cells=[],
        name="minimal",
        calls={},
        path=tmp_path,
        measured=[],
        failures=[],
        retuned=False,
    )
    world.cells_of = lambda strategies: [
        SimpleNamespace(strategy=s.name, seed=4, to_json=lambda: {"run_id": "x"})
        for s in strategies
    ]

    class Scores:
        folder = None

        def effects(self, factors: Any, cells: Any) -> Any:
            world.calls["effects"] = (factors, cells)
            return [], {"a": 0.7}

        def shares(self, modalities: Any, lacks: Any) -> Any:
            world.calls["shares"] = (modalities, lacks)
            return ["shares"]

        def path(self, names: Any, parts: Any, base: str) -> Any:
            world.calls["path"] = (names, parts, base)
            return {"steps": []}

    def fill(plan: Any, workspace: Any, cells: Any, what: str) -> list[Any]:
        world.calls.setdefault("filled", []).append((what, [c.strategy for c in cells]))
        return [f for f in world.failures if f[0] == what]

    def folder_of(root: Path, folder: Path, study: Any, *, ablation: str) -> Any:
        assert ablation == record_name("a", world.name)  # of other ablations nothing is read
        return SimpleNamespace(
            completed=lambda roles: [SimpleNamespace(strategy=s) for s in world.measured]
        )

    for name, value in {
        "plan_ablation": lambda *about, retuned: world,
        "at_work": lambda out, console: nullcontext(),
        "fill": fill,
        "end": lambda workspace: world.calls.setdefault("ended", []).append(workspace),
        "StudyFolder": folder_of,
        "AblationScores": SimpleNamespace(open=lambda folder, of: Scores()),
        "_rows": lambda scores, planned, of: [{"strategy": s} for s in world.measured],
        "surest_first": lambda rows: ["text"],
        "ablation_of": lambda record, margin: None,
        "read_record": lambda file, kind: json.loads(file.read_text()),
    }.items():
        monkeypatch.setattr(ablating, name, value)
    return world


def ablated(world: Any, **options: Any) -> Any:
    request: Any = SimpleNamespace(out=world.path)
    return ablate_study(request, "a", cast(Any, None), AblationOptions(**options))


def test_crossed_cells_have_effects_of_what_was_measured(ablation: Any) -> None:
    """The parent stands for its own levels; a cell without runs is left out."""
    ablation.removed = [
        cell_of({"head": head, "pooler": pooler})
        for head in (OWN, "linear")
        for pooler in (OWN, "mean")
        if (head, pooler) != (OWN, OWN)
    ]
    ablation.designed.crossed = True
    ablation.designed.factors = [
        Factor("head", "swap", (Level("linear", ({},)),)),
        Factor("pooler", "swap", (Level("mean", ({},)),)),
    ]
    ablation.measured = ["a mean", "a linear"]
    record = ablated(ablation)
    factors, cells = ablation.calls["effects"]
    assert factors == {"head": [OWN, "linear"], "pooler": [OWN, "mean"]}
    assert cells == {"a": (), "a mean": (OWN, "mean"), "a linear": ("linear", OWN)}
    assert (record["effects"], record["auc"]) == ([], {"a": 0.7})
    assert "shares" not in record
    assert "path" not in record
    assert record["first"] == ["text"]
    assert json.loads((ablation.path / "ablation-a.json").read_text()) == record
    names = [each.name for each in ablation.removed]
    assert ablation.calls["filled"] == [("ablation run", names)]  # for its path nothing is
    assert ablation.calls["ended"] == [ablation.workspace]


def test_all_subsets_have_shares_beside_their_effects(ablation: Any) -> None:
    ablation.designed.name, ablation.designed.crossed = "modalities", True
    ablation.removed = [
        cell_of({"text": text, "image": image})
        for text in (OWN, "text")
        for image in (OWN, "image")
        if (text, image) != (OWN, OWN)
    ]
    ablation.measured = ["a image", "a text, image"]
    record = ablated(ablation)
    modalities, lacks = ablation.calls["shares"]
    assert modalities == ["text", "image"]
    assert lacks == {
        "a": frozenset(),
        "a image": frozenset({"image"}),
        "a text, image": frozenset({"text", "image"}),
    }
    assert record["shares"] == ["shares"]
    assert record["hyper_parameters"] == "frozen at the parent's"


@pytest.mark.parametrize("lacks", [False, True])
def test_a_path_is_trained_beside_and_read_where_it_is_whole(
    ablation: Any, monkeypatch: pytest.MonkeyPatch, lacks: bool
) -> None:
    """What was trained as a removal is not trained again, nor written twice."""
    ablation.removed = [out("head"), out("text", "modality")]
    ablation.cells = ablation.cells_of(ablation.removed)
    way = BuildPath([out("head, text"), ablation.removed[0]], ["text", "head"], "image")
    monkeypatch.setattr(ablating, "ordered_path", lambda planned: way)
    ablation.measured = ["a without head"] if lacks else ["a without head", "a without head, text"]
    record = ablated(ablation)
    assert ablation.calls["filled"] == [
        ("ablation run", ["a without head", "a without text"]),
        ("path run", ["a without head, text", "a without head"]),
    ]
    names = ["a without head, text", "a without head", "a"]
    assert ablation.calls.get("path") == (None if lacks else (names, ["text", "head"], "image"))
    assert ("path" in record) == (not lacks)
    assert record.get("path", {}).get("choice") == (None if lacks else "order")
    assert len(record["cells"]) == 3
    assert "effects" not in record
    assert "shares" not in record


@pytest.mark.parametrize(
    ("options", "crossed", "expected"),
    [
        ({}, False, True),
        ({"path": False}, False, False),
        ({"path": False}, True, False),
        ({"retune": True}, False, False),
        ({"retune": True}, True, True),  # which costs nothing
        ({"retune": True, "path": True}, False, True),
        ({"retune": True, "greedy": True}, False, True),
    ],
)
def test_a_path_is_tuned_again_on_demand_alone(options: Any, crossed: bool, expected: bool) -> None:
    assert AblationOptions(**options).has_path(crossed=crossed) is expected


def test_what_is_tuned_again_is_searched_before_it_is_trained(
    ablation: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The removals first, then each step of the path, with the winners of its own search."""
    ablation.removed = [out("head"), out("text", "modality")]
    ablation.retuned, ablation.name, ablation.winners = True, "retuned", {}
    ablation.retuning = lambda some: ([each.name for each in some], "workspace")
    searched: list[list[str]] = []

    def tune(names: list[str], workspace: str) -> Any:
        assert len(ablation.calls.get("filled", [])) == len(searched)
        searched.append(names)
        return SimpleNamespace(params={name: {"lr": len(searched)} for name in names})

    way = BuildPath([out("head, text"), ablation.removed[0]], ["text", "head"])
    monkeypatch.setattr(ablating, "tune", tune)
    monkeypatch.setattr(ablating, "ordered_path", lambda planned: way)
    record = ablated(ablation, retune=True, path=True)
    assert searched == [
        ["a without head", "a without text"],
        ["a without head, text", "a without head"],
    ]
    assert ablation.winners == {
        "a without head": {"lr": 2},
        "a without text": {"lr": 1},
        "a without head, text": {"lr": 2},
    }
    assert record["hyper_parameters"].startswith("tuned again")


def test_failures_of_both_rounds_are_counted(
    ablation: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ablation.failures = [("path run", "it broke")]
    monkeypatch.setattr(ablating, "ordered_path", lambda planned: BuildPath([], []))
    with pytest.raises(Exception, match="1 ablation runs failed; first reason: it broke"):
        ablated(ablation)
    assert json.loads((ablation.path / "ablation-a.json").read_text())["rows"] == []
    del ablation.calls["filled"]
    assert ablated(ablation, path=False)["rows"] == []
    assert [what for what, _ in ablation.calls["filled"]] == ["ablation run"]


def test_parts_are_timed_on_demand_before_their_rows_are_read(
    ablation: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    monkeypatch.setattr(ablating, "_time", lambda *about: steps.append(f"time {about[2]}"))
    monkeypatch.setattr(ablating, "_rows", lambda *about: steps.append("rows") or [])
    ablated(ablation, path=False)
    ablated(ablation, path=False, bench=True)
    assert steps == ["rows", "time a", "rows"]


def test_what_to_build_first_is_said_where_single_parts_were_left_out(
    ablation: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts: list[str] = []
    monkeypatch.setattr(ablating, "ablation_of", lambda record, margin: (record["first"], margin))
    monkeypatch.setattr(ablating, "removals", lambda of: parts)
    monkeypatch.setattr(
        ablating, "build_first", lambda of, language: [SimpleNamespace(text=f"{of} {language}")]
    )
    assert "sentences" not in ablated(ablation, path=False)
    parts.append("text")
    assert ablated(ablation, path=False)["sentences"] == ["(['text'], 0.002) en"]


def test_lines_are_printed_as_they_are() -> None:
    file = StringIO()
    ablating._plain(Console(file=file))("a [bold] name")
    assert file.getvalue() == "a [bold] name\n"


def test_the_codes_of_a_model_that_is_not_there_are_not_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A plug-in's runs can outlive its file."""
    parts = SimpleNamespace(baselines={"base": "Base"})
    planned: Any = SimpleNamespace(
        plan=SimpleNamespace(parts=parts), workbench=SimpleNamespace(schema="schema")
    )
    monkeypatch.setattr(ablating, "code_bytes", lambda *about: about)
    for baseline, size in (("base", ("base", {"k": 1}, "schema", parts)), ("gone", None)):
        spec = SimpleNamespace(baseline=baseline, settings={"k": 1})
        monkeypatch.setattr(ablating, "read_spec", lambda path, spec=spec: spec)
        entry: Any = SimpleNamespace(path=Path("run"), summary={"macs": 1})
        cost: Any = ablating._cost(planned, entry, cast(Any, "timed"))
        assert (cost.summary, cost.code_bytes, cost.timed) == ({"macs": 1}, size, "timed")


def test_a_greedy_path_is_on_record_before_each_of_its_steps(
    ablation: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What each step compares is written before it is trained, beside all before it; rivals and
    what has no run are told. A path that is not whole is none."""
    ablation.removed = [out("head"), out("text", "modality")]
    ablation.cells = ablation.cells_of(ablation.removed)
    ablation.measured = ["a without head", "a without head, text"]
    on_record: list[int] = []
    way = BuildPath(
        [out("head, text"), ablation.removed[0]], ["text", "head"], "", [{"text": 0.7}, {}], 2, True
    )

    def trained_path(planned: Any, train: Any) -> BuildPath:
        for strategies in ([out("head, text")], [ablation.removed[0]]):
            train(strategies)
            record = json.loads((ablation.path / "ablation-a.json").read_text())
            on_record.append(len(record["cells"]))
        return way

    monkeypatch.setattr(ablating, "trained_path", trained_path)
    monkeypatch.setattr(ablating, "ordered_path", None)
    record = ablated(ablation, greedy=True)
    assert on_record == [3, 3]
    assert [names for _, names in ablation.calls["filled"][1:]] == [
        ["a without head, text"],
        ["a without head"],
    ]
    path = record["path"]
    assert (path["choice"], path["rivals"], path["untrained"]) == ("greedy", [{"text": 0.7}, {}], 2)
    way = way._replace(open=2)
    assert "path" not in ablated(ablation, greedy=True)


def test_rows_have_their_cost_and_say_who_takes_the_whole_over_the_limit(
    ablation: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the plan's order, of what is complete; the first run of a strategy tells its cost."""
    monkeypatch.undo()
    p99 = {"a": 12.0, "a without text": 9.0, "a without head": 11.0, "a x": None}
    timed = {name: {"p99_ms": value} for name, value in p99.items() if value}
    runs = [SimpleNamespace(strategy=name, seed=s) for s in (1, 2) for name in [*p99, "other"]]
    spec = SimpleNamespace(latency=SimpleNamespace(decide_at=200), slo_ms=10.0)
    folder = SimpleNamespace(
        completed=lambda roles: runs if roles == ("strategy", "control", "ablation") else [],
        spec=spec,
    )
    removed = [out("text", "modality"), out("head"), cell_of({"head": "x"}), out("gone")]
    planned: Any = SimpleNamespace(removed=removed, name="full")
    places: list[str] = []

    def deltas(names: list[str]) -> Any:
        assert names == ["a without text", "a without head", "a x"]
        return {name: {"delta": -0.01, "of": name} for name in reversed(names)}

    monkeypatch.setattr(ablating, "session_of", lambda of, place: places.append(place) or "session")
    monkeypatch.setattr(
        ablating, "timed_rows", lambda session, k: timed if (session, k) == ("session", 200) else {}
    )
    monkeypatch.setattr(ablating, "floors", lambda session, rows: (0.1, len(rows)))
    monkeypatch.setattr(
        ablating, "_cost", lambda planned, entry, at: (entry.strategy, entry.seed, at)
    )
    monkeypatch.setattr(ablating, "part_cost", lambda *about: about)
    scores: Any = SimpleNamespace(folder=folder, deltas=deltas)
    rows: Any = ablating._rows(scores, planned, "a")
    assert places == ["bench-ablation-a-full"]
    assert [row["strategy"] for row in rows] == ["a x", "a without head", "a without text"]
    assert [row["without"] for row in rows] == ["a x", "head", "text"]
    assert [row["kind"] for row in rows] == ["cell", "component", "modality"]
    assert [row.get("levels") for row in rows] == [{"head": "x"}, None, None]
    assert [row.get("over_limit") for row in rows] == [None, None, True]
    whole, without, gain, floor = rows[2]["cost"]
    assert whole == ("a", 1, timed["a"])
    assert without == ("a without text", 1, timed["a without text"])
    assert (gain["of"], floor) == ("a without text", (0.1, 3))
    assert ablating._part({}, "a", "b", cast(Any, {}), (0.0, 0.0)) == {}
    assert ablating._part(cast(Any, {"a": 1}), "a", "b", cast(Any, {}), (0.0, 0.0)) == {}


def test_a_session_times_the_whole_and_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    options_given: list[Any] = []
    monkeypatch.setattr(
        timing, "bench_study", lambda of, options, tell: options_given.append(options)
    )
    latency = SimpleNamespace(rounds=7, decide_at=300)
    folder: Any = SimpleNamespace(spec=SimpleNamespace(latency=latency))
    planned: Any = SimpleNamespace(removed=[out("text"), out("head")], name="minimal")
    request: Any = SimpleNamespace(include=[Path("own.py")])
    ablating._time(folder, planned, "a", request, cast(Any, None))
    (options,) = options_given
    assert options.strategies == ("a", "a without text", "a without head")
    assert (options.rounds, options.candidates, options.decide_at) == (7, (300,), 300)
    assert (options.end_to_end, options.server, options.as_trained) == (False, False, False)
    assert (options.include, options.place) == ((Path("own.py"),), "bench-ablation-a")


# trials of a re-tuned ablation


def retuned(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, trials: int = 3) -> Planned:
    """Two removals whose searches have done one trial of three and all of two."""

    class Plan(SimpleNamespace):
        pass

    def search(name: str, trials: int, ended: int) -> Any:
        return SimpleNamespace(
            strategy=name,
            trials=trials,
            record=lambda n: "ok" if n < ended else None,
            finished=ended == trials,
            unsound="",
            examine=list,
            freeze=lambda: {"params": {"lr": 0.3}},
        )

    searches = [search("a without head", 3, 1), search("a without text", 2, 2)]

    def replaced(plan: Any, **changes: Any) -> Any:
        return type(plan)(**{**vars(plan), **changes})

    def plan_of(study: Any, store: Any, strategies: Any, parts: Any) -> Any:
        assert next(iter(strategies)) == "a"
        plan = Plan(study=study, strategies=strategies, cell=cell)
        plan.searches = lambda folder: searched(folder, plan)
        return plan

    def cell(name: str, params: Any, seed: int) -> Any:
        spec = SimpleNamespace(run_id=f"{name} {seed}")
        return SimpleNamespace(strategy=name, params=params, seed=seed, spec=spec)

    def searched(folder: Path, plan: Any) -> Any:
        assert folder == tmp_path / "ablation-a-retuned"
        return [each for each in searches if each.strategy in plan.strategies]

    monkeypatch.setattr(planning, "StudyPlan", plan_of)
    monkeypatch.setattr(planning, "replace", replaced)
    monkeypatch.setattr(planning, "check_spaces", lambda plan, names: {"unfit": names})
    study = SimpleNamespace(name="s", seeds=(4, 9), tuning=SimpleNamespace(trials=trials))
    plan = SimpleNamespace(study=study, store="store", strategies={"a": "A", "b": "B"}, parts="p")
    workers = SimpleNamespace(jobs=2)
    workspace = SimpleNamespace(folder=tmp_path, root=tmp_path, workers=workers)
    designed = SimpleNamespace(name="minimal")
    workbench = SimpleNamespace(of="a")
    removed = [out("head"), out("text")]
    about: Any = (plan, workspace, removed, designed, workbench, {})
    return Planned(*about, True)


def test_trials_that_lack_are_counted_among_the_trainings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    planned = retuned(monkeypatch, tmp_path)
    assert planned.name == "retuned"
    plan, workspace = planned.retuning(planned.removed)
    assert list(plan.strategies) == ["a without head", "a without text"]
    assert (plan.unfit, workspace.folder) == ({"unfit": ()}, tmp_path / "ablation-a-retuned")

    def find_record(cell: Any, root: Path) -> Any:
        if cell.spec.run_id == "a without text 9":
            raise DataContractError("damaged")

    monkeypatch.setattr(planning, "find_record", find_record)
    assert planned.lacking(planned.removed) == {
        "a without head trial 1",
        "a without head trial 2",
        "a without head seed 4",
        "a without head seed 9",
        "a without text 4",  # its search is done; that of the other seed is damaged, so there
    }
    assert [row["to_train"] for row in planned.matrix()] == [4, 1]
    assert planned.winners == {"a without text": {"lr": 0.3}}
    (cell, _) = planned.cells_of(planned.removed[1:])
    assert cast(Any, cell).params == {"lr": 0.3}
    monkeypatch.setattr(planning, "StudyFolder", lambda *about: about)
    monkeypatch.setattr(planning, "forecast", lambda *about: about)
    words: Any = planned.forecast("a")
    runs = PathRuns(7, at_most=True)
    assert words[1:] == ("a", "retuned", 5, 2, 2, NO_PATH)
    with_path: Any = planned.forecast("a", runs)
    assert with_path[-1] is runs
    other = planning.Planned(*[getattr(planned, name) for name in (
        "plan", "workspace", "removed", "designed", "workbench", "params")])  # fmt: skip
    assert other.name == "minimal"
    assert len(other.lacking(other.removed)) == 3  # the frozen runs, of which one is damaged
    wider: Any = SimpleNamespace(name="full")
    about: Any = (planned.plan, planned.workspace, [], wider, planned.workbench, {})
    names = [planning.Planned(*about, again).name for again in (False, True)]
    assert names == ["full", "full-retuned"]


def test_a_search_without_a_good_trial_leaves_the_parents_parameters(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As its runs do after the search; a dry run counts them as any others."""
    planned = retuned(monkeypatch, tmp_path)
    searches_of = planning.StudyPlan(
        planned.plan.study,
        "store",
        {"a": "A", "a without text": ""},
        "p",  # type: ignore[arg-type]
    ).searches(tmp_path / "ablation-a-retuned")

    def none() -> Any:
        raise NoWinnerError("a without text: no trial ended well")

    cast(Any, searches_of[0]).freeze = none
    monkeypatch.setattr(planning, "find_record", lambda cell, root: None)
    assert planned.lacking(planned.removed[1:]) == {"a without text 4", "a without text 9"}
    assert planned.winners == {}


def test_without_trials_nothing_is_tuned_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=r"study 's' has tuning\.trials 0"):
        retuned(monkeypatch, tmp_path, trials=0).retuning([])
