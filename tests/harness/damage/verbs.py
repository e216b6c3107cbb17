"""Kinds of files that are damaged, and the verbs that read them with how often each is taken."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

Words = Callable[["Commands"], list[str]]


@dataclass(frozen=True)
class Commands:
    """The words of every verb in a filled folder."""

    root: Path
    scratch: Path = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "scratch", self.root / "scratch")

    @cached_property
    def runs(self) -> dict[str, str]:
        """A run's id for each strategy."""
        matrix = json.loads((self.root / "out" / "studies" / "shop" / "matrix.json").read_text())
        return {cell["strategy"]: cell["run_id"] for cell in matrix["cells"]}

    @cached_property
    def out(self) -> list[str]:
        return ["--out", str(self.root / "out")]

    @cached_property
    def fresh(self) -> list[str]:
        return ["--out", str(self.scratch / "out")]

    def of(self, verb: str) -> list[str]:
        """The words of a verb of `VERBS`."""
        return VERBS[verb](self)

    def at(self, *parts: str) -> str:
        return str(self.root.joinpath(*parts))


def _dry(c: Commands, verb: str, *more: str) -> list[str]:
    own = ["--include-path", c.at("own")]
    return [verb, c.at("study.yaml"), *more, "--dry-run", *own, *c.out]


def _whole(c: Commands, verb: str, *more: str) -> list[str]:
    own = ["--include-path", c.at("own"), "--jobs", "1", "--no-wandb"]
    return [verb, c.at("study.yaml"), *more, *own, *c.out]


VERBS: dict[str, Words] = {
    "prepare": lambda c: ["prepare", c.at("csv", "shop.yaml"), *c.fresh],
    "prepare world": lambda c: ["prepare", c.at("data", "dataset.yaml"), *c.fresh],
    "prepared": lambda c: ["prepare", c.at("data", "dataset.yaml"), *c.out],
    "audit": lambda c: ["audit", c.at("csv", "shop.yaml"), *c.fresh],
    "audit world": lambda c: ["audit", c.at("data", "dataset.yaml"), *c.fresh],
    "audited": lambda c: ["audit", c.at("data", "dataset.yaml"), *c.out],
    "init": lambda c: ["init", c.at("csv"), "--spec", str(c.scratch / "new.yaml")],
    "init world": lambda c: ["init", c.at("data"), "--spec", str(c.scratch / "new.yaml")],
    "run": lambda c: _dry(c, "run"),
    "tune": lambda c: _dry(c, "tune"),
    "ablate": lambda c: _dry(c, "ablate", "--of", "nested"),
    "runs": lambda c: ["runs", *c.out],
    "verify": lambda c: ["verify", "shop", *c.out],
    "verify run": lambda c: ["verify", c.runs["late_fusion"], *c.out],
    "verify store": lambda c: ["verify", "tour_1", *c.out],
    "verify bundle": lambda c: ["verify", c.at("bundle"), *c.out],
    "compare": lambda c: ["compare", "shop", *c.out],
    "compare valid": lambda c: ["compare", "shop", "--split", "valid", *c.out],
    "decide": lambda c: ["decide", "shop", *c.out],
    "gate": lambda c: ["gate", "shop", "--against", "shop", *c.out],
    "plan": lambda c: ["plan", "shop", "--effect", "0.01", *c.out],
    "codes": lambda c: ["codes", c.runs["nested"], *c.out],
    "export": lambda c: ["export", c.runs["late_fusion"], "--to", str(c.scratch / "b"), *c.out],
    "export own": lambda c: ["export", c.runs["own"], "--to", str(c.scratch / "b"), *c.out],
    "report": lambda c: ["report", "shop", "--store", c.at("out")],
    "predict": lambda c: [
        "predict",
        c.at("bundle"),
        c.at("rows.parquet"),
        "--to",
        str(c.scratch / "s"),
    ],
    "serve-check": lambda c: ["serve-check", c.at("bundle")],
    "robustness": lambda c: ["robustness", "shop", "--strategy", "own", "--share", "1", *c.out],
    "explain": lambda c: ["explain", "shop", "--strategy", "own", *c.out],
    "reproduce": lambda c: ["reproduce", c.runs["popularity"], *c.out],
    "reproduce own": lambda c: ["reproduce", c.runs["own"], *c.out],
    "list": lambda c: ["list", "operators", "--include-path", c.at("own")],
    "check": lambda c: ["check", c.at("own"), "--no-export"],
    "repair": lambda c: ["verify", "shop", "--repair", *c.out],
    "free": lambda c: ["gc", "--unused", "--yes", *c.out],
    "search": lambda c: _whole(c, "tune"),
    "whole run": lambda c: _whole(c, "run"),
    "whole ablation": lambda c: _whole(c, "ablate", "--of", "late_fusion"),
    "bench": lambda c: ["bench", "shop", *c.out],
    "storage": lambda c: ["tune", "shop", "--export", str(c.scratch / "optuna.db"), *c.out],
    "sync": lambda c: ["sync", "--dry-run", *c.out],
}


