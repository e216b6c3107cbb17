"""No verb takes nan or an infinity for a number, whatever its range says."""

from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from fusefront.harness.cli.app import of_finite_numbers


def weigh(
    weight: Annotated[float, typer.Option(help="One.")] = 0.5,
    shares: Annotated[list[float] | None, typer.Option("--share", help="Several.")] = None,
    name: Annotated[str, typer.Option(help="A word.")] = "",
) -> None:
    """Print what it got."""
    typer.echo(f"{weight} {shares} {name}")


@pytest.fixture
def program() -> typer.Typer:
    app = typer.Typer()
    app.command()(of_finite_numbers(weigh))
    return app


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
@pytest.mark.parametrize("words", [["--weight"], ["--share", "0.1", "--share"]])
def test_what_is_not_finite_is_refused(program: typer.Typer, words: list[str], value: str) -> None:
    result = CliRunner().invoke(program, [*words, value])
    assert result.exit_code == 2
    assert f"{words[0]}:" in result.output
    assert f"got {value}," in result.output


def test_other_values_go_on_and_the_help_is_the_verbs(program: typer.Typer) -> None:
    words = ["--weight", "2", "--share", "0.25", "--name", "nan"]
    result = CliRunner().invoke(program, words)
    assert (result.exit_code, result.output) == (0, "2.0 [0.25] nan\n")
    assert "Print what it got." in CliRunner().invoke(program, ["--help"]).output
