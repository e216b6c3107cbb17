"""A run's identity: the hash of everything that its numbers depend on."""

import hashlib
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path

from fusefront.harness.runs.files import Json, digest

# the sources that trainings run in
_SOURCES = ("baselines", "fusion_variants", "harness/data", "harness/training")


@cache
def code_version() -> str:
    """Hash of all sources that any training depends on."""
    root = Path(__file__).parents[2]
    digest = hashlib.sha256()
    for folder in _SOURCES:
        for path in sorted((root / folder).rglob("*.py")):
            digest.update(path.relative_to(root).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


@dataclass(frozen=True)
class RunSpec:
    """What is trained; equal specs are one run, whichever study or strategy name they come from."""

    dataset: str
    fingerprint: str
    baseline: str
    settings: dict[str, Json]
    training: dict[str, Json]
    seed: int
    threads: int = 1
    shuffle: tuple[str, ...] = ()
    code: str = field(default_factory=code_version)  # studies pass that of the parts used
    plugins: str = ""  # older records only: the hash of all files under --include-path
    randomize: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Json]:
        """The canonical content of config.yaml."""
        content = {**asdict(self), "shuffle": list(self.shuffle)}
        if self.randomize:  # runs without it have the identity of older records
            return {**content, "randomize": list(self.randomize)}
        del content["randomize"]
        return content

    @property
    def run_id(self) -> str:
        """First 12 hex digits of the hash of the content."""
        return digest(self.to_json())


@dataclass(frozen=True)
class Cell:
    """One cell of a study's matrix: a strategy's name and role, and the run that fills it."""

    strategy: str
    role: str
    spec: RunSpec
    with_test: bool = True
    recipe: str = "common"  # common | own

    @property
    def seed(self) -> int:
        return self.spec.seed

    def to_json(self) -> dict[str, Json]:
        """The cell as matrix.json stores it."""
        return {
            "strategy": self.strategy,
            "role": self.role,
            "seed": self.seed,
            "run_id": self.spec.run_id,
            "baseline": self.spec.baseline,
            "settings": self.spec.settings,
            "recipe": self.recipe,
        }
