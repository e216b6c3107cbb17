"""How firm the decision is: its headline, the word for its grade, and the reasons against it."""

import math
from typing import Literal

from fusefront.reports import numbers
from fusefront.reports.evidence import Evidence, Firmness, FirmnessReason
from fusefront.reports.words.decision import headline
from fusefront.reports.words.names import described, label, shorten
from fusefront.reports.words.phrase import Language, Name, Phrase, Sentence, sentence

MOST_REASONS = 3
Shape = Literal["clear", "close", "open"]  # disc, half disc, ring
SHAPE: dict[str, Shape] = {"clear": "clear", "close call": "close", "not decided": "open"}
GRADE: dict[Shape, Phrase] = {
    "clear": Phrase("Clear", "明確"),
    "close": Phrase("Close call", "僅差"),
    "open": Phrase("Not decided", "判断保留"),
}
TITLE = {
    "clear": Phrase("Switch to {name}.", "{name}への\u200b切り替えを\u200b推奨する。"),
    "clear_today": Phrase("Keep what runs today.", "現行方式を\u200b維持する。"),
    "clear_limit": Phrase(
        "Switch to {name} only if {limit} must hold.",
        "{limit}を\u200b必須と\u200bする\u200b場合に\u200b限り、\u200b{name}に\u200b切り替える。",
    ),
    "close": Phrase(
        "Lean towards {name}; it is a close call.", "僅差ながら、\u200b{name}を\u200b推奨する。"
    ),
    "close_limit": Phrase(
        "Lean towards {name} if {limit} must hold.",
        "{limit}を\u200b必須と\u200bする\u200b場合に\u200b限り、\u200b{name}を\u200b候補とする。",
    ),
    "close_today": Phrase(
        "Keep what runs today; it is a close call.", "僅差ながら、\u200b現行方式を\u200b維持する。"
    ),
    "open": Phrase(
        "Not decided: keep what runs today for now.",
        "判断保留：\u200b当面は\u200b現行方式を\u200b維持する。",
    ),
    "open_none": Phrase(
        "Not decided: nothing to ship yet.",
        "判断保留：\u200b現時点で\u200b採用できる\u200b方式が\u200bない。",
    ),
    "open_alone": Phrase("Not decided yet.", "判断保留。"),
}
WHAT_IF = Phrase(
    "What if the limit were {limit} (recorded: {recorded})? ",
    "上限が\u200b{limit}なら\u200b（記録された\u200b判断は\u200b{recorded}）：\u200b",
)
SUPPOSED = Phrase(
    "What if · not the recorded decision. The recorded limit is {recorded}; this page supposes "
    "{limit}, and nothing of it is on record.",
    "仮定 · 記録された判断ではない。記録された上限は{recorded}で、このページは{limit}を仮定する。"
    "その結果は記録されていない。",
)
REASON = {
    "gain_small": Phrase(
        "the low end of the AUC gain, {low}, is under a quarter of the margin of {margin}",
        "AUC改善幅の\u200b下限{low}は\u200b許容差{margin}の\u200b4分の1に\u200b満たない",
    ),
    "gain_loss": Phrase(
        "a loss of up to {loss} AUC cannot be ruled out (margin {margin})",
        "最大{loss}の\u200bAUCの\u200b悪化を\u200b否定できない\u200b（許容差{margin}）",
    ),
    "clicks": Phrase(
        "no gain in clicks is shown", "クリック数の\u200b増加は\u200b確認できていない"
    ),
    "latency": Phrase(
        "timed again, its p99 could read {p99}",
        "計測し直すと\u200bp99が\u200b{p99}に\u200bなりうる",
    ),
    "limit": Phrase(
        "a limit of {value} would choose {name}",
        "上限を\u200b{value}に\u200bすると\u200b結論が\u200b{name}に\u200b変わる",
    ),
    "limit_none": Phrase(
        "a limit of {value} would leave it undecided",
        "上限を\u200b{value}に\u200bすると\u200b判断できなくなる",
    ),
    "margin": Phrase(
        "a margin of {value} would choose {name}",
        "許容差を\u200b{value}に\u200bすると\u200b結論が\u200b{name}に\u200b変わる",
    ),
    "margin_none": Phrase(
        "a margin of {value} would leave it undecided",
        "許容差を\u200b{value}に\u200bすると\u200b判断できなくなる",
    ),
    "probability": Phrase(
        "something else under the limit may well be better by more than the margin",
        "上限内の\u200b他の\u200b方式が\u200b許容差を\u200b超えて\u200b優る\u200b可能性が\u200bある",
    ),
    "search_few": Phrase(
        "completed trials of {name}: {trials}; {needed} are needed to know what another search "
        "would find",
        "{name}の\u200b探索は\u200b{trials}試行で、\u200b別の\u200b探索の\u200b結果を\u200b知るには"
        "\u200b{needed}試行が\u200b必要",
    ),
    "search": Phrase(
        "with another search in the intervals {name} would be chosen",
        "別の\u200b探索を\u200b区間に\u200b含めると\u200b結論が\u200b{name}に\u200b変わる",
    ),
    "search_none": Phrase(
        "with another search in the intervals it would be left undecided",
        "別の\u200b探索を\u200b区間に\u200b含めると\u200b判断できなくなる",
    ),
    "training": Phrase(
        "{name} was still improving when its training ended",
        "{name}は\u200b学習終了時にも\u200b改善を\u200b続けていた",
    ),
    "recipe": Phrase(
        "another recipe gives {name} another verdict",
        "別の\u200b学習設定では\u200b{name}の\u200b判定が\u200b変わる",
    ),
    "disturbed": Phrase(
        "the latency session was disturbed", "レイテンシの\u200b計測が\u200b乱されていた"
    ),
}
CLEAR = Phrase(
    "No limit within a fifth of {slo} and no margin from half to twice {margin} AUC that was tried "
    "would choose another.",
    "上限{slo}を\u200b2割\u200b上下させても、\u200b許容差{margin}を\u200b半分や\u200b2倍に"
    "\u200bしても\u200b結論は\u200b変わらない。",
)
NO_GAIN = Phrase(
    "It is chosen because it is faster or keeps the limit: no gain is shown.",
    "速さまたは\u200b上限の\u200bために\u200b選ばれ、\u200b改善は\u200b示されていない。",
)
SURE = Phrase(
    "In at least {cases} of 100 cases nothing else under the limit is better by more than the "
    "margin of {margin} AUC ({half} at half, {double} at twice the margin).",
    "100回中\u200b少なくとも{cases}回は、\u200b上限内の\u200b他の\u200bどの\u200b方式も\u200b許容差{margin}を\u200b"
    "超えては\u200b優らない\u200b（半分の\u200b許容差では\u200b{half}、\u200b2倍では\u200b{double}）。",
)
REGRET = {  # whether money is known
    False: Phrase(
        "What is lost on average because another may be better after all: {expected} AUC{most}.",
        "より\u200bよい\u200b選択を\u200b逃す\u200b損失の\u200b期待値は\u200bAUC {expected}"
        "{most}。",
    ),
    True: Phrase(
        "What is lost on average because another may be better after all: {expected} AUC, {money} "
        "a year{most}.",
        "より\u200bよい\u200b選択を\u200b逃す\u200b損失の\u200b期待値は\u200bAUC {expected}、\u200b"
        "年間{money}{most}。",
    ),
}
MOST = Phrase("; at most {largest} AUC", "\u200b（最大AUC {largest}）")
UNDER = Phrase("under {least}", "{least}未満")
PICKED = Phrase(
    "It was picked of {n}: the measured gain of {measured} AUC is that of the luckiest, expect "
    "about {expected}.",
    "{n}方式から\u200b選ばれたため、\u200b測定値の\u200bAUC {measured}は\u200b最も\u200b幸運な"
    "\u200b値で、\u200b期待されるのは\u200b約{expected}。",
)


