"""docs/operators.md says what the program is, and its example runs."""

import re
from pathlib import Path

from fusefront.baselines.poolers.zoo import POOLERS
from fusefront.fusion_variants.zoo import ALIGNMENTS, COMPRESSORS, OPERATORS
from fusefront.harness.parts.plugins import load_parts
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


def test_the_operator_on_the_page_loads_and_keeps_the_contract(tmp_path):
    operator, check = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (tmp_path / "largest.py").write_text(operator)
    loaded = load_parts([tmp_path / "largest.py"]).operators["largest"]
    exec(check, {"Largest": loaded})
