"""The command line: `fusefront VERB`. --help answers without importing torch."""

import importlib
import os
import signal
import sys
from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.exceptions import TyperException

from fusefront.datasets.errors import DataContractError, PlaceError, SpecError
from fusefront.harness.errors import FusefrontError

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

INTERRUPTED = 130  # 128 + SIGINT

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
    pass  # what stands before the verb; the help is the app's


def register(verbs: dict[str, str] = VERBS) -> typer.Typer:
    """Put every verb on the command line; modules are light, their work is imported when called."""
    for verb, module in verbs.items():
        loaded = importlib.import_module(f"fusefront.harness.cli.{module}")
        app.command(verb)(getattr(loaded, "listing" if verb == "list" else verb.replace("-", "_")))
    return app


def main() -> None:
    """Run a verb; one sentence and an exit code for whatever is the user's to mend."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")  # one thread a training; workers inherit it
    os.environ.setdefault("WANDB_SILENT", "true")
    os.umask(os.umask(0o077) | 0o002)  # no file that everybody may write; workers inherit it
    signal.signal(signal.SIGTERM, _terminated)
    try:
        code = register()(standalone_mode=False)  # typer returns 130 after Ctrl-C
        if code == INTERRUPTED:
            _end("interrupted; finished runs are kept and not done again", INTERRUPTED)
        sys.exit(code)
    except (typer.Abort, KeyboardInterrupt):
        _end("interrupted; finished runs are kept and not done again", INTERRUPTED)
    except FusefrontError as error:
        _end(str(error), error.exit_code)
    except (SpecError, PlaceError) as error:
        _end(str(error), 2)
    except DataContractError as error:
        _end(str(error), 3)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in ("", "fusefront"):
            raise
        _end(f"package {package!r} is not there, expected for this command; pip install it", 2)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (FileExistsError, NotADirectoryError, IsADirectoryError, PermissionError) as error:
        reason = (error.strerror or "cannot be written").lower()
        _end(f"got {error.filename!r}: {reason}; expected a path that can be used, give another", 2)
    except TyperException as error:  # unknown options, bad values
        usage: Any = error
        usage.show()
        sys.exit(2)


def _terminated(*_: object) -> None:
    raise SystemExit(143)


def _end(sentence: str, code: int) -> None:
    sys.stderr.write(f"fusefront: {sentence}\n")
    sys.exit(code)
