"""The command line: `fusefront VERB`. --help answers without importing torch."""

import functools
import importlib
import math
import os
import sys
from collections.abc import Callable
from importlib.metadata import version
from io import TextIOWrapper
from typing import Annotated, Any, get_type_hints

import typer
from typer.exceptions import TyperException
from typer.models import OptionInfo

from fusefront.datasets.errors import DataContractError, PlaceError, SpecError
from fusefront.harness.cli.place import of_the_place
from fusefront.harness.cli.signals import INTERRUPTED
from fusefront.harness.errors import FusefrontError, UsageError

# verb -> module in this folder; the function has the verb's name
VERBS = {
    "init": "init",
    "audit": "audit",
    "prepare": "prepare",
    "verify": "verify",
    "run": "run",
    "demo": "run",
    "tune": "tune",
    "ablate": "ablate",
    "bench": "bench",
    "compare": "compare",
    "robustness": "robustness",
    "explain": "explain",
    "plan": "plan",
    "decide": "decide",
    "gate": "gate",
    "report": "report",
    "export": "export",
    "serve-check": "serve_check",
    "predict": "predict",
    "counters": "counters",
    "runs": "runs",
    "codes": "codes",
    "check": "check",
    "reproduce": "reproduce",
    "sync": "sync",
    "gc": "gc",
    "list": "listing",
    "doctor": "doctor",
}

app = typer.Typer(
    help="Compare fusion strategies for multimodal click-through-rate prediction, measure quality"
    " and latency, choose the operating point.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(asked_for: bool) -> None:
    if asked_for:
        sys.stdout.write(f"fusefront {version('fusefront')}\n")
        raise typer.Exit


@app.callback()
def options(
    show_version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    pass  # options before the verb; the help text is the app's


def register(verbs: dict[str, str] = VERBS) -> typer.Typer:
    """Put every verb on the command line; heavy modules are imported only when a verb is called."""
    for verb, module in verbs.items():
        loaded = importlib.import_module(f"fusefront.harness.cli.{module}")
        function = getattr(loaded, "listing" if verb == "list" else verb.replace("-", "_"))
        app.command(verb)(of_finite_numbers(function))
    return app


def _is_word(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("-")


def of_finite_numbers(function: Callable[..., None]) -> Callable[..., None]:
    """The verb, refusing nan and infinity as the value of a number.

    Older versions of typer compare nan with a range and let it pass.
    """
    spelled = {
        name: words[0]
        for name, hint in get_type_hints(function, include_extras=True).items()
        for option in getattr(hint, "__metadata__", ())
        if isinstance(option, OptionInfo)
        # in Annotated[..., Option("--word")] typer keeps the first name as the default
        if (words := [w for w in (option.default, *(option.param_decls or ())) if _is_word(w)])
    }

    @functools.wraps(function)
    def checked(**options: Any) -> None:
        for name, value in options.items():
            for number in value if isinstance(value, list) else [value]:
                if isinstance(number, float) and not math.isfinite(number):
                    raise typer.BadParameter(
                        f"got {number}, expected a finite number",
                        param_hint=spelled.get(name, f"--{name.replace('_', '-')}"),
                    )
        function(**options)

    return checked


def run() -> int | None:
    """Run a verb; what the user can mend is printed as one sentence. Returns the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names can hold any bytes
    try:
        _check_arguments(sys.argv[1:])
        code: int | None = register()(standalone_mode=False)  # typer returns 130 after Ctrl-C
        return code
    except (typer.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except FusefrontError as error:
        return _end(str(error), error.exit_code)
    except (SpecError, PlaceError) as error:
        return _end(str(error), 2)
    except DataContractError as error:
        return _end(str(error), 3)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in ("", "fusefront"):
            raise
        return _end(
            f"package {package!r} is not there, expected for this command; pip install it", 2
        )
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except UnicodeEncodeError as error:
        return _end(f"got {error.object[:200]!r}: no text that UTF-8 can write; rename it", 2)
    except TyperException as error:  # unknown options, bad values
        usage: Any = error
        usage.show()
        return 2
    except Exception as error:
        if not (sentence := of_the_place(error)):
            raise
        return _end(sentence, 2)


def _check_arguments(words: list[str]) -> None:
    """Raises UsageError for arguments that are not UTF-8, since no record could hold them."""
    for word in words:
        try:
            word.encode()
        except UnicodeEncodeError:
            raise UsageError(
                f"got the argument {os.fsencode(word)!r}, expected UTF-8; rename the file, or give "
                "its folder"
            ) from None


def _end(sentence: str, code: int) -> int:
    sys.stderr.write(f"fusefront: {sentence}\n")
    return code
