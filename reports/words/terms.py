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
TERM = {
    "kicker": Phrase("Decision report", "意思決定レポート"),
    "other_language": Phrase("日本語", "English"),
    "synthetic": Phrase("Synthetic data with known truth.", "真の値が既知の合成データによる結果。"),
    "figure": Phrase("Frontier figure", "フロンティアの図"),
    "alternatives": Phrase("The closest alternatives, and why not", "次点の方式と、採らない理由"),
    "alternatives_3": Phrase(
        "The three closest alternatives, and why not", "次点の3方式と、採らない理由"
    ),
    "measured": Phrase("What was measured", "測定された方式"),
    "risks": Phrase("Risks", "リスク"),
    "changes": Phrase("What would change this decision", "判断が変わる条件"),
    "brackets": Phrase(
        "Square brackets: 95% intervals. Latency: one request on the exported model; its interval "
        "speaks of this machine and this session.",
        "角括弧は95%信頼区間。レイテンシは書き出したモデルの1リクエストで、区間はこの機械のこの計測による。",
    ),
    "review": Phrase("For the reviewer", "以下は検証者向け（英語）"),
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
    "lag": Phrase("Past known after", "過去の反映遅延"),
    "of_rows": Phrase("{test} of {all}", "{test}（全{all}）"),
}


def term(phrase: Phrase, language: Language, **values: str) -> str:
    """One filled word or heading."""
    return phrase.pattern(language).format(**values)
