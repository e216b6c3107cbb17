"""The statement above the frontier figure, its caption, and its description for readers who cannot
see it."""

from fusefront.reports import numbers
from fusefront.reports.evidence import Evidence, Interval, Point
from fusefront.reports.plane import Plane, Spot
from fusefront.reports.words.decision import gains, measured
from fusefront.reports.words.names import label
from fusefront.reports.words.phrase import Bracket, Language, Phrase, Sentence, sentence
from fusefront.reports.words.reasons import listed

FINDING = {
    "flat": Phrase(
        "Past {name}, more latency buys no quality that this study can see",
        "{name}より\u200b先は、\u200b遅くしても\u200b品質差は\u200b確認できない",
    ),
    "flat_until": Phrase(
        "Past {name}, more latency buys no quality that this study can see, until the limit is "
        "broken",
        "{name}より\u200b先は、\u200b遅くしても\u200b品質差は\u200b確認できない。\u200b差が\u200b"
        "出るのは\u200b上限を\u200b超えてから",
    ),
    "less": Phrase(
        "Past {name}, more latency buys at most about the margin of {margin} AUC",
        "{name}より\u200b先で\u200b得られるのは、\u200bAUCで\u200b許容差{margin}程度まで",
    ),
    "end": Phrase(
        "No slower strategy under the limit was measured: {name} ends the frontier there",
        "上限内で\u200bより\u200b遅い\u200b方式は\u200bなく、\u200b{name}が\u200bフロンティアの"
        "\u200b端に\u200bある",
    ),
    "chosen": Phrase(
        "{name} among the {n} strategies that were timed", "計測した\u200b{n}方式と\u200b{name}"
    ),
    "tie": Phrase(
        "Under the limit nothing is shown to beat what runs today",
        "上限内で\u200b現行方式に\u200b優ると\u200b示された\u200b方式は\u200bない",
    ),
    "tie_small": Phrase(
        "Under the limit nothing is shown to beat what runs today by the margin of {margin} AUC",
        "上限内で\u200b現行方式に\u200b許容差\u200b（AUC {margin}）以上\u200b優ると\u200b示された"
        "\u200b方式は\u200bない",
    ),
    "infeasible": Phrase(
        "Nothing that can be chosen is shown to keep the limit",
        "上限に\u200b収まると\u200b示された\u200b選択可能な\u200b方式は\u200bない",
    ),
    "infeasible_cost": Phrase(
        "Nothing that can be chosen is shown to keep both limits, on p99 and on cost",
        "p99と\u200b費用の\u200b両上限に\u200b収まると\u200b示された\u200b選択可能な\u200b方式は"
        "\u200bない",
    ),
    "thin": Phrase(
        "What was measured so far is not enough to decide",
        "これまでの\u200b測定では\u200b決められない",
    ),
    "untimed": Phrase(
        "Quality only: no latency was measured", "品質のみ：\u200bレイテンシは\u200b未測定"
    ),
}
CAPTION = {
    "cross": Phrase(
        "Each cross is a strategy with its 95% intervals: across, p99 latency; up and down, the "
        "paired difference in AUC from what runs today.",
        "十字は各方式の95%信頼区間（横：p99レイテンシ、縦：現行方式とのAUCの対応のある差）。",
    ),
    "cross_absolute": Phrase(
        "Each cross is a strategy with its 95% intervals: across, p99 latency; up and down, AUC.",
        "十字は各方式の95%信頼区間（横：p99レイテンシ、縦：AUC）。",
    ),
    "stairs": Phrase("The stepped line is the Pareto frontier.", "階段線はパレートフロンティア。"),
    "stairs_band": Phrase(
        "The stepped line is the Pareto frontier, its band the 95% range over {draws} redraws of "
        "both axes.",
        "階段線はパレートフロンティア、帯は両軸を{draws}回引き直した95%範囲。",
    ),
    "area": Phrase(
        "The frontier covers {area} {ends} AUC × log ms up to {slowest} (95% of the redraws).",
        "フロンティア下の面積は{slowest}までで{area} {ends}（AUC×対数ms、再標本の95%）。",
    ),
    "knee": Phrase(
        "Its bend is at {name} in {chance} of the redraws (ringed, thin){others}: a description, "
        "which other strategies would move.",
        "曲がり角は再標本の{chance}で{name}（細い輪）{others}。他の方式が加われば動く目安。",
    ),
    "knee_unsure": Phrase(
        "Where it bends is not known: at {name} in only {chance} of the redraws{others}.",
        "曲がり角は不明：{name}となるのは再標本の{chance}のみ{others}。",
    ),
    "hull": Phrase(
        "Dotted hull: equivalent to the chosen strategy within {margin} AUC.",
        "点線の囲みは採用方式と同等（許容差 AUC {margin}）。",
    ),
    "hollow": Phrase(
        "Grey and hollow: not wholly under the limit.", "灰色の白抜きは上限に収まらない方式。"
    ),
    "arrows": Phrase("Arrows: below the axis.", "矢印は軸の下にある方式。"),
    "off": Phrase("Off both axes: {names}.", "枠外：{names}。"),
    "unmeasured": Phrase("Without a latency: {names}.", "レイテンシ未測定：{names}。"),
    "bayes": Phrase(
        "Dashed: the best AUC that the true click probabilities allow, {auc}.",
        "破線は真のクリック確率による理論上の上限AUC {auc}。",
    ),
    "bayes_above": Phrase(
        "The best AUC that the true click probabilities allow, {auc}, lies above the axis.",
        "真のクリック確率による理論上の上限AUC {auc}は軸の上にある。",
    ),
    "bars": Phrase(
        "Bars are 95% intervals of the paired difference in AUC from what runs today.",
        "線は現行方式とのAUCの対応のある差の95%信頼区間。",
    ),
    "bars_absolute": Phrase("Bars are 95% intervals of AUC.", "線はAUCの95%信頼区間。"),
}
DESCRIBED = {
    "scatter": Phrase(
        "Scatter plot of {n} strategies, AUC against p99 latency. The frontier climbs from {low} "
        "at {low_ms} to {high} at {high_ms}. {about}The leaderboard holds every number.",
        "{n}方式の散布図（AUCとp99レイテンシ）。フロンティアは{low_ms}の{low}から{high_ms}の{high}まで。"
        "{about}数値はすべて表にある。",
    ),
    "chosen": Phrase(
        "Chosen: {name}, {gain} AUC {interval}, p99 {p99} {p99_interval}. ",
        "採用は{name}（AUC {gain} {interval}、p99 {p99} {p99_interval}）。",
    ),
    "ladder": Phrase(
        "Intervals of {n} strategies, one a line. The leaderboard holds every number.",
        "{n}方式の区間を1行ずつ示す。数値はすべて表にある。",
    ),
}
OTHER_KNEES = Phrase(", at {names}", "、{names}")
SURE_KNEE = 0.5  # share of the draws from which on the bend is marked
MOST_NAMES = 4
MORE = Phrase("{n} more", "ほか{n}")


