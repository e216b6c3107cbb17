"""Drawn studies with every corner: each printed interval is read again, and each word and sentence
held against it; on the page in both languages, on the terminal and in the JSON.

Nothing here is taken from the code that words a verdict: the words follow from the printed ends by
the table below.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fusefront.harness.cli.show_decision import alternative_rows, change_lines, firmness_lines
from fusefront.harness.decision.inputs import Inputs, Latency, Measured, Pairs
from fusefront.harness.decision.policy import Policy
from fusefront.harness.dossier import judged
from fusefront.harness.dossier.decide import as_sentence
from fusefront.harness.dossier.decision_record import record_of
from fusefront.harness.dossier.grade import graded
from fusefront.harness.dossier.judged import Signature, judge
from fusefront.harness.dossier.points import points
from fusefront.harness.dossier.sections import slices
from fusefront.harness.statistics.power import Settle
from fusefront.harness.statistics.result_rows import Estimate
from fusefront.reports import tables
from fusefront.reports.evidence import Evidence, Interval, Replay, StudyFacts
from fusefront.reports.plane import plane
from fusefront.reports.words import costs, frontier, grade
from fusefront.reports.words.alternatives import alternatives
from fusefront.reports.words.changes import changes
from fusefront.reports.words.decision import headline
from fusefront.reports.words.phrase import Language
from fusefront.reports.words.reasons import why
from fusefront.reports.words.risks import risks

from .printed_ends import ANY, BY, ends_of, word_of

Build = Callable[..., Inputs]
FAST, SLOW = range(40), range(500)
# pattern of an alternative's or a control's sentence -> the word that it says
SAYS: dict[Language, list[tuple[str, str]]] = {
    "en": [
        (r"[Bb]etter(?: than the choice)?, by less than", f"better, {BY}"),
        (r"[Ww]orse(?: than the choice)?, by less than", f"worse, {BY}"),
        (r"[Nn]ot worse (?:than the choice )?by more than", f"not worse {ANY}"),
        (r"[Nn]ot better (?:than the choice )?by more than|may be as good", f"not better {ANY}"),
        (r"[Ee]quivalent", "equivalent"),
        (r"[Cc]annot be told apart", "cannot tell"),
        (r"[Bb]etter", "better"),
        (r"[Ww]orse than the choice", "worse"),
    ],
    "ja": [
        ("許容差未満で優る", f"better, {BY}"),
        ("許容差未満で劣る", f"worse, {BY}"),
        ("許容差を超えては劣らない", f"not worse {ANY}"),
        ("許容差を超えては優らない|同等の可能性がある", f"not better {ANY}"),
        ("同等", "equivalent"),
        ("判断不能", "cannot tell"),
        ("優る", "better"),
        ("劣る", "worse"),
    ],
}


class Still:
    """Draws at the planted AUC: the front is not what is tested."""

    def __init__(self, inputs: Inputs) -> None:
        self.theta = np.array([a.value for a in inputs.auc])

    def draw(self, rng: np.random.Generator, n: int) -> np.ndarray:
        return np.tile(self.theta, (n, 1))


def scene(planted: Build, seed: int) -> tuple[Inputs, Policy]:
    """One to six strategies with everything at random, and one corner or none."""
    rng = np.random.default_rng(seed)
    size = int(rng.choice([1, 2, 3, 4, 6], p=[0.05, 0.25, 0.25, 0.2, 0.25]))
    scale = 10 ** rng.uniform(-4.5, -1.8)
    margin = float(10 ** rng.uniform(-3.5, -1.7))
    gains = np.r_[0.0, rng.normal(0, scale, size - 1)]
    if rng.random() < 0.15:
        gains[1:] = rng.choice([0.0, scale], size - 1)  # ties
    ms = np.exp(rng.normal(1.0, 0.8, size))
    controls = [i for i in range(1, size) if rng.random() < 0.25]
    drawn = planted(gains, ms, controls=controls, today=None if rng.random() < 0.06 else 0)
    own = 10 ** rng.uniform(-5.0, -2.3) * rng.uniform(0.3, 1.5, size)
    se = np.sqrt(own[:, None] ** 2 + own**2)
    np.fill_diagonal(se, 0.0)
    c = 2.6
    match int(rng.integers(0, 12)):
        case 0 if size > 1:  # an interval of no width
            se[0, 1] = se[1, 0] = 0.0
        case 1 if size > 1:  # without an interval
            se[0, 1] = se[1, 0] = np.nan
        case 2:
            se[:] = np.nan
        case 3 if size > 1:  # without an end
            se[0, 1] = se[1, 0] = np.inf
        case 4 if size > 1:  # an end at zero, at the margin, or next to it
            edge = rng.choice([0.0, margin, -margin]) + rng.choice([0.0, 1e-9, -1e-7, 3e-6])
            se[0, 1] = se[1, 0] = max(abs(gains[1] - edge) / c, 1e-9)
        case 5:
            c = float("nan")
        case 6:
            se *= 1e-4
    pairs = Pairs(drawn.pairs.diff, se, np.full((size, size), rng.uniform(1, 300)), c + 0.5, c)
    spread = rng.choice([0.0, 0.02, 0.3])
    candidates = tuple(
        replace(
            candidate,
            seeds=1 if rng.random() < 0.1 else 4,
            measuring_device=i > 1 and rng.random() < 0.1,
            parameters=int(rng.integers(1, 9)),
            latency=None if rng.random() < 0.08 else _wide(candidate.latency, spread),
            cost=None if rng.random() < 0.1 else candidate.cost,
        )
        for i, candidate in enumerate(drawn.candidates)
    )
    limit = float(np.exp(rng.normal(np.log(1.4 * np.median(ms)), 1.0)))
    cost = float(np.median(ms) / 10 * np.exp(rng.normal(0, 1))) if rng.random() < 0.3 else None
    needs = [Settle(0, 0), Settle(0, None), Settle(None, 0), Settle(None, None), Settle(50_000, 3)]
    needs += [Settle(50_000, None), Settle(None, 3), None]
    need = needs[int(rng.integers(0, len(needs)))]
    inputs = replace(
        drawn,
        candidates=candidates,
        pairs=pairs,
        settle=None if need is None else lambda a, b: need,
        controlled=rng.random() > 0.05,
        clusters=int(rng.choice([4, 5000], p=[0.05, 0.95])),
        floor_p99=float(rng.choice([0.0, 0.05, 0.3])),
    )
    return inputs, Policy(limit, margin, cost)


def _wide(latency: Latency | None, spread: float) -> Latency:
    assert latency is not None
    value = latency.p99.value
    return replace(latency, p99=Measured(value, value / (1 + spread), value * (1 + spread)))


def evidence_of(inputs: Inputs, policy: Policy, rng: np.random.Generator) -> Evidence:
    """The page's evidence, slices and replay drawn beside."""
    outcome = judge(inputs, Still(inputs), policy, Signature())
    names = [candidate.name for candidate in inputs.candidates]
    subject = outcome.decision.subject
    parts = tuple(
        SimpleNamespace(
            slice="part",
            value=str(k),
            rows=100,
            strategy=subject,
            difference=_estimate(rng, policy),
            note="",
            verdict="",
        )
        for k in range(3)
    )
    row = SimpleNamespace(
        verdict="", reason="", needs=Settle(None, None), in_best_set=False, metrics={}
    )
    comparison = SimpleNamespace(
        row=lambda name: row, best_set=(), metric="auc", effect=0.001, rows=1000, slices=parts,
        search=None, model=SimpleNamespace(names=tuple(names)),
    )  # fmt: skip
    low, width = rng.normal(0, 1), abs(rng.normal(0, 1))
    gap = Interval(low + width / 2, low, low + width)
    replay = Replay(3, Interval(50.0, 49.0, 51.0), Interval(50.0), gap)
    return Evidence(
        study=StudyFacts(name="planted", dataset="shop", rows_test=1000),
        decision=outcome.decision,
        points=points(inputs, policy, outcome, comparison, {}, []),
        slices=slices(comparison, subject, frozenset(), policy.margin),
        firmness=graded(inputs, policy, outcome.outcome, comparison, None, []),
        replay=replay if outcome.decision.choice else None,
    )


