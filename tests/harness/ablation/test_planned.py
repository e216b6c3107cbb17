"""What an ablation plans, trains and writes, with planted removals; nothing is trained."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from fusefront.datasets.errors import DataContractError
from fusefront.harness.ablation import planned as planning
from fusefront.harness.ablation.plan import AblatedStrategy
from fusefront.harness.ablation.planned import Planned, _winner, applicable, plan_ablation
from fusefront.harness.errors import NothingToDoError, UsageError
from fusefront.harness.tuning.search import NoWinnerError

OUTS = (("modality", "text"), ("component", "head"), ("component", "pooler"))


def removal(kind: str, out: str) -> AblatedStrategy:
    return AblatedStrategy(f"a without {out}", kind, out, cast(Any, f"strategy without {out}"))


REMOVALS = [removal(kind, out) for kind, out in OUTS]


def cell(strategy: str, seed: int) -> Any:
    return SimpleNamespace(
        strategy=strategy,
        seed=seed,
        spec=SimpleNamespace(run_id=f"{strategy}/{seed}"),
        to_json=lambda: {"run_id": f"{strategy}/{seed}"},
    )


def test_a_row_of_the_plan_counts_its_own_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of three seeds the first removal lacks two, the second none, the third all."""
    lacks = {("a without text", 1), ("a without text", 3)}
    lacks |= {("a without pooler", seed) for seed in (1, 2, 3)}
    monkeypatch.setattr(
        planning,
        "find_record",
        lambda each, root: None if (each.strategy, each.seed) in lacks else root,
    )
    plan = cast(Any, SimpleNamespace(study=SimpleNamespace(seeds=(1, 2, 3))))
    place, nothing = SimpleNamespace(root="root"), cast(Any, None)
    planned = Planned(plan, cast(Any, place), REMOVALS, nothing, nothing, {})
    monkeypatch.setattr(
        Planned,
        "cells_of",
        lambda self, some: [cell(each.name, seed) for each in some for seed in (1, 2, 3)],
    )
    assert planned.matrix() == [
        {"strategy": f"a without {out}", "kind": kind, "without": out, "seeds": 3, "to_train": lack}
        for (kind, out), lack in zip(OUTS, (2, 0, 3), strict=True)
    ]


def test_the_winners_parameters_go_without_those_of_the_part() -> None:
    params: dict[str, Any] = {
        "head.hidden": 3,
        "head": 4,
        "header.hidden": 5,
        "training.head": 6,
        "pooler.width": 7,
    }
    without = applicable(params, removal("component", "head"))
    assert without == {"header.hidden": 5, "training.head": 6, "pooler.width": 7}
    assert applicable(params, removal("modality", "text")) == params
    width = AblatedStrategy("a", "swap", "head.hidden 5", cast(Any, ""), ("head.hidden",))
    assert applicable(params, width) == {k: v for k, v in params.items() if k != "head.hidden"}
    several = AblatedStrategy("a", "path", "ids, head", cast(Any, ""), ("use_id", "head"))
    assert applicable(params, several) == without


@pytest.mark.parametrize(
    ("searches", "params"),
    [
        ([], {}),
        ([("other", True, 1), ("shared", True, 2)], {"k": 2}),
        ([("shared", False, 1), ("a", True, 2)], {}),
        ([("shared", True, 1), ("shared", True, 2)], {"k": 1}),
    ],
)
def test_the_winner_is_that_of_the_search_that_has_ended(searches: Any, params: Any) -> None:
    known = [
        SimpleNamespace(
            strategy=name,
            finished=finished,
            freeze=lambda k=k: {"params": {"k": k}},
            examine=list,
            unsound="",
        )
        for name, finished, k in searches
    ]
    plan = SimpleNamespace(
        searches=lambda folder: known if folder == "folder" else [],
        searched_as=lambda name: {"a": "shared"}[name],
    )
    assert _winner(cast(Any, plan), cast(Any, SimpleNamespace(folder="folder")), "a") == params


def test_a_parent_whose_search_has_no_winner_runs_by_its_defaults() -> None:
    def none() -> Any:
        raise NoWinnerError("a: no trial ended well")

    search = SimpleNamespace(strategy="a", finished=True, freeze=none, examine=list, unsound="")
    plan = cast(Any, SimpleNamespace(searches=lambda _: [search], searched_as=lambda name: name))
    assert _winner(plan, cast(Any, SimpleNamespace(folder="folder")), "a") == {}


@pytest.mark.parametrize("finished", [True, False])
def test_of_a_damaged_search_the_winner_frozen_before_counts(finished: bool) -> None:
    """What it says of its records is printed; without a frozen winner it is refused."""
    frozen: list[Any] = [{"params": {"k": 3}}, None]
    damaged = SimpleNamespace(
        strategy="a",
        finished=finished,
        freeze=lambda: {"params": {"k": 4}},
        frozen=lambda: frozen.pop(0),
        examine=lambda: ["trial-0001.json: no record"],
        unsound="trial-0001.json: no record",
    )
    plan = cast(Any, SimpleNamespace(searches=lambda _: [damaged], searched_as=lambda name: name))
    lines: list[tuple[str, bool]] = []
    console = SimpleNamespace(print=lambda text, markup: lines.append((text, markup)))
    workspace = cast(Any, SimpleNamespace(folder="folder", console=console))
    assert _winner(plan, workspace, "a") == {"k": 3}
    assert lines == [("damaged: trial-0001.json: no record", False)]
    with pytest.raises(DataContractError, match=r"^trial-0001\.json: no record$"):
        _winner(plan, workspace, "a")


