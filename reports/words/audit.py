"""What the audit found, for page one: its own English sentence, or a Japanese one of its
numbers."""

from fusefront.reports.evidence import AuditFinding
from fusefront.reports.words.names import shorten
from fusefront.reports.words.phrase import Language

LENGTH = 170  # of a finding on page one; the audit table has it all
# Kind of finding (its name before the first dot) -> sentence; {of} is the name's rest, the other
# fields are the finding's numbers. Those that are notes only never reach page one.
JAPANESE = {
    "constant_columns": "{of}の{width:.0f}列中\u200b{columns:.0f}列が\u200b定数である。",
    "counted": "準備で\u200b{among:,.0f}件中\u200b{count:,.0f}件\u200b（{share:.1%}）が\u200b"
    "除外または\u200b欠損扱いになった。",
    "duplicate_rows": "行の{share:.1%}は\u200b同じ分割の\u200b別の行と\u200b重複する。",
    "exploding_columns": "{of}の{columns:.0f}列は\u200b標準的な列の\u200b100倍を超える。",
    "future_in_history": "正例の{positives:.1%}は\u200bクリックより前の\u200b履歴に\u200bすでにある"
    "\u200b（負例では{negatives:.1%}）。",
    "heavy_user": "1人のユーザが\u200b全行の{share:.1%}\u200b（学習{train_share:.1%}、"
    "\u200b検証{valid_share:.1%}、"
    "\u200b評価{test_share:.1%}）を\u200b占める。",
    "item_overlap": (
        "未知アイテムの分割だが、\u200b評価行で\u200b未知なのは\u200b{test_rows_cold:.1%}のみ。"
    ),
    "label_drift": (
        "クリック率が\u200bログの期間内で\u200b{lowest:.1%}から\u200b{highest:.1%}まで\u200b動く。"
    ),
    "label_from": "{of}だけで\u200b検証行の\u200bAUCが\u200b{auc:.3f}になる。",
    "label_rate": "クリック率が\u200b分割間で\u200b異なる\u200b（学習{train_rate:.1%}、"
    "\u200b検証{valid_rate:.1%}、\u200b評価{test_rate:.1%}）。",
    "missing": "評価行の{test_rows:.1%}に\u200b{of}がない\u200b（学習行では{train_rows:.1%}）。",
    "near_duplicates": "{of}を持つアイテムの\u200b{share:.1%}は\u200b別のアイテムと\u200bほぼ同じ"
    "\u200bベクトルを持つ。",
    "not_finite": "{of}の{values:,.0f}個の値が\u200b無限大か\u200b非数である。",
    "placeholder_user": "利用者を\u200b表さない値のユーザが\u200b全行の{share:.1%}を\u200b占める。",
    "rows_in_train": "検証・評価行の{share:.1%}が\u200bそのまま\u200b学習データにある。",
    "score": "{of}は\u200bモデルの\u200bスコアに\u200b見える\u200b（AUC {auc:.3f}）。",
    "shifted_vectors": "{of}のベクトルは\u200b1行\u200bずれている\u200b（z = {z_shifted:.1f}、"
    "\u200b元の位置では\u200b{z_own:.1f}）。",
    "sibling_rows": "評価行の{test_share:.1%}と\u200b検証行の{valid_share:.1%}は\u200b"
    "同じリクエストの行が\u200b学習データにある。",
    "single_class": "{of}分割\u200b（{rows:,.0f}行）は\u200b正例か負例の\u200b一方だけである。",
    "target_in_history": "正例の{positives:.1%}、\u200b負例の{negatives:.1%}で\u200b"
    "対象アイテム自身が\u200b履歴にある。",
    "time_far": (
        "{rows:,.0f}行\u200b（{share:.1%}）の\u200b時刻が\u200b他より\u200b10年以上\u200b後である。"
    ),
    "time_far_before": (
        "{rows:,.0f}行\u200b（{share:.1%}）の\u200b時刻が\u200b他より\u200b10年以上\u200b前である。"
    ),
    "time_missing": "{rows:,.0f}行\u200b（{share:.1%}）の\u200b時刻が\u200b0以前である。",
    "time_rounded": (
        "時刻の{share:.1%}が\u200b{step:,.0f}の倍数で、\u200bfloat32で\u200b丸められている。"
    ),
    "time_scale": "要求の{share:.1%}の時刻が\u200b他と\u200b{ratio:,.0f}倍\u200b異なる。",
    "time_overlap": (
        "学習行の{train_share_after_test_start:.1%}が\u200b最初の評価行より\u200b後である。"
    ),
    "unseen": (
        "評価行の{test_rows:.1%}、\u200b検証行の{valid_rows:.1%}で\u200b{of}の値が\u200b"
        "学習データに\u200bない。"
    ),
    "user_overlap": "評価ユーザの{test_share:.1%}、\u200b検証ユーザの{valid_share:.1%}が\u200b"
    "学習データにも\u200bいる。",
}
UNKNOWN = "検査{name}の\u200b指摘がある\u200b（監査の表を\u200b参照）。"


def finding_text(finding: AuditFinding, language: Language) -> str:
    """One sentence; of a check that has no Japanese words, which one it was."""
    if language == "en":
        return shorten(finding.text.split(". ")[0].rstrip(".") + ".", LENGTH)
    kind, _, of = finding.check.partition(".")
    try:
        return JAPANESE[kind].format(of=shorten(of, 40), **finding.numbers)
    except KeyError:
        return UNKNOWN.format(name=shorten(finding.check, 60))
