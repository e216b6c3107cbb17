"""The numbers at the top of page one: what a strategy gains and costs, each beside today's."""

from collections.abc import Callable
from typing import NamedTuple

from fusefront.reports import numbers
from fusefront.reports.evidence import Evidence, Interval, Point
from fusefront.reports.numbers import NB
from fusefront.reports.words.names import label
from fusefront.reports.words.phrase import Bracket, Language, Phrase, Sentence, sentence

MOST = 5
COST = {
    "clicks": Phrase("Clicks per 1,000 impressions", "表示1,000回あたりのクリック"),
    "clicks_note": Phrase(
        "{own} instead of {today}, top {k} by replay of logs",
        "{today}→{own}（過去ログの上位{k}件による試算）",
    ),
    "clicks_plain": Phrase("top {k} by replay of logs", "過去ログの上位{k}件による試算"),
    "money": Phrase("Money a year, after serving", "年間の金額効果（費用控除後）"),
    "money_note": Phrase(
        "at {value} {currency} a click, {qps} requests/s",
        "1クリック{value} {currency}、毎秒{qps}リクエスト",
    ),
    "p99": Phrase("p99 latency", "p99レイテンシ"),
    "p99_note": Phrase("limit {slo}", "上限{slo}"),
    "again": Phrase("timed again: {low} to {high}", "再計測時 {low}～{high}"),
    "again_open": Phrase("timed again: {low} to {high} or more", "再計測時 {low}～{high}以上"),
    "once": Phrase(
        "one session: {interval}; how far it repeats is not known",
        "1回の計測：{interval}、再現性は未確認",
    ),
    "auc": Phrase("AUC (ranking quality)", "AUC（順位付けの精度）"),
    "zero": Phrase("could be zero", "ゼロの可能性あり"),
    "touches": Phrase("touches zero", "下限がほぼゼロ"),
    "p50": Phrase("Typical latency (p50)", "代表的なレイテンシ（p50）"),
    "p50_note": Phrase("one request {interval}", "1リクエスト {interval}"),
    "cost": Phrase("Cost per million predictions", "100万予測あたりの費用"),
    "cost_note": Phrase(
        "{price} {currency} per core-hour, {use} busy", "{price} {currency}／コア時、稼働率{use}"
    ),
    "cost_note_plain": Phrase("{price} {currency} per core-hour", "{price} {currency}／コア時"),
    "memory": Phrase("Memory in service", "稼働時メモリ"),
    "memory_note": Phrase("code table and graph", "コード表とグラフ"),
    "bytes": Phrase("Bytes per item", "アイテムあたりバイト数"),
    "bytes_note": Phrase("{items} items", "{items}アイテム"),
    "cold": Phrase("Cold start", "コールドスタート"),
    "cold_note": Phrase("load to first answer {interval}", "読込から初回応答 {interval}"),
    "parameters": Phrase("Parameters", "パラメータ数"),
    "parameters_note": Phrase("learned numbers", "学習される数値"),
    "today": Phrase("today {value}", "現行 {value}"),
    "rival": Phrase("{name} {value}", "{name} {value}"),
    "cents": Phrase("US cents", "米セント"),
}
TOUCHES = 0.25  # share of the margin: a gain with a lower end below it counts as touching 0
HEADING = {
    "choice": Phrase("What it gains and what it costs", "得るものと払うもの"),
    "today": Phrase("What runs today costs", "現行方式の費用"),
    "subject": Phrase("What {name} would gain and cost", "{name}で\u200b得るものと\u200b払うもの"),
}


class Item(NamedTuple):
    """One of these numbers."""

    key: str
    name: str
    value: str
    unit: str
    other: Sentence | None
    note: Sentence
    sources: tuple[str, ...]  # strategies whose runs it comes from
    doubt: str = ""  # text beside it if the interval contains or touches 0: no claim then


def heading(evidence: Evidence, language: Language) -> Sentence:
    """The heading, which names the strategy of these numbers."""
    point = subject(evidence)
    if point is None or evidence.decision.case == "clear":
        return sentence(HEADING["choice"], language)
    if point.strategy == evidence.decision.today:
        return sentence(HEADING["today"], language)
    return sentence(HEADING["subject"], language, name=label(point))