def shape(evidence: Evidence) -> Shape | None:
    """The style of the headline; None if firmness was not computed."""
    return None if evidence.firmness is None else SHAPE[evidence.firmness.grade]


def title(evidence: Evidence, language: Language) -> Sentence:
    """The headline: its word and shape say how firm it is, and whether it is only supposed."""
    decision, mark = evidence.decision, shape(evidence)
    if mark is None:
        return _supposed(evidence, headline(evidence, language), language)
    choice = evidence.point(decision.choice)
    key: str = mark
    if mark == "open" or choice is None:
        key = "open_none" if decision.case == "infeasible" else "open"
        key = key if decision.today is not None else "open_alone"
    elif decision.choice == decision.today:
        key = f"{mark}_today"
    elif decision.reason == "limit":
        key = f"{mark}_limit"
    values = {"name": described(choice)} if choice is not None else {}
    limit = numbers.ms_setting(decision.slo_ms)
    return _supposed(evidence, sentence(TITLE[key], language, limit=limit, **values), language)


def _supposed(evidence: Evidence, plain: Sentence, language: Language) -> Sentence:
    """Says first that it is a what-if, where it is one."""
    recorded = evidence.decision.recorded_slo_ms
    if recorded is None:
        return plain
    phrase = Phrase(WHAT_IF.en + plain.phrase.en, WHAT_IF.ja + plain.phrase.ja)
    values = {"recorded": numbers.ms_setting(recorded)}
    values["limit"] = numbers.ms_setting(evidence.decision.slo_ms)
    return sentence(phrase, language, **{**plain.values, **values})


