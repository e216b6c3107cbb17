"""Every kind of part comes from a file or an installed package by the same rules."""

import os
import sys

import pytest

from fusefront.harness.errors import UsageError
from fusefront.harness.jobs.matrix import make_plan
from fusefront.harness.parts.kinds import KINDS, MODEL_KINDS
from fusefront.harness.parts.origins import source_of, used_by
from fusefront.harness.parts.outside_parts import load_zoo, own_parts
from fusefront.harness.parts.plugins import load_parts
from fusefront.harness.runs.study import check_study

FILES = {  # dictionary -> the file of docs/extending.md, the class and the name in it
    "OPERATORS": ("largest.py", "Largest", "largest"),
    "COMPRESSORS": ("first_numbers.py", "FirstNumbers", "first_numbers"),
    "ALIGNMENTS": ("nearness.py", "Nearness", "nearness"),
    "POOLERS": ("recent.py", "Recent", "recent"),
    "HEADS": ("pairs.py", "Pairs", "pairs"),
    "BASELINES": ("production.py", "Production", "production"),
    "METRICS": ("net_benefit.py", "NetBenefit", "net_benefit"),
    "BACKENDS": ("two_threads.py", "TwoThreads", "two_threads"),
    "LAYOUTS": ("shop_log.py", "ShopLog", "shop_log"),
    "ENCODERS": ("letters.py", "Letters", "letters"),
}
every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.word)


@pytest.fixture
def example(page_files, tmp_path):
    """Write a kind's example; its file, the class in it and its name."""

    def write(kind, tail=""):
        file, part, name = FILES[kind.table]
        (tmp_path / file).write_text(page_files[file] + tail)
        return tmp_path / file, part, name

    return write


@pytest.fixture
def installed(example, tmp_path, monkeypatch):
    """A kind's example as pip leaves it: a module and a dist-info folder with an entry point."""

    def install(kind, offered=None):
        file, part, name = example(kind)
        info = tmp_path / "shopparts-1.5.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: shopparts\nVersion: 1.5\n")
        entry = f"[{kind.group}]\n{offered or name} = {file.stem}:{part}\n"
        (info / "entry_points.txt").write_text(entry)
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.delitem(sys.modules, file.stem, raising=False)
        return file, name

    return install


def test_every_kind_has_an_example_on_the_page():
    assert list(FILES) == [kind.table for kind in KINDS]


@every_kind
def test_a_part_in_a_file_stands_beside_the_shipped_ones(example, kind):
    file, part, name = example(kind)
    zoo = load_zoo(kind, [file])
    assert list(zoo) == [*kind.zoo(), name]
    assert zoo[name].__name__ == part
    assert load_zoo(kind, [file, file.parent])[name] is zoo[name]  # once, however often it is named
    (own,) = own_parts([file])
    assert (own.kind, own.name, own.owner, own.files, own.package) == (
        *(kind, name, str(file), (file,), ""),
    )


@every_kind
def test_an_installed_package_adds_a_part(installed, kind):
    file, name = installed(kind)
    assert list(load_zoo(kind, [])) == [*kind.zoo(), name]
    (own,) = own_parts([])
    assert (own.owner, own.files, own.package) == ("package 'shopparts'", (file,), "shopparts 1.5")


@every_kind
def test_the_dictionary_of_a_file_decides_what_counts(example, kind):
    file, part, name = example(kind, f"\n\n{kind.table} = {{'renamed': {FILES[kind.table][1]}}}\n")
    zoo = load_zoo(kind, [file])
    assert "renamed" in zoo
    assert name not in zoo
    assert zoo["renamed"].__name__ == part


@every_kind
def test_a_name_that_is_taken_is_refused_with_both_owners(example, installed, kind):
    shipped = next(iter(kind.zoo()))
    file, _, name = example(kind, f"\n\n{kind.table} = {{'{shipped}': {FILES[kind.table][1]}}}\n")
    with pytest.raises(
        UsageError, match=rf"{kind.word} '{shipped}' is defined by fusefront and by"
    ):
        load_zoo(kind, [file])
    file.unlink()
    twice = file.with_name("again.py")
    installed(kind)
    twice.write_text(file.read_text())
    with pytest.raises(
        UsageError, match=rf"'{name}' is defined by package 'shopparts' and by .*again"
    ):
        load_zoo(kind, [twice])


@every_kind
def test_the_shipped_dictionary_imported_or_copied_is_not_taken_twice(example, kind):
    module, _, table = kind.shipped.partition(":")
    file, _, name = example(kind, f"\n\nfrom {module} import {table}\n")
    assert list(load_zoo(kind, [file])) == [*kind.zoo(), name]
    part = FILES[kind.table][1]
    copied = file.with_name("copied.py")
    copied.write_text(
        file.read_text() + f"\n\n{kind.table} = {{**{table}, 'more': {part}}}  # and one more\n"
    )
    assert list(load_zoo(kind, [copied])) == [*kind.zoo(), "more"]


