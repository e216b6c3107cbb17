"""The words inside the figures."""

from fusefront.reports.words.phrase import Phrase

FIGURE = {
    "x": Phrase("p99 latency per request, ms", "リクエストあたりp99レイテンシ（ms）"),
    "x_log": Phrase(
        "p99 latency per request, ms (log scale)", "リクエストあたりp99レイテンシ（ms、対数目盛）"
    ),
    "x_narrow": Phrase("p99 latency, ms", "p99レイテンシ（ms）"),
    "x_log_narrow": Phrase("p99 latency, ms (log)", "p99レイテンシ（ms、対数）"),
    "y": Phrase("AUC gain over what runs today", "現行方式に対するAUCの差"),
    "auc": Phrase("AUC", "AUC"),
    "limit": Phrase("limit {slo}", "上限 {slo}"),
    "limit_right": Phrase("limit {slo} →", "上限 {slo} →"),
    "limit_left": Phrase("← limit {slo}", "← 上限 {slo}"),
    "over": Phrase("over the limit", "上限超過"),
    "today": Phrase("{name} (runs today)", "{name}（現行）"),
    "today_narrow": Phrase("Runs today", "現行方式"),
    "ship": Phrase("Ship {name}", "採用 {name}"),
    "keep": Phrase("Keep {name}", "維持 {name}"),
    "chosen": Phrase("{gain} AUC at {p99}", "AUC {gain}、{p99}"),
    "chosen_narrow": Phrase("{gain} at {p99}", "{gain}、{p99}"),
    "lasso": Phrase("equivalent within {margin}", "同等（差 {margin} 以内）"),
    "lasso_narrow": Phrase("equivalent\nwithin {margin}", "同等\n（差{margin}以内）"),
    "bayes": Phrase("best possible {auc}", "理論上の上限 {auc}"),
    "bayes_above": Phrase("best possible {auc} ↑", "理論上の上限 {auc} ↑"),
    "choice": Phrase("{name}, the choice", "{name}（採用）"),
    "gain_column": Phrase("AUC gained", "AUCの増分"),
    "ms_column": Phrase("ms at p99", "p99（ms）"),
    "change_column": Phrase("AUC with it left out", "外したときのAUC"),
    "plainest": Phrase("plainest model", "最も単純な構成"),
    "given_before": Phrase("AUC added, given those before", "それまでに対するAUCの増分"),
    "built_up": Phrase("Test AUC, built up to {name}", "評価AUC（{name}まで順に追加）"),
    "with_part": Phrase("with {part}", "{part}あり"),
    "without_part": Phrase("without {part}", "{part}なし"),
    "crossed_auc": Phrase("Test AUC, mean over the other parts", "評価AUC（他の部分について平均）"),
    "change_any": Phrase("AUC change", "AUCの変化"),
    "against_whole_strategy": Phrase(
        "AUC change against {name} as it is", "{name}に対するAUCの変化"
    ),
    "request_ms": Phrase("ms a request (log scale)", "リクエストあたりの時間（ms、対数目盛）"),
    "scope_key": Phrase(
        "p50: hollow the model alone, filled the whole request; the thin line ends at the whole "
        "request’s p99",
        "p50：白抜きはモデル単体、塗りつぶしはリクエスト全体。細線の端はリクエスト全体のp99",
    ),
    "arrivals": Phrase(
        "Requests that arrive in a second (log scale)", "1秒あたりの到着リクエスト数（対数目盛）"
    ),
    "queue_p99": Phrase(
        "p99 in ms from arrival (log scale); at the top edge: a queue that only grows",
        "到着からのp99（ms、対数目盛）。上端の印は待ち行列が伸び続けたもの",
    ),
    "requests_at_once": Phrase("Requests in one call", "1回の呼び出しあたりのリクエスト数"),
    "predictions": Phrase("Predictions a second (log scale)", "1秒あたりの予測数（対数目盛）"),
    "left_out": Phrase("AUC change when left out of {name}", "{name}から外したときのAUCの変化"),
    "predicted": Phrase(
        "Predicted click rate, bins of equal count", "予測クリック率（等件数のビン）"
    ),
    "ratio": Phrase("Observed over predicted", "実測／予測"),
    "ece": Phrase("calibration error {ece}", "較正誤差 {ece}"),
    "ece_scaled": Phrase("; {ece} after scaling (hollow)", "、スケーリング後{ece}（白抜き）"),
    "without": Phrase("Without {modality}", "{modality}なし"),
    "with_noise": Phrase("{modality} with noise", "ノイズのある{modality}"),
    "of_others": Phrase("{modality} of other items", "別アイテムの{modality}"),
    "of_file": Phrase("{modality} of a second file", "別ファイルの{modality}"),
    "new_items": Phrase("New items", "新しいアイテム"),
    "new_users": Phrase("New users", "新しいユーザー"),
    "items": Phrase("Items that lost it", "欠損したアイテムの割合"),
    "requests": Phrase("Requests that lost it", "欠損したリクエストの割合"),
    "noise": Phrase("Noise, of the deviation", "標準偏差に対するノイズ"),
    "stale": Phrase("Items with another's", "別の値を持つアイテムの割合"),
    "other": Phrase("Items with the file's", "別の値を持つアイテムの割合"),
    "cold_items": Phrase("Items never seen", "未知のアイテムの割合"),
    "cold_users": Phrase("Users without a history", "履歴のないユーザーの割合"),
    "gain_over": Phrase("AUC gain over {name}", "{name}に対するAUCの差"),
    "trials": Phrase("Trials, best so far", "試行数（それまでの最良）"),
    "compute": Phrase(
        "Seconds of training spent, best so far", "学習に要した秒数（それまでの最良）"
    ),
    "epochs": Phrase("Epochs", "エポック"),
    "below_best": Phrase(
        "validation AUC below the strategy’s best", "検証AUCの、方式ごとの最良値との差"
    ),
    "code_width": Phrase("Width of the code", "コードの幅"),
    "against_whole": Phrase(
        "validation AUC against the whole code", "検証AUCの、全幅のコードとの差"
    ),
    "valid_auc": Phrase("validation AUC after each epoch", "各エポック後の検証AUC"),
    "settled": Phrase("{name}: settled", "{name}：収束"),
    "climbing": Phrase("{name}: still climbing", "{name}：上昇中"),
    "unjudged": Phrase("{name}", "{name}"),
}
