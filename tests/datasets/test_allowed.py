"""No spec runs code or leaves the data folder: own encoders are given, outside paths are
allowed."""

import json
import os
import shutil
import sys
import types
import typing
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from pydantic import BaseModel

from fusefront.datasets.adapters.zoo import propose_layout
from fusefront.datasets.allowed import Allowed, confine, named_paths
from fusefront.datasets.errors import DataContractError, SpecError
from fusefront.datasets.manifest import read_manifest
from fusefront.datasets.prepare import prepare
from fusefront.datasets.propose import propose
from fusefront.datasets.spec import DatasetSpec, RelativePath, parse_spec
from fusefront.harness.cli.app import register
from fusefront.harness.errors import NothingToDoError, UsageError
from fusefront.harness.parts.data_parts import handed, own_encoders

ROWS, ITEMS = 400, 30
SECRET = "hunter2:x:0:0:hunter2:/home:/bin/bash"
OUTSIDE = Allowed(outside=True)


def hand_over(spec: DatasetSpec, *files: Path, outside: bool = False) -> Allowed:
    """What the command line hands over of these files."""
    return Allowed(handed(own_encoders(spec, files)), outside=outside)


def command(data: Path, number: int) -> str:
    """A title that, run as a command, leaves a file."""
    return f"touch {data / 'ran'}{' -a' * number}"


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A data folder, and beside it files that a spec of this folder has no business with."""
    data, beside = tmp_path / "data", tmp_path / "beside"
    for folder in (data, beside, data / "plots", beside / "plots"):
        folder.mkdir()
    rng = np.random.default_rng(0)
    log = {
        "u": rng.integers(1, 41, ROWS),
        "i": rng.integers(1, ITEMS + 1, ROWS),
        "y": (rng.random(ROWS) < 0.4).astype(int),
        "t": np.arange(ROWS),
    }
    users = {"u": range(1, 41), "age": rng.integers(0, 4, 40)}
    items = {"i": range(1, ITEMS + 1), "title": [command(data, k) for k in range(ITEMS)]}
    for folder in (data, beside):
        pl.DataFrame(log).write_parquet(folder / "log.parquet")
        pl.DataFrame(users).write_parquet(folder / "users.parquet")
        pl.DataFrame(items).write_parquet(folder / "items.parquet")
        np.save(folder / "text.npy", rng.standard_normal((ITEMS, 4)).astype("f4"))
        np.save(folder / "ids.npy", np.arange(1, ITEMS + 1))
        for key in range(1, ITEMS + 1):
            (folder / "plots" / f"{key}.txt").write_text("abc" * key)
    (tmp_path / "passwd").write_text(f"{SECRET}\n")
    (tmp_path / "mine.py").write_text(
        "from subprocess import call\n"
        "def letters(texts, *, words=''):\n"
        "    return [[len(text), text.count('a'), 1] for text in texts]\n"
    )
    return data


def raw(**changes: object) -> dict[str, typing.Any]:
    """The shop's spec as a mapping, with some keys changed."""
    return {
        "name": "shop",
        "interactions": {"path": "log.parquet"},
        "columns": {"user": "u", "item": "i", "label": "y", "timestamp": "t"},
        "history": {"from": "log", "max_length": 5},
        "items": {"path": "items.parquet", "key": "i"},
        "modalities": {"text": {"path": "text.npy", "keyed_by": "row"}},
        "split": {"by": "time", "valid": 0.2, "test": 0.2},
        **changes,
    }


def spec_of(**changes: object) -> DatasetSpec:
    return parse_spec(raw(**changes), "spec.yaml")


def encoded(encoder: str, **more: object) -> dict[str, typing.Any]:
    part = {"column": "title", "encode": "text", "encoder": encoder, **more}
    return {"modalities": {"title": part}}


@pytest.mark.parametrize(
    "name",
    [
        "subprocess:call",
        "os:system",
        "builtins:print",
        "shutil:rmtree",
        "fusefront.datasets.spec:x",
    ],
)
def test_a_spec_alone_runs_no_code_and_imports_nothing(shop: Path, name: str) -> None:
    before = set(sys.modules)
    with pytest.raises(SpecError, match=r"runs no code|expected 'module:callable'") as refusal:
        prepare(spec_of(**encoded(name)), shop, shop.parent / "out")
    assert "\n" not in str(refusal.value)
    assert not (shop / "ran").exists()
    assert not (shop.parent / "out" / "prepared").exists()
    assert {name.partition(":")[0]} - before == set() or name.partition(":")[0] not in sys.modules


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("mine:call", r"imports 'call' from elsewhere; define a function in the file"),
        ("mine:os.system", "expected 'module:callable'"),
        ("mine:", "expected 'module:callable'"),
        (":letters", "expected 'module:callable'"),
        ("mine:words", r"mine\.py has no 'words'"),
        ("yours:letters", r"no yours\.py was given"),
    ],
)
def test_of_an_included_file_only_what_it_defines_is_run(
    shop: Path, name: str, sentence: str
) -> None:
    with pytest.raises(SpecError, match=sentence):
        hand_over(spec_of(**encoded(name)), shop.parent / "mine.py")
    assert not (shop / "ran").exists()