def test_a_file_edited_within_a_second_is_read_again(tmp_path):
    """In a process that stays, as a notebook's; what is unchanged gives the same class again."""
    file = tmp_path / "edited.py"
    texts = [
        f"from fusefront.baselines.contract import Head\n\n\nclass Mine(Head):\n    {body}\n"
        for body in ("name = 'one'", "name = 'two'")
    ]
    for text, name in [*zip(texts, ("one", "two"), strict=True), (texts[0], "one")]:
        file.write_text(text)
        os.utime(file, (10**9, 10**9))
        with pytest.raises(UsageError, match=f"head '{name}' does not define"):
            load_parts([file])
    assert not (tmp_path / "__pycache__").exists()


@every_kind
def test_something_else_in_the_dictionary_is_refused(tmp_path, kind):
    (tmp_path / "five.py").write_text(f"{kind.table} = {{'five': 5}}\n")
    with pytest.raises(UsageError, match=f"five.py: {kind.word} 'five' is 5; expected "):
        load_zoo(kind, [tmp_path / "five.py"])
    (tmp_path / "bare.py").write_text(f"{kind.table} = 5\n")
    with pytest.raises(UsageError, match=f"bare.py: {kind.table} is 5; expected name: "):
        load_zoo(kind, [tmp_path / "bare.py"])


@every_kind
def test_a_class_without_its_methods_is_refused_by_their_names(tmp_path, kind):
    module, _, base = kind.contract.partition(":")
    file = tmp_path / "bare.py"
    file.write_text(f"from {module} import {base}\n\n\nclass Bare({base}):\n    name = 'bare'\n")
    with pytest.raises(UsageError) as refused:
        load_zoo(kind, [file])
    assert str(refused.value) == (
        f"{file}: {kind.word} 'bare' does not define {', '.join(kind.needs)}; every {base} must, "
        "see its docstring"
    )


@every_kind
def test_a_class_without_a_name_is_told_apart_from_a_file_without_a_part(tmp_path, kind):
    module, _, base = kind.contract.partition(":")
    (tmp_path / "nameless.py").write_text(
        f"from {module} import {base}\n\n\nclass Nameless({base}):\n    pass\n"
    )
    with pytest.raises(UsageError, match=f"class Nameless is a {base} without a `name`"):
        load_parts([tmp_path])


def test_a_file_in_which_nothing_fits_is_refused_with_what_was_looked_for(tmp_path):
    (tmp_path / "nothing.py").write_text(
        "from torch import nn\n\n\nclass Mine(nn.Module):\n    name = 'mine'\n"
    )
    with pytest.raises(UsageError) as refused:
        load_parts([tmp_path / "nothing.py"])
    sentence = str(refused.value)
    assert sentence.startswith(
        f"{tmp_path / 'nothing.py'}: nothing in it is a part that can be named"
    )
    for kind in KINDS:
        assert kind.word in sentence
        assert kind.table in sentence


def test_a_file_of_several_kinds_brings_all_of_them(page_files, tmp_path):
    (tmp_path / "all.py").write_text("\n".join(page_files[file] for file, _, _ in FILES.values()))
    assert {(part.kind, part.name) for part in own_parts([tmp_path / "all.py"])} == {
        (kind, FILES[kind.table][2]) for kind in KINDS
    }


@pytest.mark.parametrize("kind", MODEL_KINDS, ids=lambda kind: kind.word)
def test_a_strategy_depends_on_the_parts_that_it_names(example, kind):
    file, _, name = example(kind)
    own = own_parts([file])
    assert source_of(own[0].part) == file
    assert source_of(next(iter(kind.zoo().values()))) is None
    others = {"operator": "concat", "token_width": 8, "pooler": {"name": "mean", "x": [None]}}
    assert used_by(own, "composed", others) == []
    if kind.table == "BASELINES":
        assert used_by(own, name, others) == own
        assert used_by(own, "composed", {"operator": name}) == []
    else:
        assert used_by(own, name, others) == []
        assert used_by(own, "composed", {**others, "part": name}) == own
        assert used_by(own, "composed", {**others, "part": {"name": name, "k": 3}}) == own
        assert used_by(own, "composed", {"members": [{"part": {"name": name}}]}) == own


def test_a_part_that_raises_whatever_it_likes_is_one_sentence_of_the_plan(
    page_files, tmp_path, world
):
    file = tmp_path / "largest.py"
    head, part, rest = page_files["largest.py"].partition("    name: ClassVar")
    broken = (
        "\n    def __init__(self, slots: int, d: int) -> None:\n        raise KeyError('no "
        "word')\n\n"
    )
    file.write_text(head + broken + part + rest)
    study = {
        "name": "mine",
        "dataset": "unused.yaml",
        "baseline": "ours",
        "strategies": {"ours": {"baseline": "composed", "operator": "largest"}},
    }
    with pytest.raises(UsageError) as refused:
        make_plan(check_study(study, "mine"), world, load_parts([file]), own_parts([file]))
    assert str(refused.value) == (
        f"{file}: operator 'largest' cannot be built for strategy 'ours' (KeyError: 'no word'); "
        f"mend it, `fusefront check {file}` says what it breaks"
    )
    study["strategies"]["ours"]["operator"] = "larges"
    with pytest.raises(UsageError, match="unknown operator 'larges', did you mean 'largest'"):
        make_plan(check_study(study, "mine"), world, load_parts([file]), own_parts([file]))
