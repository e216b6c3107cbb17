"""`fusefront check`: the documented parts keep their promises, planted defects are named."""

import json
import re
from pathlib import Path

import pytest

from fusefront.harness.cli.check import check
from fusefront.harness.errors import GateError, UsageError
from fusefront.harness.parts.kinds import KINDS

PAGE = Path(__file__).parents[3] / "docs" / "extending.md"


def page_files(folder: Path) -> list[Path]:
    """The files that docs/extending.md shows in full."""
    files = []
    for text in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
        names = re.match(r"# (\w+\.py)", text)
        if names or "class " in text:
            name = names[1] if names else f"part{len(files)}.py"
            (folder / name).write_text(text)
            files.append(folder / name)
    return files


def test_every_part_of_the_page_keeps_its_promises(tmp_path, capsys):
    files = page_files(tmp_path)
    assert len(files) == len(KINDS)
    check(files, export=False)
    lines = capsys.readouterr().out.splitlines()
    kinds = {line.split(" '")[0] for line in lines}
    assert kinds == {kind.word for kind in KINDS}
    assert all(re.search(r": keeps \d+ promises$", line) for line in lines)


def test_the_whole_model_of_the_page_takes_less_than_sixty_lines(tmp_path):
    (file,) = (file for file in page_files(tmp_path) if file.name == "production.py")
    assert len(file.read_text().splitlines()) < 60


DEAF = '''
"""An operator that hears its first slot alone."""

from typing import ClassVar

from fusefront.fusion_variants.contract import Fused, FusionOperator


class Deaf(FusionOperator):
    name: ClassVar[str] = "deaf"

    @property
    def tokens_out(self) -> int:
        return 1

    def forward(self, x, present, query=None):
        first, there = x[..., :1, :], present[..., :1]
        return Fused(first.masked_fill(~there.unsqueeze(-1), 0.0), there, x.new_zeros(()))
'''


def test_a_broken_promise_is_a_sentence_and_exit_4(tmp_path, capsys):
    file = tmp_path / "deaf.py"
    file.write_text(DEAF)
    with pytest.raises(GateError, match="1 of 1 parts break a promise: deaf"):
        check([file], export=False)
    printed = capsys.readouterr().out
    assert re.match(r"operator 'deaf': breaks \d+ of \d+ promises\n  ", printed)
    with pytest.raises(GateError):
        check([file], export=False, as_json=True)
    (part,) = json.loads(capsys.readouterr().out)
    assert part["name"] == "deaf"
    assert part["broken"]
    assert part["file"] == str(file)


def test_a_file_without_a_part_is_refused(tmp_path):
    (tmp_path / "empty.py").write_text("x = 1\n")
    with pytest.raises(UsageError, match=r"empty.py"):
        check([tmp_path / "empty.py"])
