"""A PDF where the machine has neither the package, nor its libraries, nor fonts."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fusefront.reports.errors import ReportError
from fusefront.reports.pdf import pdf_lack, write_pdf

WITHOUT_LIBRARIES = """
import sys
from cffi import FFI
def dlopen(self, name, flags=0):
    raise OSError(f"cannot load library {name!r}: not there\\nand a second line")
FFI.dlopen = dlopen
from fusefront.reports.pdf import pdf_lack
sys.stderr.write(pdf_lack())
"""
EMPTY = "<?xml version='1.0'?><fontconfig></fontconfig>"
ONE_PAGE = """
import sys
from pathlib import Path
from fusefront.reports.pdf import write_pdf
from fusefront.reports.page_style import style_sheet
text = "<style>" + style_sheet() + "</style><p>words 🦊 한</p><pre>code</pre>"
write_pdf(text, Path(sys.argv[1]))
"""


def python(code: str, *arguments: str, **surroundings: str) -> subprocess.CompletedProcess[str]:
    """In its own process, because libraries are loaded once; warnings are shown."""
    return subprocess.run(
        [sys.executable, "-W", "default", "-c", code, *arguments],
        env={**os.environ, **surroundings},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.needs("pdf")
def test_missing_libraries_are_one_sentence_and_nothing_is_printed_beside_it() -> None:
    process = python(WITHOUT_LIBRARIES)
    assert process.returncode == 0, process.stderr
    assert process.stderr.startswith(
        "a PDF needs weasyprint, which cannot be loaded (cannot load library 'libgobject-2.0-0'"
    )
    assert process.stderr.endswith(
        "not there); pip install 'fusefront[pdf]', on Debian with libpango-1.0-0 and "
        "libpangoft2-1.0-0"
    )
    assert process.stdout == ""


def test_a_missing_package_is_said_and_the_page_is_not_lost(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "weasyprint", None)
    assert pdf_lack().startswith("a PDF needs weasyprint, which cannot be loaded (")
    with pytest.raises(ReportError, match=r"libpangoft2-1\.0-0; the page is written$"):
        write_pdf("<p>words</p>", tmp_path / "page.pdf")


@pytest.mark.needs("pdf")
def test_what_the_system_lacks_is_no_warning(tmp_path: Path) -> None:
    """No font on the system, and the library that weasyprint says it will need one day."""
    (tmp_path / "fonts.conf").write_text(EMPTY, encoding="utf-8")
    page = tmp_path / "page.pdf"
    process = python(ONE_PAGE, str(page), FONTCONFIG_FILE=str(tmp_path / "fonts.conf"))
    assert (process.returncode, process.stdout, process.stderr) == (0, "", "")
    assert page.read_bytes().startswith(b"%PDF")
