"""An ablation from its plan to its rows, each delta against scikit-learn."""

import json
from typing import Any

import numpy as np
import polars as pl
import pytest
from rich.console import Console
from sklearn.metrics import roc_auc_score

from fusefront.datasets.errors import DataContractError
from fusefront.harness.ablation.planned import plan_ablation
from fusefront.harness.ablation.run import AblationOptions, ablate_study
from fusefront.harness.errors import FusefrontError, NothingToDoError, UsageError
from fusefront.harness.jobs.pipeline import begin, train
from fusefront.harness.runs.files import write_json
from fusefront.harness.runs.records import AblationRow
from fusefront.harness.runs.unneeded import used
from fusefront.harness.training import run as training

STRATEGIES = {"early_fusion": {"compressor": "none", "products": False}, "late_fusion": {}}
LEAN = {"pooler": "mean", "head": "linear", "use_id": False}  # three things can be taken out
SETTINGS: dict[str, Any] = {
    "strategies": {**STRATEGIES, "early_fusion": {**STRATEGIES["early_fusion"], **LEAN}}
}


def test_rows_are_the_differences_of_test_auc_from_the_parent(jobs: Any, console: Console) -> None:
    request = jobs.request("ablated", **SETTINGS)
    plan, workspace = begin(request, console)
    cells, failed, _ = train(plan, workspace)
    assert (len(cells), failed) == (4, [])

    planned = plan_ablation(request, "early_fusion", console)
    outs = ("text", "image", "operator")
    kinds = ("modality", "modality", "component")
    assert planned.matrix() == [
        {
            "strategy": f"early_fusion without {out}",
            "kind": kind,
            "without": out,
            "seeds": 2,
            "to_train": 2,
        }
        for out, kind in zip(outs, kinds, strict=True)
    ]
    assert [(cell.strategy, cell.seed) for cell in planned.cells] == [
        (f"early_fusion without {out}", seed) for out in outs for seed in (4, 9)
    ]
    assert {cell.role for cell in planned.cells} == {"ablation"}
    assert not (workspace.folder / "ablation-early_fusion.json").exists()  # a plan writes nothing
    looks = sorted(path.name for path in workspace.folder.rglob("opened*"))
    expected = planned.forecast("early_fusion")
    assert (expected["trainings"], expected["at_once"]) == (6, request.jobs)
    seconds = [
        json.loads(p.read_text())["seconds"] for p in request.out.glob("runs/*/early*/*/su*")
    ]
    assert expected["minutes"] == pytest.approx(6 * np.mean(seconds) / request.jobs / 60)
    assert expected["resolves"] is None  # too few users on validation for an interval
    assert "ten clusters with each class" in expected["sentences"][-1]
    after = sorted(path.name for path in workspace.folder.rglob("opened*"))
    assert after == looks  # test stays shut

    single = AblationOptions(path=False)
    rows = ablate_study(request, "early_fusion", console, single)["rows"]
    assert jobs.workers[-1].closed
    assert [cell.strategy for cell in jobs.workers[-1].trained] == [
        cell.strategy for cell in planned.cells
    ]
    check_rows(rows, workspace.root, cells[:2], planned.cells)
    record = json.loads((workspace.folder / "ablation-early_fusion.json").read_text())
    assert (record["format"], record["of"]) == (1, "early_fusion")
    assert record["plan"] == "minimal"
    assert record["hyper_parameters"] == "frozen at the parent's"
    assert record["rows"] == rows
    assert [cell["run_id"] for cell in record["cells"]] == [c.spec.run_id for c in planned.cells]

    again = plan_ablation(request, "early_fusion", console)
    assert [row["to_train"] for row in again.matrix()] == [0, 0, 0]
    ablate_study(request, "early_fusion", console, single)
    assert jobs.workers[-1].trained == []  # nothing is trained twice

    built = ablate_study(request, "early_fusion", console)
    check_path(built, workspace.root, cells[:2])


