"""The decision in one sentence and the reasons under it, in every case a policy can end in."""

from fusefront.reports import numbers
from fusefront.reports.evidence import Evidence, Interval, Lack, Point
from fusefront.reports.words.names import described
from fusefront.reports.words.phrase import Bracket, Key, Language, Phrase, Sentence, sentence

HEADLINE = {
    "better": Phrase(
        "Ship {name}: {gain} AUC {interval} over what runs today, at p99 {p99} {p99_interval}, "
        "under the {slo} limit.",
        "{name}を\u200b採用する。\u200b現行方式に対し\u200bAUCは\u200b{gain} {interval}、"
        "\u200bp99は\u200b{p99} {p99_interval}で、\u200b上限{slo}に\u200b収まる。",
    ),
    "cheaper_faster": Phrase(
        "Ship {name}: equivalent to what runs today ({gain} AUC {tost}, within ±{margin}) and "
        "faster, p50 {p50} {p50_interval} against {today_p50} {today_p50_interval}.",
        "{name}を\u200b採用する。\u200b現行方式と\u200b同等（AUC {gain} {tost}、許容差±{margin}）で、"
        "\u200bp50は\u200b{p50} {p50_interval}と、\u200b現行の\u200b{today_p50} "
        "{today_p50_interval}より\u200b速い。",
    ),
    "cheaper": Phrase(
        "Ship {name}: equivalent to what runs today ({gain} AUC {tost}, within ±{margin}), at p99 "
        "{p99} {p99_interval}, under the {slo} limit.",
        "{name}を\u200b採用する。\u200b現行方式と\u200b同等（AUC {gain} {tost}、許容差±{margin}）で、"
        "\u200bp99は\u200b{p99} {p99_interval}、\u200b上限{slo}に\u200b収まる。",
    ),
    "limit": Phrase(
        "Ship {name}: what runs today misses the {slo} limit, {name} keeps it at p99 {p99} "
        "{p99_interval}, for {gain} AUC {interval}{may_lose}.",
        "{name}を\u200b採用する。\u200b現行方式は\u200b上限{slo}を\u200b超え、\u200b{name}は\u200bp99 "
        "{p99} {p99_interval}で\u200b収まる。\u200bAUCは\u200b{gain} {interval}{may_lose}。",
    ),
    "equivalent": Phrase(
        "Keep what runs today: {name} is equivalent, {gain} AUC {tost} within ±{margin}"
        "{not_faster}.",
        "現行方式を\u200b維持する。\u200b{name}は\u200b同等"
        "（AUC {gain} {tost}、許容差±{margin}）{not_faster}。",
    ),
    "no_gain": Phrase(
        "Keep what runs today: no strategy under the {slo} limit is shown to gain; the nearest, "
        "{name}, has {gain} AUC {interval}.",
        "現行方式を\u200b維持する。\u200b上限{slo}以内で\u200b改善が\u200b示された\u200b方式はない。"
        "\u200b最も\u200b近い\u200b{name}は\u200bAUC {gain} {interval}。",
    ),
    "no_rival": Phrase(
        "Keep what runs today: no other strategy stays under the {slo} limit.",
        "現行方式を\u200b維持する。\u200b上限{slo}に\u200b収まる\u200b方式は\u200bほかに\u200bない。",
    ),
    "infeasible_gain": Phrase(
        "Ship nothing yet: no strategy stays under {limits}; the fastest that gains, {name}, needs "
        "{p99} {p99_interval} for {gain} AUC {interval}.",
        "現時点では\u200b採用なし。\u200b{limits}に\u200b収まる\u200b方式はない。\u200b改善する方式で"
        "\u200b最速の\u200b{name}は、\u200b{p99} {p99_interval}で\u200bAUC {gain} {interval}。",
    ),
    "infeasible": Phrase(
        "Ship nothing yet: no strategy stays under {limits}; the fastest, {name}, needs {p99} "
        "{p99_interval}.",
        "現時点では\u200b採用なし。\u200b{limits}に\u200b収まる\u200b方式はない。"
        "\u200b最速の\u200b{name}で\u200b{p99} {p99_interval}。",
    ),
    "infeasible_bare": Phrase(
        "Ship nothing yet: no strategy stays under {limits}.",
        "現時点では\u200b採用なし。\u200b{limits}に\u200b収まる\u200b方式はない。",
    ),
    "cannot_tell": Phrase(
        "Do not decide yet: {name} gains {gain} AUC {interval}, which could be a loss; {settle}.",
        "まだ\u200b決めない。\u200b{name}の\u200bAUC {gain} {interval}は\u200b悪化の\u200b可能性を"
        "\u200b含む。\u200b{settle}。",
    ),
    "thin": Phrase("Do not decide yet: {lack}.", "まだ\u200b決めない。\u200b{lack}。"),
}
SETTLE = {
    (True, True): Phrase(
        "about {rows} more test rows or {seeds} more seeds would settle it",
        "あと\u200b約{rows}行\u200bまたは\u200b{seeds}シードで\u200b決まる",
    ),
    (True, False): Phrase(
        "about {rows} more test rows would settle it, more seeds alone would not",
        "あと\u200b約{rows}行で\u200b決まる（シードだけでは\u200b決まらない）",
    ),
    (False, True): Phrase(
        "{seeds} more seeds would settle it, more rows alone would not",
        "あと\u200b{seeds}シードで\u200b決まる（行だけでは\u200b決まらない）",
    ),
    (False, False): Phrase(
        "more rows or seeds alone are not known to settle it",
        "行または\u200bシードだけで\u200b決まるとは\u200b言えない",
    ),
}
LACK = {
    "latency": Phrase("no latency was measured", "レイテンシが\u200b測定されていない"),
    "latency_one": Phrase(
        "the latency of {name} was not measured", "{name}の\u200bレイテンシが\u200b未測定"
    ),
    "clusters": Phrase(
        "the test split holds {have} independent groups, an interval needs {need}",
        "評価データの\u200b独立な\u200bグループは\u200b{have}で、\u200b区間には\u200b{need}が\u200b必要",
    ),
    "seeds": Phrase(
        "with one seed nothing can be said about the next training",
        "シードが\u200b1つでは、\u200b次の\u200b学習について\u200b何も\u200b言えない",
    ),
    "seeds_one": Phrase(
        "{name} has one seed, which says nothing about its next training",
        "{name}の\u200bシードは\u200b1つで、\u200b次の\u200b学習について\u200b何も\u200b言えない",
    ),
    "baseline": Phrase("what runs today was not measured", "現行方式が\u200b測定されていない"),
    "rivals": Phrase(
        "only one strategy was measured", "測定された\u200b方式が\u200b1つしか\u200bない"
    ),
    "other": Phrase("the evidence is too thin", "根拠が\u200b足りない"),
}
NEXT = {
    "latency": Phrase("Time every strategy in one session.", "全方式を同じセッションで計測する。"),
    "clusters": Phrase("Test on more users or requests.", "評価するユーザーかリクエストを増やす。"),
    "seeds": Phrase("Train at least three seeds.", "少なくとも3シードで学習する。"),
    "baseline": Phrase("Run the study’s baseline.", "スタディのベースラインを実行する。"),
    "rivals": Phrase("Measure at least two strategies.", "少なくとも2方式を測定する。"),
    "other": Phrase("{text}", "{text}"),
}
CLAUSE = {
    "may_lose": Phrase(", which may be a loss", "（悪化の可能性あり）"),
    "not_faster": Phrase(
        ", and is not shown to be faster", "で、\u200b速いとも\u200b示されていない"
    ),
    "slo": Phrase("{slo}", "上限{slo}"),
    "slo_cost": Phrase(
        "{slo} and {cost} per million predictions", "上限{slo}と\u200b100万予測あたり{cost}"
    ),
    "tost": Phrase("90% {bracket}", "90% {bracket}"),
}


