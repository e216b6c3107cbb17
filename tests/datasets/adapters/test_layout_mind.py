"""MIND, written exactly as published (no headers, quotes in titles, empty cells), against the
store."""

import json
from collections import defaultdict
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from fusefront.datasets.adapters.zoo import propose_layout
from fusefront.datasets.errors import DataContractError
from fusefront.datasets.prepare import prepare

NEWS, WIDTH = 30, 6
Impression = tuple[int, str, datetime, list[str], list[tuple[str, int]]]


def entities(*names: str) -> str:
    keys = {"Label": 'The "Big" One', "Type": "P", "Confidence": 1.0, "OccurrenceOffsets": [0]}
    return json.dumps([{**keys, "WikidataId": name, "SurfaceForms": [name]} for name in names])


def news_cells(number: int) -> list[str]:
    """id, category, subcategory, title, abstract, url, title entities, abstract entities."""
    title = [f'"Quote {number}', f"O'Neil, {number}", f'He said "no" {number}'][number % 3]
    return [
        f"N{number}",
        ["sports", "news", "lifestyle"][number % 3],
        f"sub{number % 7}",
        title,
        "" if number % 4 == 0 else f"abstract {number} “curly”",
        f"https://assets.msn.com/labs/mind/{number}.html",
        "[]" if number % 5 == 0 else entities(f"Q{number}", "Q1"),
        "" if number == 8 else entities(*(["Q999999"] if number % 2 else [f"Q{number + 1}"])),
    ]


