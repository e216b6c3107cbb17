"""Every sentence of the audit agrees with its numbers, on 200 stores of random content."""

import math
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from fusefront.datasets.audit.finding import Finding, percent
from fusefront.datasets.audit.labels import say_rates
from fusefront.datasets.audit.report import CHECKS, audit
from fusefront.datasets.losses import Loss
from fusefront.datasets.manifest import Manifest, SplitCounts, StoredField, StoredSchema
from fusefront.datasets.store import ItemStore, PreparedDataset, Split

SPLITS = ("train", "valid", "test")


class Drawn(PreparedDataset):
    """A store in memory, its columns drawn at random."""

    parts: Mapping[str, Split]
    things: ItemStore
    values: np.ndarray

    def split(self, name: str) -> Split:
        return self.parts[name]

    @property
    def items(self) -> ItemStore:  # type: ignore[override]
        return self.things

    @property
    def history_values(self) -> np.ndarray:  # type: ignore[override]
        return self.values

    def vocabulary(self, side: str, field: str) -> pl.DataFrame:
        return pl.DataFrame({"code": [1, 2, 3], "value": ["a", "b", "c"]})


def drawn_store(seed: int) -> Drawn:
    """Rates, users, times, histories, presence, fields and losses of every size."""
    random = np.random.default_rng(seed)
    items = int(random.integers(20, 120))
    timed, longest = bool(random.random() < 0.7), int(random.choice([0, 8]))
    values = random.integers(1, items + 1, 200).astype(np.int32)
    parts = {name: drawn_split(random, items, longest, timed=timed) for name in SPLITS}
    counts = {
        name: SplitCounts(
            requests=len(part.group),
            rows=len(part.item),
            positives=int(part.label.sum()),
            groups=len(np.unique(part.group)),
        )
        for name, part in parts.items()
    }
    present = np.ones((items + 1, 1), bool)
    present[1:, 0] = random.random(items) > random.choice([0.0, 0.3, 0.6])
    present[0] = False
    present[1:4] = True
    train = parts["train"]
    things = ItemStore(
        {"text": drawn_vectors(random, items) * present},
        {},
        present,
        random.integers(0, 4, (items + 1, 1)).astype(np.int32),
        np.zeros((items + 1, 0), np.float32),
        np.bincount(train.item, minlength=items + 1),
        np.bincount(train.item, train.label, items + 1).astype(np.int64),
        np.bincount(train.item, minlength=items + 1) > 0,
    )
    field = StoredField(name="c", size=4)
    manifest = Manifest(
        name="drawn",
        fingerprint=f"{seed:016x}",
        schema=StoredSchema(
            items=items,
            modalities={"text": things.vectors["text"].shape[1]},
            item_fields=(field,),
            candidate_fields=(field,),
            candidate_numbers=("n",),
            max_history=longest,
        ),
        counts=counts,
        history_values=len(values),
        files={},
        drawn=int(random.choice([0, 0, 0, 4])),
        timestamps=timed,
        split_by=str(random.choice(["time", "user", "given", "item_cold", "random"])),
        losses={
            f"{kind}.k{k}": Loss(count=int(random.integers(0, 500)), of=500, what="things are gone")
            for k, kind in enumerate(("rows", "history", "candidate.c"))
        },
    )
    store = Drawn(Path("nowhere"), manifest)
    for name, value in {"parts": parts, "things": things, "values": values}.items():
        object.__setattr__(store, name, value)
    return store


def drawn_split(random: np.random.Generator, items: int, longest: int, *, timed: bool) -> Split:
    requests = int(random.integers(20, 150))
    sizes = random.integers(1, 4, requests)
    rows = int(sizes.sum())
    label = (random.random(rows) < random.choice([0.05, 0.3, 0.5, 0.65])).astype(np.uint8)
    label[:2] = 0, 1
    group = random.integers(-1, int(random.choice([4, 40, 400])), requests)
    length = random.integers(0, longest + 1, requests).astype(np.int32)
    start = random.integers(0, 200 - longest, requests)
    times = 1_600_000_000 + random.integers(0, 10**6, rows)
    times = np.where(random.random(rows) < random.choice([0.0, 0.1]), 0, times)
    times = times // int(random.choice([1, 1, 128])) * int(random.choice([1, 128, 1000]))
    codes = random.integers(0, 4, (rows, 1)).astype(np.int32)
    codes[random.random(rows) < random.choice([0.0, 0.9])] = 0
    numbers = random.standard_normal((rows, 1)) + random.choice([0.0, 3.0]) * label[:, None]
    return Split(
        start,
        length,
        np.append(0, np.cumsum(sizes)),
        group,
        np.zeros((requests, 0), np.int32),
        np.zeros((requests, 0), np.float32),
        random.integers(1, items + 1, rows).astype(np.int32),
        label,
        np.arange(rows),
        times if timed else None,
        codes,
        numbers.astype(np.float32),
        None,
        {},
    )


def drawn_vectors(random: np.random.Generator, items: int) -> np.ndarray:
    vectors = random.standard_normal((items + 1, 6)).astype(np.float32)
    vectors[:, :2] *= random.choice([1.0, 1000.0])
    vectors[:, 3:4] = vectors[:1, 3:4] if random.random() < 0.3 else vectors[:, 3:4]
    if random.random() < 0.3:
        vectors[5:9] = vectors[1:5]
    return vectors