def headline(evidence: Evidence, language: Language) -> Sentence:
    """The decision in one sentence; never claims what its intervals do not."""
    decision = evidence.decision
    subject = evidence.point(decision.choice if decision.case == "clear" else decision.subject)
    today = evidence.point(decision.today)
    key = pattern_key(evidence, subject, today)
    values = {"slo": numbers.ms_setting(decision.slo_ms), "margin": numbers.plain(decision.margin)}
    values |= {"limits": _limits(evidence, language), "lack": lack(evidence, language)}
    values |= measured(subject, language) if subject else {}
    values |= {f"today_{k}": v for k, v in measured(today, language).items()} if today else {}
    if subject:
        values["settle"] = settle(subject, language)
        values["may_lose"] = _clause("may_lose", language) if not gains(subject) else ""
        faster = shown_faster(subject, today)
        values["not_faster"] = "" if faster else _clause("not_faster", language)
    return sentence(HEADLINE[key], language, **values)


def pattern_key(evidence: Evidence, subject: Point | None, today: Point | None) -> str:
    """Which pattern the data bear out."""
    decision = evidence.decision
    measured_both = subject is not None and subject.gain is not None and subject.p99 is not None
    if decision.case == "clear" and measured_both:
        if decision.reason == "cheaper":
            return "cheaper_faster" if shown_faster(subject, today) else "cheaper"
        return "limit" if decision.reason == "limit" else "better"
    if decision.case == "tie":
        if subject is None or subject is today or subject.gain is None:
            return "no_rival"
        return "equivalent" if decision.reason == "equivalent" else "no_gain"
    if decision.case == "infeasible":
        if subject is None or subject.p99 is None:
            return "infeasible_bare"
        return "infeasible_gain" if gains(subject) else "infeasible"
    if decision.reason == "cannot_tell" and subject is not None and subject.gain is not None:
        return "cannot_tell"
    return "thin"