def write_part(
    folder: Path, numbers: list[int], shown: list[Impression], vectors: dict[str, list[float]]
) -> None:
    folder.mkdir(parents=True)
    lines = ["\t".join(news_cells(number)) for number in numbers]
    (folder / "news.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    rows = []
    for key, user, time, history, items in shown:
        clock = f"{time.month}/{time.day}/{time.year} {time.hour % 12 or 12}:{time:%M:%S %p}"
        pairs = " ".join(f"{item}-{label}" for item, label in items)
        rows.append("\t".join([str(key), user, clock, " ".join(history), pairs]))
    (folder / "behaviors.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    lines = ["\t".join([name, *map(str, vector), ""]) for name, vector in vectors.items()]
    (folder / "entity_embedding.vec").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "relation_embedding.vec").write_text("P31\t0.5\t\n", encoding="utf-8")


def impressions(rng, start: datetime, hours: int, numbers: list[int], count: int):
    log: list[Impression] = []
    for key in range(1, count + 1):
        user = f"U{rng.integers(1, 12)}"
        time = start + timedelta(seconds=int(rng.integers(0, hours * 3600)))
        history = [f"N{n}" for n in rng.choice(numbers, rng.integers(0, 8))]
        items = [f"N{n}" for n in rng.choice(numbers, rng.integers(1, 9), replace=False)]
        clicked = rng.integers(0, len(items))
        log.append(
            (key, user, time, history, [(n, int(k == clicked)) for k, n in enumerate(items)])
        )
    return log


def write_mind(folder: Path) -> dict[str, object]:
    rng = np.random.default_rng(5)
    vectors = {f"Q{n}": [round(float(v), 6) for v in rng.normal(size=WIDTH)] for n in range(1, 25)}
    train = impressions(rng, datetime(2019, 11, 9), 6 * 24, list(range(1, 25)), 120)
    dev = impressions(rng, datetime(2019, 11, 15), 24, list(range(10, NEWS)), 40)
    first = {name: vectors[name] for name in list(vectors)[:15]}
    second = {name: vectors[name] for name in list(vectors)[5:]}
    write_part(folder / "MINDsmall_train", list(range(1, 25)), train, first)
    write_part(folder / "MINDsmall_dev", list(range(10, NEWS)), dev, second)
    return {"train": train, "dev": dev, "vectors": vectors}


def test_impressions_are_requests_with_their_histories(tmp_path, readback) -> None:
    source = write_mind(tmp_path / "m")
    spec = propose_layout("mind", tmp_path / "m")
    assert spec.name == "mindsmall"
    back = readback(prepare(spec, tmp_path / "m", tmp_path / "out"))
    last = max(time for _, _, time, _, _ in source["train"]).date()
    expected = []
    for part in ("train", "dev"):
        for key, user, time, history, items in source[part]:
            split = "test" if part == "dev" else "valid" if time.date() == last else "train"
            moment = round((time - datetime(1970, 1, 1)).total_seconds() * 1000)
            for item, label in items:
                expected.append(((part, key), user, split, moment, tuple(history), item, label))
    assert len(back.rows) == len(expected)
    requests, people = defaultdict(set), defaultdict(set)
    for stored, row in zip(back.rows, expected, strict=True):
        name, user, split, moment, history, item, label = row
        assert (stored.split, stored.time) == (split, moment)
        assert (stored.history, stored.item, stored.label) == (history, item, label)
        requests[stored.split, stored.request].add(name)
        people[stored.user].add(user)
    assert all(len(names) == 1 for names in [*requests.values(), *people.values()])
    assert len(requests) == len(source["train"]) + len(source["dev"])
    assert len(people) == len({user for _, user, _, _, _, _, _ in expected})


def test_news_of_both_parts_have_fields_and_the_mean_of_their_entities(tmp_path, readback) -> None:
    source = write_mind(tmp_path / "m")
    back = readback(prepare(propose_layout("mind", tmp_path / "m"), tmp_path / "m", tmp_path))
    assert set(back.items) == {f"N{n}" for n in range(1, NEWS)}
    trained = {i for _, _, t, h, items in source["train"] for i in [*h, *(n for n, _ in items)]}
    for number in range(1, NEWS):
        cells = news_cells(number)
        if f"N{number}" in trained:
            assert back.items[f"N{number}"] == {"category": cells[1], "subcategory": cells[2]}
        entities = [e["WikidataId"] for cell in cells[6:] for e in json.loads(cell or "[]")]
        known = [
            source["vectors"][name] for name in dict.fromkeys(entities) if name in source["vectors"]
        ]
        if not known:
            assert f"N{number}" not in back.vectors["entities"]
            continue
        mean = [sum(column) / len(known) for column in zip(*known, strict=True)]
        assert back.vectors["entities"][f"N{number}"] == pytest.approx(mean, abs=1e-6)
    assert 0 < len(back.vectors["entities"]) < NEWS - 1


def test_one_part_alone_is_split_by_time(tmp_path, readback) -> None:
    source = write_mind(tmp_path / "m")
    only = tmp_path / "m" / "MINDsmall_train"
    back = readback(prepare(propose_layout("mind", only), only, tmp_path))
    assert len(back.rows) == sum(len(items) for _, _, _, _, items in source["train"])
    assert all(
        row.split == "test" for row in back.rows if row.time >= max(r.time for r in back.rows)
    )


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("behaviors.tsv", "1\tU1\t11/13/2019 8:36:57 AM\t\tN1 N2\n", "item 'N1', expected times"),
        ("behaviors.tsv", "1\tU1\t2019-11-13 08:36:57\t\tN1-0 N2-1\n", "no time 'MM/DD/YYYY"),
        ("news.tsv", "N1\tsports\tgolf\ttitle\n", "row 0: 4 columns, expected the 8"),
        ("news.tsv", "N1\ta\tb\tc\td\te\t{\t[]\n", "row 0: entities are not a json list"),
        ("entity_embedding.vec", "Q1\t0.1\tx\t\n", "row 0: could not convert string to float"),
        ("entity_embedding.vec", "Q1\t0.1\t0.2\t\nQ2\t0.1\t\n", "row 1: 1 numbers, the rows"),
    ],
)
def test_a_damaged_file_is_one_sentence(name, text, sentence, tmp_path) -> None:
    write_mind(tmp_path / "m")
    (tmp_path / "m" / "MINDsmall_train" / name).write_text(text)
    with pytest.raises(DataContractError, match=sentence) as refusal:
        propose_layout("mind", tmp_path / "m")
    assert "\n" not in str(refusal.value)
    assert "download it again" in str(refusal.value)


def test_folders_without_a_train_part_or_with_two_are_refused(tmp_path) -> None:
    write_mind(tmp_path / "m")
    (tmp_path / "m" / "MINDsmall_train").rename(tmp_path / "m" / "MINDsmall_test")
    with pytest.raises(DataContractError, match=r"are: MINDsmall_dev, MINDsmall_test; give the"):
        propose_layout("mind", tmp_path / "m")