class EndedSearch:
    """A search of two trials whose damage is known once it is examined."""

    finished, trials, unsound = True, 2, ""

    def __init__(self, strategy: str, damage: str, winner: Any) -> None:
        self.strategy, self.damage, self.winner = strategy, damage, winner

    def examine(self) -> list[str]:
        self.unsound = self.damage
        return [self.damage]

    def frozen(self) -> Any:
        return self.winner

    def freeze(self) -> Any:
        return {"params": {"k": 1}}


def test_a_removal_tuned_again_has_the_winner_frozen_before_its_search_was_damaged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without it the runs go by the parent's parameters; nothing is counted as trials to do."""
    searches = [
        EndedSearch("a without text", "trial-0001.json: no record", {"params": {"k": 3}}),
        EndedSearch("a without head", "trial-0001.json: no record", None),
        EndedSearch("a without pooler", "", None),
    ]
    study_and_place = (
        SimpleNamespace(searches=lambda folder: searches),
        SimpleNamespace(folder="folder"),
    )
    monkeypatch.setattr(Planned, "retuning", lambda self, strategies: study_and_place)
    monkeypatch.setattr(Planned, "cells_of", lambda self, strategies: [])
    nothing = cast(Any, None)
    planned = Planned(nothing, nothing, REMOVALS, nothing, nothing, {}, retuned=True)
    assert planned.lacking(REMOVALS) == set()
    assert planned.winners == {"a without text": {"k": 3}, "a without pooler": {"k": 1}}


class Wider:
    """A plan of the parent and its removals that gives a cell for each."""

    def __init__(self, study: Any, store: Any, strategies: Any, parts: Any) -> None:
        self.strategies = strategies
        assert list(strategies) == ["a", "b", *(each.name for each in REMOVALS)]
        assert strategies["a without head"] == "strategy without head"

    def cell(self, name: str, params: Any, seed: int) -> Any:
        planted = cell(name, seed)
        planted.params = params
        return planted


modes: list[bool] = []  # whether each bench was opened to tune again


@pytest.fixture
def request_(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A study of `a` and `b` at seeds 4 and 9, which ran on the data that are prepared."""
    parent = SimpleNamespace(
        baseline="base",
        model_copy=lambda update: SimpleNamespace(
            baseline="base", settings={"token_width": 8}, training={}, **update
        ),
    )
    study = SimpleNamespace(name="small", seeds=(4, 9))
    plan = SimpleNamespace(
        study=study,
        store=SimpleNamespace(fingerprint="f00"),
        strategies={"a": parent, "b": parent},
        parts=SimpleNamespace(baselines={"base": "Base"}),
        searches=lambda folder: [
            SimpleNamespace(
                strategy="a",
                finished=True,
                examine=list,
                unsound="",
                freeze=lambda: {"params": {"head.hidden": 1, "k": 2}},
            )
        ],
        searched_as=lambda name: name,
    )
    workspace = SimpleNamespace(folder=tmp_path, root="root")
    monkeypatch.setattr(planning, "begin", lambda request, console: (plan, workspace))
    monkeypatch.setattr(planning, "recipe_name", lambda *about: ("recipe", about[2]))
    monkeypatch.setattr(planning, "schema_of", lambda store: "schema")
    monkeypatch.setattr(planning, "StudyPlan", Wider)

    def opened(
        of: str, ablated: Any, schema: Any, parts: Any, fitted: Any, *, retuned: bool
    ) -> str:
        modes.append(retuned)
        assert (of, ablated.recipe, schema) == ("a", ("recipe", "Base"), "schema")
        assert fitted == {
            "token_width": 8,
            "head": {"hidden": 1},
            "k": 2,
        }  # the search's among them
        return "workbench"

    def design(plan: str, workbench: Any) -> Any:
        assert (plan, workbench) == ("minimal", "workbench")
        return SimpleNamespace(strategies=lambda _: REMOVALS)

    monkeypatch.setattr(planning, "Workbench", SimpleNamespace(open=opened))
    monkeypatch.setattr(planning, "design_of", design)
    matrix(tmp_path, "f00")
    return SimpleNamespace(out=tmp_path)


def matrix(folder: Path, fingerprint: str) -> None:
    content = {"dataset": "d", "fingerprint": fingerprint, "store": "s", "cells": []}
    (folder / "matrix.json").write_text(json.dumps({"format": 1, **content}), encoding="utf-8")


def test_every_removal_is_planned_at_every_seed(request_: Any) -> None:
    for retuned in (True, False):
        planned = plan_ablation(request_, "a", cast(Any, None), retuned=retuned)
        assert (planned.retuned, modes[-1]) == (retuned, retuned)
    assert planned.removed == REMOVALS
    assert [(each.strategy, each.seed, cast(Any, each).params) for each in planned.cells] == [
        (f"a without {out}", seed, {"k": 2} if out == "head" else {"head.hidden": 1, "k": 2})
        for _, out in OUTS
        for seed in (4, 9)
    ]


def test_what_cannot_be_planned_is_a_sentence(request_: Any) -> None:
    with pytest.raises(UsageError, match=r"^--of 'c' is not a strategy .*; known: a, b$"):
        plan_ablation(request_, "c", cast(Any, None))
    matrix(request_.out, "0ther")
    with pytest.raises(
        DataContractError, match="was run on data 0ther, what is prepared now is f00"
    ):
        plan_ablation(request_, "a", cast(Any, None))
    (request_.out / "matrix.json").unlink()
    with pytest.raises(NothingToDoError, match="study 'small' has no runs"):
        plan_ablation(request_, "a", cast(Any, None))
