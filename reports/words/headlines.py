"""The sentences of the decision in both languages; `decision` chooses among them."""

from fusefront.reports.words.phrase import Phrase

HEADLINE = {
    "better": Phrase(
        "Ship {name}: {gain} AUC {interval} over what runs today, at p99 {p99} {p99_interval}, "
        "under {limits}.",
        "{name}を\u200b採用する。\u200b現行方式に対し\u200bAUCは\u200b{gain} {interval}、"
        "\u200bp99は\u200b{p99} {p99_interval}で、\u200b{limits}に\u200b収まる。",
    ),
    "cheaper_faster": Phrase(
        "Ship {name}: {relation} ({gain} AUC {interval}, margin {margin}) and faster, p50 {p50} "
        "{p50_interval} against {today_p50} {today_p50_interval}.",
        "{name}を\u200b採用する。\u200b{relation}（AUC {gain} {interval}、許容差{margin}）、\u200b"
        "p50は\u200b{p50} {p50_interval}と、\u200b現行の\u200b{today_p50} {today_p50_interval}より"
        "\u200b速い。",
    ),
    "cheaper": Phrase(
        "Ship {name}: {relation} ({gain} AUC {interval}, margin {margin}), at p99 {p99} "
        "{p99_interval}, under {limits}.",
        "{name}を\u200b採用する。\u200b{relation}（AUC {gain} {interval}、許容差{margin}）、\u200b"
        "p99は\u200b{p99} {p99_interval}で\u200b{limits}に\u200b収まる。",
    ),
    "limit": Phrase(
        "Ship {name}: what runs today {misses}, {name} keeps {kept} at p99 {p99} {p99_interval}"
        "{own_cost}, for {gain} AUC {interval}{standing}.",
        "{name}を\u200b採用する。\u200b現行方式は\u200b{misses}。\u200b{name}は\u200bp99 {p99} "
        "{p99_interval}{own_cost}で\u200b{limits}に\u200b収まる。\u200bAUCは\u200b{gain} "
        "{interval}{standing}。",
    ),
    "equivalent": Phrase(
        "Keep what runs today: {name} {relation}, {gain} AUC {interval}, margin {margin}"
        "{not_faster}.",
        "現行方式を\u200b維持する。\u200b{name}は\u200b{relation}"
        "（AUC {gain} {interval}、許容差{margin}）{not_faster}。",
    ),
    "no_gain": Phrase(
        "Keep what runs today: no strategy under {limits} is shown to gain; of them the one with "
        "the highest AUC, {name}, has {gain} AUC {interval}.",
        "現行方式を\u200b維持する。\u200b{limits}に\u200b収まり\u200b改善が\u200b示された\u200b"
        "方式はない。\u200bAUCが\u200b最も\u200b高い\u200b{name}は\u200bAUC {gain} {interval}。",
    ),
    "no_rival": Phrase(
        "Keep what runs today: no other strategy{enough} is shown to stay under {limits}.",
        "現行方式を\u200b維持する。\u200b{limits}に\u200b収まると\u200b示された\u200b{enough}方式は"
        "\u200bほかに\u200bない。",
    ),
    "infeasible_gain": Phrase(
        "Ship nothing yet: no strategy{enough} {stays} {limits}; of those that gain, {name} comes "
        "nearest, p99 {p99} {p99_interval}{own_cost}, for {gain} AUC {interval}.",
        "現時点では\u200b採用なし。\u200b{limits}に\u200b{stays}\u200b{enough}方式はない。"
        "\u200b改善する方式で\u200b最も\u200b近い\u200b{name}は、\u200bp99 {p99} {p99_interval}"
        "{own_cost}で\u200bAUC {gain} {interval}。",
    ),
    "infeasible": Phrase(
        "Ship nothing yet: no strategy{enough} {stays} {limits}; the nearest, {name}, has p99 "
        "{p99} {p99_interval}{own_cost}.",
        "現時点では\u200b採用なし。\u200b{limits}に\u200b{stays}\u200b{enough}方式はない。"
        "\u200b最も\u200b近い\u200b{name}で\u200bp99 {p99} {p99_interval}{own_cost}。",
    ),
    "infeasible_bare": Phrase(
        "Ship nothing yet: no strategy{enough} {stays} {limits}.",
        "現時点では\u200b採用なし。\u200b{limits}に\u200b{stays}\u200b{enough}方式はない。",
    ),
    "cannot_tell": Phrase(
        "Do not decide yet: {name} has {gain} AUC {interval}, which could be a loss; {settle}.",
        "まだ\u200b決めない。\u200b{name}の\u200bAUC {gain} {interval}は\u200b悪化の\u200b可能性を"
        "\u200b含む。\u200b{settle}。",
    ),
    "thin": Phrase("Do not decide yet: {lack}.", "まだ\u200b決めない。\u200b{lack}。"),
}
RELATION = {  # of a choice to what runs today
    "equivalent": Phrase("equivalent to what runs today", "現行方式と\u200b同等で"),
    "not worse by more than the margin": Phrase(
        "not worse than what runs today by more than the margin",
        "現行方式に\u200b許容差を\u200b超えては\u200b劣らず",
    ),
    "better": Phrase("better than what runs today", "現行方式に\u200b優り"),
    "better, by less than the margin": Phrase(
        "better than what runs today, by less than the margin",
        "現行方式に\u200b許容差未満で\u200b優り",
    ),
    "worse, by less than the margin": Phrase(
        "worse than what runs today, by less than the margin",
        "現行方式に\u200b許容差未満で\u200b劣り",
    ),
    "": Phrase("beside what runs today", "現行方式との\u200b差は\u200b示されず"),
}
SETTLE = {  # which of rows and seeds alone would see the declared effect
    (True, True): Phrase(
        "about {rows} more test rows or {seeds} more seeds each would show a difference of "
        "{effect} AUC with 80% power",
        "あと\u200b約{rows}行\u200bまたは\u200b各{seeds}シードで、\u200bAUC {effect}の\u200b差を"
        "\u200b検出力80%で\u200b示せる",
    ),
    (True, False): Phrase(
        "about {rows} more test rows would show a difference of {effect} AUC with 80% power, more "
        "seeds alone would not",
        "あと\u200b約{rows}行で\u200bAUC {effect}の\u200b差を\u200b検出力80%で\u200b示せる"
        "（シードだけでは\u200b示せない）",
    ),
    (False, True): Phrase(
        "{seeds} more seeds each would show a difference of {effect} AUC with 80% power, more rows "
        "alone would not",
        "あと\u200b各{seeds}シードで\u200bAUC {effect}の\u200b差を\u200b検出力80%で\u200b示せる"
        "（行だけでは\u200b示せない）",
    ),
    (False, False): Phrase(
        "neither more rows nor more seeds alone would show a difference of {effect} AUC",
        "行だけでも\u200bシードだけでも\u200bAUC {effect}の\u200b差は\u200b示せない",
    ),
    "enough": Phrase(
        "a difference of {effect} AUC would have been seen with 80% power",
        "AUC {effect}の\u200b差ならば\u200b検出力80%で\u200b示せる\u200b規模であった",
    ),
    "unknown": Phrase(
        "more test rows or more seeds may settle it", "行または\u200bシードを\u200b増やす"
    ),
}
LACK = {
    "limit": Phrase(
        "no strategy is shown to keep the limit",
        "上限に\u200b収まると\u200b示された\u200b方式がない",
    ),
    "latency": Phrase("no latency was measured", "レイテンシが\u200b測定されていない"),
    "latency_one": Phrase(
        "the latency of {name} was not measured", "{name}の\u200bレイテンシが\u200b未測定"
    ),
    "session": Phrase(
        "the latency session does not carry a decision",
        "レイテンシの​測定は​判断に​足りない",
    ),
    "clusters": Phrase(
        "the test split holds {have} independent groups, an interval needs {need}",
        "評価データの\u200b独立な\u200bグループは\u200b{have}で、\u200b区間には\u200b"
        "{need}が\u200b必要",
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
    "controls": Phrase(
        "no control was run, so nothing is ranked",
        "対照が​実行されておらず、​順位を​つけられない",
    ),
    "other": Phrase("the evidence is too thin", "根拠が\u200b足りない"),
}
NEXT = {
    "limit": Phrase(
        "Raise the limit, or add and measure a smaller or int8 variant.",
        "上限を上げるか、より小さい方式かint8版を加えて計測する。",
    ),
    "latency": Phrase("Time every strategy in one session.", "全方式を同じセッションで計測する。"),
    "session": Phrase("Measure the latency again.", "レイテンシを計測し直す。"),
    "clusters": Phrase("Test on more users or requests.", "評価するユーザーかリクエストを増やす。"),
    "seeds": Phrase("Train at least three seeds.", "少なくとも3シードで学習する。"),
    "baseline": Phrase("Run the study’s baseline.", "スタディのベースラインを実行する。"),
    "rivals": Phrase("Measure at least two strategies.", "少なくとも2方式を測定する。"),
    "controls": Phrase("Run the study with its controls.", "対照を​含めて​実行する。"),
    "other": Phrase("{text}", "{text}"),
}
CLAUSE = {
    "loss": Phrase(", a loss", "（悪化）"),
    "may_lose": Phrase(", which may be a loss", "（悪化の可能性あり）"),
    "equivalent": Phrase(", equivalent within ±{margin}", "（許容差±{margin}で同等）"),
    "not_worse": Phrase(
        ", not worse by more than the margin of {margin}", "（許容差{margin}を超えては劣らない）"
    ),
    "small_loss": Phrase(
        ", a loss of less than the margin of {margin}", "（許容差{margin}未満の悪化）"
    ),
    "not_faster": Phrase(
        ", and is not shown to be faster", "で、\u200b速いとも\u200b示されていない"
    ),
    "slo": Phrase("the {slo} limit", "上限{slo}"),
    "slo_cost": Phrase(
        "the limits of {slo} and {max_cost} per million predictions",
        "上限{slo}・\u200b100万予測あたり{max_cost}",
    ),
    "cost": Phrase(" and {cost} per million predictions", "・\u200b100万予測あたり{cost}"),
    "unpriced": Phrase(" and no measured cost", "・\u200b費用未測定"),
    "stay": Phrase("stays under", "収まる"),
    "shown": Phrase("is shown to stay under", "収まると\u200b示された"),
    "enough": Phrase(" of two or more seeds", "2シード以上の\u200b"),
}
MISSES = {
    "latency": Phrase("misses the {slo} limit", "上限{slo}を\u200b超える"),
    "latency_unsure": Phrase(
        "is not shown to keep the {slo} limit", "上限{slo}に\u200b収まると\u200b示されていない"
    ),
    "untimed": Phrase("has no measured latency", "レイテンシが\u200b未測定である"),
    "cost": Phrase(
        "costs {cost} per million predictions, over the limit of {max_cost}",
        "100万予測あたり{cost}で\u200b上限{max_cost}を\u200b超える",
    ),
    "unpriced": Phrase("has no measured cost", "費用が\u200b未測定である"),
}
