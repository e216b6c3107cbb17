"""A run's code changes with what could change its numbers, and with nothing else.

Independent oracle: every function that a training really calls must be among those that identity
follows.
"""

import hashlib
import importlib.util
import sys
from pathlib import Path
from types import CodeType, FrameType

import pytest
import torch

from fusefront.baselines.zoo import BASELINES
from fusefront.datasets.store import PreparedDataset
from fusefront.harness.data.tables import schema_of
from fusefront.harness.errors import UsageError
from fusefront.harness.parts.bare import bare_code
from fusefront.harness.parts.identity import (
    PACKAGES,
    changed_sources,
    code_of,
    code_of_fit,
    reached,
)
from fusefront.harness.parts.plugins import load_parts
from fusefront.harness.runs.spec import Cell, RunSpec
from fusefront.harness.testing.shapes import shapes_of
from fusefront.harness.training.build import build_model
from fusefront.harness.training.run import run

PARTS = load_parts([])
STRATEGIES = {
    "popularity": ("popularity", {}),
    "early": ("early_fusion", {}),
    "late": ("late_fusion", {}),
    "gated": ("gated_fusion", {}),
    "stacked": ("stacked_fusion", {}),
    "compressed": ("compressed_fusion", {}),
    "pooled gmu": ("composed", {"placement": "pooled", "operator": "gmu"}),
    "item lmf": ("composed", {"placement": "item", "operator": "lmf"}),
    "din": ("din", {}),
    "qin": ("qin", {}),
}


def text_of(module: str) -> str:
    spec = importlib.util.find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).read_text(encoding="utf-8")


def codes(module: str = "", old: str = "", new: str = "") -> dict[str, str]:
    """The code of every strategy, as if `old` were `new` in the text of `module`."""
    if module:
        assert old in text_of(module), f"{module} has no {old!r}"

    def read(name: str) -> str:
        return text_of(name).replace(old, new) if name == module else text_of(name)

    return {
        label: code_of(shapes_of(BASELINES[kind], PARTS, settings), read).version
        for label, (kind, settings) in STRATEGIES.items()
    }


@pytest.fixture(scope="module")
def before() -> dict[str, str]:
    return codes()


def changed(before: dict[str, str], module: str, old: str, new: str) -> set[str]:
    now = codes(f"fusefront.{module}", old, new)
    return {label for label in before if before[label] != now[label]}


def test_a_docstring_and_a_comment_change_nothing(before):
    assert changed(before, "baselines.contract", '"""What', '"""Other words: what') == set()
    line = "def make_placement("
    assert changed(before, "baselines.models.composed_parts", line, f"# a remark\n{line}") == set()


def test_a_new_operator_in_the_dictionary_changes_nothing(before):
    text = text_of("fusefront.fusion_variants.zoo")
    line = next(line for line in text.splitlines() if line.strip().startswith('"gmu":'))
    more = f'{line}\n    "newest": Gmu,'
    assert changed(before, "fusion_variants.zoo", line, more) == set()


def test_what_is_searched_cited_or_said_in_a_refusal_changes_nothing(before):
    module = "fusion_variants.operators.gates.gmu"
    assert "paper: ClassVar[str] =" in text_of(f"fusefront.{module}")
    assert (
        changed(before, module, "paper: ClassVar[str] =", 'paper: ClassVar[str] = "A" +') == set()
    )
    phrase = "is not known; known:"
    assert changed(before, "harness.training.build", phrase, "is unknown; known:") == set()


@pytest.mark.parametrize(
    ("module", "old", "new", "users"),
    [
        ("fusion_variants.operators.gates.gmu", "sigmoid()", "tanh()", {"pooled gmu"}),
        (
            "fusion_variants.operators.products.lmf",
            "class Lmf(",
            "class Lmf(object, ",
            {"item lmf"},
        ),
        ("baselines.published.din", "class Din(", "class Din(object, ", {"din"}),
        (
            "baselines.placements.logit",
            "class LogitPlacement(",
            "class LogitPlacement(object, ",
            {"late", "gated", "stacked"},
        ),
        (
            "baselines.models.late_fusion",
            "class LateFusion(",
            "class LateFusion(object, ",
            {"late", "stacked"},  # gated_fusion takes its settings alone
        ),
        ("baselines.poolers.din", "class DinPooler(", "class DinPooler(object, ", {"din"}),
    ],
)
def test_an_edit_trains_exactly_its_users_again(before, module, old, new, users):
    assert changed(before, module, old, new) == users


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("harness.training.module", 'reduction="sum"', 'reduction="mean"'),
        ("harness.training.fit", "gradient_clip_val=recipe.clip", "gradient_clip_val=1.0"),
        ("harness.data.batches", "np.int64", "np.int32"),
        (
            "baselines.contract",
            "class Scored(NamedTuple):",
            "class Scored(NamedTuple):\n    x: int",
        ),
    ],
)
def test_trainer_data_and_contract_belong_to_every_strategy(before, module, old, new):
    assert changed(before, module, old, new) == set(STRATEGIES)


