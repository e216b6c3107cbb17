"""Long histories: seconds a request by its length, attention over all against a search first, and
against a search made ahead of the request.

    python tests/benchmarks/content_search.py

One request, 50 candidates, items and frozen content of width 32; the fastest of 25 runs on one
thread. Content lies around 200 topics, the catalogue has 5,000 items. The last two columns attend
to all. The last line is what a request of the longest history costs over one of the shortest, by
how the search is made.
"""

import statistics
import time
from collections.abc import Callable
from functools import partial

import torch

from fusefront.baselines.poolers.content_search import ContentSearch
from fusefront.baselines.poolers.search_index import HistoryIndex
from fusefront.baselines.poolers.similarity import direction
from fusefront.baselines.poolers.zoo import POOLERS
from fusefront.fusion_variants.clusters import k_means

WIDTH, CANDIDATES, RUNS, ITEMS, TOPICS, CENTRES = 32, 50, 25, 5_000, 200, 256
LENGTHS = (100, 1_000, 10_000)


def content(count: int, seed: int) -> torch.Tensor:
    """Vectors [count, WIDTH] around topics that every seed shares."""
    topics = torch.randn(TOPICS, WIDTH, generator=torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(seed)
    topic = torch.randint(0, TOPICS, (count,), generator=generator)
    return topics[topic] + 0.5 * torch.randn(count, WIDTH, generator=generator)


def fastest(run: Callable[[], object]) -> float:
    """Milliseconds of a call."""
    times = []
    with torch.no_grad():
        for _ in range(RUNS + 2):
            begin = time.perf_counter()
            run()
            times.append(time.perf_counter() - begin)
    return min(times[2:]) * 1e3


def main() -> None:
    """Print a row a length, number of items left and way of searching."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    items = content(ITEMS, 1)
    centres = k_means(direction(items), CENTRES, torch.Generator().manual_seed(2))
    whole = {name: POOLERS[name](WIDTH).eval() for name in ("din", "semantic_attention")}
    candidates = torch.arange(CANDIDATES).unsqueeze(0)
    print("| L | K | search | ms | made ahead, ms | of the K most alike | din, ms | SA-TA, ms |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    spent: dict[tuple[int, str], list[float]] = {}
    for length in LENGTHS:
        past = content(length, 3).unsqueeze(0)
        mask, target = torch.ones(1, length, dtype=torch.bool), items[:CANDIDATES].unsqueeze(0)
        over_all = []
        for pooler in whole.values():
            with torch.no_grad():
                codes, asks = pooler.prepare_history(past), pooler.prepare_target(target)
            over_all.append(fastest(partial(pooler, asks, codes, mask)))
        for nearest in (50, 100):
            pooler = POOLERS["content_search"](WIDTH, nearest=nearest).eval()
            assert isinstance(pooler, ContentSearch)
            with torch.no_grad():
                codes, asks = pooler.prepare_history(past), pooler.prepare_target(target)
            indices = {
                "exact index": HistoryIndex.exact(items, nearest),
                f"index of {CENTRES} centres": HistoryIndex.quantised(items, centres, nearest),
            }
            places = {}
            rows = [("in the request", fastest(partial(pooler, asks, codes, mask)), 0.0, 1.0)]
            for name, index in indices.items():
                begin = time.perf_counter()
                tables = index.table(past[0]).unsqueeze(0)
                ahead = (time.perf_counter() - begin) * 1e3
                places[name] = index.places(tables, candidates)
                online = fastest(partial(searched, pooler, index, tables, candidates, asks, codes))
                both = zip(places["exact index"][0], places[name][0], strict=True)
                same = [len(set(a.tolist()) & set(b.tolist())) / nearest for a, b in both]
                rows.append((name, online, ahead, statistics.mean(same)))
            for name, online, ahead, same in rows:
                spent.setdefault((nearest, name), []).append(online)
                line = f"| {length:,} | {nearest} | {name} | {online:.2f} | {ahead:.0f} "
                print(f"{line}| {same:.2f} | {over_all[0]:.2f} | {over_all[1]:.2f} |", flush=True)
    ratios = ", ".join(f"K = {k}, {name}: {ms[-1] / ms[0]:.2f}" for (k, name), ms in spent.items())
    print(f"\n{LENGTHS[-1]:,} over {LENGTHS[0]:,} places: {ratios}")


def searched(
    pooler: ContentSearch,
    index: HistoryIndex,
    tables: torch.Tensor,
    candidates: torch.Tensor,
    asks: torch.Tensor,
    codes: torch.Tensor,
) -> torch.Tensor:
    """What a request pays where the search was made ahead: a look-up, then the attention."""
    place = index.places(tables, candidates)
    return pooler.read(asks, codes, place.clamp(min=0), place >= 0)


if __name__ == "__main__":
    main()