def check_path(built: Any, root: Any, parents: Any) -> None:
    """Steps of a path that ends in the whole; each AUC by scikit-learn, and their sum."""
    steps = built["path"]["steps"]
    assert steps[-1]["strategy"] == "early_fusion"
    assert sorted(part for step in steps for part in step["part"].split(" + ")) != []
    runs: dict[str, list[str]] = {}
    for cell in (*built["cells"], *(cell.to_json() for cell in parents)):
        runs.setdefault(cell["strategy"], []).append(cell["run_id"])
    names = [built["path"]["start"], *(step["strategy"] for step in steps)]
    aucs = [built["path"]["start_auc"], *(step["auc"] for step in steps)]
    for name, expected in zip(names, aucs, strict=True):
        values = []
        for run_id in runs[name]:
            (path,) = root.glob(f"runs/*/*/{run_id}/predictions/test.parquet")
            frame = pl.read_parquet(path)
            values.append(roc_auc_score(frame["label"], frame["logit"]))
        assert len(values) == 2
        assert expected == pytest.approx(np.mean(values), abs=1e-9)
    gains = [step["gain"]["delta"] for step in steps]
    assert gains == pytest.approx(np.diff(aucs), abs=1e-12)
    assert len(built["sentences"]) == 3
    for row in built["rows"]:
        assert row["cost"]["macs"] == int(row["cost"]["macs"])
        assert set(row["metrics"]) == {"logloss", "pcoc"}


def auc(root: Any, some: Any) -> float:
    values = []
    for cell in some:
        (path,) = root.glob(f"runs/*/*/{cell.spec.run_id}/predictions/test.parquet")
        frame = pl.read_parquet(path)
        values.append(roc_auc_score(frame["label"], frame["logit"]))
    return float(np.mean(values))


def check_rows(rows: list[AblationRow], root: Any, parents: Any, cells: Any) -> None:
    for row in rows:
        own = [cell for cell in cells if cell.strategy == row["strategy"]]
        assert row["delta"] == pytest.approx(auc(root, own) - auc(root, parents), abs=1e-9)
        assert row["strategy"] == f"early_fusion without {row['without']}"
        assert row["kind"] == ("component" if row["without"] == "operator" else "modality")
    assert len({row["delta"] for row in rows}) == 3


def test_the_winners_parameters_are_kept_but_those_of_the_part(jobs: Any, console: Console) -> None:
    space = {
        "training.learning_rate": {"low": 0.003, "high": 0.03},
        "operator.hidden": [16, 32],
        "head.hidden": [[16, 8], [8, 4]],
    }
    strategies = {
        "mine": {"baseline": "gated_fusion", "operator": "scalar_gate", "space": space},
        "late_fusion": {"tune": False},
    }
    tuned = {"tuning": {"trials": 2, "space": {}}, "strategies": strategies, "name": "tuned"}
    request = jobs.request("ablated-tuned", **tuned)
    plan, workspace = begin(request, console)
    write_json(
        workspace.folder / "matrix.json",
        {
            "dataset": "ragged",
            "fingerprint": plan.store.fingerprint,
            "store": "prepared",
            "cells": [],
        },
    )
    before = plan_ablation(request, "mine", console)  # the search has not ended: no parameters
    assert {cell.spec.training["learning_rate"] for cell in before.cells} == {0.01}
    (search,) = plan.searches(workspace.folder)
    for number, value in ((0, 0.5), (1, 0.7)):
        trial = search.next_trial()
        assert trial is not None
        search.tell(
            {"number": number, "params": trial[1], "state": "ok", "value": value, "seconds": 1.0}
        )
    best = search.freeze()["params"]
    assert set(best) >= {"training.learning_rate", "head.hidden"}
    after = plan_ablation(request, "mine", console)
    by = {cell.strategy.rpartition(" ")[2]: cell.spec for cell in after.cells}
    assert {spec.training["learning_rate"] for spec in by.values()} == {
        best["training.learning_rate"]
    }
    hidden = json.loads(str(best["head.hidden"]).removeprefix("json:"))
    head = {"hidden": hidden, "dropout": best["head.dropout"]}
    assert by["text"].settings["head"] == head
    assert by["head"].settings["head"] == {"name": "linear"}  # what belongs to it goes with it


def test_what_cannot_be_ablated_says_why(jobs: Any, console: Console) -> None:
    request = jobs.request("refused", **SETTINGS)
    with pytest.raises(
        UsageError, match=r"--of 'nobody' is not a .* known: early_fusion, late_fusion$"
    ):
        plan_ablation(request, "nobody", console)
    with pytest.raises(NothingToDoError, match="study 'small' has no runs; `fusefront run` it"):
        plan_ablation(request, "early_fusion", console)
    matrix = {"dataset": "ragged", "fingerprint": "0123", "store": "prepared", "cells": []}
    write_json(request.out / "studies" / "small" / "matrix.json", matrix)
    with pytest.raises(DataContractError, match="was run on data 0123, what is prepared now is "):
        plan_ablation(request, "early_fusion", console)


