"""What may go wrong: leaks, controls, slices that lose, missing modalities, calibration, failed
runs."""

from dataclasses import astuple

from fusefront.reports import numbers
from fusefront.reports.evidence import AuditFinding, Evidence, Interval, MissingCurve, Point
from fusefront.reports.words.audit import finding_text
from fusefront.reports.words.commands import on_study
from fusefront.reports.words.costs import subject
from fusefront.reports.words.firm import recipe
from fusefront.reports.words.names import label, shorten
from fusefront.reports.words.phrase import (
    Bracket,
    Entry,
    Language,
    Name,
    Phrase,
    Sentence,
    sentence,
)
from fusefront.reports.words.reasons import listed
from fusefront.reports.words.verdicts import WORSE, auc_gap

MOST_FINDINGS = 2
HEAD = {
    "leaks": Phrase("Data audit", "データ監査"),
    "controls": Phrase("Controls", "対照"),
    "slices": Phrase("Slices that lose", "劣る層"),
    "missing": Phrase("Missing modality", "欠損モダリティ"),
    "calibration": Phrase("Calibration", "較正"),
    "recipe": Phrase("Recipe", "学習設定"),
    "runs": Phrase("Runs", "学習"),
    "data": Phrase("Data", "データ"),
}
LEAKS = {
    "clean": Phrase(
        "No leak and no other fault in {n} checks.",
        "{n}件の\u200b検査で\u200b漏洩も\u200b不備もなし。",
    ),
    "open": Phrase(
        "{n} of {all} checks could not run, for want of what they look at: {names}.",
        "{all}件中\u200b{n}件の\u200b検査は\u200b対象がなく\u200b実行できず：{names}。",
    ),
    "none": Phrase("The data were not audited.", "データ監査は\u200b未実施。"),
    "found": Phrase("{state}: {text}", "{state}：{text}"),
    "second": Phrase(
        "The test split was opened before, for other versions of this study ({n}): what was chosen "
        "since may be fitted to it.",
        "評価データは\u200b以前に\u200b{n}回\u200b開かれた。\u200b以後の\u200b選択は\u200b"
        "それに\u200b適合した\u200b可能性が\u200bある。",
    ),
}
STATE = {
    "note": Phrase("Note", "注記"),
    "warning": Phrase("Warning", "警告"),
    "error": Phrase("Severe", "重大"),
}
CONTROLS: dict[str, Phrase] = {
    "equivalent": Phrase("{name} is equivalent ({gap}).", "{name}は\u200b同等\u200b（{gap}）。"),
    "cannot tell": Phrase(
        "{name} cannot be told apart ({gap}): what fusion adds to it is not shown.",
        "{name}とは\u200b判断不能\u200b（{gap}）。\u200b融合の\u200b効果は\u200b示されていない。",
    ),
    "not worse by more than the margin": Phrase(
        "{name} is not worse by more than the margin ({gap}): what fusion adds to it is not shown.",
        "{name}は\u200b許容差を\u200b超えては\u200b劣らない\u200b（{gap}）。\u200b融合の\u200b"
        "効果は\u200b示されていない。",
    ),
    "not better by more than the margin": Phrase(
        "{name} may be as good ({gap}): what fusion adds to it is not shown.",
        "{name}は\u200b同等の\u200b可能性が\u200bある\u200b（{gap}）。\u200b融合の\u200b効果は"
        "\u200b示されていない。",
    ),
    "better": Phrase("{name} is better ({gap}).", "{name}が\u200b優る\u200b（{gap}）。"),
    "better, by less than the margin": Phrase(
        "{name} is better, by less than the margin ({gap}).",
        "{name}が\u200b許容差未満で\u200b優る\u200b（{gap}）。",
    ),
    "none": Phrase(
        "It is shown to beat all {n} of them.", "{n}件\u200bすべてに\u200b優ると\u200b示された。"
    ),
    "barely": Phrase(
        "It is shown to beat all {n} of them, {barely} by less than the margin ({names}).",
        "{n}件\u200bすべてに\u200b優ると\u200b示されたが、\u200b{barely}件には\u200b許容差未満"
        "\u200b（{names}）。",
    ),
    "unknown": Phrase(
        "Its difference from {names} has no interval.",
        "{names}との\u200b差に\u200b区間が\u200bない。",
    ),
}
COUNTS = Phrase(
    "Its gain over counts, a regression on counters and attributes alone: {gap}.",
    "カウンタと\u200b属性\u200bだけの\u200b回帰\u200b（counts）に\u200b対する\u200b利得：{gap}。",
)
SLICES = {
    "loses": Phrase(
        "{name} ({share} of rows) loses {gap}.",
        "{name}\u200b（行の{share}）は\u200b{gap}と\u200b劣る。",
    ),
    "none": Phrase(
        "No loss is shown in any of {n} slices.",
        "{n}層の\u200bいずれにも\u200b悪化は\u200b示されていない。",
    ),
    "unknown": Phrase("No slices are declared.", "層は\u200b宣言されていない。"),
}
MISSING = {
    "ahead": Phrase(
        "With {modality} hidden for {share} of the items it is still {lead} AUC {interval} over "
        "what runs today with the same hidden.",
        "{share}の\u200bアイテムで\u200b{modality}を\u200b隠しても、\u200b同じ条件の\u200b"
        "現行方式に\u200b対し\u200bAUC {lead} {interval}。",
    ),
    "behind": Phrase(
        "With {modality} hidden for {share} of the items it falls behind what runs today with the "
        "same hidden, {lead} AUC {interval}.",
        "{share}の\u200bアイテムで\u200b{modality}を\u200b隠すと\u200b同じ条件の\u200b"
        "現行方式に\u200b劣る\u200b（AUC {lead} {interval}）。",
    ),
    "level": Phrase(
        "With {modality} hidden for {share} of the items it cannot be told apart from what runs "
        "today with the same hidden, {lead} AUC {interval}.",
        "{share}の\u200bアイテムで\u200b{modality}を\u200b隠すと\u200b同じ条件の\u200b"
        "現行方式との\u200b差は\u200b判断不能\u200b（AUC {lead} {interval}）。",
    ),
    "falls": Phrase(
        "With {modality} hidden for {share} of the items: {lead} AUC {interval} from what runs "
        "today with everything there.",
        "{share}の\u200bアイテムで\u200b{modality}を\u200b隠すと、\u200b欠損の\u200bない\u200b"
        "現行方式との\u200b差は\u200bAUC {lead} {interval}。",
    ),
    "none": Phrase(
        "Not measured; `{command}` measures it.",
        "未測定\u200b（`{command}`で\u200b測定）。",
    ),
}
CALIBRATION = {
    "plain": Phrase("Expected calibration error {ece}.", "較正誤差は\u200b{ece}。"),
    "today": Phrase(
        "Expected calibration error {ece}, what runs today {today}.",
        "較正誤差は\u200b{ece}\u200b（現行{today}）。",
    ),
}
SCALED = Phrase("{ece} after temperature scaling.", "温度スケーリング後は\u200b{ece}。")
RUNS = {
    "failed": Phrase(
        "{n} of {all} runs failed and are left out.",
        "{all}回中\u200b{n}回の\u200b学習が\u200b失敗し、\u200b除外した。",
    ),
    "one_seed": Phrase(
        "One seed: nothing is known of the next training.",
        "シードは\u200b1つで、\u200b次の\u200b学習は\u200b不明。",
    ),
}
SYNTHETIC = Phrase(
    "A synthetic world: nothing here speaks of real traffic.",
    "人工世界の\u200bデータで、\u200b実トラフィックに\u200bついては\u200b何も\u200b言えない。",
)