def _estimate(rng: np.random.Generator, policy: Policy) -> Estimate:
    value = rng.normal(0, policy.margin)
    half = abs(rng.normal(0, policy.margin)) * rng.choice([0.0, 1e-3, 1.0])
    if rng.random() < 0.2:
        return Estimate(value)
    return Estimate(value, value - half, value + half)


def verdicts_of_tables(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """(interval, verdict) of every row that has both."""
    board = tables.leaderboard(evidence)
    for row in board.rows:
        yield row.cells[4], str(getattr(row.cells[5], "values", [""])[0] or "")
    for row in tables.slices(evidence).rows:
        yield row.cells[4], row.cells[5]
    for line in alternative_rows(evidence):
        *_, gain, against, _p50, _p99 = line
        if against.strip():
            yield against, against.partition("]")[2].strip()
        assert not gain or gain.count("[") <= 1


def check_tables(evidence: Evidence) -> Counter[str]:
    words: Counter[str] = Counter()
    margin = evidence.decision.margin
    for interval, word in verdicts_of_tables(evidence):
        ends = ends_of(interval)
        if ends is None or word in ("runs today", ""):
            assert word in ("", "runs today", tables.NONE), (interval, word)
            continue
        assert word == word_of(*ends, margin), (interval, word, margin)
        words[word] += 1
    return words


def check_json(evidence: Evidence) -> None:
    record = json.loads(json.dumps(record_of("planted", evidence), allow_nan=False))
    assert record["firmness"]["grade"] == (evidence.firmness and evidence.firmness.grade)
    assert record["firmness"].keys() >= {"reasons", "probability", "regret", "flips", "gain"}
    for row in record["strategies"]:
        for difference, word in (("gain", "verdict"), ("gain_vs_choice", "verdict_vs_choice")):
            ends = row[difference] or {}
            if row[word]:
                assert row[word] == word_of(ends["low"], ends["high"], evidence.decision.margin)


def check_sentences(evidence: Evidence, language: Language) -> None:
    """Every sentence of page one."""
    decision, margin = evidence.decision, evidence.decision.margin
    sentences = [(e.head, s.text) for e in alternatives(evidence, language) for s in e.lines]
    sentences += [(e.head, s.text) for e in risks(evidence, language) for s in e.lines]
    for head, text in sentences:
        if head in ("Slices that lose", "劣る層") and ends_of(text):
            assert ends_of(text)[1] < 0, text
        elif (ends := ends_of(text)) is not None and (claim := _word_said(text, language)):
            assert claim == word_of(*ends, margin), (text, margin)
    chart = plane(evidence)
    every = [text for _, text in sentences]
    every += [s.text for e in changes(evidence, language) for s in e.lines]
    every += [s.text for s in why(evidence, language)]
    every += [s.text for s in grade.grounds(evidence, language)]
    every += [s.text for s in grade.sure(evidence, language)]
    every += [headline(evidence, language).text, grade.title(evidence, language).text]
    every += [frontier.finding(evidence, chart, language).text]
    every += [s.text for s in frontier.caption(evidence, chart, language)]
    for text in every:
        assert not re.search(r"\bnan\b|None|n/a|\{|\}|  | is cannot| inf\b", text), text
    _check_heads(evidence, language)
    _check_finding(evidence, frontier.finding(evidence, chart, "en").text)
    for item in costs.items(evidence, language):
        if (
            item.key in ("clicks", "money", "auc")
            and item.other
            and (e := ends_of(item.other.text))
        ):
            zero = e[0] <= 0 <= e[1]
            assert (item.doubt in ("could be zero", "ゼロの可能性あり")) == zero, item
    if decision.lacks and language == "en":
        check_lacks(evidence, as_sentence([lack.text for lack in decision.lacks]))


def _word_said(text: str, language: Language) -> str:
    for pattern, word in SAYS[language]:
        if re.search(pattern, text):
            return word
    return ""


def _check_heads(evidence: Evidence, language: Language) -> None:
    decision, firm = evidence.decision, evidence.firmness
    assert firm is not None
    title = grade.title(evidence, language).text
    begins = {"en": ("Switch to", "Lean towards", "Not decided", "Keep what"),
              "ja": ("への切り替え", "僅差", "判断保留", "現行方式を維持")}[language]  # fmt: skip
    switch, lean, undecided, keep = (start in title for start in begins)
    assert (firm.grade == "not decided") == (decision.choice is None) == undecided
    if decision.choice is not None and decision.choice == decision.today:
        assert keep, title
        assert not switch
    elif decision.choice is not None:
        sentences = decision.choice in title
        assert sentences, title
        limited = decision.reason == "limit"
        assert not keep
        assert limited or switch == (firm.grade == "clear"), title
        assert limited or lean == (firm.grade == "close call"), title
    text = headline(evidence, "en").text.replace("\u00a0", " ")
    ends, margin = ends_of(text), decision.margin
    whom = evidence.point(decision.choice if decision.case == "clear" else decision.subject)
    needs = (whom.rows_to_settle, whom.seeds_to_settle) if whom else (None, None)
    if "over what runs today, at" in text or "of those that gain" in text:
        low = ends_of(text.partition("AUC")[2])
        assert low is not None
        assert low[0] > 0, text
    if "could be a loss" in text or "may be a loss" in text:
        assert ends is not None
    if match := re.search(r"(?:is|:) ((?:not )?(?:equivalent|better|worse)[^(]*)", text):
        claim = match[1].replace(" than what runs today", "").replace(" to what runs today", "")
        claim = re.split(r",? [+\u2212\d]", claim)[0].strip(" ,")
        tail = ends_of(text[match.start() :])
        assert tail is not None, text
        assert claim == word_of(*tail, margin), (text, margin)
    if "neither more rows nor more seeds" in text:
        assert needs == (None, None), text
    if "would have been seen" in text:
        assert 0 in needs, text
    if "more test rows" in text and "may settle" not in text and "alone would not" not in text:
        assert needs[0], text


def _check_finding(evidence: Evidence, text: str) -> None:
    inside = [p for p in evidence.points if p.feasible]
    gaining = [p for p in inside if p.gain and p.gain.low is not None and p.gain.low > 0]
    if "nothing is shown to beat what runs today by" in text:
        assert all(p.gain and p.gain.low < evidence.decision.margin for p in gaining)
    elif "nothing is shown to beat" in text:
        assert not gaining
    if "is shown to keep" in text:
        assert not evidence.decision.feasible
    if "buys no quality" in text:
        choice = evidence.point(evidence.decision.choice)
        slower = [p for p in inside if p.p99 and p.p99.value > choice.p99.value]
        slower = [p for p in slower if p.role != "device" and p.gain_vs_choice]
        assert all((p.gain_vs_choice.low or -1.0) <= 0 for p in slower), text


def check_lacks(evidence: Evidence, text: str) -> None:
    """The terminal's sentence on what is missing."""
    assert not re.search(r"\bnan\b|None|  |\binf\b", text), text
    point = evidence.point(evidence.decision.subject)
    if evidence.decision.reason == "cannot_tell" and point is not None:
        needs = (point.rows_to_settle, point.seeds_to_settle)
        assert ("neither more rows nor more seeds" in text) <= (needs == (None, None)), text
        assert ("would have been seen" in text) == (0 in needs), text


def run_studies(planted: Build, seeds: range) -> Counter[str]:
    words: Counter[str] = Counter()
    for seed in seeds:
        inputs, policy = scene(planted, seed)
        try:
            evidence = evidence_of(inputs, policy, np.random.default_rng(seed + 9999))
            words += check_tables(evidence)
            check_json(evidence)
            for language in ("en", "ja"):
                check_sentences(evidence, language)
            for line in (*change_lines(evidence), *firmness_lines(evidence)):
                assert not re.search(r"\bnan\b|None|\binf\b", line), line
        except Exception as error:
            error.add_note(f"seed {seed}")
            raise
        assert evidence.firmness is not None
        words.update((evidence.decision.case, evidence.firmness.grade))
    return words


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judged, "DRAWS", 20)
    monkeypatch.setattr(judged, "GRID", 3)