def finding(evidence: Evidence, plane: Plane | None, language: Language) -> Sentence:
    """What the figure shows, as far as its intervals show it."""
    decision = evidence.decision
    choice = evidence.point(decision.choice)
    if plane is None:
        return sentence(FINDING["untimed"], language)
    if decision.case != "clear" or choice is None or choice.p99 is None:
        values = {"n": numbers.count(len(evidence.points))}
        values |= {
            "name": label(choice) if choice else "",
            "margin": numbers.plain(decision.margin),
        }
        return sentence(FINDING[_undrawn(evidence)], language, **values)
    slower = [
        p
        for p in evidence.points
        if p.p99 is not None and p.p99.value > choice.p99.value and p.role != "device"
    ]
    inside = [p for p in slower if p.feasible]
    beyond = any(_beats(p) for p in slower if not p.feasible)
    if not inside:
        key = "end"
    elif any(_beats(p) for p in inside):
        within = [p for p in inside if _beats(p)]
        key = "less" if all(p.equivalent_to_choice for p in within) else "chosen"
    elif any(p.gain_vs_choice is None or p.gain_vs_choice.low is None for p in inside):
        key = "chosen"
    else:
        key = "flat_until" if beyond else "flat"
    return sentence(
        FINDING[key],
        language,
        name=label(choice),
        margin=numbers.plain(decision.margin),
        n=numbers.count(len(plane.spots) + len(plane.below) + len(plane.off)),
    )


def _undrawn(evidence: Evidence) -> str:
    """The finding where the figure marks no choice but today's, or none that was timed."""
    decision = evidence.decision
    if decision.case == "infeasible" and decision.max_cost is not None:
        return "infeasible_cost"
    if decision.case != "tie":
        return "chosen" if decision.case == "clear" else decision.case
    better = [p for p in evidence.points if p.feasible and gains(p)]
    if any(point.gain is not None and _low(point) >= decision.margin for point in better):
        return "chosen"
    return "tie_small" if better else "tie"


def _low(point: Point) -> float:
    low = point.gain.low if point.gain is not None else None
    return float("-inf") if low is None else low


def _beats(point: Point) -> bool:
    gap = point.gain_vs_choice
    return gap is not None and gap.low is not None and gap.low > 0


