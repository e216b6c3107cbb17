"""The page in headless Chromium: quiet, alone, and no wider than a phone."""

import json
import re
import subprocess
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from fusefront.reports.evidence import (
    Arriving,
    AtOnce,
    Evidence,
    Interval,
    ScopeGap,
    SessionQuality,
)
from fusefront.reports.render import render
from fusefront.reports.words.phrase import Language

pytestmark = [pytest.mark.slow, pytest.mark.needs("chromium")]
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
    command = ["chromium", *QUIET, f"--user-data-dir={folder / 'profile'}", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True)


OWN = re.compile(
    r"(^|\.)(google|googleapis|gstatic|gvt1|chromium)\.(com|org)$"
)  # the browser's own


def open_page(folder: Path, page: Path) -> tuple[subprocess.CompletedProcess[str], set[str]]:
    """The browser's answer, and the hosts that were asked for on behalf of the page."""
    log = folder / "net.json"
    process = browse(
        folder, "--enable-logging=stderr", f"--log-net-log={log}", "--dump-dom", page.as_uri()
    )
    hosts = set(re.findall(r'"url":"https?://([^/":]+)', log.read_text(encoding="utf-8")))
    return process, {host for host in hosts if not OWN.search(host)}


def test_no_console_error_and_no_request_leaves_the_page(page: Path, tmp_path: Path) -> None:
    process, hosts = open_page(tmp_path, page)
    assert "CONSOLE" not in process.stderr
    assert "<h1>" in process.stdout
    assert hosts == set()


def test_a_request_and_an_error_would_have_been_seen(tmp_path: Path) -> None:
    page = tmp_path / "loud.html"
    page.write_text('<img src="http://127.0.0.1:9/x.png"><script>console.error("loud")</script>')
    process, hosts = open_page(tmp_path, page)
    assert "CONSOLE" in process.stderr
    assert hosts == {"127.0.0.1"}


def answer(
    folder: Path, page: Path, script: str, width: int = 1100, *, scripts: bool = True
) -> Any:
    """What a script sees of the page `d` in a frame; headless windows are at least 500 wide.

    Without `scripts` those of the page itself do not run.
    """
    sandbox = "" if scripts else 'sandbox="allow-same-origin"'
    frame = folder / "frame.html"
    frame.write_text(
        f'<body style="margin:0"><iframe id="f" {sandbox} src="{page.as_uri()}" '
        f'style="border:0;width:{width}px;height:4000px"></iframe><pre id="out"></pre>'
        f"<script>onload=()=>{{const d="
        f"document.getElementById('f').contentDocument,w=document.getElementById('f')."
        f"contentWindow;document.getElementById('out').textContent=JSON.stringify((()=>{{"
        f"{script}}})())}}</script>",
        encoding="utf-8",
    )
    process = browse(folder, "--allow-file-access-from-files", "--dump-dom", frame.as_uri())
    match = re.search(r'<pre id="out">(.*?)</pre>', process.stdout, re.DOTALL)
    assert match is not None
    return json.loads(unescape(match[1]))


@pytest.fixture(scope="module")
def timed(full_evidence: Evidence) -> Evidence:
    """With all that a latency session leaves."""
    gaps = tuple(
        ScopeGap(each.strategy, Interval(0.8 * each.p50.value), each.p50,
                 Interval(0.2 * each.p50.value), None, each.p99)
        for each in full_evidence.points if each.p50
    )  # fmt: skip
    queue = tuple(
        Arriving("pca64", rate, 300 * rate, Interval(rate / 9, 0.0, rate / 5), p99, 5)
        for rate, p99 in ((0.3, 5.0), (0.7, 12.0), (0.9, None))
    )
    calls = tuple(AtOnce("pca64", "onnx", size, 100, 1e5 * size**0.5) for size in (1, 16))
    quality = SessionQuality(1, 20, 200, 12, 2000, 0.01, 0.08, 0.02, 0.11)
    return replace(full_evidence, session=quality, scopes=gaps, arriving=queue, at_once=calls)


