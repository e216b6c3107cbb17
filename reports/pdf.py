"""Prints a page to PDF by weasyprint, an optional package that needs system libraries."""

import io
import warnings
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

from fusefront.reports.errors import ReportError

if TYPE_CHECKING:
    from weasyprint import HTML

NEEDED = "pip install 'fusefront[pdf]', on Debian with libpango-1.0-0 and libpangoft2-1.0-0"


def write_pdf(text: str, path: Path) -> None:
    """Print a page that is written as HTML already; raises ReportError where nothing can print."""
    if lack := pdf_lack():
        raise ReportError(f"{lack}; the page is written")
    with warnings.catch_warnings():
        _quiet()
        html = _maker()
        html(string=text).write_pdf(path)


def pdf_lack() -> str:
    """Why no PDF can be made here, in one sentence; "" if one can."""
    try:
        with warnings.catch_warnings():
            _quiet()
            _maker()
    except ReportError as error:
        return str(error)
    return ""


def _quiet() -> None:
    """Silences messages about missing fonts and libraries, since the page brings its own fonts."""
    warnings.filterwarnings("ignore", module=r"weasyprint\.text\.(ffi|fonts)$")


def _maker() -> "type[HTML]":
    try:
        with redirect_stdout(io.StringIO()):  # it prints a paragraph about its libraries
            from weasyprint import HTML
    except (ImportError, OSError, AttributeError) as error:  # no library, or too old a one
        lines = str(error).splitlines() or [type(error).__name__]
        raise ReportError(
            f"a PDF needs weasyprint, which cannot be loaded ({lines[0]}); {NEEDED}"
        ) from error
    maker: type[HTML] = HTML
    return maker
