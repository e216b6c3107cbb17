import json
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
import yaml
from typer.testing import CliRunner

from fusefront.datasets.errors import DataContractError
from fusefront.harness.cli.app import of_finite_numbers
from fusefront.harness.cli.decide import decide
from fusefront.harness.cli.gate import gate
from fusefront.harness.cli.show_decision import tied_line
from fusefront.harness.errors import GateError, UsageError
from fusefront.reports.evidence import Decision, Evidence, StudyFacts

Make = Callable[..., Path]
app = typer.Typer()
app.command("decide")(of_finite_numbers(decide))
app.command("gate")(gate)


@pytest.fixture
def out(tmp_path: Path, make_study: Make, strategy: type) -> Path:
    strategies = {
        "today": strategy(0.8, 2.0),
        "pca64": strategy(0.2, 4.0),
        "<b>rival :smile:": strategy(0.5, 6.0),
    }
    worse = {**strategies, "pca64": strategy(1.2, 4.0)}
    make_study(tmp_path, strategies, baseline="today", name="shop", seed_noise=0.005)
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
    assert "cannot be told apart" not in text  # the three planted ones are far from each other
    assert "limit: at 8\u00a0ms" in text
    assert "margin: at 0.0025" in text


def test_groups_of_more_than_one_are_printed() -> None:
    decision = Decision("clear", "better", 10.0, 0.001)
    evidence = Evidence(
        StudyFacts("s", "d", 9), decision, (), tied=(("a",), ("b", "c"), ("c", "d"))
    )
    assert tied_line(evidence) == "AUC cannot be told apart: b, c | c, d"


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


def rewritten(out: Path, **values: object) -> None:
    """The end to end rows of the bench with other values."""
    path = out / "studies" / "shop" / "bench" / "bench.json"
    record = json.loads(path.read_text())
    for row in record["rows"]:
        if row["scope"] == "end_to_end":
            row.update(values)
    path.write_text(json.dumps(record))


def test_a_disturbed_session_decides_nothing_and_asks_for_another(out: Path) -> None:
    rewritten(out, contended_visits=19)
    text, error = run("decide", "shop", "--out", str(out), "--json")
    assert isinstance(error, GateError)
    assert error.exit_code == 4
    assert str(error).startswith(
        "The latency session was disturbed: 57 of 60 visits waited for a core; measure again"
    )
    record = json.loads(text)
    assert (record["decision"]["choice"], record["decision"]["case"]) == (None, "thin")
    assert record["decision"]["lacks"][0]["kind"] == "session"
    assert record["session"]["disturbed"] == ["57 of 60 visits waited for a core"]
    assert record["sentence"].startswith("Do not decide yet: the latency session does not carry")
    assert record["what_if"] is None or record["what_if"]["rows"] == []


def test_three_hundred_requests_carry_no_limit(out: Path) -> None:
    rewritten(out, samples=300)
    text, error = run("decide", "shop", "--out", str(out), "--json")
    assert isinstance(error, GateError)
    assert "no p99: fewer than 1,000 requests were timed" in str(error)
    record = json.loads(text)
    assert {s["p99"] for s in record["strategies"]} == {None}
    assert {s["limit"] for s in record["strategies"]} == {"not known"}


def test_what_is_decided_says_on_what_session(out: Path) -> None:
    text, error = run("decide", "shop", "--out", str(out), "--json")
    assert error is None
    record = json.loads(text)
    assert {s["limit"] for s in record["strategies"]} == {"kept"}
    session = record["session"]
    assert (session["rounds"], session["visits"], session["disturbed"]) == (20, 60, [])


def test_a_refusal_is_one_sentence_that_says_what_to_measure(
    out: Path, make_study: Make, strategy: type
) -> None:
    two = {"today": strategy(0.8, 2.0), "odd; 🙂": strategy(0.1, 3.0)}
    make_study(out, two, baseline="today", name="bare", seeds=(0,), bench=False)
    text, error = run("decide", "bare", "--out", str(out))
    assert text == ""
    command = shlex.join(["fusefront", "bench", "bare", "--out", str(out)])
    assert str(error) == (
        f"No latency was measured; run `{command}`; every strategy has one "
        "seed, which says nothing about the next training; run at least 3 seeds."
    )


