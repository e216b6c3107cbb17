"""A file under --include-path may hold encoders of raw values alone, or beside parts of models."""

from pathlib import Path

import pytest

from fusefront.harness.errors import UsageError
from fusefront.harness.parts.outside_parts import files_with_parts, own_parts

ENCODER = "def embed(texts):\n    return [[len(text)] for text in texts]\n"
OPERATOR = """
from fusefront.fusion_variants.contract import Fused, FusionOperator

class Largest(FusionOperator):
    name = "largest"

    @classmethod
    def tokens_out(cls, slots, d, settings):
        return 1

    def forward(self, x, present, query=None):
        return Fused(x.max(-2, keepdim=True).values, present.any(-1, keepdim=True), x.new_zeros(()))
"""


def test_files_of_encoders_alone_are_no_files_of_parts(tmp_path: Path) -> None:
    for name, content in {"a": ENCODER, "b": OPERATOR, "c": ENCODER + OPERATOR}.items():
        (tmp_path / f"{name}.py").write_text(content.replace("largest", f"largest_{name}"))
    encoders = {tmp_path / "a.py", tmp_path / "c.py"}
    files = files_with_parts([tmp_path], encoders)
    assert files == (tmp_path / "b.py", tmp_path / "c.py")
    assert [part.name for part in own_parts(files)] == ["largest_b", "largest_c"]
    with pytest.raises(UsageError, match="nothing in it is a part"):  # used as no encoder
        own_parts(files_with_parts([tmp_path], {tmp_path / "c.py"}))