def test_runs_that_fail_are_counted_with_the_first_reason(
    jobs: Any, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others' rows are kept."""
    request = jobs.request("failing", **SETTINGS)
    train(*begin(request, console))
    fitted = training.fit

    def fit(module: Any, data: Any, recipe: Any, epochs: Any, until: int) -> None:
        if epochs.cell.strategy.endswith("operator") and epochs.cell.seed == 9:
            raise ValueError("it broke")
        fitted(module, data, recipe, epochs, until)

    monkeypatch.setattr(training, "fit", fit)
    with pytest.raises(
        FusefrontError, match=r"^1 ablation runs failed; first reason: ValueError: it broke$"
    ):
        ablate_study(request, "early_fusion", console, AblationOptions(path=False))
    assert jobs.workers[-1].closed
    record = json.loads((request.out / "studies/small/ablation-early_fusion.json").read_text())
    assert [row["without"] for row in record["rows"]] == ["text", "image", "operator"]


@pytest.mark.slow
def test_every_removal_is_tuned_again_with_the_studys_budget(jobs: Any, console: Console) -> None:
    """Trials of its own for each, the winner's parameters in its runs, and nothing twice."""
    space = {"training.learning_rate": [0.003, 0.03]}
    lean = {**STRATEGIES["early_fusion"], **LEAN}
    strategies = {"early_fusion": lean, "late_fusion": {"tune": False}}
    tuned = {"tuning": {"trials": 2, "space": space}, "strategies": strategies, "name": "retuned"}
    request = jobs.request("ablated-again", **tuned)
    plan, workspace = begin(request, console)
    train(plan, workspace)
    frozen = ablate_study(request, "early_fusion", console)  # its runs have other parameters
    planned = plan_ablation(request, "early_fusion", console, retuned=True)
    count = len(planned.removed)  # the winner may have presence features to lose
    assert count >= 3
    assert planned.forecast("early_fusion")["trainings"] == count * 2 + count * 2
    options = AblationOptions(retune=True, path=True)
    record = ablate_study(request, "early_fusion", console, options)
    assert record["hyper_parameters"] == "tuned again, each with the study's budget"
    assert record["plan"] == "retuned"
    parents = planned.parent_cells
    check_path(record, request.out, parents)
    names = {cell["strategy"] for cell in record["cells"]}
    assert all(name.endswith(", tuned again") for name in names)
    searches = sorted(workspace.folder.glob("ablation-early_fusion-retuned/tuning/*/winner-2.json"))
    winners = {path.parent.name: json.loads(path.read_text()) for path in searches}
    assert winners.keys() == names
    for cell in record["cells"]:
        (path,) = request.out.glob(f"runs/*/*/{cell['run_id']}/config.yaml")
        params = winners[cell["strategy"]]["params"]
        rate = params.get("training.learning_rate", 0.01)  # the first trial is the defaults
        assert f"learning_rate: {rate}" in path.read_text()
    again = plan_ablation(request, "early_fusion", console, retuned=True)
    assert again.lacking(again.removed) == set()
    for row in record["rows"]:  # of the searched runs, not of the frozen ones
        own = [cell for cell in again.cells if cell.strategy == row["strategy"]]
        assert row["delta"] == pytest.approx(
            auc(request.out, own) - auc(request.out, parents), abs=1e-9
        )
    deltas = [{row["without"]: row["delta"] for row in each["rows"]} for each in (frozen, record)]
    assert deltas[0] != deltas[1]
    assert used(request.out).runs >= {cell["run_id"] for cell in record["cells"]}
    trials = workspace.folder.glob("ablation-*/tuning/*/trial-*.json")
    assert used(request.out).runs >= {json.loads(t.read_text())["run_id"] for t in trials}


def test_without_a_budget_nothing_can_be_tuned_again(jobs: Any, console: Console) -> None:
    request = jobs.request("untuned", **SETTINGS)
    plan, workspace = begin(request, console)
    write_json(
        workspace.folder / "matrix.json",
        {"dataset": "d", "fingerprint": plan.store.fingerprint, "store": "s", "cells": []},
    )
    planned = plan_ablation(request, "early_fusion", console, retuned=True)
    with pytest.raises(UsageError, match=r"has tuning\.trials 0, so there is no budget to tune"):
        planned.retuning([])