@pytest.mark.parametrize("path", ["mine.py", "."])
def test_an_encoder_of_a_file_or_folder_that_is_given_runs(shop: Path, path: str) -> None:
    spec = spec_of(**encoded("mine:letters"))
    allowed = hand_over(spec, shop.parent / path)
    store = prepare(spec, shop, shop.parent / "out", allowed=allowed)
    texts = [command(shop, k) for k in range(ITEMS)]
    assert store.vectors("title")[1:].tolist() == [[len(t), t.count("a"), 1] for t in texts]


def test_files_of_one_name_are_no_guess(shop: Path) -> None:
    (shop.parent / "beside" / "mine.py").write_text("def letters(texts):\n    return [[1]]\n")
    with pytest.raises(UsageError, match=r"mine\.py and by .*mine\.py; rename one"):
        hand_over(
            spec_of(**encoded("mine:letters")), shop.parent / "mine.py", shop.parent / "beside"
        )


def test_an_installed_entry_point_is_an_encoder(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = shop.parent / "letters-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: letters\nVersion: 1.0\n")
    points = info / "entry_points.txt"
    points.write_text("[fusefront.encoders]\nletters = mine:letters\n")
    monkeypatch.syspath_prepend(shop.parent)
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    spec = spec_of(**encoded("letters"))
    store = prepare(spec, shop, shop.parent / "out", allowed=hand_over(spec))
    assert store.vectors("title").shape == (ITEMS + 1, 3)
    points.write_text("[fusefront.encoders]\nletters = mine:nowhere\n")
    with pytest.raises(UsageError, match=r"'letters' \(mine:nowhere\) cannot be loaded"):
        hand_over(spec)