def caption(evidence: Evidence, plane: Plane | None, language: Language) -> list[Sentence]:
    """How to read the figure, only about what is drawn."""
    if plane is None:
        relative = any(p.gain for p in evidence.points)
        return [sentence(CAPTION["bars" if relative else "bars_absolute"], language)]
    sentences = [sentence(CAPTION["cross" if plane.relative else "cross_absolute"], language)]
    if evidence.band is not None:
        draws = numbers.count(evidence.band.draws)
        sentences.append(sentence(CAPTION["stairs_band"], language, draws=draws))
    else:
        sentences.append(sentence(CAPTION["stairs"], language))
    sentences += _front(evidence, language)
    choice = evidence.decision.choice
    inside = {s.point.strategy for s in plane.spots}
    hulled = [s for s in plane.spots if s.point.equivalent_to_choice and s.point.strategy != choice]
    if choice in inside and hulled:
        margin = numbers.plain(evidence.decision.margin)
        sentences.append(sentence(CAPTION["hull"], language, margin=margin))
    if any(not s.point.feasible for s in plane.spots):
        sentences.append(sentence(CAPTION["hollow"], language))
    if plane.bayes is not None:
        auc = numbers.fixed(plane.bayes + (plane.base or 0.0), numbers.AUC_PLACES)
        above = plane.bayes >= plane.y_limits[1]
        sentences.append(sentence(CAPTION["bayes_above" if above else "bayes"], language, auc=auc))
    if plane.below:
        sentences.append(sentence(CAPTION["arrows"], language))
    if plane.off:
        names = _shortened([_placed(s, plane) for s in plane.off], language)
        sentences.append(sentence(CAPTION["off"], language, names=names))
    if plane.unmeasured:
        names = _shortened([str(label(p)) for p in plane.unmeasured], language)
        sentences.append(sentence(CAPTION["unmeasured"], language, names=names))
    return sentences


def _front(evidence: Evidence, language: Language) -> list[Sentence]:
    """The area that the frontier covers, and where it bends with its chance."""
    front = evidence.front
    if front is None:
        return []
    places = numbers.gap_places(front.area, 0.0)
    slowest = numbers.ms(front.slowest_ms, numbers.ms_places(Interval(front.slowest_ms)))
    area, ends = numbers.fixed(front.area.value, places), numbers.bracket(front.area, places)
    values = {"area": area, "ends": Bracket(ends), "slowest": slowest}
    sentences = [sentence(CAPTION["area"], language, **values)]
    if front.knee is None:
        return sentences
    ranked = sorted(front.knees.items(), key=lambda item: (-item[1], item[0]))
    others = [
        f"{_called(evidence, name)} {numbers.percent(chance)}"
        for name, chance in ranked
        if name != front.knee and chance >= 0.05
    ]
    rest = (
        OTHER_KNEES.pattern(language).format(names=_shortened(others, language)) if others else ""
    )
    key = "knee" if front.knee_chance >= SURE_KNEE else "knee_unsure"
    chance = numbers.percent(front.knee_chance)
    name = _called(evidence, front.knee)
    return [*sentences, sentence(CAPTION[key], language, name=name, chance=chance, others=rest)]


def _called(evidence: Evidence, strategy: str) -> str:
    point = evidence.point(strategy)
    return strategy if point is None else str(label(point))


def _placed(spot: Spot, plane: Plane) -> str:
    value = spot.y.value
    height = numbers.signed(value) if plane.relative else numbers.fixed(value, numbers.AUC_PLACES)
    return f"{label(spot.point)} ({height} AUC, {numbers.ms(spot.x.value)})"


def _shortened(names: list[str], language: Language) -> str:
    shown = names[:MOST_NAMES]
    if len(names) > MOST_NAMES:
        shown.append(MORE.pattern(language).format(n=numbers.count(len(names) - MOST_NAMES)))
    return listed(shown, language)


def description(evidence: Evidence, plane: Plane | None, language: Language) -> str:
    """Alt text: the finding in numbers."""
    n = numbers.count(len(evidence.points))
    if plane is None or not plane.front:
        return sentence(DESCRIBED["ladder"], language, n=n).text
    (low_ms, low), (high_ms, high) = plane.front[0], plane.front[-1]
    sign = numbers.signed if plane.relative else numbers.fixed
    choice = evidence.point(evidence.decision.choice)
    about = ""
    if choice is not None and choice.gain is not None and choice.p99 is not None:
        about = sentence(
            DESCRIBED["chosen"], language, **measured(choice, evidence.decision.margin)
        ).text
        about += " " if language == "en" else ""
    return sentence(
        DESCRIBED["scatter"],
        language,
        n=n,
        low=sign(low, numbers.AUC_PLACES),
        low_ms=numbers.ms(low_ms),
        high=sign(high, numbers.AUC_PLACES),
        high_ms=numbers.ms(high_ms),
        about=about,
    ).text
