"""The command that moves a damaged record aside, by where the record lies."""

from pathlib import Path

import pytest

from fusefront.harness.runs.cure import cure

ID = "0123456789ab"


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("out/studies/shop/matrix.json", "shop --repair"),
        ("out/studies/shop/tuning/a/trial-0001.json", "shop --repair"),
        ("out/studies/a shop/matrix.json", "'a shop' --repair"),
        ("out/studies/matrix.json", "--repair"),
        ("out/studies", "--repair"),
        (f"out/runs/tour/early/{ID}/summary.json", f"{ID} --repair"),
        (f"out/runs/tour/early/{ID}", f"{ID} --repair"),
        ("out/runs/tour/early", "--repair"),
        ("out/runs/tour/early/0123456789abc/summary.json", "--repair"),
        (f"elsewhere/runs/tour/early/{ID}/summary.json", f"{ID} --repair --out elsewhere"),
        ("my out/studies/shop/matrix.json", "shop --repair --out 'my out'"),
        (f"out/studies/runs/tour/early/{ID}/summary.json", f"{ID} --repair --out out/studies"),
        ("bench.json", "--repair"),
    ],
)
def test_a_record_is_named_by_its_study_or_run(path: str, words: str) -> None:
    assert cure(Path(path)) == (
        f"`fusefront verify {words}` moves it aside, then the same command makes it again"
    )
