"""What Optuna reads of an exported search, and which files are not replaced."""

import json
import os
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from fusefront.harness.errors import UsageError
from fusefront.harness.runs.study import Range
from fusefront.harness.tuning.optuna_export import export_trials
from fusefront.harness.tuning.search import Search

from .test_search_cells import Tuning


@pytest.mark.parametrize("name", ["trials.db", "trials.journal"])
def test_optuna_opens_what_is_exported(tmp_path: Path, name: str) -> None:
    tuning = Tuning(tmp_path, "a", trials=3)
    for auc, failure in ((0.6, ""), (0.7, ""), (None, "diverged")):
        following = tuning.next()
        if auc:
            tuning.run(following, auc=auc)
            metrics = tmp_path / "runs" / following.spec.dataset / "x" / following.spec.run_id
            lines = [{"epoch": n, "valid_auc": auc - 0.1 / n} for n in (1, 2)]
            (metrics / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
        tuning.source.close(following, failure, cause="nan", seconds=3.0)
    path = next(tmp_path.rglob("trial-0001.json"))
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "constraints": {"slo": -0.5}}))
    target = tmp_path / "new" / "folder" / name
    for _ in range(2):  # replaced, not added to
        again = Tuning(tmp_path, "a", trials=3)
        export_trials(list(again.searches.values()), "shop", tmp_path, target)
    storage: Any = f"sqlite:///{target}"
    if name.endswith(".journal"):
        storage = JournalStorage(JournalFileBackend(str(target)))
    study = optuna.load_study(study_name="shop/a", storage=storage)
    trials = study.get_trials()
    assert [trial.state.name for trial in trials] == ["COMPLETE", "COMPLETE", "FAIL"]
    assert [trial.value for trial in trials] == [0.6, 0.7, None]
    assert study.best_trial.number == 1
    assert trials[1].params == record["params"]
    assert trials[1].intermediate_values == pytest.approx({1: 0.6, 2: 0.65})
    assert trials[1].constraints == {"slo": -0.5}
    assert trials[1].user_attrs["constants"] == {}
    assert trials[2].user_attrs["reason"] == "diverged"
    assert (trials[2].user_attrs["cause"], trials[2].user_attrs["seconds"]) == ("nan", 3.0)
    assert study.user_attrs["caps"] == {"trials": 3, "seconds": None}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["new", "runs", "tuning"]
    assert [path.name for path in target.parent.iterdir()] == [name]


def test_a_file_that_is_not_optunas_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "notes.db").write_text("mine")
    for target in (tmp_path, tmp_path / "notes.db"):
        with pytest.raises(UsageError, match=r"got a folder|give another name"):
            export_trials([], "shop", tmp_path, target)
    assert (tmp_path / "notes.db").read_text() == "mine"


def exported(search: Search, out: Path, target: Path) -> list[optuna.trial.FrozenTrial]:
    export_trials([search], "shop", out, target)
    study = optuna.load_study(study_name="shop/a", storage=f"sqlite:///{target}")
    return study.get_trials()


def test_a_trial_is_exported_with_all_that_is_on_its_record(tmp_path: Path) -> None:
    """One that waits at a pause is PRUNED; constants are no parameters; epochs without an AUC are
    left out."""
    space = {"lr": Range(low=1e-3, high=1e-1), "k": (3,)}
    search = Search(tmp_path / "a", "a", space, 4, seed=0, lag=3, levels=(1, 2, 4))
    assert [search.next_trial() is not None for _ in range(3)] == [True] * 3
    search.pause(0, "r0", {"1": 0.5}, 2.0)  # type: ignore[dict-item]
    params = {"lr": 0.01, "k": 3}
    search.tell({"number": 1, "state": "ok", "value": 0.6, "params": params, "run_id": "r1"})
    search.tell({"number": 2, "state": "infeasible", "value": None, "cause": "nan"})
    run = tmp_path / "runs" / "d" / "x" / "r1"
    run.mkdir(parents=True)
    lines = [{"epoch": 1, "valid_auc": None}, {"epoch": 2, "valid_auc": 0.6}]
    (run / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n\n")
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.INFO)
    waits, good, bad = exported(search, tmp_path, tmp_path / "t.db")
    assert optuna.logging.get_verbosity() == optuna.logging.ERROR
    optuna.logging.set_verbosity(verbosity)
    assert [trial.state.name for trial in (waits, good, bad)] == ["PRUNED", "COMPLETE", "FAIL"]
    assert (good.params, good.intermediate_values) == ({"lr": 0.01}, {2: 0.6})
    attributes = {"number": 1, "run_id": "r1", "seconds": 0.0, "state": "ok", "reason": ""}
    attributes |= {"cause": "", "defaults": False, "constants": {"k": 3}}
    assert good.user_attrs == attributes
    assert (waits.user_attrs["defaults"], waits.user_attrs["seconds"]) == (True, 2.0)
    assert bad.user_attrs["cause"] == "nan"
    assert [trial.intermediate_values for trial in (waits, bad)] == [{}, {}]


def test_an_export_leaves_no_file_open_and_replaces_an_empty_one(tmp_path: Path) -> None:
    target = tmp_path / "trials.db"
    target.touch()
    search = Search(tmp_path / "a", "a", {"lr": (1.0,)}, 1, seed=0, lag=1)
    export_trials([search], "shop", tmp_path, target)
    links = [path for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]
    assert not [link for link in links if os.readlink(link).startswith(str(tmp_path))]
    study = optuna.load_study(study_name="shop/a", storage=f"sqlite:///{target}")
    assert study.user_attrs == {"strategy": "a", "caps": {"trials": 1, "seconds": None}}