@pytest.fixture(scope="module")
def page(timed: Evidence, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return render(timed, tmp_path_factory.mktemp("report"))


@pytest.mark.parametrize("language", ["en", "ja"])
def test_parts_of_the_page_have_names_of_their_own_and_their_language(
    timed: Evidence, language: Language, tmp_path: Path
) -> None:
    script = """
    const name = x => x.getAttribute('aria-label') ||
        d.getElementById(x.getAttribute('aria-labelledby')).textContent;
    const half = d.querySelector('.review'), figures = [...half.querySelectorAll('svg.figure')];
    return {names: [...d.querySelectorAll('section,[role=region]')].map(name), half: half.lang,
        first: half.querySelector('p').lang,
        drawn: figures.map(x => x.getAttribute('aria-labelledby'))};
    """
    shown = answer(tmp_path, render(timed, tmp_path / "report", language=language), script)
    assert len(set(shown["names"])) == len(shown["names"]) > 20
    assert (shown["half"], shown["first"]) == ("en", language)
    for key in ("scopes", "arriving", "at_once"):
        assert f"{key}-wide-t {key}-wide-d" in shown["drawn"]


def odd(evidence: Evidence) -> Evidence:
    """Everybody has a name that nobody should have."""
    names = ["<script>alert(1)</script>", "🦊" * 40, "unbroken" * 20, "方式" * 40, "a\u202eb & c"]
    renamed = {p.strategy: f"{names[at % len(names)]}{at}" for at, p in enumerate(evidence.points)}
    decision = evidence.decision
    return replace(
        evidence,
        points=tuple(
            replace(p, strategy=renamed[p.strategy], label="", description="")
            for p in evidence.points
        ),
        decision=replace(
            decision,
            choice=renamed[decision.choice or ""],
            subject=renamed[decision.choice or ""],
            today=renamed[decision.today or ""],
            alternatives=tuple(renamed[name] for name in decision.alternatives),
            equivalent=tuple(renamed[name] for name in decision.equivalent),
            changes=tuple(
                replace(c, choice=renamed[c.choice] if c.choice else None) for c in decision.changes
            ),
        ),
        calibration=(),
        missing=None,
        ablations=(),
    )


WIDER = """
const wide = [...d.querySelectorAll('main *')].filter(x => !x.closest('.scroll,pre,svg') &&
    x.getBoundingClientRect().right > 361);
return {scroll: d.documentElement.scrollWidth, wide: wide.map(x => x.tagName + '.' + x.className)};
"""


@pytest.mark.parametrize("names", ["plain", "odd"])
@pytest.mark.parametrize("language", ["en", "ja"])
def test_nothing_is_wider_than_a_phone(
    timed: Evidence, names: str, language: Language, tmp_path: Path
) -> None:
    evidence = timed if names == "plain" else odd(timed)
    page = render(evidence, tmp_path / "report", language=language)
    shown = answer(tmp_path, page, WIDER, width=360)
    assert shown["wide"] == []
    assert shown["scroll"] <= 360


def test_odd_names_are_shown_and_run_nothing(full_evidence: Evidence, tmp_path: Path) -> None:
    page = render(odd(full_evidence), tmp_path / "report")
    process, hosts = open_page(tmp_path, page)
    assert "CONSOLE" not in process.stderr
    assert hosts == set()
    shown = answer(
        tmp_path,
        page,
        "return {scripts: d.scripts.length, names: [...d.querySelectorAll('.t-leaderboard tbody "
        "th')].map(x => x.textContent)}",
    )
    assert shown["scripts"] == 1
    assert "<script>alert(1)</script>0" in shown["names"]


def test_a_click_on_a_head_sorts_and_a_second_one_turns_the_order(
    page: Path, full_evidence: Evidence, tmp_path: Path
) -> None:
    script = """
    const table = d.querySelector('.t-cost'), place = 3;
    const head = table.tHead.rows[0].cells[place];
    const column = () => [...table.tBodies[0].rows].map(row => row.cells[place].textContent);
    const seen = [];
    for (let n = 0; n < 2; n++) {
      head.querySelector('button').click();
      seen.push([head.getAttribute('aria-sort'), column()]);
    }
    return {head: head.textContent, seen};
    """
    shown = answer(tmp_path, page, script)
    assert shown["head"] == "p99 ms"
    (first, down), (second, up) = shown["seen"]
    assert (first, second) == ("descending", "ascending")
    values = [float(text) for text in up]
    exact = sorted(p.p99.value for p in full_evidence.points if p.p99)
    assert values == sorted(values)
    assert values == pytest.approx(exact, abs=0.05)  # as printed
    assert [float(text) for text in down] == values[::-1]


def test_negative_numbers_and_thousands_sort_by_value(page: Path, tmp_path: Path) -> None:
    script = """
    const sorted = (name, place) => {
      const table = d.querySelector(name), head = table.tHead.rows[0].cells[place];
      head.querySelector('button').click();
      return [...table.tBodies[0].rows].map(row => row.cells[place].textContent);
    };
    return {gain: sorted('.t-leaderboard', 3), rows: sorted('.t-slices', 1)};
    """
    order = answer(tmp_path, page, script)
    gains = [float(text.replace("\u2212", "-")) for text in order["gain"] if text != "\u2013"]
    assert gains == sorted(gains, reverse=True)
    assert order["gain"][-1] == "\u2013"  # what has no number goes last
    rows = [float(text.replace(",", "")) for text in order["rows"]]
    assert rows == sorted(rows, reverse=True)


def test_without_script_every_table_is_there_in_its_order(
    page: Path, full_evidence: Evidence, tmp_path: Path
) -> None:
    script = """
    return {buttons: d.querySelectorAll('button').length,
        tables: d.querySelectorAll('table').length,
        names: [...d.querySelectorAll('.t-leaderboard tbody th')].map(x => x.textContent)};
    """
    shown = answer(tmp_path, page, script, scripts=False)
    assert shown["buttons"] == 0
    assert shown["tables"] == answer(tmp_path, page, script)["tables"]
    assert answer(tmp_path, page, script)["buttons"] > 0
    best = sorted(full_evidence.points, key=lambda p: -p.auc.value)
    assert shown["names"] == [p.label for p in best]


CONTRAST = """
const channel = c => { c /= 255; return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; };
const shine = rgb => 0.2126 * channel(rgb[0]) + 0.7152 * channel(rgb[1]) + 0.0722 * channel(rgb[2]);
const parse = text => text.match(/[\\d.]+/g).map(Number);
const ground = x => {
  for (; x; x = x.parentElement) {
    const found = parse(w.getComputedStyle(x).backgroundColor);
    if (found.length < 4 || found[3] > 0) return found;
  }
};
const texts = [...d.querySelectorAll('body *')].filter(x => !x.closest('svg,script,style') &&
    [...x.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()));
const ratios = texts.map(x => {
  const [a, b] = [shine(parse(w.getComputedStyle(x).color)), shine(ground(x))];
  return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), x.tagName];
});
return {least: Math.min(...ratios.map(r => r[0])), texts: ratios.length,
    paper: w.getComputedStyle(d.body).backgroundColor};
"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_all_text_has_the_contrast_that_aa_asks(page: Path, theme: str, tmp_path: Path) -> None:
    text = page.read_text(encoding="utf-8")
    dark = text.replace("@media (prefers-color-scheme:dark)", "@media screen")
    assert dark != text
    copy = tmp_path / "page.html"
    copy.write_text(dark if theme == "dark" else text, encoding="utf-8")
    shown = answer(tmp_path, copy, CONTRAST)
    assert shown["paper"] == ("rgb(20, 23, 27)" if theme == "dark" else "rgb(255, 254, 251)")
    assert shown["texts"] > 300
    assert shown["least"] >= 4.5
