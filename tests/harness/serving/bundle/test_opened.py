"""A bundle as a stranger opens it: planted files and a planted graph, every refusal by itself."""

import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fusefront.harness.serving.bundle import opened
from fusefront.harness.serving.bundle.opened import (
    BundleError,
    golden_requests,
    load_session,
    main,
    read_manifest,
    replay,
    score,
    sha256,
)

NAMES = ("scorer.onnx", "golden.npz", "items.parquet", "dataset.json", "vocabularies/a.parquet")


def facts(path: Path) -> dict[str, Any]:
    content = path.read_bytes()
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def write(folder: Path, **changes: Any) -> Path:
    """A bundle of five small files; `changes` are keys of its manifest, None leaves one out."""
    (folder / "vocabularies").mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(NAMES):
        (folder / name).write_bytes(bytes([number]) * (1000 + number))
    manifest: dict[str, Any] = {
        "format": 1,
        "kind": "fusefront-bundle",
        "strategy": "s",
        "run_id": "r",
        "serving": {},
        "shape": {},
        "files": {name: facts(folder / name) for name in NAMES},
    }
    manifest |= changes
    whole = {key: value for key, value in manifest.items() if value is not None}
    (folder / "bundle.json").write_text(json.dumps(whole), encoding="utf-8")
    return folder


def refusal(folder: Path) -> str:
    with pytest.raises(BundleError) as error:
        read_manifest(folder)
    return str(error.value).replace(str(folder), "B")


def test_a_whole_bundle_is_read(tmp_path: Path) -> None:
    manifest = read_manifest(write(tmp_path))
    assert (manifest["strategy"], manifest["run_id"]) == ("s", "r")
    assert list(manifest["files"]) == list(NAMES)


def test_what_is_no_bundle_says_so(tmp_path: Path) -> None:
    assert refusal(tmp_path) == (
        "B/bundle.json: not there, so 'B' is no serving bundle; export one from a run"
    )
    for text in ("{", "[" * 100_000):
        (tmp_path / "bundle.json").write_text(text)
        assert refusal(tmp_path).startswith("B/bundle.json: unreadable (")
    for text in ("[]", "{}", '{"kind": "other"}'):
        (tmp_path / "bundle.json").write_text(text)
        assert refusal(tmp_path) == (
            "B/bundle.json: not written by an export of this program; export a run"
        )
    write(tmp_path, format=2)
    assert refusal(tmp_path) == (
        "B/bundle.json: got format 2, expected 1; export again with this version"
    )


@pytest.mark.parametrize("key", ["strategy", "run_id", "serving", "shape"])
def test_a_manifest_without_a_key_is_refused(tmp_path: Path, key: str) -> None:
    assert refusal(write(tmp_path, **{key: None})).startswith(
        f"B/bundle.json: says nothing of '{key}'; copy it again"
    )


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "content",
    [
        None,
        [],
        {},
        {"bytes": 1000},
        {"sha256": "0"},
        {"bytes": True, "sha256": "0"},
        {"bytes": "1000", "sha256": "0"},
        {"bytes": 1000, "sha256": 0},
    ],
)
def test_a_file_without_its_size_and_hash_is_refused(
    tmp_path: Path, name: str, content: Any
) -> None:
    listed = {each: facts(write(tmp_path) / each) for each in NAMES} | {name: content}
    assert refusal(write(tmp_path, files=listed)).startswith(
        f"B/bundle.json: says nothing of '{name}'; copy it again"
    )


@pytest.mark.parametrize("files", [None, [], {}])
def test_a_manifest_that_lists_nothing_lacks_the_scorer(tmp_path: Path, files: Any) -> None:
    assert "says nothing of 'scorer.onnx'" in refusal(write(tmp_path, files=files))


@pytest.mark.parametrize(
    "name", ["", "../a", "b/../../a", "/etc/passwd", "a\0b", "vocabularies/.."]
)
def test_a_name_outside_the_bundle_is_not_opened(tmp_path: Path, name: str) -> None:
    listed = {each: facts(write(tmp_path) / each) for each in NAMES}
    listed[name] = {"bytes": 1, "sha256": "0"}
    assert refusal(write(tmp_path, files=listed)) == (
        f"B/bundle.json: names {name!r}, which lies outside the bundle; export again"
    )


