"""The page in headless Chromium: quiet, alone, and no wider than a phone."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from fusefront.reports.evidence import Evidence
from fusefront.reports.render import render

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed (Debian: chromium)"),
]
QUIET = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def browse(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(CHROMIUM), *QUIET, f"--user-data-dir={folder / 'profile'}", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)


OWN = re.compile(
    r"(^|\.)(google|googleapis|gstatic|gvt1|chromium)\.(com|org)$"
)  # the browser's own


def open_page(folder: Path, page: Path) -> tuple[subprocess.CompletedProcess[str], set[str]]:
    """The browser's answer, and the hosts that were asked for on behalf of the page."""
    log = folder / "net.json"
    done = browse(
        folder, "--enable-logging=stderr", f"--log-net-log={log}", "--dump-dom", page.as_uri()
    )
    hosts = set(re.findall(r'"url":"https?://([^/":]+)', log.read_text(encoding="utf-8")))
    return done, {host for host in hosts if not OWN.search(host)}


def test_no_console_error_and_no_request_leaves_the_page(
    full_evidence: Evidence, tmp_path: Path
) -> None:
    done, hosts = open_page(tmp_path, render(full_evidence, tmp_path / "report"))
    assert "CONSOLE" not in done.stderr
    assert "<h1>" in done.stdout
    assert hosts == set()


def test_a_request_and_an_error_would_have_been_seen(tmp_path: Path) -> None:
    page = tmp_path / "loud.html"
    page.write_text('<img src="http://127.0.0.1:9/x.png"><script>console.error("loud")</script>')
    done, hosts = open_page(tmp_path, page)
    assert "CONSOLE" in done.stderr
    assert hosts == {"127.0.0.1"}


def test_nothing_is_wider_than_a_phone(full_evidence: Evidence, tmp_path: Path) -> None:
    page = render(full_evidence, tmp_path / "report")
    frame = tmp_path / "phone.html"  # headless windows are at least 500 pixels wide
    frame.write_text(
        f'<body style="margin:0"><iframe id="f" src="{page.as_uri()}" style="border:0;width:360px;'
        'height:4000px"></iframe><pre id="out"></pre><script>onload=()=>{const d=document.'
        "getElementById('f').contentDocument,e=d.documentElement;const wide=[...d.querySelectorAll("
        "'main *')].filter(x=>!x.closest('.scroll,pre,svg')&&x.getBoundingClientRect().right>361);"
        "document.getElementById('out').textContent=JSON.stringify({scroll:e.scrollWidth,"
        "wide:wide.map(x=>x.tagName)})}</script>",
        encoding="utf-8",
    )
    done = browse(tmp_path, "--allow-file-access-from-files", "--dump-dom", frame.as_uri())
    found = re.search(r'<pre id="out">(.*?)</pre>', done.stdout)
    assert found is not None
    seen = json.loads(found[1])
    assert seen["wide"] == []
    assert seen["scroll"] <= 360