def supposition(evidence: Evidence, language: Language) -> Sentence | None:
    """The banner of a what-if; None on the page of the recorded decision."""
    recorded = evidence.decision.recorded_slo_ms
    if recorded is None:
        return None
    limit = numbers.ms_setting(evidence.decision.slo_ms)
    return sentence(SUPPOSED, language, limit=limit, recorded=numbers.ms_setting(recorded))


def grade_word(mark: Shape, language: Language) -> str:
    """The word of the grade."""
    return GRADE[mark].pattern(language)


def grounds(evidence: Evidence, language: Language) -> list[Sentence]:
    """What follows the grade: the most serious reasons against the decision, or that nothing
    changes it."""
    firm = evidence.firmness
    if firm is None:
        return []
    parts = [_reason(evidence, reason, language) for reason in firm.reasons[:MOST_REASONS]]
    sentences = [_as_sentence(parts, language)] if parts else []
    if firm.grade == "clear":
        decision = evidence.decision
        values = {"slo": numbers.ms_setting(decision.slo_ms)}
        values["margin"] = numbers.plain(decision.margin)
        sentences.append(sentence(CLEAR, language, **values))
    if evidence.decision.case == "clear" and evidence.decision.reason != "better":
        sentences.append(sentence(NO_GAIN, language))
    return sentences


def _as_sentence(parts: list[Sentence], language: Language) -> Sentence:
    """Reasons as one sentence."""
    values: dict[str, str] = {}
    patterns: list[str] = []
    for place, part in enumerate(parts):
        fields = {key: "{" + f"{key}_{place}" + "}" for key in part.values}
        patterns.append(part.phrase.pattern(language).format(**fields))
        values |= {f"{key}_{place}": value for key, value in part.values.items()}
    if language == "ja":
        text = "。".join(patterns) + "。"
    else:
        text = "; ".join(patterns)
        text = f"{text[:1].upper()}{text[1:]}."
    return Sentence(Phrase(text, text), language, values)


