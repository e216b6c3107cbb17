"""Write the pages of docs/ that are made from the program: `make pages`."""

from pathlib import Path

from models_document import models_markdown
from zoo_document import operators_markdown

DOCS = Path(__file__).parents[1] / "docs"
PAGES = {"operators.md": operators_markdown, "models.md": models_markdown}

if __name__ == "__main__":
    for name, markdown in PAGES.items():
        (DOCS / name).write_text(markdown(), encoding="utf-8")