def test_the_workers_and_everything_outside_training_belong_to_none(before):
    assert (
        changed(before, "harness.training.workers", "class Workers", "class Workers(object)")
        == set()
    )


def test_sources_name_the_module_that_changed():
    model = shapes_of(BASELINES["composed"], PARTS, STRATEGIES["pooled gmu"][1])
    name = "fusefront.fusion_variants.operators.gates.gmu"

    def read(module: str) -> str:
        text = text_of(module)
        return text.replace("sigmoid()", "tanh()") if module == name else text

    assert changed_sources(code_of(model).sources, code_of(model, read).sources) == [name]


def test_settings_that_choose_other_parts_are_other_code():
    first, other = (
        code_of(shapes_of(BASELINES["composed"], PARTS, {"placement": "item", "operator": name}))
        for name in ("gmu", "film")
    )
    assert first.version != other.version
    names = changed_sources(first.sources, other.sources)
    assert [name for name in names if ".operators." in name] == [
        "fusefront.fusion_variants.operators.gates.film",
        "fusefront.fusion_variants.operators.gates.gmu",
    ]


def test_a_model_with_numbers_has_the_code_of_one_without(world: PreparedDataset):
    spec = RunSpec(world.name, world.fingerprint, "compressed_fusion", {}, {}, 0)
    real = build_model(spec, world, PARTS)
    shape = shapes_of(BASELINES["compressed_fusion"], PARTS, {}, schema_of(world))
    assert code_of(real) == code_of(shape)


def test_a_definition_that_is_called_through_its_module_is_followed():
    model = shapes_of(BASELINES["composed"], PARTS, STRATEGIES["pooled gmu"][1])
    gmu = "fusefront.fusion_variants.operators.gates.gmu"

    def read(module: str) -> str:
        text = text_of(module)
        if module != gmu:
            return text
        return "from fusefront.fusion_variants import presence\n" + text.replace(
            "class Gmu(", "MASK = presence.lowest\n\n\nclass Gmu("
        ).replace("sigmoid()", "sigmoid() * (MASK is not None)")

    through = ("fusefront.fusion_variants.presence", "lowest")
    assert through in reached(model, read)
    assert through not in reached(model)


@pytest.mark.parametrize(
    ("module", "old", "new", "changes"),
    [
        ("fusion_variants.compressors.pca", "1e-12 * float", "1e-11 * float", {"pca"}),
        ("fusion_variants.compressors.rq", "rest - self", "rest + self", {"rq"}),
        ("fusion_variants.clusters", "def nearest", "NEW = 3\n\n\ndef nearest", set()),
        ("fusion_variants.clusters", "argmin", "argmax", {"rq"}),
        ("baselines.slots", "torch.nan if", "torch.inf if", {"pca", "rq"}),
        ("baselines.slots", "torch.stack(tokens, -2)", "torch.stack(tokens, -1)", set()),
        ("baselines.frozen", "value.clone()", "value", {"pca", "rq"}),
        ("harness.data.tables", "rows[having] = rows[dealt]", "pass", {"pca", "rq"}),
        ("harness.training.optimiser", "fused=True", "fused=False", set()),
    ],
)
def test_the_code_of_a_fit_is_what_its_table_depends_on(
    module: str, old: str, new: str, changes: set[str]
) -> None:
    module = f"fusefront.{module}"
    assert old in text_of(module)

    def read(name: str) -> str:
        return text_of(name).replace(old, new) if name == module else text_of(name)

    parts = {name: PARTS.compressors[name](64) for name in ("pca", "rq")}
    differ = {name for name, part in parts.items() if code_of_fit(part, read) != code_of_fit(part)}
    assert differ == changes


def test_loose_statements_count_and_imports_for_types_do_not():
    model = shapes_of(BASELINES["composed"], PARTS, STRATEGIES["pooled gmu"][1])
    gmu = "fusefront.fusion_variants.operators.gates.gmu"

    def version(tail: str) -> str:
        def read(module: str) -> str:
            return text_of(module) + (tail if module == gmu else "")

        return code_of(model, read).version

    plain = version("")
    assert version("\nif TYPE_CHECKING:\n    from os import PathLike\n") == plain
    assert version("\nif plain:\n    torch.manual_seed(3)\n") != plain


PLUGIN = '''
"""An operator of a person's own."""

from typing import ClassVar

from fusefront.fusion_variants.contract import Fused
from fusefront.fusion_variants.operators.gates.gmu import Gmu


class Mine(Gmu):
    name: ClassVar[str] = "mine_NAME"

    def forward(self, x, present, query=None) -> Fused:
        return super().forward(x * SCALE, present, query)
'''