def risks(evidence: Evidence, language: Language) -> list[Entry]:
    """The risks, in the order in which they would stop a launch."""
    lines_of = {
        "leaks": _leaks(evidence, language),
        "controls": _controls(evidence, language),
        "slices": _slices(evidence, language),
        "missing": _missing(evidence, language),
        "calibration": _calibration(evidence, language),
        "recipe": recipe(evidence, language),
        "runs": _runs(evidence, language),
        "data": [sentence(SYNTHETIC, language)] if evidence.study.synthetic else [],
    }
    return [Entry(HEAD[key].pattern(language), lines) for key, lines in lines_of.items() if lines]


def _leaks(evidence: Evidence, language: Language) -> list[Sentence]:
    ranked = [f for state in ("error", "warning") for f in evidence.audit if f.state == state]
    sentences = [_finding(finding, language) for finding in ranked[:MOST_FINDINGS]]
    checks_run = sum(finding.state != "not run" for finding in evidence.audit)
    if not evidence.audit:
        sentences.append(sentence(LEAKS["none"], language))
    elif not ranked:
        sentences.append(sentence(LEAKS["clean"], language, n=numbers.count(checks_run)))
    if lacking := [finding for finding in evidence.audit if finding.state == "not run"]:
        names = listed([shorten(finding.check, 40) for finding in lacking], language)
        n, every = numbers.count(len(lacking)), numbers.count(len(evidence.audit))
        sentences.append(sentence(LEAKS["open"], language, n=n, all=every, names=Name(names)))
    if evidence.study.second_look:
        n = numbers.count(evidence.study.second_look)
        sentences.append(sentence(LEAKS["second"], language, n=n))
    return sentences


def _finding(finding: AuditFinding, language: Language) -> Sentence:
    state = STATE[finding.state].pattern(language)
    return sentence(LEAKS["found"], language, state=state, text=finding_text(finding, language))


def _controls(evidence: Evidence, language: Language) -> list[Sentence]:
    """Controls that the choice is not shown to beat; [] if the choice is a control itself."""
    choice = evidence.point(evidence.decision.choice)
    if choice is None or choice.role == "control":
        return []
    controls = [p for p in evidence.points if p.role == "control" and p.gain_vs_choice is not None]
    standing = [p for p in controls if p.verdict_vs_choice in CONTROLS]
    shown = standing[:MOST_FINDINGS]
    sentences = [_control(evidence, point, language) for point in shown]
    if controls and not standing:
        sentences.append(_beaten(controls, language))
    counts = [p for p in controls if p.strategy == "counts" and p not in shown]
    return sentences + [_over_counts(evidence, point, language) for point in counts]


