"""Random evidence, its sentences taken apart again, and every claim held against the intervals.

The intervals are computed afresh here, from differences and errors, not read from the evidence.
"""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from fusefront.harness.decision.inputs import Inputs, Latency, Measured, Pairs
from fusefront.harness.decision.policy import Policy
from fusefront.harness.dossier import judged
from fusefront.harness.dossier.judged import Signature, judge
from fusefront.harness.dossier.points import points
from fusefront.harness.statistics.power import Settle
from fusefront.reports.evidence import Evidence, Point, StudyFacts
from fusefront.reports.words.decision import headline
from fusefront.reports.words.phrase import Language
from fusefront.reports.words.reasons import why

Build = Callable[..., Inputs]
NUMBER = r"([+\u2212]?[\d.,]+?|[<>] ?0)"
ENDS = rf"\[{NUMBER}, {NUMBER}\]"
# claim -> how it is said in English and in Japanese; groups are numbers of the claim
CLAIMS: dict[str, dict[Language, str]] = {
    "ships": {"en": r"^Ship (s\d+):", "ja": r"^(s\d+)を採用する。"},
    "keeps_today": {"en": r"^Keep what runs today", "ja": r"^現行方式を維持する"},
    "nothing": {"en": r"^Ship nothing yet", "ja": r"^現時点では採用なし"},
    "undecided": {"en": r"^Do not decide yet", "ja": r"^まだ決めない"},
    "gain": {"en": rf"{NUMBER} AUC {ENDS}", "ja": rf"AUC(?:は)?\s?{NUMBER} {ENDS}"},
    "over_today": {"en": "over what runs today, at", "ja": "現行方式に対しAUCは"},
    "p99": {"en": rf"p99 {NUMBER} ms {ENDS}", "ja": rf"p99(?:は)?\s?{NUMBER} ms {ENDS}"},
    "under": {"en": r"ms\]?[^;]*\], under the",
              "ja": r"\][^。]*上限[^。]*に収まる(?:（s[^。]*）)?。$"},
    "safe": {"en": ENDS + ", margin", "ja": ENDS + "、許容差"},
    "faster": {"en": rf"and faster, p50 \S+ ms {ENDS} against \S+ ms {ENDS}",
               "ja": rf"p50は\S+ ms {ENDS}と、現行の\S+ ms {ENDS}より速い"},
    "today_misses": {"en": r"today misses the \S+ ms limit", "ja": r"現行方式は上限\S+ msを超える"},
    "today_unsure": {"en": "today is not shown to keep the",
                     "ja": "現行方式は上限[^。]*収まると示されていない"},
    "today_costs": {"en": "over the limit of", "ja": r"で上限\S+ USDを超える"},
    "loss": {"en": r", a loss(?: of less than the margin of \S+)?[.;]",
             "ja": "（(?:許容差[^（]*未満の)?悪化）"},
    "may_lose": {"en": ", which may be a loss", "ja": "悪化の可能性あり"},
    "could_lose": {"en": "which could be a loss", "ja": "悪化の可能性を含む"},
    "within": {"en": ", equivalent within ±", "ja": r"許容差±[^（）]+で同等）(?:。|（s)"},
    "not_worse": {"en": ", not worse by more than the margin of",
                  "ja": "（許容差[^（）]+を超えては劣らない）"},
    "not_beaten": {"en": r"; (s\d+) is not shown to beat the control (s\d+)\.$",
                   "ja": r"（(s\d+)が対照(s\d+)に優るとは示されていない）。$"},
    "none_stays": {"en": r"no strategy stays under", "ja": r"に収まる方式はない"},
    "none_shown": {"en": r"no strategy is shown to stay under", "ja": "収まると示された方式はない"},
    "none_gains": {"en": "is shown to gain", "ja": "改善が示された方式はない"},
    "of_those_that_gain": {"en": r"of those that gain, (s\d+)",
                           "ja": r"改善する方式で最も近い(s\d+)"},
    "no_other": {"en": "no other strategy", "ja": "方式はほかにない"},
    "today_over": {"en": "which misses the",
                   "ja": r"現行方式はs\d+、.*ms上限[^。]*を超える。|で上限\S+ msを超える。"},
    "fastest": {"en": "It is the fastest of", "ja": "最も速い。"},
    "unbeaten_control": {"en": "no fusion under the limit is shown to beat it[.]",
                         "ja": "これに優ると示された融合はない"},
}  # fmt: skip


def number(text: str) -> float:
    if text[0] in "<>":
        return 1e-12 if text[0] == ">" else -1e-12
    return float(text.replace("\u2212", "-").replace(",", ""))


def claims(text: str, language: Language) -> dict[str, tuple[str, ...]]:
    claimed = {}
    for name, patterns in CLAIMS.items():
        if match := re.search(patterns[language], text.replace("\u00a0", " ")):
            claimed[name] = match.groups()
    return claimed