def words_of(finding: Finding) -> str:
    return f"{finding.title} {finding.detail}"


def numbers_of(finding: Finding) -> list[float]:
    return [float(value) for value in finding.numbers.values() if not isinstance(value, str)]


def check_sentence(finding: Finding) -> None:
    """Every share, AUC and count of a text is among the finding's numbers."""
    numbers, text = numbers_of(finding), words_of(finding)
    shares = {percent(value) for value in numbers}
    for share in re.findall(r"[\d.e-]+ %", text):
        assert share in shares, (finding.name, share, finding.numbers, text)
    digits = {f"{abs(value):.3f}" for value in numbers}
    for value in re.findall(r"\b0\.\d{3}\b", text):
        assert value in digits, (finding.name, value, finding.numbers, text)
    assert text.count("nan") == 0
    assert finding.title.endswith(".")
    assert finding.detail.endswith((".", ".]"))


def check_claims(finding: Finding, store: PreparedDataset) -> None:
    """What a sentence claims beside its numbers, made anew from the store."""
    numbers, text = finding.numbers, words_of(finding)
    if finding.name == "label_rate":
        counts = store.manifest.counts
        check_rates(finding, {n: (counts[n].positives, counts[n].rows) for n in SPLITS})
        assert ("of the draw" in text) == bool(store.manifest.drawn)
    if finding.name == "missing.text" and "more of the" in finding.detail:
        rows = {name: float(str(numbers[f"{name}_rows"])) for name in SPLITS}
        most, least = re.findall(r"of the (\w+) rows", finding.detail)
        assert rows[most] == max(rows.values())
        assert rows[least] == min(rows.values())
    if finding.name == "heavy_user":
        shares = {name: float(str(numbers[f"{name}_share"])) for name in SPLITS}
        (worst,) = re.findall(r"% of (\w+) hang", finding.detail)
        assert shares[worst] == max(shares.values())
    if finding.name == "label_drift":
        assert float(str(numbers["lowest"])) < float(str(numbers["highest"]))


def check_rates(finding: Finding, counts: dict[str, tuple[int, int]]) -> None:
    """The sentence on label rates, against the two rates that differ most."""
    rates = {name: clicks / rows for name, (clicks, rows) in counts.items()}
    shown = dict(re.findall(r"(\w+) ([\d.e-]+ %)", finding.title))
    assert shown == {name: percent(rate) for name, rate in rates.items()}
    low, high = sorted(rates.values())[:: len(rates) - 1]
    ends = [next(k for k, rate in rates.items() if rate == end) for end in (high, low)]
    (a, m), (b, n) = (counts[name] for name in ends)
    pooled = (a + b) / (m + n)
    error = math.sqrt(pooled * (1 - pooled) * (1 / m + 1 / n))
    z = (high - low) / error if error else 0.0
    if "of the draw" in finding.detail:
        assert finding.severity == "note"
        return
    if "no more than by chance" in finding.detail:
        assert z <= 2
    elif "chance may just give" in finding.detail:
        assert 2 < z <= 5
    elif "more than chance" in finding.detail:
        assert z > 5
        assert high <= 1.25 * low
    else:
        assert "different populations" in finding.detail
        assert z > 5
        assert high > 1.25 * low
    assert (finding.severity == "warning") == ("different populations" in finding.detail)
    assert "agree" not in words_of(finding)
    if z > 2:
        assert f"{100 * (high - low):.2g} points" in finding.detail
        assert all(name in finding.detail for name in ends)


@pytest.mark.parametrize("block", range(10))
def test_sentences_of_200_random_stores_agree_with_their_numbers(block: int) -> None:
    kinds: set[str] = set()
    for seed in range(20 * block, 20 * block + 20):
        store = drawn_store(seed)
        for finding in audit(store).findings:
            check_sentence(finding)
            check_claims(finding, store)
            kinds.add(finding.name.split(".")[0])
    assert len(kinds) > 12


@pytest.mark.parametrize("seed", range(200))
def test_label_rates_say_what_they_are(seed: int) -> None:
    random = np.random.default_rng(seed)
    base = random.uniform(0.01, 0.7)
    counts = {}
    for name in SPLITS:
        rows = int(10 ** random.uniform(1.5, 6))
        rate = base * (1 + random.choice([0.0, 0.02, 0.2, 0.5]) * random.random())
        counts[name] = (int(random.binomial(rows, min(rate, 0.99))), rows)
    check_rates(say_rates(counts), counts)
    check_sentence(say_rates(counts))


def test_rates_that_differ_are_not_said_to_agree() -> None:
    counts = {"train": (5490, 10_000), "valid": (1884, 3_000), "test": (2055, 3_000)}
    finding = say_rates(counts)
    assert finding.title == "Label rate: train 54.9 %, valid 62.8 %, test 68.5 %."
    assert finding.detail == (
        "test clicks more than train by 14 points, which is more than chance: calibration learned "
        "on train will be off by about so much."
    )
    assert finding.numbers["gap"] == pytest.approx(0.136)
    assert set(CHECKS) >= {"label rate", "counted by prepare", "users that are none"}