def _beaten(controls: list[Point], language: Language) -> Sentence:
    """All are beaten, as far as there are intervals; which of them by less than the margin."""
    unknown = [p for p in controls if p.verdict_vs_choice not in WORSE]
    barely = [p for p in controls if p.verdict_vs_choice == "worse, by less than the margin"]
    key = "unknown" if unknown else "barely" if barely else "none"
    names = [str(label(point)) for point in unknown or barely]
    values = {
        "names": listed(names, language) if names else "",
        "barely": numbers.count(len(barely)),
    }
    return sentence(CONTROLS[key], language, n=numbers.count(len(controls)), **values)


def _over_counts(evidence: Evidence, point: Point, language: Language) -> Sentence:
    """What the choice adds to the regression that everybody tries first."""
    assert point.gain_vs_choice is not None
    value, low, high = astuple(point.gain_vs_choice)
    gap = Interval(-value, None if high is None else -high, None if low is None else -low)
    return sentence(COUNTS, language, gap=auc_gap(gap, evidence.decision.margin, language))


def _control(evidence: Evidence, point: Point, language: Language) -> Sentence:
    assert point.gain_vs_choice is not None
    gap = auc_gap(point.gain_vs_choice, evidence.decision.margin, language)
    return sentence(CONTROLS[point.verdict_vs_choice], language, name=label(point), gap=gap)


def _slices(evidence: Evidence, language: Language) -> list[Sentence]:
    losing = [p for p in evidence.slices if p.difference.high is not None and p.difference.high < 0]
    if not evidence.slices:
        return [sentence(SLICES["unknown"], language)]
    if not losing:
        return [sentence(SLICES["none"], language, n=numbers.count(len(evidence.slices)))]
    return [
        sentence(
            SLICES["loses"],
            language,
            name=shorten(part.name, 40),
            share=numbers.percent(part.share),
            gap=auc_gap(part.difference, evidence.decision.margin, language),
        )
        for part in sorted(losing, key=lambda p: p.difference.value)[:MOST_FINDINGS]
    ]


def _missing(evidence: Evidence, language: Language) -> list[Sentence]:
    """The modality whose loss leaves it worst off, at half of the items and at all of them."""
    own = subject(evidence)
    table = evidence.missing.curves if evidence.missing else ()
    hidden = [curve for curve in table if curve.kind == "items"]
    curves = [c for c in hidden if own is not None and c.strategy == own.strategy]
    if not curves:
        return [sentence(MISSING["none"], language, command=on_study(evidence, "robustness"))]
    worst = min(curves, key=lambda c: _shown(c)[-1].value)
    half = min(range(len(worst.shares)), key=lambda i: abs(worst.shares[i] - 0.5))
    places = dict.fromkeys((half, len(worst.shares) - 1))
    return [_hidden(worst, at, language) for at in places]


def _shown(curve: MissingCurve) -> tuple[Interval, ...]:
    return curve.lead or curve.gain


def _hidden(curve: MissingCurve, at: int, language: Language) -> Sentence:
    difference = _shown(curve)[at]
    if not curve.lead:
        key = "falls"
    elif difference.low is not None and difference.low > 0:
        key = "ahead"
    else:
        key = "behind" if difference.high is not None and difference.high < 0 else "level"
    return sentence(
        MISSING[key],
        language,
        modality=shorten(curve.modality, 24),
        share=numbers.percent(curve.shares[at]),
        lead=numbers.signed(difference.value),
        interval=Bracket(numbers.bracket(difference)),
    )


def _calibration(evidence: Evidence, language: Language) -> list[Sentence]:
    own, today = subject(evidence), evidence.decision.today
    curves = {curve.strategy: curve for curve in evidence.calibration}
    curve = curves.get(own.strategy) if own else None
    if curve is None or curve.ece is None:
        return []
    values = {"ece": numbers.fixed(curve.ece.value, 4)}
    theirs = curves.get(today or "")
    key = "plain"
    if theirs is not None and theirs is not curve and theirs.ece is not None:
        values["today"], key = numbers.fixed(theirs.ece.value, 4), "today"
    sentences = [sentence(CALIBRATION[key], language, **values)]
    if curve.scaled_ece is not None:
        ece = numbers.fixed(curve.scaled_ece.value, 4)
        sentences.append(sentence(SCALED, language, ece=ece))
    return sentences


def _runs(evidence: Evidence, language: Language) -> list[Sentence]:
    study, sentences = evidence.study, []
    if study.failed_runs:
        failed, runs = numbers.count(study.failed_runs), numbers.count(study.runs)
        sentences.append(sentence(RUNS["failed"], language, n=failed, all=runs))
    if study.seeds == 1:
        sentences.append(sentence(RUNS["one_seed"], language))
    return sentences
