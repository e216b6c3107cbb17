"""What would change the decision: for each setting, where nothing changes and where something
does."""

from fusefront.reports import numbers
from fusefront.reports.evidence import Change, Evidence, WhatIfRow
from fusefront.reports.words.names import label
from fusefront.reports.words.phrase import Bracket, Entry, Language, Phrase, Sentence, sentence

KNOB = {
    "slo": Phrase("Limit", "上限"),
    "margin": Phrase("Margin", "許容差"),
    "price": Phrase("Price", "単価"),
    "traffic": Phrase("Traffic", "流量"),
}
MONEY = Phrase("Money", "金額")
NONE = Phrase("No change at {values}.", "{values}では\u200b変わらない。")
OR = Phrase(" or ", "と")
FLIP = {
    "at": Phrase("At {value}: {outcome}.", "{value}では\u200b{outcome}。"),
    "below": Phrase("Below {value}: {outcome}.", "{value}未満では\u200b{outcome}。"),
    "from": Phrase("From {value}: {outcome}.", "{value}以上では\u200b{outcome}。"),
}
NO_CHOICE = Phrase("no choice", "採用なし")
KEEP = Phrase("{name} stays", "{name}を維持")
RATE = Phrase("{value}\u00a0requests/s", "毎秒{value}件")
YEARLY = {
    "clear": Phrase(
        "At {qps} requests a second and {value}\u00a0{currency} a click, {name} earns "
        "{gain}\u00a0{currency} {interval} a year over what runs today.",
        "毎秒{qps}リクエスト、\u200bクリック単価{value}\u00a0{currency}で、\u200b{name}の\u200b"
        "年間利得は\u200b現行方式に\u200b対し\u200b{gain}\u00a0{currency} {interval}。",
    ),
    "tie": Phrase(
        "At {qps} requests a second and {value}\u00a0{currency} a click, no strategy is estimated "
        "to earn more than what runs today.",
        "毎秒{qps}リクエスト、\u200bクリック単価{value}\u00a0{currency}で、\u200b利得が\u200b"
        "現行方式を\u200b上回ると\u200b推定される\u200b方式は\u200bない。",
    ),
    "thin": Phrase(
        "At {qps} requests a second and {value}\u00a0{currency} a click, no strategy is shown to "
        "earn more than what runs today; the highest estimate is {gain}\u00a0{currency} "
        "{interval} a year.",
        "毎秒{qps}リクエスト、\u200bクリック単価{value}\u00a0{currency}で、\u200b現行方式を\u200b"
        "上回る\u200b利得は\u200b示されていない\u200b（最も高い\u200b推定は\u200b"
        "年間{gain}\u00a0{currency} {interval}）。",
    ),
}


def changes(evidence: Evidence, language: Language) -> list[Entry]:
    """One entry a knob, then what it is worth at the study's own figures."""
    entries = []
    for knob, head in KNOB.items():
        own = [change for change in evidence.decision.changes if change.knob == knob]
        if own:
            entries.append(Entry(head.pattern(language), _knob(evidence, own, language)))
    firm = evidence.firmness
    row = centre(evidence)
    if row is not None and firm is not None and firm.money is not None and firm.of == row.winner:
        row = None  # it stands among the effects, drawn back to the others it was picked from
    if row is not None and (money := _yearly(evidence, row, language)):
        entries.append(Entry(MONEY.pattern(language), [money]))
    return entries


def centre(evidence: Evidence) -> WhatIfRow | None:
    """The what-if cell of the study's own figures."""
    grid = evidence.what_if
    if grid is None or grid.centre is None:
        return None
    return grid.rows[grid.centre]


def _knob(evidence: Evidence, own: list[Change], language: Language) -> list[Sentence]:
    sentences = []
    if same := [_value(change, language) for change in own if not change.changed]:
        sentences.append(sentence(NONE, language, values=OR.pattern(language).join(same)))
    for change in own:
        if change.changed:
            point = evidence.point(change.choice)
            outcome = NO_CHOICE.pattern(language)
            if point is not None:
                stays = change.choice == evidence.decision.today
                name = label(point)
                outcome = KEEP.pattern(language).format(name=name) if stays else str(name)
            values = {"value": _value(change, language), "outcome": outcome}
            sentences.append(sentence(FLIP[change.side], language, **values))
    return sentences


def _value(change: Change, language: Language) -> str:
    """Where exactly it flips says no more than three digits."""
    rounded = float(f"{change.value:.3g}")
    if change.knob == "slo":
        return numbers.ms_setting(rounded)
    if change.knob == "margin":
        return f"{numbers.plain(rounded)}{numbers.NB}AUC"
    if change.knob == "traffic":
        return RATE.pattern(language).format(value=numbers.count(rounded))
    return f"×{numbers.NB}{numbers.plain(rounded)}"


def _yearly(evidence: Evidence, row: WhatIfRow, language: Language) -> Sentence | None:
    if row.case not in YEARLY or (row.yearly_gain is None and row.case != "tie"):
        return None
    values: dict[str, str] = {
        "qps": numbers.count(row.requests_per_second),
        "value": numbers.plain(row.value_per_click),
        "currency": evidence.study.currency,
    }
    point = evidence.point(row.winner)
    if point is not None:
        values["name"] = label(point)
    if row.yearly_gain is not None:
        values["gain"] = numbers.signed(row.yearly_gain.value, 0)
        values["interval"] = Bracket(numbers.bracket(row.yearly_gain, 0))
    return sentence(YEARLY[row.case], language, **values)