def subject(evidence: Evidence) -> Point | None:
    """The strategy that page one is about: the choice, or what could have been chosen."""
    decision = evidence.decision
    return evidence.point(decision.choice) or evidence.point(decision.subject)


def items(evidence: Evidence, language: Language) -> list[Item]:
    """The first five that were measured."""
    point = subject(evidence)
    if point is None:
        return []
    effects = [_clicks(evidence, point, language), _money(evidence, point, language)]
    costs = [
        _number(evidence, point, language, "cost", _cost, _cost_note),
        _number(evidence, point, language, "memory", _memory, _plain_note),
        _number(evidence, point, language, "bytes", _bytes, _bytes_note),
        _number(evidence, point, language, "cold", _cold, _cold_note),
        _number(evidence, point, language, "p50", _p50, _p50_note),
        _number(evidence, point, language, "parameters", _parameters, _plain_note),
    ]
    quality = [_p99(evidence, point, language), _auc(evidence, point, language)]
    first, middle, last = ([item for item in part if item] for part in (effects, costs, quality))
    return [*first, *middle[: MOST - len(first) - len(last)], *last]


def _doubt(interval: Interval | None, near: float, language: Language) -> str:
    """The text beside a difference whose interval contains or nearly contains 0; "" otherwise."""
    if interval is None or interval.low is None or interval.high is None:
        return ""
    if interval.low <= 0 <= interval.high:
        return COST["zero"].pattern(language)
    return COST["touches"].pattern(language) if 0 < interval.low < near else ""


def _money(evidence: Evidence, point: Point, language: Language) -> Item | None:
    """Money a year over what runs today, minus serving cost; only for the strategy that firmness is
    about."""
    firm, grid = evidence.firmness, evidence.what_if
    today = evidence.decision.today
    if firm is None or firm.money is None or grid is None or grid.centre is None:
        return None
    if firm.of != point.strategy or point.strategy == today:
        return None
    row, currency = grid.rows[grid.centre], evidence.study.currency
    settings = {"value": numbers.plain(row.value_per_click), "currency": currency}
    note = sentence(
        COST["money_note"], language, qps=numbers.plain(row.requests_per_second), **settings
    )
    value = numbers.amount(firm.money.value, sign=True)
    sources = tuple(dict.fromkeys(n for n in (point.strategy, today) if n))
    doubt = _doubt(firm.money, 0.0, language)
    name = COST["money"].pattern(language)
    return Item("money", name, value, currency, _ends(firm.money, language), note, sources, doubt)


def _ends(interval: Interval, language: Language) -> Sentence | None:
    """An interval of money in brackets."""
    if interval.low is None or interval.high is None:
        return None
    ends = f"[{numbers.amount(interval.low)},{numbers.NB}{numbers.amount(interval.high)}]"
    return sentence(Phrase("{ends}", "{ends}"), language, ends=Bracket(ends))


def _p99(evidence: Evidence, point: Point, language: Language) -> Item | None:
    if point.p99 is None:
        return None
    places, session = numbers.ms_places(point.p99), evidence.session
    low, high = point.p99.low, point.p99.high
    if session is not None and session.floor_p99 and low is not None and high is not None:
        ends = {"low": numbers.fixed(low, places), "high": numbers.ms(high, places)}
        key = "again_open" if point.p99_open else "again"
        note = sentence(COST[key], language, **ends)
    else:
        bracket = Bracket(numbers.bracket(point.p99, places))
        note = sentence(COST["once"], language, interval=bracket)
    limit = (
        COST["p99_note"].pattern(language).format(slo=numbers.ms_setting(evidence.decision.slo_ms))
    )
    beside = _beside(evidence, point)
    values = {"limit": limit}
    phrase = Phrase("{limit}", "{limit}")
    sources: tuple[str, ...] = (point.strategy,)
    if beside is not None and beside.p99 is not None:
        key = "today" if beside.strategy == evidence.decision.today else "rival"
        beside_it = COST[key]
        phrase = Phrase(f"{{limit}}; {beside_it.en}", f"{{limit}}、{beside_it.ja}")
        values |= {"value": numbers.ms(beside.p99.value, places), "name": label(beside)}
        sources = (point.strategy, beside.strategy)
    other = sentence(phrase, language, **values)
    value = numbers.fixed(point.p99.value, places)
    return Item("p99", COST["p99"].pattern(language), value, "ms", other, note, sources)


