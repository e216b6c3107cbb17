"""The words around the figure: sections, alternatives, risks, and what would change the decision."""

from fusefront.reports import numbers
from fusefront.reports.evidence import Change, Evidence, Point
from fusefront.reports.words.names import label
from fusefront.reports.words.phrase import Bracket, Language, Phrase, Sentence, sentence

SECTIONS = {
    "costs": Phrase("What it costs and gains", "費用と効果"),
    "alternatives": Phrase("The closest alternatives, and why not", "近い代替案と不採用の理由"),
    "risks": Phrase("Risks", "リスク"),
    "changes": Phrase("What would change the decision", "判断が変わる条件"),
    "reviewer": Phrase("For the reviewer", "査読者向け（英語）"),
}
ALTERNATIVE = {
    "gap": Phrase(
        "{name}: {gap} AUC {interval} against the choice, p99 {p99}.",
        "{name}：採用方式との差 AUC {gap} {interval}、p99 {p99}。",
    ),
    "over": Phrase(
        "{name}: {gap} AUC {interval} against the choice, but p99 {p99} is not wholly under the limit.",
        "{name}：採用方式との差 AUC {gap} {interval}。ただしp99 {p99}は上限に収まらない。",
    ),
    "bare": Phrase("{name}: {gain} AUC {interval}.", "{name}：AUC {gain} {interval}。"),
}
RISK = {
    "slice": Phrase(
        "On {name} ({rows} rows) it loses: {gap} AUC {interval}; look at that group before shipping.",
        "{name}（{rows}行）では劣る：AUC {gap} {interval}。採用前に確認する。",
    ),
    "audit": Phrase("Data audit, {state}: {text}", "データ監査（{state}）：{text}"),
    "second": Phrase(
        "The test split was opened before ({n} times): what was chosen since may be fitted to it.",
        "テスト分割は以前に{n}回開かれた。以後の選択はそれに適合した可能性がある。",
    ),
    "failed": Phrase(
        "{n} of {all} runs failed and are left out.", "{all}回中{n}回の学習が失敗し、除外した。"
    ),
    "synthetic": Phrase(
        "The data are a synthetic world: nothing here speaks of real traffic.",
        "データは人工世界であり、実トラフィックについては何も言えない。",
    ),
    "none": Phrase("None found in what was checked.", "確認した範囲では見つからなかった。"),
}
CHANGE = {
    "slo": Phrase("Limit {value}: ", "上限{value}："),
    "margin": Phrase("Margin {value} AUC: ", "許容差{value} AUC："),
    "price": Phrase("Price × {value}: ", "単価×{value}："),
    "traffic": Phrase("{value} requests per second: ", "毎秒{value}リクエスト："),
}
OUTCOME = {
    "same": Phrase("the same choice.", "同じ判断。"),
    "other": Phrase("ship {name}.", "{name}を採用する。"),
    "none": Phrase("no choice.", "採用なし。"),
}
STATES = {
    "note": Phrase("note", "注記"),
    "warning": Phrase("warning", "警告"),
    "error": Phrase("severe", "重大"),
}
MOST_RISKS = 5


def section(key: str, language: Language) -> str:
    """A section's heading."""
    return SECTIONS[key].pattern(language)


def alternatives(evidence: Evidence, language: Language) -> list[Sentence]:
    """The first three, one sentence each: the difference with its interval, then what decides."""
    points = [evidence.point(name) for name in evidence.decision.alternatives[:3]]
    return [_alternative(point, language) for point in points if point is not None]


def _alternative(point: Point, language: Language) -> Sentence:
    gap = point.gain_vs_choice
    if gap is None or point.p99 is None:
        gain = point.gain or point.auc
        return sentence(
            ALTERNATIVE["bare"],
            language,
            name=label(point),
            gain=numbers.signed(gain.value) if point.gain else numbers.fixed(gain.value, 4),
            interval=Bracket(numbers.bracket(gain)),
        )
    return sentence(
        ALTERNATIVE["gap" if point.feasible else "over"],
        language,
        name=label(point),
        gap=numbers.signed(gap.value),
        interval=Bracket(numbers.bracket(gap)),
        p99=numbers.ms(point.p99.value, numbers.ms_places(point.p99)),
    )


def risks(evidence: Evidence, language: Language) -> list[Sentence]:
    """Slices that lose, findings of the audit, second looks and failed runs; the first five."""
    study = evidence.study
    found = [
        sentence(
            RISK["slice"],
            language,
            name=part.name,
            rows=numbers.count(part.rows),
            gap=numbers.signed(part.difference.value),
            interval=Bracket(numbers.bracket(part.difference)),
        )
        for part in evidence.slices
        if part.difference.high is not None and part.difference.high < 0
    ]
    if study.second_look:
        found.append(sentence(RISK["second"], language, n=numbers.count(study.second_look)))
    if study.failed_runs:
        failed, runs = numbers.count(study.failed_runs), numbers.count(study.runs)
        found.append(sentence(RISK["failed"], language, n=failed, all=runs))
    if study.synthetic:
        found.append(sentence(RISK["synthetic"], language))
    found += [
        sentence(RISK["audit"], language, state=STATES[one.state].pattern(language), text=one.text)
        for one in evidence.audit
        if one.state in ("warning", "error")
    ]
    return found[:MOST_RISKS] or [sentence(RISK["none"], language)]


def changes(evidence: Evidence, language: Language) -> list[Sentence]:
    """The decision at other values of each knob, those that flip it first."""
    ordered = sorted(evidence.decision.changes, key=lambda change: not change.changed)
    return [_change(evidence, change, language) for change in ordered[:6]]


def _change(evidence: Evidence, change: Change, language: Language) -> Sentence:
    rounded = float(f"{change.value:.3g}")  # where it flips exactly says no more
    value = numbers.ms_setting(rounded) if change.knob == "slo" else numbers.plain(rounded)
    point = evidence.point(change.choice)
    key = "same" if not change.changed else "other" if point else "none"
    patterns = (CHANGE[change.knob], OUTCOME[key])
    joined = Phrase(*("".join(p.pattern(one) for p in patterns) for one in ("en", "ja")))
    return sentence(joined, language, value=value, name=label(point) if point else "")