def test_a_limit_on_cost_is_named_as_the_reason(out: Path) -> None:
    sentence, error = run("decide", "shop", "--out", str(out), "--max-cost", "0")
    assert isinstance(error, GateError)
    assert "a cost of at most 0 per million predictions" in str(error)
    assert "raise the limit on cost" in str(error)
    assert sentence == ""


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
    record = json.loads(text)
    assert record["state"] == "regression"
    verdicts = {c["strategy"]: c["verdict"] for c in record["checks"]}
    assert verdicts["pca64"] == "regression"
    assert verdicts["today"] != "regression"


def test_the_gate_on_other_data_is_a_data_error(
    out: Path, make_study: Make, strategy: type
) -> None:
    two = {"today": strategy(0.8, 2.0), "pca64": strategy(0.2, 4.0)}
    make_study(out, two, baseline="today", name="other", fingerprint="e" * 12)
    text, error = run("gate", "other", "--against", "shop", "--out", str(out))
    assert isinstance(error, DataContractError)  # the command line ends with 3
    assert "expected the same fingerprint" in str(error)
    assert text == ""


def test_the_gate_says_what_it_cannot_tell_and_passes(
    out: Path, make_study: Make, strategy: type
) -> None:
    small = {"today": strategy(0.5, 2.0), "pca64": strategy(0.45, 4.0)}
    for name in ("one", "two"):
        make_study(out, small, baseline="today", name=name, salt=name, requests=200, seed_noise=0.3)
    words = ("gate", "two", "--against", "one", "--out", str(out), "--margin", "0.0001")
    text, error = run(*words)
    assert error is None
    assert "cannot tell about 'today', 'pca64'" in text
    assert json.loads(run(*words, "--json")[0])["state"] == "cannot tell"


def test_the_gate_of_a_study_against_itself_says_that_nothing_ran(out: Path) -> None:
    text, error = run("gate", "shop", "--against", "shop", "--out", str(out))
    assert error is None
    assert "the very same runs of all 3 strategies" in text


@pytest.mark.parametrize("value", ["nan", "inf", "-1", "x"])
@pytest.mark.parametrize("option", ["--slo-ms", "--max-cost", "--margin"])
def test_decide_refuses_what_is_no_number(out: Path, option: str, value: str) -> None:
    result = CliRunner().invoke(app, ["decide", "shop", "--out", str(out), option, value])
    assert result.exit_code == 2


def test_an_unknown_study_is_named(out: Path) -> None:
    _, error = run("decide", "nothing", "--out", str(out))
    assert isinstance(error, UsageError)
    assert "later, shop" in str(error)


def test_gate_ends_with_4_after_an_unequal_search_unless_it_is_accepted(out: Path) -> None:
    """Three of its four trials ended for want of memory; the study itself lost nothing."""
    study = out / "studies" / "shop"
    spec = yaml.safe_load((study / "study.yaml").read_text())

    def tuned(**words: object) -> None:
        tuning = {"trials": 4, **words}
        (study / "study.yaml").write_text(yaml.safe_dump({**spec, "tuning": tuning}))

    tuned()
    for name, finished in (("today", 4), ("pca64", 1)):
        folder = study / "tuning" / name
        folder.mkdir(parents=True)
        identity = {"format": 1, "seed": 0, "lag": 2, "space": {"lr": "float"}}
        (folder / "search.json").write_text(json.dumps(identity))
        for number in range(4):
            record: dict[str, object] = {"format": 1, "number": number, "state": "ok", "value": 0.7}
            if number >= finished:
                record |= {"state": "infeasible", "value": None, "cause": "memory"}
            (folder / f"trial-000{number}.json").write_text(json.dumps(record))
    words = ("gate", "shop", "--against", "shop", "--out", str(out))
    text, error = run(*words, "--json")
    assert isinstance(error, GateError)
    assert error.exit_code == 4
    assert "pca64 got 1 trials, others 4 (3 ended by memory)" in str(error)
    assert json.loads(text)["state"] == "unequal search"
    tuned(accept={"pca64": "memory is short here"})
    text, error = run(*words, "--json")
    assert error is None
    assert json.loads(text)["state"] == "passed"