def _auc(evidence: Evidence, point: Point, language: Language) -> Item:
    """The expected gain over what runs today; the AUC itself if there is nothing to compare
    with."""
    today = evidence.point(evidence.decision.today)
    name = COST["auc"].pattern(language)
    own = numbers.fixed(point.auc.value, numbers.AUC_PLACES)
    if point.gain is None or today is None or today is point:
        ends = Bracket(numbers.bracket(point.auc))
        note = sentence(Phrase("{ends}", "{ends}"), language, ends=ends)
        return Item("auc", name, own, "", None, note, (point.strategy,))
    margin, gain = evidence.decision.margin, _expected(evidence, point)
    places = numbers.gap_places(gain, margin)
    value = numbers.signed(gain.value, places)
    ends = Bracket(numbers.bracket(gain, places))
    beside = numbers.fixed(today.auc.value, numbers.AUC_PLACES)
    note = sentence(COST["today"], language, value=beside)
    other = sentence(Phrase("{ends}", "{ends}"), language, ends=ends)
    doubt = _doubt(gain, TOUCHES * margin, language)
    sources = (point.strategy, today.strategy)
    return Item("auc", name, value, "", other, note, sources, doubt)


def _expected(evidence: Evidence, point: Point) -> Interval:
    """The gain shrunk towards those of the other strategies, if that was computed."""
    firm = evidence.firmness
    assert point.gain is not None
    if firm is not None and firm.gain is not None and firm.of == point.strategy:
        return firm.gain
    return point.gain


def money(value: float, currency: str, language: Language) -> tuple[str, str]:
    """Amount and unit; small amounts of dollars in cents.

    >>> money(0.001, "USD", "en"), money(12.5, "EUR", "en")
    (('0.100', 'US cents'), ('12.5', 'EUR'))
    """
    if currency == "USD" and abs(value) < 0.1:
        text = f"{100 * value:.3f}" if abs(value) >= 1e-4 else numbers.significant(100 * value)
        return text, COST["cents"].pattern(language)
    return numbers.significant(value), currency


def _clicks(evidence: Evidence, point: Point, language: Language) -> Item | None:
    """Clicks gained over today by replay; the rate itself if today's strategy stays."""
    replay = evidence.replay
    if replay is None or point.strategy != evidence.decision.choice:
        return None
    gap, today = replay.difference, replay.today
    places = 1 if _half(gap or replay.choice) >= 0.1 else 2
    own = numbers.fixed(replay.choice.value, places)
    name, k = COST["clicks"].pattern(language), str(replay.k)
    sources = tuple(dict.fromkeys(n for n in (point.strategy, evidence.decision.today) if n))
    if gap is None or today is None or point.strategy == evidence.decision.today:
        ends = Bracket(numbers.bracket(replay.choice, places))
        other = sentence(Phrase("{ends}", "{ends}"), language, ends=ends) if ends else None
        note = sentence(COST["clicks_plain"], language, k=k)
        return Item("clicks", name, own, "", other, note, sources)
    theirs = numbers.fixed(today.value, places)
    note = sentence(COST["clicks_note"], language, own=own, today=theirs, k=k)
    ends = Bracket(numbers.bracket(gap, places))
    other = sentence(Phrase("{ends}", "{ends}"), language, ends=ends)
    value = numbers.signed(gap.value, places)
    doubt = _doubt(gap, 0.0, language)
    return Item("clicks", name, value, "", other, note, sources, doubt)