def test_links_are_not_followed_within_a_bundle(tmp_path: Path) -> None:
    folder = write(tmp_path / "bundle")
    file = folder / "items.parquet"
    file.rename(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    expected = "a link, expected the file itself; copy the bundle whole"
    assert refusal(folder) == f"B/items.parquet: {expected}"
    file.unlink()
    write(folder)
    (folder / "vocabularies").rename(tmp_path / "other")
    (folder / "vocabularies").symlink_to(tmp_path / "other")
    assert refusal(folder) == f"B/vocabularies: {expected}"


def test_a_bundle_may_lie_behind_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(write(tmp_path / "bundle"))
    assert read_manifest(tmp_path / "link")["run_id"] == "r"


def test_sizes_are_compared_before_contents(tmp_path: Path) -> None:
    folder = write(tmp_path)
    (folder / "dataset.json").write_bytes(b"x" * 1003)  # its size, not its content
    assert refusal(folder).startswith("B/dataset.json: its content was changed since the export")
    (folder / "vocabularies" / "a.parquet").write_bytes(b"x" * 1005)
    assert refusal(folder) == (
        "B/vocabularies/a.parquet: 1,005 bytes, the bundle says 1,004; copy it again"
    )
    (folder / "items.parquet").unlink()
    assert refusal(folder).startswith("B/items.parquet: missing; copy the whole bundle")
    (folder / "items.parquet").mkdir()
    assert refusal(folder).startswith("B/items.parquet: no file of a bundle; copy the whole")


def test_a_hash_is_of_the_whole_file(tmp_path: Path) -> None:
    content = np.random.default_rng(0).bytes(2 * (1 << 20) + 17)
    (tmp_path / "large").write_bytes(content)
    assert sha256(tmp_path / "large") == hashlib.sha256(content).hexdigest()


class Graph:
    """Logits twice the candidates' numbers, plus what `off` says of request and place."""

    def __init__(self, off: Callable[[int], Any] = lambda number: 0.0) -> None:
        self.off, self.calls = off, 0
        self.inputs = [SimpleNamespace(name="x"), SimpleNamespace(name="y")]

    def get_inputs(self) -> list[SimpleNamespace]:
        return self.inputs

    def run(self, names: list[str], feed: dict[str, Any]) -> list[Any]:
        assert names == ["logits"]
        assert sorted(feed) == ["x", "y"]
        self.calls += 1
        return [feed["x"] * 2 + self.off(self.calls - 1), "not this"]


def golden(folder: Path, count: int = 12, **changes: Any) -> None:
    """Requests 0 to count - 1, of 3 candidates more each; written in no order."""
    arrays = {}
    for number in reversed(range(count)):
        x = np.full((1, 3 + number), 0.05 * number - 0.25)
        parts = {"x": x, "y": np.ones(1), "logits": 2 * x, "eager": x, **changes}
        arrays |= {f"{number}.{name}": part for name, part in parts.items() if part is not None}
    np.savez(folder / "golden.npz", **arrays)


def test_golden_requests_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    golden(tmp_path)
    requests = golden_requests(tmp_path)
    assert [request["x"].shape[1] for request in requests] == list(range(3, 15))
    assert sorted(requests[0]) == ["eager", "logits", "x", "y"]
    (tmp_path / "golden.npz").write_bytes(b"junk")
    with pytest.raises(BundleError, match=r"golden\.npz: unreadable"):
        golden_requests(tmp_path)


@pytest.fixture
def replayed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Replays the golden requests with a graph; nothing is verified."""

    def once(graph: Graph, **changes: Any) -> dict[str, Any]:
        golden(tmp_path, **changes)
        monkeypatch.setattr(opened, "load_session", lambda folder: graph)
        monkeypatch.setattr(
            opened, "read_manifest", lambda folder: {"strategy": "s", "run_id": "r"}
        )
        return replay(tmp_path)

    return once


def sigmoid(x: float) -> float:
    return float(1 / (1 + np.exp(-x)))


def test_a_replay_counts_and_finds_the_largest_difference(replayed: Any, tmp_path: Path) -> None:
    assert replayed(Graph()) == {
        "bundle": str(tmp_path),
        "strategy": "s",
        "run_id": "r",
        "requests": 12,
        "predictions": sum(range(3, 15)),
        "max_difference": 0.0,
        "tolerance": 1e-5,
        "passed": True,
    }
    for worst in (0, 4, 11):  # the largest may come first, between and last
        result = replayed(Graph(lambda number, at=worst: -3e-4 if number == at else 1e-4))  # type: ignore[misc]
        center = 0.1 * worst - 0.5
        expected = sigmoid(center) - sigmoid(center - 3e-4)
        assert result["max_difference"] == pytest.approx(expected, rel=1e-6)
        assert result["passed"] is False


@pytest.mark.parametrize(("off", "passed"), [(3.9e-5, True), (4.1e-5, False)])
def test_a_probability_may_differ_by_a_hundred_thousandth(
    replayed: Any, off: float, passed: bool
) -> None:
    """At a logit of 0 it moves by a quarter."""
    assert replayed(Graph(lambda number: off if number == 5 else 0.0))["passed"] is passed


def test_one_place_that_differs_is_enough(replayed: Any) -> None:
    result = replayed(Graph(lambda number: np.arange(3 + number) == 2))
    centers = [0.1 * number - 0.5 for number in range(12)]
    expected = max(sigmoid(center + 1) - sigmoid(center) for center in centers)
    assert result["max_difference"] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("off", [np.nan, np.inf, np.zeros((2, 1))])
def test_what_is_no_probability_or_of_another_shape_fails(replayed: Any, off: Any) -> None:
    result = replayed(Graph(lambda number: off if number == 7 else 0.0))
    assert (result["max_difference"], result["passed"]) == (float("inf"), False)


def test_a_replay_of_nothing_shows_nothing(replayed: Any) -> None:
    assert replayed(Graph(), count=0)["passed"] is False
    nothing = np.zeros((1, 0))
    assert replayed(Graph(), x=nothing, logits=nothing)["passed"] is False


@pytest.mark.parametrize("name", ["x", "y", "logits"])
def test_a_golden_request_without_an_input_is_named(replayed: Any, name: str) -> None:
    with pytest.raises(BundleError, match=rf"golden\.npz: has no '{name}', which scorer\.onnx"):
        replayed(Graph(), **{name: None})


def test_what_the_graph_cannot_take_is_one_sentence(tmp_path: Path) -> None:
    def run(names: list[str], feed: dict[str, Any]) -> Any:
        raise RuntimeError("bad\n  shape " + "x" * 300)

    with pytest.raises(BundleError) as error:
        score(SimpleNamespace(run=run), tmp_path, {})
    reason = "bad shape " + "x" * 190
    assert str(error.value) == (
        f"{tmp_path / 'scorer.onnx'}: cannot score what the bundle encodes ({reason}); export again"
    )


class Options:
    intra_op_num_threads = inter_op_num_threads = log_severity_level = -1


def test_a_session_has_one_thread_and_says_errors_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def session(path: str, options: Options, providers: list[str]) -> Any:
        if Path(path).parent.name == "broken":
            raise RuntimeError("\nfirst line\nsecond line")
        return path, options, providers

    runtime = SimpleNamespace(SessionOptions=Options, InferenceSession=session)
    monkeypatch.setitem(sys.modules, "onnxruntime", runtime)
    path, options, providers = load_session(tmp_path)
    assert (path, providers) == (str(tmp_path / "scorer.onnx"), ["CPUExecutionProvider"])
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (1, 1)
    assert options.log_severity_level == 3
    with pytest.raises(BundleError, match=r"cannot load it \(first line\); export again$"):
        load_session(tmp_path / "broken")


@pytest.mark.parametrize("words", [["check.py"], ["check.py", "elsewhere"]])
def test_the_copy_in_a_bundle_ends_with_what_it_saw(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    folder = Path("elsewhere") if words[1:] else Path(opened.__file__).resolve().parent
    results: list[Any] = [{"passed": True}, {"passed": False}, BundleError("it is broken")]

    def planted(place: Path) -> Any:
        assert place == folder
        result = results.pop(0)
        if isinstance(result, BundleError):
            raise result
        return result

    monkeypatch.setattr(opened, "replay", planted)
    monkeypatch.setattr(sys, "argv", words)
    assert (main(), json.loads(capsys.readouterr().out)) == (0, {"passed": True})
    assert (main(), json.loads(capsys.readouterr().out)) == (4, {"passed": False})
    assert (main(), capsys.readouterr().err) == (3, "it is broken\n")