def measured(point: Point, language: Language) -> dict[str, str]:
    """A strategy's numbers as pieces of a sentence."""
    values: dict[str, str] = {"name": described(point)}
    if point.gain is not None:
        values["gain"] = Key(numbers.signed(point.gain.value))
        values["interval"] = Bracket(numbers.bracket(point.gain))
        tost = point.gain_90
        inner = numbers.bracket(tost) if tost else ""
        inner = CLAUSE["tost"].pattern(language).format(bracket=inner) if inner else ""
        values["tost"] = Bracket(inner.replace(" ", numbers.NB))
    for name in ("p50", "p99"):
        one: Interval | None = getattr(point, name)
        if one is not None:
            places = numbers.ms_places(one)
            values[name] = numbers.ms(one.value, places)
            values[f"{name}_interval"] = Bracket(numbers.bracket(one, places))
    return values


def gains(point: Point | None) -> bool:
    """Whether the whole interval of the gain lies above zero."""
    return (
        point is not None
        and point.gain is not None
        and point.gain.low is not None
        and point.gain.low > 0
    )


def shown_faster(point: Point | None, other: Point | None) -> bool:
    """Whether the p50 interval lies wholly below the other's."""
    if point is None or other is None or point.p50 is None or other.p50 is None:
        return False
    high, low = point.p50.high, other.p50.low
    return high is not None and low is not None and high < low


def settle(point: Point, language: Language) -> str:
    """What would decide a comparison with what runs today."""
    rows, seeds = point.rows_to_settle, point.seeds_to_settle
    pattern = SETTLE[bool(rows), bool(seeds)].pattern(language)
    return pattern.format(rows=numbers.about(rows or 0), seeds=numbers.count(seeds or 0))


def lack(evidence: Evidence, language: Language) -> str:
    """The first thing that is missing."""
    lacks = evidence.decision.lacks or (Lack("other"),)
    first = lacks[0]
    point = evidence.point(first.strategy)
    key = f"{first.kind}_one" if point and f"{first.kind}_one" in LACK else first.kind
    return (
        LACK[key]
        .pattern(language)
        .format(
            name=described(point) if point else first.strategy,
            have=numbers.count(first.have or 0),
            need=numbers.count(first.need or 0),
        )
    )


def next_steps(evidence: Evidence, language: Language) -> list[Sentence]:
    """What to measure next, one sentence each, without repeats."""
    found: list[Sentence] = []
    for one in evidence.decision.lacks:
        made = sentence(NEXT[one.kind], language, text=one.text)
        if made.text and made.text not in [f.text for f in found]:
            found.append(made)
    return found


def _limits(evidence: Evidence, language: Language) -> str:
    decision, currency = evidence.decision, evidence.study.currency
    cost = decision.max_cost
    phrase = CLAUSE["slo"] if cost is None else CLAUSE["slo_cost"]
    money = "" if cost is None else f"{numbers.significant(cost)}{numbers.NB}{currency}"
    return phrase.pattern(language).format(slo=numbers.ms_setting(decision.slo_ms), cost=money)


def _clause(key: str, language: Language) -> str:
    return CLAUSE[key].pattern(language)