class Shaky:
    """Draws around the planted AUC; the sentences do not depend on them."""

    def __init__(self, inputs: Inputs) -> None:
        self.theta = np.array([a.value for a in inputs.auc])

    def draw(self, rng: np.random.Generator, n: int) -> np.ndarray:
        return self.theta + 1e-3 * rng.standard_normal((n, len(self.theta)))


def scene(planted: Build, seed: int) -> tuple[Inputs, Policy]:
    """Two to six strategies; gains, errors, speeds, costs, seeds and limits at random."""
    rng = np.random.default_rng(seed)
    size = int(rng.integers(2, 7))
    scale = 10 ** rng.uniform(-3.7, -1.8)
    gains = np.r_[0.0, rng.normal(0, scale, size - 1)]
    ms = np.exp(rng.normal(1.0, 0.8, size))
    drawn = planted(gains, ms, controls=[1] if rng.random() < 0.3 else [])
    own = 10 ** rng.uniform(-4.3, -2.3) * rng.uniform(0.3, 1.5, size)
    se = np.sqrt(own[:, None] ** 2 + own**2)
    np.fill_diagonal(se, 0.0)
    pairs = Pairs(drawn.pairs.diff, se, np.full((size, size), rng.uniform(3, 300)), 3.1, 2.6)
    spread = rng.choice([0.02, 0.3])
    candidates = tuple(
        replace(
            c,
            seeds=1 if rng.random() < 0.12 else 4,
            measuring_device=i > 1 and rng.random() < 0.1,
            parameters=int(rng.integers(1, 9)),
            latency=_wide(c.latency, spread),
            cost=None if rng.random() < 0.1 else c.cost,
        )
        for i, c in enumerate(drawn.candidates)
    )
    limit = float(np.exp(rng.normal(np.log(1.4 * np.median(ms)), 1.0)))
    cost = float(np.median(ms) / 10 * np.exp(rng.normal(0, 1))) if rng.random() < 0.3 else None
    settle = (lambda a, b: Settle(50_000, None)) if rng.random() < 0.5 else None
    inputs = replace(drawn, candidates=candidates, pairs=pairs, settle=settle)
    return inputs, Policy(limit, float(10 ** rng.uniform(-3.5, -1.7)), cost)


def _wide(latency: Latency | None, spread: float) -> Latency:
    assert latency is not None
    value = latency.p99.value
    return replace(latency, p99=Measured(value, value / (1 + spread), value * (1 + spread)))


def evidence_of(inputs: Inputs, policy: Policy) -> Evidence:
    judgement = judge(inputs, Shaky(inputs), policy, Signature())
    rows = SimpleNamespace(
        verdict="", reason="", needs=Settle(None, None), in_best_set=False, metrics={}
    )
    comparison = SimpleNamespace(row=lambda name: rows, best_set=(), metric="auc", effect=0.001)
    shown = points(inputs, policy, judgement, comparison, {}, [])
    facts = StudyFacts(name="planted", dataset="shop", rows_test=1000)
    return Evidence(study=facts, decision=judgement.decision, points=shown)


def gain(inputs: Inputs, i: int) -> Measured:
    """Over strategy 0, by hand: the wider of c_base and the t interval."""
    half = max(2.6, stats.t.ppf(0.975, inputs.pairs.df[i, 0])) * inputs.pairs.se[i, 0]
    value = inputs.auc[i].value - inputs.auc[0].value
    return Measured(value, value - half, value + half)


def check(inputs: Inputs, policy: Policy, evidence: Evidence, claimed: dict[str, tuple[str, ...]]):
    decision, known = evidence.decision, inputs.candidates
    whom = int((decision.choice if "ships" in claimed else decision.subject or "s0")[1:])
    own, p99 = gain(inputs, whom), known[whom].latency.p99
    ready = [i for i, c in enumerate(known) if not c.measuring_device and c.seeds > 1]
    cheap = [
        i
        for i in range(len(known))
        if policy.max_cost is None
        or (known[i].cost is not None and known[i].cost <= policy.max_cost)
    ]
    fits = [i for i in ready if known[i].latency.p99.high <= policy.slo_ms and i in cheap]
    if "ships" in claimed:
        assert claimed["ships"] == (f"s{whom}",)
        assert whom in fits
    if "gain" in claimed:
        assert [number(t) for t in claimed["gain"]] == pytest.approx(list(own), abs=6e-5)
    if "over_today" in claimed:
        assert own.low > 0
        assert number(claimed["gain"][1]) > 0, "the printed interval must show it, too"
    if "under" in claimed:
        assert p99.high <= policy.slo_ms
    if "safe" in claimed:
        assert own.low > -policy.margin
        assert number(claimed["safe"][0]) > -policy.margin
    if "faster" in claimed:
        assert number(claimed["faster"][1]) < number(claimed["faster"][2])
    today = known[0].latency.p99
    if "today_misses" in claimed or "today_over" in claimed:
        assert today.low > policy.slo_ms
    if "today_unsure" in claimed:
        assert today.low <= policy.slo_ms < today.high
    if "today_costs" in claimed:
        assert known[0].cost > policy.max_cost
    if "loss" in claimed:
        assert own.high < 0
    if "may_lose" in claimed or "could_lose" in claimed:
        assert own.low <= 0
        assert own.high > 0
    if "within" in claimed:
        assert own.low > -policy.margin
        assert own.high < policy.margin
    if "not_worse" in claimed:
        assert -policy.margin < own.low <= 0
    if "none_stays" in claimed:
        for c in known:
            over = c.latency.p99.low > policy.slo_ms
            dear = policy.max_cost is not None and c.cost is not None and c.cost > policy.max_cost
            assert over or dear or c.measuring_device
    if "none_shown" in claimed:
        assert not [i for i in range(len(known)) if i in fits]
    if "none_gains" in claimed:
        assert all(gain(inputs, i).low <= 0 for i in fits)
        assert inputs.auc[whom].value == max(inputs.auc[i].value for i in fits if i != 0)
    if "of_those_that_gain" in claimed:
        assert own.low > 0
        assert not fits
    if "no_other" in claimed:
        assert fits == [0]
    if "fastest" in claimed:
        same = [int(name[1:]) for name in decision.equivalent if name != decision.choice]
        assert all(known[whom].latency.p50.high < known[i].latency.p50.low for i in same)
    if "unbeaten_control" in claimed:
        assert known[whom].control
        for i in fits:
            half = 3.1 * inputs.pairs.se[i, whom] if 0 not in (i, whom) else 0.0
            if not known[i].control and i != whom and half:
                assert inputs.pairs.diff[i, whom] - half <= 0


