"""What docs/operators.md promises of each part: its choices, and its parameters by default."""

import math
import re
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import nn

from fusefront.fusion_variants import clusters
from fusefront.fusion_variants.zoo import ALIGNMENTS, COMPRESSORS, OPERATORS

PAGE = Path(__file__).parents[2] / "docs" / "operators.md"
SLOTS, WIDTH = 3, 128
FROM_THE_END = {"Operators": -7, "Compressors": -5, "Alignment losses": -4}  # of "parameters"


class PagePart(NamedTuple):
    """A row of a table: key -> choices as they stand, and the number of parameters."""

    choices: dict[str, str]
    parameters: int


def page_parts(title: str) -> dict[str, PagePart]:
    text = PAGE.read_text("utf-8").split(f"\n## {title}\n")[1].split("\n## ")[0]
    parts = {}
    for row in re.findall(r"^\| `.*\|$", text, re.MULTILINE):
        cells = [cell.strip() for cell in row.split("|")]  # a formula may hold some, too
        pairs = (pair.split(": ") for pair in cells[-3].split("; ") if pair)
        number = cells[FROM_THE_END[title]].replace(",", "")
        parts[cells[1].strip("`")] = PagePart(dict(pairs), int(number))  # type: ignore[arg-type]
    return parts


def learned(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


CASES = [
    *(("Operators", name, kind) for name, kind in OPERATORS.items()),
    *(("Compressors", name, kind) for name, kind in COMPRESSORS.items()),
    *(("Alignment losses", name, kind) for name, kind in ALIGNMENTS.items()),
]


@pytest.mark.parametrize(("title", "name", "kind"), CASES, ids=[name for _, name, _ in CASES])
def test_a_part_has_the_choices_and_the_parameters_of_the_page(title, name, kind):
    listed = page_parts(title)[name]
    choices = {key: ", ".join(map(str, values)) for key, values in kind.choices.items()}
    assert choices == listed.choices
    if title == "Operators":
        part = kind(SLOTS, 1 if kind.level == "logit" else WIDTH)
    else:
        vector = re.search(r"For one modality of width (\d+)\.", PAGE.read_text("utf-8"))
        assert vector
        part = kind(int(vector[1]) if title == "Compressors" else WIDTH)
    assert learned(part) == listed.parameters


def test_the_page_lists_every_part():
    for title, zoo in zip(FROM_THE_END, (OPERATORS, COMPRESSORS, ALIGNMENTS), strict=True):
        assert list(page_parts(title)) == list(zoo)


@pytest.mark.parametrize(
    ("rows", "k", "sample_size"), [(5000, 8, 4096), (5000, 1100, 4400), (90, 8, 90)]
)
def test_centres_start_from_a_sample_of_4096_rows_or_four_a_centre(
    monkeypatch, rows, k, sample_size
):
    sizes = []

    def spread(sample, count, generator):
        sizes.append((len(sample), count))
        return sample[:count].clone()

    monkeypatch.setattr(clusters, "_spread", spread)
    data = torch.randn(rows, 2, generator=torch.Generator().manual_seed(0))
    clusters.k_means(data, k, torch.Generator().manual_seed(1), rounds=1)
    assert sizes == [(sample_size, k)]


def test_use_and_perplexity_of_codes_are_those_of_a_loop():
    code = torch.tensor([0, 0, 0, 2, 2, 5])
    shares = [3 / 6, 2 / 6, 1 / 6]
    use, perplexity = clusters.usage(code, 8)
    assert use == pytest.approx(3 / 8)
    assert perplexity == pytest.approx(math.exp(-sum(p * math.log(p) for p in shares)))
    assert clusters.usage(torch.arange(4), 4) == pytest.approx((1.0, 4.0))
    assert clusters.usage(torch.zeros(0, dtype=torch.int64), 4) == pytest.approx((0.0, 1.0))


def test_items_collide_where_every_level_is_the_same():
    codes = torch.tensor([[1, 2], [1, 2], [1, 3], [2, 2], [1, 2]])
    assert clusters.collision_rate(codes) == pytest.approx(3 / 5)
    assert clusters.collision_rate(codes[2:4]) == 0.0
    assert clusters.collision_rate(codes[:0]) == 0.0
