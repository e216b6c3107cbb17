"""What every test shares: needs of the machine that are skipped with their reason, a lock of its
own."""

import shutil
import subprocess
from collections.abc import Callable, Generator, Iterator
from functools import cache

import hypothesis
import pytest

from fusefront.reports.pdf import pdf_lack


def _program(name: str, package: str) -> Callable[[], str]:
    return lambda: "" if shutil.which(name) else f"{name} is not installed (Debian: {package})"


def _own_network() -> str:
    words = ["unshare", "-rmn", "true"]
    able = shutil.which("unshare") and not subprocess.run(words, capture_output=True).returncode
    return "" if able else "no network of its own may be made here (unshare -rmn)"


# what a test may need beyond Python and make; each answers why it is not here, "" where it is
NEEDS: dict[str, Callable[[], str]] = {
    "chromium": _program("chromium", "chromium"),
    "pdftotext": _program("pdftotext", "poppler-utils"),
    "pdf": pdf_lack,
    "unshare": _own_network,
}

GRANTED = (
    "unshare",
)  # by whoever runs the machine: no package brings it, so it may always be skipped

hypothesis.settings.register_profile("without a clock", deadline=None)
hypothesis.settings.load_profile("without a clock")


@cache
def lack(need: str) -> str:
    """Why this machine cannot run a test that needs it; "" where it can."""
    return NEEDS[need]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--skip-nothing",
        action="store_true",
        help="whatever would skip fails: for a machine that was given all that tests need",
    )


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("needs"):
        for need in mark.args:
            if reason := lack(need):
                pytest.skip(reason)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    why = getattr(call.excinfo.value, "msg", "") if call.excinfo else ""
    granted = why in {lack(need) for need in GRANTED} - {""}
    if report.skipped and item.config.getoption("--skip-nothing") and not granted:
        report.outcome = "failed"
        report.longrepr = f"skipped: {call.excinfo.value if call.excinfo else 'no reason'}"
    return report


@pytest.fixture(scope="session", autouse=True)
def own_host_lock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test waits for what another process of this machine trains or measures."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FUSEFRONT_HOST_LOCK", str(tmp_path_factory.mktemp("lock") / "host.lock"))
        yield
