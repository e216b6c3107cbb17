"""The decision in one sentence with its reasons, for every case of the policy."""

from fusefront.reports import numbers
from fusefront.reports.evidence import Evidence, Interval, Lack, Point
from fusefront.reports.words.headlines import (
    CLAUSE,
    HEADLINE,
    LACK,
    MISSES,
    NEXT,
    RELATION,
    SETTLE,
)
from fusefront.reports.words.names import described
from fusefront.reports.words.phrase import Bracket, Key, Language, Phrase, Sentence, sentence
from fusefront.reports.words.unbeaten import with_unbeaten
from fusefront.reports.words.verdicts import verdict_word

IS = Phrase("is {verdict}", "{verdict}")
TOLD_APART = {
    "cannot tell": Phrase("cannot be told apart", "判断不能"),
    "": Phrase("is measured at", "測定値のみ"),
}
STANDING = {  # verdict -> clause
    "equivalent": "equivalent",
    "not worse by more than the margin": "not_worse",
    "worse": "loss",
    "worse, by less than the margin": "small_loss",
}


def headline(evidence: Evidence, language: Language) -> Sentence:
    """The decision in one sentence; never claims what its intervals do not."""
    decision = evidence.decision
    subject = evidence.point(decision.choice if decision.case == "clear" else decision.subject)
    today = evidence.point(decision.today)
    key = pattern_key(evidence, subject, today)
    values = _settings(evidence, language)
    values |= {"limits": limits(evidence, language), "lack": lack(evidence, language)}
    values |= {"stays": _stays(evidence, language), "enough": _enough(evidence, language)}
    values |= measured(subject, decision.margin) if subject else {}
    if today:
        values |= {f"today_{k}": v for k, v in measured(today, decision.margin).items()}
        values["misses"] = missed(evidence, today, language)
        lone = language == "en" and decision.max_cost is None
        values["kept"] = "it" if lone else values["limits"]
    if subject:
        values["settle"] = settle(subject, language)
        values["standing"] = _standing(evidence, subject, language)
        values["relation"] = _relation(evidence, subject, language)
        values["own_cost"] = _own_cost(evidence, subject, language)
        faster = shown_faster(subject, today)
        values["not_faster"] = "" if faster else _clause("not_faster", language)
    phrase, controls = with_unbeaten(HEADLINE[key], evidence)
    return sentence(phrase, language, **values, **controls)


def pattern_key(evidence: Evidence, subject: Point | None, today: Point | None) -> str:
    """The key of the sentence pattern that the data support."""
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
    known = subject is not None and subject.gain is not None and subject.gain.low is not None
    if decision.reason == "cannot_tell" and known:
        return "cannot_tell"
    return "thin"


def measured(point: Point, margin: float) -> dict[str, str]:
    """A strategy's numbers as pieces of a sentence."""
    values: dict[str, str] = {"name": described(point)}
    if point.gain is not None:
        places = numbers.gap_places(point.gain, margin)
        values["gain"] = Key(numbers.signed(point.gain.value, places))
        values["interval"] = Bracket(numbers.bracket(point.gain, places))
    for name in ("p50", "p99"):
        interval: Interval | None = getattr(point, name)
        if interval is not None:
            places = numbers.ms_places(interval)
            values[name] = numbers.ms(interval.value, places)
            values[f"{name}_interval"] = Bracket(numbers.bracket(interval, places))
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
    rows, seeds, effect = point.rows_to_settle, point.seeds_to_settle, point.effect_to_settle
    key: tuple[bool, bool] | str = (rows is not None, seeds is not None)
    if effect is None:
        key = "unknown"
    elif 0 in (rows, seeds):
        key = "enough"
    pattern = SETTLE[key].pattern(language)
    values = {"rows": numbers.about(rows or 0), "seeds": numbers.count(seeds or 0)}
    return pattern.format(effect=numbers.plain(effect or 0.0), **values)


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
    steps: list[Sentence] = []
    for lack in evidence.decision.lacks:
        step = sentence(NEXT[lack.kind], language, text=lack.text)
        if step.text and step.text not in [f.text for f in steps]:
            steps.append(step)
    return steps


