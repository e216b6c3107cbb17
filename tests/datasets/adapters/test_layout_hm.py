"""H&M's csv files, exactly as published (keys that begin with 0, empty cells), against the
store."""

import csv
from collections import defaultdict
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fusefront.datasets.adapters.hm import ITEM_FIELDS, USER_FIELDS
from fusefront.datasets.adapters.zoo import propose_layout
from fusefront.datasets.prepare import prepare
from fusefront.datasets.preparing.encoded import file_of

ARTICLES = [
    "article_id",
    "product_code",
    "prod_name",
    "product_type_no",
    "product_type_name",
    "product_group_name",
    "graphical_appearance_no",
    "graphical_appearance_name",
    "colour_group_code",
    "colour_group_name",
    "perceived_colour_value_id",
    "perceived_colour_value_name",
    "perceived_colour_master_id",
    "perceived_colour_master_name",
    "department_no",
    "department_name",
    "index_code",
    "index_name",
    "index_group_no",
    "index_group_name",
    "section_no",
    "section_name",
    "garment_group_no",
    "garment_group_name",
    "detail_desc",
]
CUSTOMERS = [
    "customer_id",
    "FN",
    "Active",
    "club_member_status",
    "fashion_news_frequency",
    "age",
    "postal_code",
]
TRANSACTIONS = ["t_dat", "customer_id", "article_id", "price", "sales_channel_id"]
ITEMS, PEOPLE, ROWS = 25, 14, 700
Row = dict[str, str]