def _reason(evidence: Evidence, reason: FirmnessReason, language: Language) -> Sentence:
    known, key = reason.numbers, str(reason.key)
    values: dict[str, str] = {"name": _name(evidence, reason.strategy)}
    if key == "gain":
        key = "gain_small" if known["low"] > 0 else "gain_loss"
        values["low"] = numbers.signed(known["low"], 5)
        values["loss"] = numbers.fixed(max(-known["low"], 0.0), 5)
        values["margin"] = numbers.plain(known["margin"])
    elif key == "latency":
        values["p99"] = numbers.ms(known["p99"])
    elif key in ("limit", "margin"):
        rounded = float(f"{known['value']:.3g}")
        values["value"] = numbers.ms_setting(rounded) if key == "limit" else numbers.plain(rounded)
        key = key if reason.strategy else f"{key}_none"
    elif key == "search":
        values["trials"] = numbers.count(known.get("trials", 0))
        values["needed"] = numbers.count(known.get("needed", 0))
        key = "search_few" if "trials" in known else "search" if reason.strategy else "search_none"
    phrase = REASON.get(key)
    if phrase is None:
        text = reason.text.removesuffix(".").replace("{", "{{").replace("}", "}}")
        return sentence(Phrase(text, text), language)
    used = {name: text for name, text in values.items() if "{" + name + "}" in phrase.en}
    return sentence(phrase, language, **used)


def sure(evidence: Evidence, language: Language) -> list[Sentence]:
    """How often no other strategy is better, and what may be lost; [] without a rival."""
    firm = evidence.firmness
    if firm is None or not firm.rivals or firm.probability is None:
        return []
    values = {"margin": numbers.plain(evidence.decision.margin), "cases": _cases(firm.probability)}
    values["half"] = _cases(firm.probability_half)
    values["double"] = _cases(firm.probability_double)
    sentences = [sentence(SURE, language, **values)]
    if firm.regret is not None:
        loss = {"expected": _small(firm.regret.expected, language), "most": ""}
        if math.isfinite(firm.regret.largest):
            largest = _small(firm.regret.largest, language)
            loss["most"] = MOST.pattern(language).format(largest=largest)
        priced = firm.regret.money is not None
        if firm.regret.money is not None:
            loss["money"] = (
                f"{numbers.amount(firm.regret.money)}{numbers.NB}{evidence.study.currency}"
            )
        sentences.append(sentence(REGRET[priced], language, **loss))
    if _luckiest(firm):
        assert firm.gain is not None
        assert firm.measured_gain is not None
        expected, measured = numbers.signed(firm.gain.value), numbers.signed(firm.measured_gain)
        n = numbers.count(firm.picked_of)
        sentences.append(sentence(PICKED, language, n=n, measured=measured, expected=expected))
    return sentences


def _small(loss: float, language: Language) -> str:
    """A loss in AUC; one that rounds to zero is under the last place.

    >>> _small(0.00023, "en"), _small(0.00002, "en"), _small(0.0, "en"), _small(0.00002, "ja")
    ('0.0002', 'under 0.0001', '0.0000', '0.0001未満')
    """
    text = numbers.fixed(loss, numbers.AUC_PLACES)
    if loss <= 0 or text.strip("0."):
        return text
    return UNDER.pattern(language).format(least=f"{10**-numbers.AUC_PLACES:.4f}")


def _luckiest(firm: Firmness) -> bool:
    """Whether the expected value prints differently from the measured one."""
    if firm.gain is None or firm.measured_gain is None or firm.picked_of < 2:
        return False
    if not math.isfinite(firm.gain.value):
        return False
    return numbers.signed(firm.gain.value) != numbers.signed(firm.measured_gain)


def _cases(probability: float | None) -> str:
    """Out of 100, rounded down in steps of 5 and at most 95: more is never claimed.

    >>> _cases(1.0), _cases(0.93), _cases(0.02), _cases(None)
    ('95', '90', '0', '0')
    """
    return str(min(5 * int(20 * (probability or 0.0) + 1e-9), 95))


def _name(evidence: Evidence, strategy: str) -> str:
    point = evidence.point(strategy)
    return label(point) if point is not None else Name(shorten(strategy or "-", 26))
