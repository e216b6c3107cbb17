"""What page one says of the audit: every finding that can reach it has words in both languages."""

import ast
import string
from dataclasses import replace
from pathlib import Path

import pytest

from fusefront.reports.evidence import AuditFinding, Evidence
from fusefront.reports.words.audit import JAPANESE, finding_text
from fusefront.reports.words.risks import risks

CHECKS = Path(__file__).resolve().parents[2] / "datasets" / "audit"
SPLITS = ("train", "valid", "test")
ONLY_NOTES = {
    "cold_items",
    "cold_users",
    "history_of_train",
    "outside",
    "rates_so_far",
    "single_feature_auc",
}


def text_of(node: ast.expr) -> str:
    """A literal; the filled parts of an f-string become {}."""
    if isinstance(node, ast.JoinedStr):
        return "".join(str(p.value) if isinstance(p, ast.Constant) else "{}" for p in node.values)
    assert isinstance(node, ast.Constant)
    return str(node.value)


def keys_of(node: ast.expr) -> set[str]:
    """Keys of a dict display; those made by a loop stand for every split."""
    if isinstance(node, ast.DictComp):
        return {text_of(node.key).replace("{}", split) for split in SPLITS}
    assert isinstance(node, ast.Dict)
    words = set[str]()
    for key, value in zip(node.keys, node.values, strict=True):
        words |= keys_of(value) if key is None else {text_of(key)}
    return words


def findings() -> dict[str, set[str]]:
    """Kind -> keys of its numbers, as the checks' source writes them."""
    examples: dict[str, set[str]] = {}
    for path in CHECKS.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Finding":
                kind = text_of(node.args[0]).partition(".")[0]
                if kind not in ONLY_NOTES:
                    examples[kind] = keys_of(node.args[4])
    return examples


def test_every_finding_that_is_no_note_has_japanese_words_of_its_own_numbers() -> None:
    result = findings()
    assert len(result) > 12
    assert set(JAPANESE) == set(result)
    for kind, pattern in JAPANESE.items():
        fields = {name for _, name, _, _ in string.Formatter().parse(pattern) if name}
        assert fields <= result[kind] | {"of"}, kind


def test_the_japanese_page_says_a_finding_in_japanese(full_evidence: Evidence) -> None:
    finding = AuditFinding(
        "constant_columns.text", "warning", "2 of the 384 columns of 'text' are constant. Use PCA.",
        numbers={"columns": 2.0, "width": 384.0},
    )  # fmt: skip
    evidence = replace(full_evidence, audit=(finding,))
    sentence = {entry.head: entry.lines[0].text for entry in risks(evidence, "ja")}
    assert sentence["データ監査"] == "警告：textの384列中2列が定数である。"
    english = {entry.head: entry.lines[0].text for entry in risks(evidence, "en")}
    assert english["Data audit"] == "Warning: 2 of the 384 columns of 'text' are constant."


@pytest.mark.parametrize("check", ["homemade.text", "constant_columns.text"])
def test_a_finding_without_words_or_numbers_is_named(check: str) -> None:
    assert finding_text(AuditFinding(check, "error", "Bad."), "ja").startswith(f"検査{check}の")
