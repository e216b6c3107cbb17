"""docs/models.md says what the program does."""

from pathlib import Path

from fusefront.baselines.zoo import BASELINES
from models_document import PARADIGMS, models_markdown

PAGE = Path(__file__).parents[2] / "docs" / "models.md"


def test_the_page_is_made_from_the_program() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == models_markdown(), "docs/models.md is old: make pages"
    assert all(f"## {name}\n" in page for name in BASELINES)


def test_eight_models_or_more_over_four_paradigms_of_mmctr_bench() -> None:
    models = [name for names, _ in PARADIGMS.values() for name in names]
    assert len(PARADIGMS) == 4
    assert all(names for names, _ in PARADIGMS.values())
    assert len(set(models)) >= 8
    assert set(models) <= set(BASELINES)
