"""Drawn studies as `compare` shows them: every interval of the terminal and of comparison.json is
read again, and each word and sentence held against it; the page has the same interval of a pair.

Nothing here is taken from the code that words a verdict (printed_ends.py has the table).
"""

import io
import json
import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from fusefront.harness.cli.show_comparison import comparison_parts
from fusefront.harness.dossier.inputs import pairs_of_comparison
from fusefront.harness.statistics import joint
from fusefront.harness.statistics.compare import compare
from fusefront.harness.statistics.comparison import Comparison
from fusefront.harness.statistics.options import Options
from fusefront.harness.statistics.rows import RowTable
from fusefront.harness.statistics.score_source import MemorySource, SliceCodes

from .printed_ends import ANY, BY, ends_of, word_of

FAST, SLOW = range(8), range(500)
WORDS = (
    f"better, {BY}", f"worse, {BY}", f"not worse {ANY}", f"not better {ANY}",
    "equivalent", "cannot tell", "no verdict", "baseline", "better", "worse",
)  # fmt: skip
HEADS = {"strategy  seeds": "verdicts", "way of fusing": "search", "strategy  slice": "slices"}


def study(seed: int) -> tuple[MemorySource, Options]:
    """One to six strategies with everything at random, and one corner or none."""
    rng = np.random.default_rng(seed)
    users, rows = int(rng.choice([8, 40, 150, 600])), int(rng.integers(3, 9))
    user = np.repeat(np.arange(users), rows)
    if rng.random() < 0.15:
        user = np.r_[user, np.zeros(len(user) // 2, int)]  # one user with a third of the rows
    truth = rng.normal(size=len(user))
    label = (rng.random(len(user)) < 1 / (1 + np.exp(1 - truth))).astype(np.uint8)
    table = RowTable(label, user, user * 9 + rng.integers(0, 2, len(user)),
                     rng.integers(0, 40, len(user)), np.arange(len(user)))  # fmt: skip
    size = int(rng.choice([1, 2, 3, 4, 6], p=[0.05, 0.3, 0.25, 0.25, 0.15]))
    spread, common = 10 ** rng.uniform(-2.5, -0.2), rng.normal(size=len(user))
    scores: dict[str, dict[int, np.ndarray]] = {}
    roles = {}
    for k in range(size):
        name, worth = f"s{k}", 1 + (spread * rng.normal() if k else 0)
        own = spread * rng.normal(size=len(user))
        mean, noise = worth * truth + common + own, 0.3 * spread
        scores[name] = {
            s: (mean + noise * rng.normal(size=len(user))).astype(np.float32)
            for s in range(1 if rng.random() < 0.08 else int(rng.integers(2, 5)))
        }
        roles[name] = "strategy" if k == 0 or rng.random() < 0.7 else "control"
    last = f"s{size - 1}"
    match int(rng.integers(0, 12)):
        case 0 if size > 1:
            scores[last] = dict(scores["s0"])  # the very same numbers
        case 1 if size > 1:
            scores[last] = {s: np.zeros(len(user), np.float32) for s in range(3)}
        case 2 if size > 1:
            scores[last] = {s: np.full(len(user), np.nan, np.float32) for s in range(2)}
        case 3:  # seeds that do not differ
            scores = {name: dict.fromkeys(of, of[0]) for name, of in scores.items()}
    slices = tuple(
        SliceCodes(f"part{n}", ("a", "b", "never"), (rng.random(len(user)) < share).astype(int))
        for n, share in enumerate(rng.choice([0.003, 0.3, 0.5], int(rng.integers(0, 3))))
    )
    trials = None
    if rng.random() < 0.5:
        trials = {
            name: list(0.7 + spread * 0.1 * rng.normal(size=int(rng.choice([2, 6, 12]))))
            for name in scores
            if rng.random() < 0.9
        }
    source = MemorySource(table, scores, roles, slices)
    return source, Options(
        "s0",
        cluster=str(rng.choice(["user", "request"])),
        metric=str(rng.choice(["auc", "logloss"], p=[0.75, 0.25])),
        metrics=("auc", "logloss"),
        margin=float(spread * 10 ** rng.uniform(-1.7, 0.3)),
        trials=trials,
        look=int(rng.choice([1, 2, 5], p=[0.7, 0.2, 0.1])),
        ranked=rng.random() > 0.1,
        workers=1,
    )


def printed(comparison: Comparison) -> list[str]:
    """The lines of a wide terminal."""
    console = Console(file=io.StringIO(), width=900)
    for part in comparison_parts(comparison, wide=True):
        console.print(part)
    return console.file.getvalue().splitlines()


def printed_word(cells: str, low: float, high: float, margin: float, higher: bool) -> str:
    """The word of a printed row, held against its printed ends."""
    word = next(w for w in WORDS if re.search(rf"(^| ){re.escape(w)}( \(|$)", cells))
    if word not in ("no verdict", "baseline"):
        low, high = (low, high) if higher else (-high, -low)
        assert word == word_of(low, high, margin), (cells, margin)
    return word


def check_terminal(comparison: Comparison) -> Counter[str]:
    """Every row of a table that has a verdict, and every sentence that claims one."""
    words: Counter[str] = Counter()
    higher, table, shown = comparison.metric == "auc", "", {}
    lines = printed(comparison)
    for line in lines:
        assert not re.search(r"\bnan\b|None|\binf\b", line), line
        head = next((kind for start, kind in HEADS.items() if line.strip().startswith(start)), "")
        table = head or (table if line.strip() else "")
        if head or not table or not line.startswith(" s"):
            continue
        gap = line
        if table != "search":  # the value of the metric has an interval of its own
            gap = re.split(r"\s{2,}", line)[3 if table == "verdicts" else 5]
        ends = ends_of(gap)
        word = printed_word(line.rstrip(), *(ends or (np.nan, np.nan)), comparison.margin, higher)
        assert (ends is not None) or word in ("no verdict", "baseline"), line
        words[word] += 1
        if table == "verdicts" and ends:
            shown[line.split()[0]] = ends
    for line in lines:
        if match := re.match(r"Best on test: (\S+), ", line.strip()):
            assert ends_of(line) == shown[match[1]], line  # one interval a pair
        if match := re.match(r"(\S+): (better|worse|equivalent|not \w+ by|cannot)", line.strip()):
            name, claim = match.groups()
            rows = [ln for ln in lines if re.match(rf" {name} .* {claim}", ln)]
            assert rows, line
        if match := re.match(r"! (\S+) does not beat s0", line.strip()):
            low, high = shown[match[1]]
            assert (low if higher else -high) <= 0, line
    return words


def check_json(comparison: Comparison) -> None:
    record = json.loads(json.dumps(comparison.to_dict(), allow_nan=False))
    higher, margin = record["metric"] == "auc", record["margin"]
    rows = [(r, r["differences"].get(record["metric"])) for r in record["strategies"]]
    rows += [(r, r["difference"]) for r in record["slices"]]
    rows += [(r, r["difference"]) for r in (record["search"] or {"rows": []})["rows"]]
    for row, gap in rows:
        if row["verdict"] in ("no verdict", "baseline"):
            continue
        low, high = (gap["low"], gap["high"]) if higher else (-gap["high"], -gap["low"])
        assert row["verdict"] == word_of(low, high, margin), row
        if abs(row["p_adjusted"] - comparison.alpha) > 0.005:  # nearer, these draws are too few
            assert (row["p_adjusted"] < comparison.alpha) == (low > 0 or high < 0), row
    for key in ("winner", "selected"):
        lead = record[key]
        if lead and lead["low"] is not None:
            gap = comparison.row(lead["name"]).differences[record["metric"]]
            assert (lead["low"], lead["high"]) == (gap.low, gap.high)


def check_page(comparison: Comparison) -> None:
    """The decision's interval of each pair with the baseline is that of the table."""
    model, pairs = comparison.model, pairs_of_comparison(comparison)
    base = model.index(comparison.baseline)
    for i, name in enumerate(model.names):
        gap = comparison.row(name).differences.get(comparison.metric)
        if gap is None or np.isnan(gap.low) or min(model.n[i], model.n[base]) < 2:
            continue
        assert pairs.shown(i, base, base)[1:] == pytest.approx((gap.low, gap.high), rel=1e-12)
        for j, other in enumerate(model.names):
            pair = comparison.pair(name, other)
            if np.isfinite(pair.low):
                ends = pairs.shown(i, j, base)[1:]
                assert ends == pytest.approx((pair.low, pair.high), rel=1e-12, abs=1e-15)


def run_studies(seeds: range) -> Counter[str]:
    words: Counter[str] = Counter()
    for seed in seeds:
        source, options = study(seed)
        try:
            comparison = compare(source, options, "drawn")
            words += check_terminal(comparison)
            check_json(comparison)
            check_page(comparison)
        except Exception as error:
            error.add_note(f"seed {seed}")
            raise
    return words


@pytest.fixture
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joint, "DRAWS", 1000)


def test_drawn_comparisons_say_nothing_that_their_numbers_make_false(few_draws: None) -> None:
    assert {"worse", "cannot tell", "baseline"} <= run_studies(FAST).keys()


@pytest.mark.slow
def test_five_hundred_drawn_comparisons_say_nothing_that_their_numbers_make_false(
    few_draws: None,
) -> None:
    assert set(WORDS) <= run_studies(SLOW).keys()


def test_a_word_that_its_interval_denies_is_seen(few_draws: None) -> None:
    drawn = (compare(*study(k)) for k in range(99))
    comparison = next(c for c in drawn if len(c.strategies) > 2 and c.slices)
    check_terminal(comparison)
    wrong = {"better": "cannot tell"}
    rows = tuple(
        row._replace(verdict=wrong.get(row.verdict, "better"))
        for row in comparison.strategies
        if row.verdict not in ("no verdict", "baseline")
    )
    swapped = replace(comparison, strategies=rows)
    for check in (check_terminal, check_json):
        with pytest.raises(AssertionError):
            check(swapped)