def limits(evidence: Evidence, language: Language) -> str:
    """The limit on p99, and that on cost if one is set, in words."""
    key = "slo" if evidence.decision.max_cost is None else "slo_cost"
    return CLAUSE[key].pattern(language).format(**_settings(evidence, language))


def missed(evidence: Evidence, point: Point, language: Language) -> str:
    """Which limits a strategy misses, as certainly as its interval shows; "" if it keeps them."""
    values = _settings(evidence, language) | {"cost": _price(evidence, point)}
    phrases = [MISSES[m].pattern(language).format(**values) for m in misses(evidence, point)]
    return (" and " if language == "en" else "、").join(phrases)


def misses(evidence: Evidence, point: Point) -> list[str]:
    """Keys of MISSES; "latency" and "cost" are certain, the others say what is not shown."""
    decision, p99, cost = evidence.decision, point.p99, point.cost_per_million
    keys = []
    if p99 is None and point.limit is None:
        keys.append("untimed")
    elif point.limit:
        keys += {"kept": [], "missed": ["latency"], "not known": ["latency_unsure"]}[point.limit]
    elif p99 is not None and p99.low is not None and p99.low > decision.slo_ms:
        keys.append("latency")
    elif p99 is None or p99.high is None or p99.high > decision.slo_ms:
        keys.append("latency_unsure")
    if decision.max_cost is not None:
        if cost is None:
            keys.append("unpriced")
        elif cost > decision.max_cost:
            keys.append("cost")
    return keys


def _stays(evidence: Evidence, language: Language) -> str:
    """Without "is shown to" only where every strategy is over a limit for sure."""
    sure = all(
        {"latency", "cost"} & set(misses(evidence, p))
        for p in evidence.points
        if p.role != "device"
    )
    return _clause("stay" if sure else "shown", language)


def _enough(evidence: Evidence, language: Language) -> str:
    """Says so where a strategy of one seed is under the limit."""
    lone = [
        p
        for p in evidence.points
        if p.feasible
        and p.role != "device"
        and p.strategy not in (*evidence.decision.feasible, evidence.decision.today)
    ]
    return _clause("enough", language) if lone else ""


def _standing(evidence: Evidence, point: Point, language: Language) -> str:
    """What an interval of the gain that is not wholly above 0 means, in words."""
    if gains(point) or point.gain is None:
        return ""
    key = STANDING.get(point.verdict, "may_lose")
    return _clause(key, language).format(margin=numbers.plain(evidence.decision.margin))


def _relation(evidence: Evidence, point: Point, language: Language) -> str:
    """How it stands to what runs today: a clause, or the verdict where today's stays."""
    if evidence.decision.case == "tie":
        return (
            TOLD_APART.get(point.verdict, IS)
            .pattern(language)
            .format(verdict=verdict_word(point.verdict, language))
        )
    return RELATION.get(point.verdict, RELATION[""]).pattern(language)


def _own_cost(evidence: Evidence, point: Point, language: Language) -> str:
    """A strategy's cost where a limit on it is set."""
    if evidence.decision.max_cost is None:
        return ""
    key = "unpriced" if point.cost_per_million is None else "cost"
    return _clause(key, language).format(cost=_price(evidence, point))


def _settings(evidence: Evidence, language: Language) -> dict[str, str]:
    """What the owner set, in words."""
    decision = evidence.decision
    return {
        "slo": numbers.ms_setting(decision.slo_ms),
        "margin": numbers.plain(decision.margin),
        "max_cost": _money(evidence, decision.max_cost),
    }


def _price(evidence: Evidence, point: Point) -> str:
    return _money(evidence, point.cost_per_million)


def _money(evidence: Evidence, value: float | None) -> str:
    if value is None:
        return ""
    return f"{numbers.significant(value)}{numbers.NB}{evidence.study.currency}"


def _clause(key: str, language: Language) -> str:
    return CLAUSE[key].pattern(language)
