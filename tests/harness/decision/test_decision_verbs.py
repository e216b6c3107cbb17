import json
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from fusefront.harness.cli.decide import decide
from fusefront.harness.cli.gate import gate
from fusefront.harness.errors import GateError, UsageError

Make = Callable[..., Path]
app = typer.Typer()
app.command("decide")(decide)
app.command("gate")(gate)


@pytest.fixture
def out(tmp_path: Path, make_study: Make, strategy: type) -> Path:
    kept = {
        "today": strategy(0.8, 2.0),
        "pca64": strategy(0.2, 4.0),
        "<b>rival :smile:": strategy(0.5, 6.0),
    }
    worse = {**kept, "pca64": strategy(1.2, 4.0)}
    make_study(tmp_path, kept, baseline="today", name="shop", seed_noise=0.005)
    make_study(tmp_path, worse, baseline="today", name="later", seed_noise=0.005, salt="x")
    return tmp_path


def run(*words: str) -> tuple[str, BaseException | None]:
    result = CliRunner().invoke(app, list(words))
    return result.stdout, result.exception


def test_decide_prints_sentence_alternatives_and_changes(out: Path) -> None:
    text, error = run("decide", "shop", "--out", str(out))
    assert error is None
    assert text.startswith("Ship pca64: +0.0")
    assert "<b>rival :smile:" in text
    assert "limit: at 8\u00a0ms" in text
    assert "margin: at 0.0025" in text


def test_decide_as_json_is_the_record(out: Path) -> None:
    text, error = run("decide", "shop", "--out", str(out), "--json", "--owner", "Ana")
    assert error is None
    record = json.loads(text)
    assert record == json.loads((out / "studies" / "shop" / "decision.json").read_text())
    assert record["decision"]["owner"] == "Ana"


def test_decide_that_refuses_still_records_and_prints_json(out: Path) -> None:
    text, error = run("decide", "shop", "--out", str(out), "--json", "--slo-ms", "0.1")
    assert isinstance(error, GateError)
    assert error.exit_code == 4
    assert json.loads(text)["decision"]["case"] == "infeasible"


def test_decide_refuses_a_limit_of_zero(out: Path) -> None:
    result = CliRunner().invoke(app, ["decide", "shop", "--out", str(out), "--slo-ms", "0"])
    assert result.exit_code == 2


def test_gate_fails_on_the_planted_regression_only(out: Path) -> None:
    text, error = run("gate", "later", "--against", "shop", "--out", str(out))
    assert isinstance(error, GateError)
    assert error.exit_code == 4
    assert "most of all 'pca64'" in str(error)
    assert "<b>rival :smile:" in text
    assert run("gate", "shop", "--against", "shop", "--out", str(out))[1] is None


def test_gate_as_json_says_the_same(out: Path) -> None:
    text, error = run("gate", "later", "--against", "shop", "--out", str(out), "--json")
    assert isinstance(error, GateError)
    found = json.loads(text)
    assert found["state"] == "regression"
    verdicts = {c["strategy"]: c["verdict"] for c in found["checks"]}
    assert verdicts["pca64"] == "regression"
    assert verdicts["today"] != "regression"


def test_an_unknown_study_is_named(out: Path) -> None:
    _, error = run("decide", "nothing", "--out", str(out))
    assert isinstance(error, UsageError)
    assert "later, shop" in str(error)
