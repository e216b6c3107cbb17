"""docs/agreement.md speaks of every part that ships, and names what the recorders read."""

import re
from pathlib import Path

from fusefront.baselines.heads.zoo import HEADS
from fusefront.baselines.poolers.zoo import POOLERS
from fusefront.baselines.zoo import BASELINES
from fusefront.fusion_variants.zoo import ALIGNMENTS, COMPRESSORS, OPERATORS

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs" / "agreement.md").read_text("utf-8")
RELEASED = Path(__file__).with_name("released")


def test_every_part_is_there():
    published = [name for name, kind in BASELINES.items() if kind.family == "published"]
    parts = [*published, *OPERATORS, *POOLERS, *HEADS, *COMPRESSORS, *ALIGNMENTS]
    parts = sorted({name for name in parts if name != "none"})
    assert [name for name in parts if f"`{name}`" not in TEXT] == []


def test_commits_are_those_of_the_recorders():
    recorders = "".join(path.read_text("utf-8") for path in RELEASED.glob("record*.py"))
    pattern = r"github\.com/([\w.-]+/[\w.-]+)\s+at\s+([0-9a-f]{7})"
    commits = dict(re.findall(pattern, recorders))
    assert len(commits) >= 9
    missing = {
        name: commit
        for name, commit in commits.items()
        if not re.search(rf"{re.escape(name)}\s+at\s+{commit}", TEXT)
    }
    assert missing == {}