@dataclass(frozen=True)
class Kind:
    """Files of one kind, and verbs with weights."""

    files: Sequence[str]  # globs under the filled folder
    verbs: dict[str, int]
    sealed: bool = False  # a damage may be sealed again

    def paths(self, root: Path) -> list[Path]:
        """The files, in order."""
        return sorted({p for pattern in self.files for p in root.glob(pattern) if p.is_file()})


LIGHT = {"runs": 4, "compare": 4, "decide": 4, "gate": 3, "plan": 2, "codes": 4, "verify": 4}
HEAVY = {"export": 1, "report": 1, "robustness": 1, "explain": 1, "reproduce": 1}
WRITING = {"repair": 3, "free": 2, "search": 1, "whole run": 1}
DRY = {"run": 4, "tune": 2, "ablate": 2}

KINDS: dict[str, Kind] = {
    "data set specs": Kind(
        ("csv/shop.yaml", "data/dataset.yaml"),
        {"prepare": 4, "prepare world": 4, "audit": 2, "audit world": 2, **DRY},
    ),
    "study specs": Kind(
        ("study.yaml", "out/studies/shop/study.yaml"),
        {**DRY, "compare": 2, "decide": 2, "gate": 2, "plan": 2, "verify": 2, **HEAVY},
    ),
    "input files": Kind(
        ("csv/*.csv", "csv/*.npy", "data/*.parquet", "data/*.npy"),
        {
            "prepare": 8,
            "prepare world": 6,
            "audit": 3,
            "audit world": 3,
            "init": 4,
            "init world": 4,
        },
    ),
    "store": Kind(
        ("out/prepared/*/*/**/*",),
        {"prepared": 2, "audited": 4, "verify store": 3, **DRY, "compare": 3, "decide": 2}
        | {"export": 2, "report": 1, "robustness": 2, "reproduce": 2},
    ),
    "records of runs": Kind(
        ("out/runs/*/*/*/*.*", "out/runs/*/*/*/model/spec.json"),
        {
            **LIGHT,
            "verify run": 3,
            "run": 3,
            "tune": 1,
            "ablate": 2,
            "sync": 2,
            "export own": 1,
            **HEAVY,
            **WRITING,
        },
    ),
    "records of the study": Kind(
        ("out/studies/shop/**/*.json*", "out/studies/shop/**/*.parquet"),
        {**LIGHT, "run": 2, "tune": 2, "ablate": 3, "report": 6, "robustness": 1, "export": 1}
        | {**WRITING, "search": 4},
    ),
    "predictions and weights": Kind(
        ("out/runs/*/*/*/predictions/*", "out/runs/*/*/*/model/*.safetensors"),
        {**LIGHT, "verify run": 2, "export": 3, "report": 1, "robustness": 3, "reproduce": 3},
        sealed=True,
    ),
    "bundles": Kind(
        ("bundle/**/*", "rows.parquet"),
        {"predict": 8, "serve-check": 8, "verify bundle": 2},
        sealed=True,
    ),
    "own parts": Kind(
        ("own/*.py", "out/**/include.json"),
        {"list": 3, "check": 3, "run": 2, "export own": 2, "reproduce own": 2, "robustness": 1},
    ),
}


WRITERS = {
    name: Kind(
        KINDS[name].files,
        {**WRITING, "search": 3, "whole run": 3, "whole ablation": 3, "bench": 1, "storage": 2}
        | {"export": 1, "report": 1, "robustness": 1, "explain": 1},
        KINDS[name].sealed,
    )
    for name in ("store", "records of runs", "records of the study", "predictions and weights")
}
