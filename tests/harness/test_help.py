"""What --help shows: texts that the terminal's markup would swallow are found here."""

import typer.main

from fusefront.harness.cli.main import VERBS, register


def test_no_help_text_holds_brackets_which_markup_swallows() -> None:
    group = typer.main.get_command(register())
    texts = {
        f"{verb} {param.name}": str(getattr(param, "help", "") or "")
        for verb, command in group.commands.items()  # type: ignore[attr-defined]
        for param in command.params
    }
    assert set(VERBS) == set(group.commands)  # type: ignore[attr-defined]
    assert [where for where, text in texts.items() if "[" in text] == []