def test_forty_drawn_studies_say_nothing_that_their_numbers_make_false(
    planted: Build, quick: None
) -> None:
    counts = run_studies(planted, FAST)
    assert {"better", "worse", "cannot tell", "clear", "thin"} <= counts.keys()


@pytest.mark.slow
def test_five_hundred_drawn_studies_say_nothing_that_their_numbers_make_false(
    planted: Build, quick: None
) -> None:
    counts = run_studies(planted, SLOW)
    vocabulary = {word for *_, word in (pair for pairs in SAYS.values() for pair in pairs)}
    assert vocabulary <= counts.keys()
    assert {"clear", "tie", "infeasible", "thin", "close call", "not decided"} <= counts.keys()


def test_a_word_that_its_interval_denies_is_seen(planted: Build, quick: None) -> None:
    inputs = planted([0.0, 0.006, 0.0], [2.0, 4.0, 6.0])
    evidence = evidence_of(inputs, Policy(10.0, 0.001), np.random.default_rng(0))
    check_tables(evidence)
    check_json(evidence)
    wrong = tuple(replace(p, verdict="cannot tell" if p.verdict else "") for p in evidence.points)
    for check in (check_tables, check_json):
        with pytest.raises(AssertionError):
            check(replace(evidence, points=wrong))
    swapped = tuple(replace(p, verdict_vs_choice="better") for p in evidence.points)
    with pytest.raises(AssertionError):
        check_sentences(replace(evidence, points=swapped), "ja")


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("+0.0044 AUC [> 0, 0.0088]", (1e-12, 0.0088)),
        ("[\u22120.0004,\u00a0< 0]", (-0.0004, -1e-12)),
        ("[\u2212\u221e, \u221e]", (-math.inf, math.inf)),
        ("no interval", None),
    ],
)
def test_printed_ends_are_read_again(text: str, ends: Any) -> None:
    assert ends_of(text) == ends