def path_fields(model: type[BaseModel], at: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The places in a spec whose type takes a path, found by the types themselves."""
    for name in model.model_fields:
        hint = typing.get_type_hints(model, include_extras=True)[name]
        for part in _parts(hint):
            if part is RelativePath:
                yield (*at, name)
            elif isinstance(part, type) and issubclass(part, BaseModel):
                yield from path_fields(part, (*at, name))


def _parts(hint: object) -> Iterator[object]:
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType, tuple, dict):
        for part in typing.get_args(hint):
            yield from _parts(part)
    else:
        yield hint


WITH_PATH: dict[tuple[str, ...], typing.Callable[[str], dict[str, object]]] = {
    ("interactions", "path"): lambda p: {"interactions": {"path": ["log.parquet", p]}},
    ("interactions", "train"): lambda p: by_file(train=p),
    ("interactions", "valid"): lambda p: by_file(valid=p),
    ("interactions", "test"): lambda p: by_file(test=p),
    ("users", "path"): lambda p: {"users": {"path": p, "key": "u"}},
    ("items", "path"): lambda p: {"items": {"path": p, "key": "i"}},
    ("modalities", "path"): lambda p: {"modalities": {"text": {"path": p, "keyed_by": "row"}}},
    ("modalities", "ids"): lambda p: {"modalities": {"text": {"path": "text.npy", "ids": p}}},
}
FILE = {"users": "users.parquet", "items": "items.parquet", "modalities": "text.npy"}


def by_file(**changes: str) -> dict[str, object]:
    parts = dict.fromkeys(("train", "valid", "test"), "log.parquet") | changes
    return {"interactions": parts, "split": {"by": "given"}}


def test_every_key_of_a_spec_that_takes_a_path_is_among_the_cases() -> None:
    assert set(path_fields(DatasetSpec)) == set(WITH_PATH)


@pytest.mark.parametrize("where", ["..", "absolute", "link", "linked folder"])
@pytest.mark.parametrize("key", WITH_PATH, ids=".".join)
def test_no_path_of_a_spec_leaves_the_data_folder(
    shop: Path, key: tuple[str, ...], where: str
) -> None:
    name = "ids.npy" if key[1] == "ids" else FILE.get(key[0], "log.parquet")
    beside = shop.parent / "beside"
    path = {"..": f"../beside/{name}", "absolute": str(beside / name)}.get(where, f"linked_{name}")
    if where == "link":
        (shop / path).symlink_to(beside / name)
    if where == "linked folder":
        (shop / "linked").symlink_to(beside)
        path = f"linked/{name}"
    spec = spec_of(**WITH_PATH[key](path))
    with pytest.raises(SpecError, match="leads outside the data folder") as refusal:
        prepare(spec, shop, shop.parent / "out")
    assert repr(path) in str(refusal.value)
    assert "--allow-outside" in str(refusal.value)
    assert not (shop.parent / "out" / "prepared").exists()
    assert confine(spec, shop, OUTSIDE) == (path,)


def test_a_folder_that_is_itself_a_link_holds_its_files(shop: Path) -> None:
    link = shop.parent / "link"
    link.symlink_to(shop)
    (shop / "inner.parquet").symlink_to(shop / "log.parquet")
    spec = spec_of(interactions={"path": "inner.parquet"})
    assert confine(spec, link) == ()
    prepare(spec, link, shop.parent / "out")


def test_what_was_allowed_is_said_and_recorded(shop: Path) -> None:
    spec = spec_of(interactions={"path": "../beside/log.parquet"})
    lines: list[str] = []
    store = prepare(spec, shop, shop.parent / "out", progress=lines.append, allowed=OUTSIDE)
    assert read_manifest(store.path).outside == ("../beside/log.parquet",)
    assert any("../beside/log.parquet lies outside the data folder" in line for line in lines)
    with pytest.raises(SpecError, match="--allow-outside"):  # prepared or not
        prepare(spec, shop, shop.parent / "out")
    (shop / "text.npy").write_bytes((shop.parent / "beside" / "text.npy").read_bytes())
    assert prepare(spec_of(), shop, shop.parent / "out").manifest.outside == ()


@pytest.mark.parametrize("allowed", [Allowed(), OUTSIDE])
def test_no_error_quotes_a_file_from_outside(shop: Path, allowed: Allowed) -> None:
    for path in ("../passwd", str(shop.parent / "passwd")):
        with pytest.raises((SpecError, DataContractError)) as refusal:
            prepare(
                spec_of(interactions={"path": path}), shop, shop.parent / "out", allowed=allowed
            )
        assert "hunter2" not in str(refusal.value)
        assert "/home" not in str(refusal.value)


@pytest.mark.parametrize("pattern", ["../beside/plots/{key}.txt", "ABSOLUTE/{key}.txt"])
def test_a_pattern_of_raw_files_stays_inside(shop: Path, pattern: str) -> None:
    pattern = pattern.replace("ABSOLUTE", str(shop.parent / "beside" / "plots"))
    part = {"path": pattern, "encode": "text", "encoder": "mine:letters"}
    spec = spec_of(modalities={"plot": part})
    mine = (shop.parent / "mine.py",)
    with pytest.raises(SpecError, match="leads outside"):
        prepare(spec, shop, shop.parent / "out", allowed=hand_over(spec, *mine))
    store = prepare(spec, shop, shop.parent / "out", allowed=hand_over(spec, *mine, outside=True))
    assert store.manifest.outside == (pattern,)
    assert store.items.present[1:, 0].all()
    (shop.parent / "beside" / "plots" / "7.txt").write_text("another")
    again = prepare(spec, shop, shop.parent / "out", allowed=hand_over(spec, *mine, outside=True))
    assert again.fingerprint != store.fingerprint


def test_a_raw_file_that_is_a_link_to_outside_is_refused(shop: Path) -> None:
    (shop / "plots" / "7.txt").unlink()
    (shop / "plots" / "7.txt").symlink_to(shop.parent / "passwd")
    part = {"path": "plots/{key}.txt", "encode": "text", "encoder": "mine:letters"}
    spec = spec_of(modalities={"plot": part})
    mine = (shop.parent / "mine.py",)
    with pytest.raises(SpecError, match=r"7\.txt: leads outside") as refusal:
        prepare(spec, shop, shop.parent / "out", allowed=hand_over(spec, *mine))
    assert "hunter2" not in str(refusal.value)
    prepare(spec, shop, shop.parent / "out", allowed=hand_over(spec, *mine, outside=True))


@pytest.mark.parametrize("pattern", ["plots/{key}.txt", "{key}/passwd", "plots/{key}/7.txt"])
def test_a_key_that_is_no_plain_name_opens_no_file(shop: Path, pattern: str) -> None:
    keys = ["..", "../../passwd", ".", "../passwd", str(shop.parent), "../beside/plots/7", "8"]
    log = pl.read_parquet(shop / "log.parquet")
    items = pl.Series([keys[item % len(keys)] for item in log["i"]])
    log.with_columns(i=items).write_parquet(shop / "log.parquet")
    pl.DataFrame({"i": keys}).write_parquet(shop / "items.parquet")
    (shop / "8").mkdir()
    for path in (shop / "8" / "passwd", shop / "plots" / "8.txt"):
        path.write_text("aaa")
    (shop / "plots" / "8").mkdir()
    (shop / "plots" / "8" / "7.txt").write_text("aaa")
    part = {"path": pattern, "encode": "text", "encoder": "mine:letters"}
    spec = spec_of(modalities={"plot": part})
    mine = hand_over(spec, shop.parent / "mine.py")
    store = prepare(spec, shop, shop.parent / "out", allowed=mine)
    assert store.vectors("plot")[1:].tolist() == [[0, 0, 0]] * 6 + [[3, 3, 1]]


def test_a_setting_that_names_a_file_outside_is_refused(shop: Path) -> None:
    for words in ("../passwd", str(shop.parent / "passwd")):
        spec = spec_of(**encoded("mine:letters", settings={"words": words}))
        with pytest.raises(SpecError, match=r"settings\.words.*leads outside"):
            prepare(
                spec, shop, shop.parent / "out", allowed=hand_over(spec, shop.parent / "mine.py")
            )
    for words in ("/", "items.parquet", "a/b", "/nowhere/at/all", "and/or"):
        spec = spec_of(**encoded("mine:letters", settings={"words": words}))
        prepare(spec, shop, shop.parent / "out", allowed=hand_over(spec, shop.parent / "mine.py"))


def test_init_reads_no_link_to_outside(shop: Path) -> None:
    (shop / "extra.csv").symlink_to(shop.parent / "passwd")
    with pytest.raises(SpecError, match=r"extra\.csv: leads outside") as refusal:
        propose([shop])
    assert "hunter2" not in str(refusal.value)
    ratings = shop.parent / "ml"
    ratings.mkdir()
    for name in ("ratings.dat", "movies.dat", "users.dat"):
        (ratings / name).symlink_to(shop.parent / "passwd")
    with pytest.raises(SpecError, match="leads outside") as refusal:
        propose_layout("movielens_ml1m", ratings)
    assert "hunter2" not in str(refusal.value)


def test_named_paths_are_those_of_the_fingerprint(shop: Path) -> None:
    spec = spec_of(users={"path": "users.parquet", "key": "u"})
    assert dict(named_paths(spec)) == {
        "interactions.0": "log.parquet",
        "users": "users.parquet",
        "items": "items.parquet",
        "modality.text.0": "text.npy",
    }
    moved = shop.parent / "moved"
    shutil.copytree(shop, moved)
    os.rename(moved / "text.npy", moved / "renamed.npy")
    other = spec_of(
        users={"path": "users.parquet", "key": "u"},
        modalities={"text": {"path": "renamed.npy", "keyed_by": "row"}},
    )
    first = prepare(spec, shop, shop.parent / "out").fingerprint
    assert prepare(other, moved, shop.parent / "out").fingerprint == first


def test_the_verbs_pass_on_what_is_given(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    raws = raw(**encoded("mine:letters"), interactions={"path": "../beside/log.parquet"})
    spec = shop / "dataset.yaml"
    spec.write_text(json.dumps(raws))
    study = {
        "name": "first",
        "dataset": "dataset.yaml",
        "baseline": "late_fusion",
        "strategies": {"late_fusion": {}, "gated_fusion": {}},
        "seeds": [0],
        "tuning": {"trials": 0},
    }
    (shop / "study.yaml").write_text(json.dumps(study))
    out = ["--out", str(shop.parent / "out")]
    flags = ["--include-path", str(shop.parent / "mine.py"), "--allow-outside"]
    app = register()
    for words in (
        ["prepare", str(spec)],
        ["audit", str(spec)],
        ["run", str(shop / "study.yaml"), "--dry-run"],
        ["tune", str(shop / "study.yaml"), "--trials", "1", "--dry-run"],
        ["ablate", str(shop / "study.yaml"), "--of", "gated_fusion", "--dry-run"],
    ):
        with pytest.raises(SpecError, match="--allow-outside"):
            app([*words, *out, *flags[:2]], standalone_mode=False)
        if words[0] == "ablate":  # there is no run to take apart, but its data was read
            with pytest.raises(NothingToDoError):
                app([*words, *out, *flags], standalone_mode=False)
            continue
        if words[0] != "tune":  # the study that was run has the encoder's file on record
            with pytest.raises(SpecError, match="--include-path"):
                app([*words, *out, flags[2]], standalone_mode=False)
            app([*words, *out, *flags], standalone_mode=False)
            continue
        app([*words, *out, flags[2]], standalone_mode=False)
    extra = shop / "extra.csv"
    extra.symlink_to(shop.parent / "passwd")
    init = ["init", str(shop), "--spec", str(shop.parent / "proposed.yaml")]
    with pytest.raises(SpecError, match="--allow-outside"):
        app(init, standalone_mode=False)
    extra.unlink()
    pl.read_parquet(shop / "users.parquet").write_csv(shop.parent / "beside" / "users.csv")
    extra.symlink_to(shop.parent / "beside" / "users.csv")
    app([*init, "--allow-outside"], standalone_mode=False)