def check_controls(inputs: Inputs, claimed: dict[str, tuple[str, ...]]) -> None:
    """The best fusion against the one control: said where, and only where, nothing is shown."""
    controls = [i for i, c in enumerate(inputs.candidates) if c.control]
    fusions = [
        i for i, c in enumerate(inputs.candidates) if not c.control and not c.measuring_device
    ]
    if not controls:
        assert "not_beaten" not in claimed
        return
    best = max(fusions, key=lambda i: inputs.auc[i].value)
    level = 2.6 if 0 in (best, controls[0]) else 3.1
    level = max(level, stats.t.ppf(0.975, inputs.pairs.df[best, controls[0]]))
    low = inputs.pairs.diff[best, controls[0]] - level * inputs.pairs.se[best, controls[0]]
    if low > 0:
        assert "not_beaten" not in claimed
    else:
        assert claimed["not_beaten"] == (f"s{best}", f"s{controls[0]}")


def test_no_sentence_claims_what_its_interval_does_not(
    planted: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judged, "DRAWS", 20)  # the front's draws are not what is tested
    monkeypatch.setattr(judged, "GRID", 3)
    counts: Counter[str] = Counter()
    for seed in range(400):
        inputs, policy = scene(planted, seed)
        evidence = evidence_of(inputs, policy)
        in_both = []
        for language in ("en", "ja"):
            heading = headline(evidence, language).text
            claimed = claims(heading, language)
            for sentence in why(evidence, language):
                claimed |= {k: v for k, v in claims(sentence.text, language).items() if k in LATER}
            try:
                check(inputs, policy, evidence, claimed)
                check_controls(inputs, claimed)
            except AssertionError as error:
                raise AssertionError(f"seed {seed}: {heading}") from error
            assert "  " not in heading, heading
            in_both.append(claimed.keys() - LATER)
        assert in_both[0] == in_both[1], (seed, headline(evidence, "en"), headline(evidence, "ja"))
        counts.update((evidence.decision.case, evidence.decision.reason, *in_both[0]))
    assert {"clear", "tie", "infeasible", "thin", "better", "cheaper", "limit"} <= counts.keys()
    assert {
        "not_beaten",
        "safe",
        "no_gain",
        "cannot_tell",
        "too_little",
        "loss",
        "none_stays",
    } <= counts.keys()


LATER = {"today_over", "fastest", "unbeaten_control"}  # said in the paragraph below the headline


def test_the_check_itself_finds_a_claim_that_is_too_strong(planted: Build) -> None:
    inputs = planted([0.0, 0.0002], [2.0, 4.0], se=0.001)
    policy = Policy(10.0, 0.001)
    evidence = evidence_of(inputs, policy)
    choice = replace(evidence.decision, case="clear", reason="better", choice="s1")
    wrong = replace(evidence, decision=choice)
    with pytest.raises(AssertionError):
        check(inputs, policy, wrong, claims(headline(wrong, "en").text, "en"))


def test_points_keep_one_interval_for_one_pair(planted: Build) -> None:
    inputs = planted([0.0, 0.006, 0.003], [2.0, 4.0, 6.0])
    evidence = evidence_of(inputs, Policy(10.0, 0.001))
    choice, today = evidence.point("s1"), evidence.point("s0")
    assert isinstance(choice, Point)
    assert isinstance(today, Point)
    assert evidence.decision.choice == "s1"
    assert today.gain_vs_choice is not None
    assert choice.gain is not None
    assert today.gain_vs_choice.low == pytest.approx(-choice.gain.high)
    assert today.gain_vs_choice.high == pytest.approx(-choice.gain.low)
