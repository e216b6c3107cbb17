"""Operators from users' files and installed packages join the zoo; clashes are refused."""

import sys

import pytest
import torch

from fusefront.fusion_variants.zoo import ALIGNMENTS, COMPRESSORS, OPERATORS
from fusefront.harness.errors import UsageError
from fusefront.harness.parts.plugins import load_parts
from fusefront.harness.testing.operator import check_fusion

OPERATOR = '''
"""The largest of the slots, number by number."""

from typing import ClassVar

import torch

from fusefront.fusion_variants.contract import Fused, FusionOperator
from fusefront.fusion_variants.operators.early.mean import Mean  # not this file's: not counted


class Largest(FusionOperator):
    name: ClassVar[str] = "NAME"

    @property
    def tokens_out(self) -> int:
        return 1

    def forward(self, x, present, query=None):
        low = torch.finfo(x.dtype).min
        token = x.masked_fill(~present.unsqueeze(-1), low).amax(-2, keepdim=True)
        some = present.any(-1, keepdim=True)
        return Fused(token.masked_fill(~some.unsqueeze(-1), 0.0), some, x.new_zeros(()))
'''


def write(path, name="largest", tail=""):
    path.write_text(OPERATOR.replace("NAME", name) + tail)
    return path


def test_without_plugins_the_parts_are_the_zoos():
    parts = load_parts([])
    assert dict(parts.operators) == OPERATORS
    assert dict(parts.compressors) == COMPRESSORS
    assert dict(parts.alignments) == ALIGNMENTS


def test_an_operator_in_a_users_file_works_like_a_shipped_one(tmp_path):
    parts = load_parts([write(tmp_path / "mine.py")])
    assert list(parts.operators) == [*OPERATORS, "largest"]
    operator = parts.operators["largest"](3, 4)
    x = torch.randn(5, 3, 4)
    token = operator(x, torch.ones(5, 3, dtype=torch.bool)).tokens[:, 0]
    torch.testing.assert_close(token, x.max(1).values)
    check_fusion(parts.operators["largest"], export=False)


def test_loading_twice_gives_the_same_class(tmp_path):
    file = write(tmp_path / "mine.py")
    first = load_parts([file]).operators["largest"]
    assert load_parts([file, tmp_path]).operators["largest"] is first


def test_a_folder_brings_all_its_files(tmp_path):
    write(tmp_path / "a.py", "first")
    write(tmp_path / "b.py", "second")
    assert list(load_parts([tmp_path]).operators)[-2:] == ["first", "second"]


def test_a_dictionary_in_the_file_decides_what_counts(tmp_path):
    file = write(tmp_path / "mine.py", tail='\nOPERATORS = {"renamed": Largest}\n')
    assert list(load_parts([file]).operators)[len(OPERATORS) :] == ["renamed"]


def test_a_name_of_the_zoo_is_refused(tmp_path):
    file = write(tmp_path / "mine.py", "concat")
    with pytest.raises(UsageError, match=r"'concat' is defined by fusefront and by .*mine.py; ren"):
        load_parts([file])


def test_a_name_used_by_two_files_is_refused(tmp_path):
    write(tmp_path / "a.py")
    write(tmp_path / "b.py")
    with pytest.raises(UsageError, match=r"'largest' is defined by .*a.py and by .*b.py"):
        load_parts([tmp_path])


def test_a_path_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"nowhere.py is not a Python file or a folder of them"):
        load_parts([tmp_path / "nowhere.py"])


def test_a_folder_without_python_files_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"holds no .py file"):
        load_parts([tmp_path])


def test_a_file_that_cannot_be_imported_is_refused_with_its_error(tmp_path):
    file = tmp_path / "broken.py"
    file.write_text("import nothing_like_this\n")
    for _ in range(2):  # the second time too: a broken import is not kept
        with pytest.raises(UsageError, match=r"broken.py: cannot be imported: ModuleNotFoundError"):
            load_parts([file])


def test_something_that_is_no_operator_is_refused(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("OPERATORS = {'five': 5}\n")
    with pytest.raises(UsageError, match="operator 'five' is 5; expected a subclass of FusionOper"):
        load_parts([file])
    file = tmp_path / "other.py"
    file.write_text("OPERATORS = 5\n")
    with pytest.raises(UsageError, match="OPERATORS is 5; expected name: class"):
        load_parts([file])


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A package as pip leaves it: a module and a dist-info folder with entry points."""

    def install(entry, module="shopfusion"):
        info = tmp_path / "shopfusion-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: shopfusion\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[fusefront.operators]\n{entry}\n")
        write(tmp_path / f"{module}.py")
        monkeypatch.syspath_prepend(str(tmp_path))

    yield install
    sys.modules.pop("shopfusion", None)


def test_an_installed_package_adds_its_entry_points(installed):
    installed("largest = shopfusion:Largest")
    parts = load_parts([])
    assert list(parts.operators)[-1] == "largest"
    check_fusion(parts.operators["largest"], export=False)


def test_a_package_that_takes_a_name_of_the_zoo_is_refused(installed):
    installed("concat = shopfusion:Largest")
    with pytest.raises(UsageError, match="defined by fusefront and by package 'shopfusion'"):
        load_parts([])


def test_a_package_that_cannot_be_loaded_is_refused(installed):
    installed("largest = shopfusion:Smallest")
    with pytest.raises(UsageError, match=r"package 'shopfusion': entry point 'largest' .* cannot"):
        load_parts([])


def test_a_link_to_itself_is_a_sentence(tmp_path):
    (tmp_path / "own.py").symlink_to(tmp_path / "own.py")
    with pytest.raises(UsageError, match=r"--include-path .*own\.py: .*give the file itself"):
        load_parts([tmp_path / "own.py"])
