"""What a strategy gains and costs: the numbers of the strip, each beside today's."""

from collections.abc import Callable
from typing import NamedTuple

from fusefront.reports import numbers
from fusefront.reports.evidence import Evidence, Interval, Point
from fusefront.reports.numbers import NB
from fusefront.reports.words.names import label
from fusefront.reports.words.phrase import Bracket, Language, Phrase, Sentence, sentence

MOST = 5
COST = {
    "clicks": Phrase("Clicks per 1,000 impressions", "1,000表示あたりのクリック"),
    "clicks_note": Phrase(
        "top {k} by replay, {difference} {interval}",
        "リプレイ上位{k}件、差 {difference} {interval}",
    ),
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
HEADING = {
    "choice": Phrase("What it gains and what it costs", "得るものと払うもの"),
    "today": Phrase("What runs today costs", "現行方式の費用"),
    "subject": Phrase("What {name} would gain and cost", "{name}で\u200b得るものと\u200b払うもの"),
}


class Item(NamedTuple):
    """One number of the strip."""

    key: str
    name: str
    value: str
    unit: str
    other: Sentence | None
    note: Sentence
    sources: tuple[str, ...]  # strategies whose runs it comes from


def heading(evidence: Evidence, language: Language) -> Sentence:
    """Whose numbers these are."""
    point = subject(evidence)
    if point is None or evidence.decision.case == "clear":
        return sentence(HEADING["choice"], language)
    if point.strategy == evidence.decision.today:
        return sentence(HEADING["today"], language)
    return sentence(HEADING["subject"], language, name=label(point))


def subject(evidence: Evidence) -> Point | None:
    """Whom page one is about: the choice, or the one that could have been."""
    decision = evidence.decision
    return evidence.point(decision.choice) or evidence.point(decision.subject)


def items(evidence: Evidence, language: Language) -> list[Item]:
    """The first five that were measured."""
    point = subject(evidence)
    if point is None:
        return []
    costs = [
        _clicks(evidence, point, language),
        _number(evidence, point, language, "cost", _cost, _cost_note),
        _number(evidence, point, language, "memory", _memory, _plain_note),
        _number(evidence, point, language, "bytes", _bytes, _bytes_note),
        _number(evidence, point, language, "cold", _cold, _cold_note),
        _number(evidence, point, language, "p50", _p50, _p50_note),
        _number(evidence, point, language, "parameters", _parameters, _plain_note),
    ]
    return [item for item in costs if item is not None][:MOST]


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
    replay = evidence.replay
    if replay is None or point.strategy != evidence.decision.choice:
        return None
    gap = replay.difference
    places = 1 if _half(gap or replay.choice) >= 0.1 else 2
    other = None
    note = sentence(COST["clicks_note"], language, k=str(replay.k), difference="", interval="")
    if replay.today is not None and point.strategy != evidence.decision.today:
        value = numbers.fixed(replay.today.value, places)
        other = sentence(COST["today"], language, value=value)
        if gap is not None:
            values = {"difference": numbers.signed(gap.value, places)}
            values["interval"] = Bracket(numbers.bracket(gap, places))
            note = sentence(COST["clicks_note"], language, k=str(replay.k), **values)
    elif replay.choice.low is not None:
        bracket = Bracket(numbers.bracket(replay.choice, places))
        note = sentence(
            COST["clicks_note"], language, k=str(replay.k), difference="", interval=bracket
        )
    value = numbers.fixed(replay.choice.value, places)
    sources = tuple(dict.fromkeys(n for n in (point.strategy, evidence.decision.today) if n))
    return Item("clicks", COST["clicks"].pattern(language), value, "", other, note, sources)


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
    """Today's, or its rival where today's is what stays."""
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