Shown = tuple[str, str] | None
Show = Callable[[Evidence, Point, Language], Shown]
Note = Callable[[Evidence, Point, Language, str], Sentence]


def _number(
    evidence: Evidence, point: Point, language: Language, key: str, show: Show, note: Note
) -> Item | None:
    shown = show(evidence, point, language)
    if shown is None:
        return None
    other: Sentence | None = None
    sources: tuple[str, ...] = (point.strategy,)
    beside = _beside(evidence, point)
    if beside is not None and (theirs := show(evidence, beside, language)):
        value = theirs[0] if theirs[1] == shown[1] else f"{theirs[0]}{NB}{theirs[1]}"
        key_beside = "today" if beside.strategy == evidence.decision.today else "rival"
        other = sentence(COST[key_beside], language, value=value, name=label(beside))
        sources = (point.strategy, beside.strategy)
    name = COST[key].pattern(language)
    return Item(key, name, *shown, other, note(evidence, point, language, key), sources)


def _beside(evidence: Evidence, point: Point) -> Point | None:
    """What to compare with: today's strategy, or its rival if today's stays."""
    decision = evidence.decision
    other = decision.subject if point.strategy == decision.today else decision.today
    return evidence.point(other) if other != point.strategy else None


def _half(interval: Interval) -> float:
    if interval.low is None or interval.high is None:
        return abs(interval.value)
    return (interval.high - interval.low) / 2


def _cost(evidence: Evidence, point: Point, language: Language) -> Shown:
    if point.cost_per_million is None:
        return None
    return money(point.cost_per_million, evidence.study.currency, language)


def _cost_note(evidence: Evidence, point: Point, language: Language, key: str) -> Sentence:
    study = evidence.study
    values = {"currency": study.currency, "price": numbers.plain(study.price_core_hour or 0.0)}
    if study.utilisation is None:
        return sentence(COST["cost_note_plain"], language, **values)
    use = numbers.percent(study.utilisation)
    return sentence(COST["cost_note"], language, use=use, **values)


def _memory(evidence: Evidence, point: Point, language: Language) -> Shown:
    return None if point.bundle_bytes is None else (numbers.megabytes(point.bundle_bytes), "MB")


def _bytes(evidence: Evidence, point: Point, language: Language) -> Shown:
    return None if point.bytes_per_item is None else (numbers.fixed(point.bytes_per_item, 0), "B")


def _bytes_note(evidence: Evidence, point: Point, language: Language, key: str) -> Sentence:
    items = evidence.study.items
    if items is None:
        return sentence(COST["memory_note"], language)
    return sentence(COST["bytes_note"], language, items=numbers.count(items))


def _cold(evidence: Evidence, point: Point, language: Language) -> Shown:
    if point.cold_start_s is None:
        return None
    value = point.cold_start_s.value
    return (numbers.fixed(value, 1), "s") if value >= 1 else (numbers.fixed(1000 * value, 0), "ms")


def _cold_note(evidence: Evidence, point: Point, language: Language, key: str) -> Sentence:
    assert point.cold_start_s is not None
    seconds = point.cold_start_s
    bracket = numbers.bracket(seconds, 1) if seconds.value >= 1 else ""
    return sentence(COST["cold_note"], language, interval=Bracket(bracket))


def _p50(evidence: Evidence, point: Point, language: Language) -> Shown:
    if point.p50 is None:
        return None
    return numbers.fixed(point.p50.value, numbers.ms_places(point.p50)), "ms"


def _p50_note(evidence: Evidence, point: Point, language: Language, key: str) -> Sentence:
    assert point.p50 is not None
    bracket = numbers.bracket(point.p50, numbers.ms_places(point.p50))
    return sentence(COST["p50_note"], language, interval=Bracket(bracket))


def _parameters(evidence: Evidence, point: Point, language: Language) -> Shown:
    return (numbers.count(sum(point.parameters.values())), "") if point.parameters else None


def _plain_note(evidence: Evidence, point: Point, language: Language, key: str) -> Sentence:
    return sentence(COST[f"{key}_note"], language)