def write_csv(path: Path, columns: list[str], rows: list[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.DictWriter(file, columns, lineterminator="\n")
        out.writeheader()
        out.writerows(rows)


def write_hm(folder: Path) -> dict[str, list[Row]]:
    rng = np.random.default_rng(4)
    folder.mkdir()
    articles = [
        dict.fromkeys(ARTICLES, "1")
        | {
            "article_id": f"0{108_775_015 + 7 * n}",
            "product_code": f"0{108_775 + n // 2}",
            "prod_name": 'Strap "top", (1)',
            "product_type_name": ["Vest top", "Bra"][n % 2],
            "index_name": ["Ladieswear", "Lingeries/Tights", "Menswear"][n % 3],
            "department_name": ["Jersey Basic", 'Denim "Trousers"', "UW, sport"][n % 3],
            "detail_desc": "" if n % 6 == 0 else f"Jersey top, {n},\nwith narrow shoulder straps.",
        }
        for n in range(ITEMS)
    ]
    people = [
        {
            "customer_id": f"{'00' if n % 2 else '9e'}{n:062x}",
            "FN": "" if n % 3 else "1.0",
            "Active": "" if n % 4 else "1.0",
            "club_member_status": ["ACTIVE", "PRE-CREATE", "LEFT CLUB", ""][n % 4],
            "fashion_news_frequency": ["NONE", "None", "Regularly", "Monthly", ""][n % 5],
            "age": "" if n == 3 else f"{20 + n}.0",
            "postal_code": f"{n:064x}",
        }
        for n in range(PEOPLE)
    ]
    days = sorted(rng.integers(0, 60, ROWS).tolist())
    rows = [
        {
            "t_dat": str(date(2018, 9, 20) + timedelta(days=day)),
            "customer_id": people[int(rng.integers(0, PEOPLE))]["customer_id"],
            "article_id": articles[int(ITEMS * rng.random() ** 2)]["article_id"],
            "price": repr(float(rng.random() / 10)),
            "sales_channel_id": str(int(rng.integers(1, 3))),
        }
        for day in days
    ]
    write_csv(folder / "articles.csv", ARTICLES, articles)
    write_csv(folder / "customers.csv", CUSTOMERS, people)
    write_csv(folder / "transactions_train.csv", TRANSACTIONS, rows)
    keys = np.array([article["article_id"] for article in articles])
    order = rng.permutation(ITEMS)[:-4]  # four articles have no picture
    np.save(folder / "image.npy", np.stack([np.full(3, n + 1.0, np.float32) for n in order]))
    np.save(folder / "image_ids.npy", keys[order])
    return {"log": rows, "people": people, "articles": articles}


def moment(row: Row) -> int:
    return round(
        (datetime.fromisoformat(row["t_dat"]) - datetime(1970, 1, 1)).total_seconds() * 1e3
    )


def test_purchases_customers_and_articles_are_the_source_s(tmp_path, readback) -> None:
    source = write_hm(tmp_path / "hm")
    back = readback(prepare(propose_layout("hm", tmp_path / "hm"), tmp_path / "hm", tmp_path))
    log = source["log"]
    times = sorted(moment(row) for row in log)
    low, high = times[int(ROWS * 0.8)], times[int(ROWS * 0.9)]
    people = {row["customer_id"]: row for row in source["people"]}
    train_values = {
        name: {people[row["customer_id"]][name] for row in log if moment(row) < low} - {""}
        for name in USER_FIELDS
    }
    codes = defaultdict(set)
    positives = [row for row in back.rows if row.label]
    assert [row.row for row in positives] == list(range(ROWS))
    for stored, row in zip(positives, log, strict=True):
        time, user = moment(row), row["customer_id"]
        assert stored.split == ("train" if time < low else "valid" if time < high else "test")
        assert (stored.item, stored.time) == (row["article_id"], time)
        codes[stored.user].add(user)
        earlier = [o["article_id"] for o in log if o["customer_id"] == user and moment(o) < time]
        assert stored.history == tuple(earlier[-50:])
        assert stored.of_request["sales_channel_id"] == row["sales_channel_id"]
        for name in USER_FIELDS:
            value = people[user][name]
            assert stored.of_request[name] == (value if value in train_values[name] else None), name
        if people[user]["age"]:
            assert stored.of_request["age"] == pytest.approx(float(people[user]["age"]))
    assert all(len(names) == 1 for names in codes.values())
    assert len(codes) == len({row["customer_id"] for row in log})


def test_articles_keep_their_keys_text_and_vectors(tmp_path, readback) -> None:
    source = write_hm(tmp_path / "hm")
    back = readback(prepare(propose_layout("hm", tmp_path / "hm"), tmp_path / "hm", tmp_path))
    train = {row.item for row in back.of("train")}
    assert list(back.items) == [article["article_id"] for article in source["articles"]]
    for article in source["articles"]:
        if article["article_id"] in train:
            expected = {name: article[name] or None for name in ITEM_FIELDS}
            assert back.items[article["article_id"]] == expected
    keys = np.load(tmp_path / "hm" / "image_ids.npy")
    vectors = np.load(tmp_path / "hm" / "image.npy")
    assert back.vectors["image"] == {
        str(key): tuple(vector.tolist()) for key, vector in zip(keys, vectors, strict=True)
    }


def test_drawn_articles_were_sold_before_and_never_bought_by_the_customer(tmp_path, readback):
    source = write_hm(tmp_path / "hm")
    back = readback(prepare(propose_layout("hm", tmp_path / "hm"), tmp_path / "hm", tmp_path))
    bought, first = defaultdict(set), {}
    for row in source["log"]:
        bought[row["customer_id"]].add(row["article_id"])
        first.setdefault(row["article_id"], moment(row))
    drawn = [row for row in back.rows if not row.label]
    for row in drawn:
        positive = source["log"][(row.row - ROWS) // 4]
        assert row.time == moment(positive)
        assert row.item not in bought[positive["customer_id"]]
        assert first[row.item] < row.time
    assert len(drawn) > ROWS  # customers who bought nearly everything leave little to draw


def test_without_vectors_the_published_pictures_and_texts_are_encoded(tmp_path) -> None:
    source = write_hm(tmp_path / "hm")
    for name in ("image.npy", "image_ids.npy"):
        (tmp_path / "hm" / name).unlink()
    assert set(propose_layout("hm", tmp_path / "hm").modalities) == {"text"}
    for article in source["articles"][:-4]:
        key = article["article_id"]
        path = tmp_path / "hm" / "images" / key[:3] / f"{key}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4), (10, 20, 30)).save(path)
    spec = propose_layout("hm", tmp_path / "hm")
    pattern = spec.modalities["image"].path
    assert isinstance(pattern, str)
    for article in source["articles"][:-4]:
        assert (tmp_path / "hm" / file_of(pattern, article["article_id"])).is_file()
    assert spec.modalities["text"].column == "detail_desc"
    assert file_of("a/{key:.2}/{key}-{other}.x", "0123") == "a/01/0123-{other}.x"
