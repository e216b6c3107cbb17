"""What two readings fit, or `prepare` refuses, is marked UNKNOWN by `init`, never guessed."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from fusefront.datasets.errors import DataContractError, SpecError
from fusefront.datasets.prepare import prepare
from fusefront.datasets.propose import draft
from fusefront.datasets.spec import load_spec
from fusefront.harness.cli.app import register

ROWS, USERS, ITEMS = 1200, 30, 25
START = 1_650_000_000
Case = tuple[dict[str, str], dict[str, str]]  # place -> words of the reason; key: UNKNOWN -> answer


def base() -> dict[str, list[int]]:
    draw = np.random.default_rng(0)
    return {
        "user_id": draw.integers(1, USERS + 1, ROWS).tolist(),
        "item_id": draw.integers(0, ITEMS, ROWS).tolist(),
        "label": draw.integers(0, 2, ROWS).tolist(),
        "ts": [START + 37 * k for k in range(ROWS)],
    }


def write(folder: Path, log: dict[str, list[int]], **more: object) -> None:
    pl.DataFrame(log | more).write_csv(folder / "log.csv")
    keys = list(range(ITEMS))
    pl.DataFrame({"item_id": keys, "kind": [str(k % 3) for k in keys]}).write_csv(
        folder / "items.csv"
    )


def months(folder: Path) -> Case:
    """clicks_jan.csv and clicks_feb.csv: parts of one log, or two logs."""
    write(folder, base())
    log = pl.read_csv(folder / "log.csv")
    (folder / "log.csv").unlink()
    log[:700].write_csv(folder / "clicks_jan.csv")
    log[700:].write_csv(folder / "clicks_feb.csv")
    answer = {"path: UNKNOWN": 'path: ["clicks_jan.csv", "clicks_feb.csv"]'}
    return {"interactions": "clicks_feb.csv, clicks_jan.csv have the same columns"}, answer


def no_valid_file(folder: Path) -> Case:
    write(folder, base())
    log = pl.read_csv(folder / "log.csv")
    (folder / "log.csv").unlink()
    log[:700].write_csv(folder / "my_train.csv")
    log[700:].write_csv(folder / "my_test.csv")
    log[1000:].write_csv(folder / "later.csv")
    return {"interactions": "no file of valid rows"}, {"valid: UNKNOWN": 'valid: "later.csv"'}


def two_items(folder: Path) -> Case:
    log = base()
    write(folder, log)
    (folder / "items.csv").unlink()
    names = {"video_id": log["item_id"], "ad_id": log["item_id"][::-1]}
    frame = pl.DataFrame({key: log[key] for key in ("user_id", "label", "ts")} | names)
    frame.write_csv(folder / "log.csv")
    return {"columns": "'video_id', 'ad_id' may each be the item"}, {"item: UNKNOWN": "item: ad_id"}


def headerless(folder: Path) -> Case:
    """Numbers without a header: c1 and c2 repeat, and nothing tells which is the user."""
    log = base()
    rows = zip(log["user_id"], log["item_id"], log["label"], log["ts"], strict=True)
    lines = ["\t".join(map(str, row)) for row in rows]
    (folder / "events.txt").write_text("\n".join(lines), encoding="utf-8")
    answer = {"user: UNKNOWN": "user: c1", "item: UNKNOWN": "item: c2"}
    return {"columns": "no header line, and 'c1', 'c2' hold keys"}, answer


def events(folder: Path) -> Case:
    kinds = [["view", "view", "cart", "buy"][k % 4] for k in range(ROWS)]
    log = base()
    del log["label"]
    write(folder, log, event_type=kinds, value=[k % 4 for k in range(ROWS)])
    return {"label": "'event_type' holds 'view' 50%, 'cart' 25%, 'buy' 25%"}, {}


def one_and_two(folder: Path) -> Case:
    log = base()
    log["label"] = [value + 1 for value in log["label"]]
    write(folder, log)
    answer = {"positive_when: UNKNOWN": 'positive_when: "== 1"'}
    return {"label": "'label' holds"}, answer


def two_labels(folder: Path) -> Case:
    log = base()
    write(folder, log, click=log["label"][::-1])
    return {"columns": "'label' and 'click' may each be the label"}, {
        "label: UNKNOWN": "label: click"
    }


def two_times(folder: Path) -> Case:
    log = base()
    write(folder, log, event_time=[t + (k * 7919) % 90_000 for k, t in enumerate(log["ts"])])
    return {"columns": "may each be the row's own time"}, {"timestamp: UNKNOWN": "timestamp: ts"}


def either_day(folder: Path) -> Case:
    """Days and months up to 12 only."""
    log = base()
    start = datetime(2021, 3, 1)
    times = [start + timedelta(days=31 * (k % 4), minutes=k) for k in range(ROWS)]
    del log["ts"]
    write(folder, log, ts=[t.strftime("%d/%m/%Y %H:%M") for t in times])
    answer = {"time_format: UNKNOWN": 'time_format: "%d/%m/%Y %H:%M"'}
    return {"columns": "no row tells whether the day or the month comes first"}, answer


def half_in_milliseconds(folder: Path) -> Case:
    log = base()
    log["ts"] = [t * (1000 if u % 2 else 1) for t, u in zip(log["ts"], log["user_id"], strict=True)]
    write(folder, log)
    return {"columns": "write all times in one unit"}, {}


def numbered_split(folder: Path) -> Case:
    write(folder, base(), x_label=[0 if k < 900 else 1 + k % 2 for k in range(ROWS)])
    answer = {"split: UNKNOWN": "split: {by: time}"}
    return {"split": "'x_label' holds 0, 1, 2 and may tell the split"}, answer


def no_valid_rows(folder: Path) -> Case:
    write(folder, base(), part=["train" if k < 900 else "test" for k in range(ROWS)])
    return {"split": "'part' has no valid rows"}, {"split: UNKNOWN": "split: {by: time}"}


def zero_either(folder: Path) -> Case:
    """0 fills histories at the start, stands between others too, and is an item."""
    log, draw = base(), np.random.default_rng(3)
    real = [draw.integers(0, ITEMS, n).tolist() for n in draw.integers(0, 9, ROWS)]
    text = [" ".join(map(str, [0] * (8 - len(row)) + row)) for row in real]
    write(folder, log, hist=text)
    return {"history": "0 stands at the start of"}, {"padding: UNKNOWN": "padding: 0"}


def ragged_zeros(folder: Path) -> Case:
    """Lists of any length with 0, which is no item."""
    log, draw = base(), np.random.default_rng(3)
    log["item_id"] = [max(1, k) for k in log["item_id"]]
    real = [draw.integers(0, ITEMS, n).tolist() for n in draw.integers(1, 9, ROWS)]
    write(folder, log, hist=[" ".join(map(str, row)) for row in real])
    items = pl.read_csv(folder / "items.csv").filter(pl.col("item_id") > 0)
    items.write_csv(folder / "items.csv")
    return {"history": "'0', which is no item"}, {"history: UNKNOWN": "history: {from: log}"}


def number_lists(folder: Path) -> Case:
    """Lists of numbers that may be items, under a name that says nothing."""
    draw = np.random.default_rng(3)
    lists = [" ".join(map(str, draw.integers(0, ITEMS, 4).tolist())) for _ in range(ROWS)]
    write(folder, base(), tokens=lists)
    return {"history": "'tokens' holds lists of numbers"}, {
        "history: UNKNOWN": "history: {from: log}"
    }


def many_unknown_items(folder: Path) -> Case:
    write(folder, base())
    items = pl.read_csv(folder / "items.csv")
    items[: ITEMS - 6].write_csv(folder / "items.csv")
    return {"items": "rows of the log have an item that is not in"}, {
        "unknown: UNKNOWN": "unknown: drop"
    }


def items_in_parts_that_disagree(folder: Path) -> Case:
    write(folder, base())
    (folder / "items.csv").unlink()
    pl.DataFrame({"item_id": range(10)}).write_parquet(folder / "items_0.parquet")
    words = [str(k) for k in range(10, ITEMS)]
    pl.DataFrame({"item_id": words}).write_parquet(folder / "items_1.parquet")
    return {
        "items": "items_1.parquet, column 'item_id', row 0: item keys are text, those of items_0"
    }, {}


CASES = (
    months,
    no_valid_file,
    two_items,
    headerless,
    events,
    one_and_two,
    two_labels,
    two_times,
    either_day,
    half_in_milliseconds,
    numbered_split,
    no_valid_rows,
    zero_either,
    ragged_zeros,
    number_lists,
    many_unknown_items,
    items_in_parts_that_disagree,
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_two_readings_are_marked_and_refused_until_one_is_written(
    tmp_path: Path, case: Callable[[Path], Case]
) -> None:
    folder, spec = tmp_path / "data", tmp_path / "spec.yaml"
    folder.mkdir()
    reasons, answers = case(folder)
    proposal = draft([folder])
    text, unknown = proposal.text(), proposal.unknown()
    assert set(unknown) == set(reasons), text
    for place, words in reasons.items():
        assert words in unknown[place], unknown[place]
        assert f"# UNKNOWN: {unknown[place]}" in text
        assert "\n" not in unknown[place]
        assert str(tmp_path) not in unknown[place]
    spec.write_text(text, encoding="utf-8")
    with pytest.raises(SpecError, match=r"line \d+: '\w+' is UNKNOWN"):
        load_spec(spec)
    for mark, answer in answers.items():
        assert mark in text, text
        text = text.replace(mark, answer, 1)
    if answers:
        spec.write_text(text, encoding="utf-8")
        assert prepare(load_spec(spec), folder, tmp_path / "out").manifest.counts["test"].rows > 0


def test_optional_parts_that_prepare_refuses_become_comments(tmp_path: Path) -> None:
    """A number with infinite values far down, users without keys, vectors of other keys."""
    folder = tmp_path / "data"
    folder.mkdir()
    price = [float("inf") if k == 1000 else k * 0.37 for k in range(ROWS)]
    write(folder, base(), price=price)
    users = pl.DataFrame({"user_id": range(1, USERS + 1), "age": ["7", "x", *["8"] * (USERS - 2)]})
    users.write_csv(folder / "users.csv")
    np.save(folder / "image.npy", np.ones((5, 3), np.float32))
    np.save(folder / "image_ids.npy", np.arange(900, 905))
    proposal = draft([folder])
    left_out = proposal.left_out()
    assert set(left_out) == {"candidate_fields.0", "modalities.image"}
    assert "got inf" in left_out["candidate_fields.0"]
    assert "no item has a vector" in left_out["modalities.image"]
    assert not proposal.unknown()
    text = proposal.text()
    assert "# - {column: UNKNOWN, type: number}  # UNKNOWN: log.csv" in text
    assert "Tried: prepare takes the files" in text
    (tmp_path / "spec.yaml").write_text(text, encoding="utf-8")
    store = prepare(load_spec(tmp_path / "spec.yaml"), folder, tmp_path / "out")
    assert "price" not in store.manifest.schema_.candidate_numbers
    assert [f.name for f in store.manifest.schema_.request_fields] == ["age"]


def test_arrays_that_cannot_be_read_are_one_sentence_each(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    write(folder, base())
    (folder / "items.csv").unlink()
    np.save(folder / "objects.npy", np.array([{"a": 1}, None]), allow_pickle=True)
    np.save(folder / "whole.npy", np.ones((50, 8), np.float32))
    whole = (folder / "whole.npy").read_bytes()
    (folder / "cut.npy").write_bytes(whole[:-700])
    (folder / "head.npy").write_bytes(whole[:40])
    (folder / "zip.npy").write_bytes(b"PK\x03\x04" + b"\0" * 60)
    (folder / "open.npy").write_bytes(b"\x93NUMPY\x01\x00\x10\x00((((((((((((((((")
    np.save(folder / "flat.npy", np.ones(7))
    (folder / "whole.npy").unlink()
    proposal = draft([folder])
    lines = [line for line in proposal.text().splitlines() if ".npy" in line]
    for name in ("objects", "cut", "head", "zip", "open", "flat"):
        assert len([line for line in lines if line.startswith(f"# {name}.npy: ")]) == 1, lines
    assert not proposal.unknown()


@pytest.mark.parametrize("shape", ["one row more", "other order", "no table"])
def test_rows_that_may_be_of_other_items_are_marked(tmp_path: Path, shape: str) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    write(folder, base())
    rows = ITEMS + 1 if shape == "one row more" else ITEMS
    if shape == "other order":
        pl.DataFrame({"item_id": list(range(ITEMS))[::-1]}).write_csv(folder / "items.csv")
    if shape == "no table":
        log = pl.read_csv(folder / "log.csv").with_columns(pl.col("item_id") * 10)
        log.write_csv(folder / "log.csv")
        (folder / "items.csv").unlink()
    np.save(folder / "text.npy", np.random.default_rng(0).random((rows, 3)))
    proposal = draft([folder])
    words = {
        "one row more": "is row 0 no item",
        "other order": "is row k the item in line k of items.csv, or the one with the key k",
        "no table": "which row is which item",
    }
    assert words[shape] in proposal.left_out()["modalities.text"]
    assert "# text: {" in proposal.text()


def test_files_that_are_not_read_are_named_with_the_reason(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    write(folder, base())
    (folder / "notes.txt").write_text("about these files\n", encoding="utf-8")
    (folder / "old.csv.gz").write_bytes(b"\x1f\x8b")
    (folder / "model.pt").write_bytes(b"PK")
    (folder / "latin.csv").write_bytes("user,ort\n1,Zürich\n".encode("latin-1") * 9)
    (folder / "ratings.dat").write_text("1::2::3\n" * 9, encoding="utf-8")
    (folder / "broken.parquet").write_bytes(b"PAR1")
    pl.DataFrame({"day": [1, 2], "sales": [3, 4]}).write_csv(folder / "sales.csv")
    lines = draft([folder]).text().splitlines()
    for name, words in {
        "notes.txt": "no table",
        "old.csv.gz": "packed",
        "model.pt": "not read",
        "latin.csv": "not UTF-8",
        "ratings.dat": "'::' between the values",
        "broken.parquet": "not a readable parquet",
        "sales.csv": "neither users nor items",
    }.items():
        own = [line for line in lines if line.startswith(f"# {name}: ")]
        assert len(own) == 1, lines
        assert words in own[0]


def test_the_verb_says_what_is_unknown_and_still_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    either_day(folder)
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(register(), ["init", "data"])
    assert result.exit_code == 0, result.output
    output = " ".join(result.output.split())
    assert "UNKNOWN, columns:" in output
    assert "write what is UNKNOWN in dataset.yaml, then: fusefront run" in output
    assert Path("study.yaml").is_file()
    with pytest.raises(SpecError, match=r"dataset\.yaml: line \d+: 'time_format' is UNKNOWN"):
        load_spec(Path("dataset.yaml"))


def test_parts_of_which_some_lack_the_header_are_refused(tmp_path: Path) -> None:
    """What `split -l` makes: the header stands in the first part only."""
    write(tmp_path, base())
    lines = (tmp_path / "log.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    (tmp_path / "log.csv").unlink()
    for part in range(3):
        chunk = lines[part * 400 : (part + 1) * 400]
        (tmp_path / f"log_{part}.csv").write_text("".join(chunk), encoding="utf-8")
    with pytest.raises(DataContractError, match=r"log_1\.csv: no header line, where log_0\.csv"):
        draft([tmp_path])


@pytest.mark.parametrize("name", ["created_at", "updated"])
def test_a_time_that_may_be_of_the_record_is_marked(tmp_path: Path, name: str) -> None:
    log = base()
    times = log.pop("ts")
    write(tmp_path, log, **{name: times})
    proposal = draft([tmp_path])
    assert proposal.unknown() == {"columns": f"is the row's own time one of '{name}'?"}
    assert "# Tried: prepare takes the files" in proposal.text()


def test_numbers_that_lie_where_times_would_are_no_times(tmp_path: Path) -> None:
    """Ten-digit ids, spread or named as ids; a click's own time is missing where there is none."""
    log = base()
    draw = np.random.default_rng(1)
    music = (989_206_467 + draw.integers(0, 900, ROWS)).tolist()
    device = draw.integers(700_000_000, 4_000_000_000, ROWS).tolist()
    times = log.pop("ts")
    clicks = [t if y else None for t, y in zip(times, log["label"], strict=True)]
    write(tmp_path, log, music_id=music, device=device)
    text = draft([tmp_path]).text()
    assert 'timestamp: "' not in text
    write(tmp_path, log, click_time=clicks, log_time=times)
    text = draft([tmp_path]).text()
    assert 'timestamp: "log_time"' in text
    assert '{column: "click_time"' not in text


def test_folders_within_folders_are_named(tmp_path: Path) -> None:
    write(tmp_path, base())
    (tmp_path / "more" / "deep").mkdir(parents=True)
    (tmp_path / "out" / "prepared" / "x" / "y").mkdir(parents=True)
    text = draft([tmp_path]).text()
    assert "# more/deep/: a folder in a folder; not looked into" in text
