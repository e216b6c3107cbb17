"""Single words and headings: families, verdicts, section titles, column heads."""

from fusefront.reports.words.phrase import Language, Phrase

FAMILY = {
    "compressed": Phrase("Compressed interaction", "圧縮相互作用"),
    "early": Phrase("Early fusion", "早期融合"),
    "late": Phrase("Late fusion", "後期融合"),
    "published": Phrase("Published model", "公開モデル"),
    "control": Phrase("Control", "対照"),
    "other": Phrase("Other", "その他"),
}
VERDICT = {
    "better": Phrase("better", "優る"),
    "worse": Phrase("worse", "劣る"),
    "equivalent": Phrase("equivalent", "同等"),
    "cannot tell": Phrase("cannot tell", "判断不能"),
    "": Phrase("not judged", "判定なし"),
}
TERM = {
    "title": Phrase("Which fusion to ship: {dataset}", "どの融合方式を本番へ：{dataset}"),
    "kicker": Phrase("Decision report", "意思決定レポート"),
    "synthetic": Phrase("Synthetic data with known truth.", "真の値が既知の合成データによる結果。"),
    "costs": Phrase("What it gains and what it costs", "得るものと払うもの"),
    "alternatives": Phrase("The closest alternatives, and why not", "次点の方式と、採らない理由"),
    "alternatives_3": Phrase(
        "The three closest alternatives, and why not", "次点の3方式と、採らない理由"
    ),
    "measured": Phrase("What was measured", "測定された方式"),
    "risks": Phrase("Risks", "リスク"),
    "changes": Phrase("What would change this decision", "判断が変わる条件"),
    "measure_next": Phrase("What to measure next", "次に測るもの"),
    "review": Phrase("For the reviewer", "検証者向け"),
    "board": Phrase("Every strategy", "全方式"),
    "what_if": Phrase("Which strategy wins where", "条件ごとの最適方式"),
    "slices": Phrase("Slices: the choice against today", "層別：採用方式と現行方式"),
    "audit": Phrase("Audit of the data", "データ監査"),
    "environment": Phrase("Environment", "実行環境"),
    "provenance": Phrase("Provenance: where each number comes from", "来歴：数値の出所"),
    "methods": Phrase("Methods in plain words", "方法の平易な説明"),
    "more_metrics": Phrase("Other measures of quality", "その他の品質指標"),
    "sizes": Phrase("Size and work", "規模と計算量"),
    "scroll": Phrase("{title}, scrolls sideways", "{title}（横スクロール）"),
    "sort": Phrase("sort by {column}", "{column}で並べ替え"),
    "figure_scroll": Phrase("Figure: {title}", "図：{title}"),
    "none_measured": Phrase("not measured", "未測定"),
    "no_strategy": Phrase("none", "なし"),
}
FACT = {
    "dataset": Phrase("Dataset", "データ"),
    "rows": Phrase("Test rows", "評価行数"),
    "seeds": Phrase("Seeds", "シード"),
    "strategies": Phrase("Strategies", "方式"),
    "failed": Phrase("Failed runs", "失敗した学習"),
    "hardware": Phrase("Hardware", "計測環境"),
    "date": Phrase("Date", "日付"),
    "owner": Phrase("Owner", "責任者"),
    "recheck": Phrase("Look again", "再確認"),
    "study": Phrase("Study", "スタディ"),
    "of_rows": Phrase("{test} of {all}", "{test}（全{all}）"),
}
COLUMN = {
    "strategy": Phrase("Strategy", "方式"),
    "auc": Phrase("AUC", "AUC"),
    "gain": Phrase("Against today", "現行との差"),
    "interval": Phrase("95% interval", "95%信頼区間"),
    "verdict": Phrase("Verdict", "判定"),
    "vs_choice": Phrase("Against the choice", "採用方式との比較"),
    "p99": Phrase("p99, ms", "p99（ms）"),
    "p50": Phrase("p50, ms", "p50（ms）"),
    "front": Phrase("On the frontier", "フロンティア上"),
    "memory": Phrase("MB", "MB"),
    "cost": Phrase("Cost per million", "100万予測の費用"),
    "seeds": Phrase("Seeds", "シード"),
    "parameters": Phrase("Parameters", "パラメータ数"),
    "macs": Phrase("MACs per candidate", "候補あたり積和"),
    "bytes": Phrase("Bytes per item", "アイテムあたりバイト"),
    "slice": Phrase("Slice", "層"),
    "rows": Phrase("Rows", "行"),
    "difference": Phrase("AUC difference", "AUCの差"),
    "check": Phrase("Check", "検査"),
    "found": Phrase("Found", "結果"),
    "what": Phrase("What", "項目"),
    "version": Phrase("Version", "値"),
    "run": Phrase("Runs", "学習"),
    "seed": Phrase("Seed", "シード"),
    "hash": Phrase("SHA-256", "SHA-256"),
    "config": Phrase("Configuration", "設定"),
    "slo": Phrase("Limit, ms", "上限（ms）"),
    "price": Phrase("Price per core-hour", "コア時単価"),
    "qps": Phrase("Requests per second", "毎秒リクエスト"),
    "value": Phrase("Value per click", "クリックの価値"),
    "winner": Phrase("Ship", "採用"),
    "yearly": Phrase("Yearly gain", "年間の利得"),
}


def term(phrase: Phrase, language: Language, **values: str) -> str:
    """One filled word or heading."""
    return phrase.pattern(language).format(**values)
