"""docs/operators.md says what the program is, and its example stands once."""

import re
from pathlib import Path

from fusefront.baselines.poolers.zoo import POOLERS
from fusefront.fusion_variants.zoo import ALIGNMENTS, COMPRESSORS, OPERATORS
from zoo_document import OTHERS, operators_markdown

PAGE = Path(__file__).parents[2] / "docs" / "operators.md"


def test_the_page_is_what_the_program_makes():
    assert PAGE.read_text() == operators_markdown(), "docs/operators.md is old: make pages"


def test_every_part_has_a_row_and_a_formula():
    page = PAGE.read_text()
    for name in (*OPERATORS, *COMPRESSORS, *ALIGNMENTS):
        row = re.search(rf"^\| `{name}` \| ([^|]|\\\|)+: .*$", page, re.MULTILINE)
        assert row is not None, name


def test_every_name_among_those_of_other_benchmarks_is_one_of_ours():
    names = set(re.findall(r"`([a-z0-9_]+)`", OTHERS)) - {"item", "pooled"}
    assert names <= {*OPERATORS, *POOLERS}
    nine = {"concat", "maf", "lmf", "mtfn", "fq_former", "simcen", "src"}
    assert names >= nine | {"similarity_buckets", "similarity_histogram"}


def test_the_example_of_an_operator_stands_on_one_page_alone():
    page = PAGE.read_text()
    assert "```python" not in page
    assert "(extending.md#an-operator)" in page
    assert "\n## An operator\n" in PAGE.with_name("extending.md").read_text()