def test_a_persons_file_counts_for_the_strategies_that_use_it(tmp_path: Path):
    def version(name: str, scale: str, operator: str, tail: str = "") -> str:
        file = tmp_path / f"{name}.py"
        file.write_text(PLUGIN.replace("NAME", name).replace("SCALE", scale) + tail)
        settings = {"placement": "item", "operator": operator}
        return code_of(shapes_of(BASELINES["composed"], load_parts([file]), settings)).version

    plain = code_of(
        shapes_of(BASELINES["composed"], PARTS, {"placement": "item", "operator": "gmu"})
    )
    assert version("a", "1.0", "gmu") == plain.version  # there, and not used
    first = version("b", "1.0", "mine_b")
    assert first != plain.version
    # a class of another module name is another class: compare within one name, by its text
    file = tmp_path / "b.py"
    model = shapes_of(
        BASELINES["composed"], load_parts([file]), {"placement": "item", "operator": "mine_b"}
    )
    module = type(next(m for m in model.modules() if type(m).__name__ == "Mine")).__module__
    text = file.read_text()

    def again(changed_text: str) -> str:
        file.write_text(changed_text)
        return code_of(model).version

    assert module in code_of(model).sources
    assert again(text + "# a remark\n") == first
    assert again(text.replace("1.0", "2.0")) != first
    for broken in (text[: len(text) // 2], text + "\0", text + "\ndef :"):
        with pytest.raises(UsageError, match=r"b\.py: cannot be read as Python any more \(.*\)"):
            again(broken)


BESIDE = """

from fusefront.harness.statistics.contract import QualityMetric
from fusefront.datasets.contract import RawEncoder


class Brier(QualityMetric):
    name = "brier"
    higher_is_better = False

    def value(self, probability, label, group):
        return ((probability - label) ** POWER).mean()


class Letters(RawEncoder):
    name = "letters"
    kind = "text"

    def encode(self, inputs):
        return [[len(text)] for text in inputs]


METRICS = {"brier": Brier}
"""


def test_of_a_persons_file_what_is_not_trained_with_counts_for_no_run(tmp_path: Path):
    def version(text: str) -> str:
        file.write_text(text)
        return code_of(model).version

    file = tmp_path / "alone.py"
    file.write_text(PLUGIN.replace("NAME", "alone").replace("SCALE", "1.0") + "VALUES = {}\n")
    settings = {"placement": "item", "operator": "mine_alone"}
    alone = code_of(shapes_of(BASELINES["composed"], load_parts([file]), settings))
    (module,) = (name for name in alone.sources if not name.startswith("fusefront."))
    whole = hashlib.sha256(bare_code(file).encode()).hexdigest()[:12]
    assert alone.sources[module] == whole  # as runs from before recorded it
    file = tmp_path / "both.py"
    operator = PLUGIN.replace("NAME", "both").replace("SCALE", "1.0")
    file.write_text(operator + BESIDE.replace("POWER", "2"))
    settings = {"placement": "item", "operator": "mine_both"}
    model = shapes_of(BASELINES["composed"], load_parts([file]), settings)
    first = version(operator + BESIDE.replace("POWER", "2"))
    assert version(operator + BESIDE.replace("POWER", "3")) == first
    assert version(operator + BESIDE.replace("POWER", "2").replace("len(text)", "1")) == first
    renamed = BESIDE.replace("POWER", "2").replace('{"brier"', '{"mine"')
    assert version(operator + renamed) == first
    changed = PLUGIN.replace("NAME", "both").replace("SCALE", "2.0")
    assert version(changed + BESIDE.replace("POWER", "2")) != first
    assert version(operator + BESIDE.replace("POWER", "2") + "OTHER = {'a': 1}\n") != first
    # an operator that refers to the metric depends on it
    using = operator + "\n\nSCORE = [Brier]\n"
    assert version(using + BESIDE.replace("POWER", "2")) != version(
        using + BESIDE.replace("POWER", "3")
    )


@pytest.mark.parametrize("label", [name for name in STRATEGIES if name != "qin"])
def test_all_that_a_training_calls_is_followed(label, world: PreparedDataset, tmp_path: Path):
    kind, settings = STRATEGIES[label]
    roots = {name: Path(str(sys.modules[name].__file__)).resolve().parent for name in PACKAGES}
    called: set[CodeType] = set()

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            called.add(frame.f_code)

    spec = RunSpec(
        world.name,
        world.fingerprint,
        kind,
        settings,
        {"epochs": 1, "batch_rows": 256},
        0,
    )
    threads = torch.get_num_threads()
    sys.setprofile(note)
    try:
        run(Cell(label.replace(" ", "_"), "strategy", spec), tmp_path, world, PARTS)
    finally:
        sys.setprofile(None)
        torch.set_num_threads(threads)
    model = build_model(spec, world, PARTS)
    followed = set(reached(model))
    missing = set()
    for code in called:
        path = Path(code.co_filename).resolve()
        package = next((r for r, root in roots.items() if path.is_relative_to(root)), None)
        top = code.co_qualname.split(".")[0]
        if package is None or top.startswith("<"):
            continue
        rest = path.relative_to(roots[package]).with_suffix("").parts
        module = ".".join((package, *rest))
        if (module, top) not in followed:
            missing.add((module, top))
    assert len(called) > 50
    assert missing == set()
