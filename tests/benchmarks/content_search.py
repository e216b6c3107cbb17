"""Long histories: seconds a request by its length, attention over all against a search first.

    python tests/benchmarks/content_search.py

One request, 50 candidates, items and frozen content of width 32; medians of 9 runs, one thread.
The last column is the ratio of attention over all to the search, both in this run.
"""

import statistics
import time

import torch

from fusefront.baselines.poolers.zoo import POOLERS

WIDTH, CANDIDATES, RUNS = 32, 50, 9
LENGTHS = (100, 1_000, 10_000)


def seconds(pooler, length: int) -> float:
    """Median time of pooling one history of `length` for all candidates."""
    generator = torch.Generator().manual_seed(0)
    history = torch.randn(1, length, WIDTH, generator=generator)
    target = torch.randn(1, CANDIDATES, WIDTH, generator=generator)
    mask = torch.ones(1, length, dtype=torch.bool)
    times = []
    with torch.no_grad():
        codes, asks = pooler.prepare_history(history), pooler.prepare_target(target)
        for _ in range(RUNS + 2):
            begin = time.perf_counter()
            pooler(asks, codes, mask)
            times.append(time.perf_counter() - begin)
    return statistics.median(times[2:])


def main() -> None:
    """Print a row a length and number of items left."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    names = ("din", "semantic_attention")
    whole = {name: POOLERS[name](WIDTH).eval() for name in names}
    searches = {
        (nearest, bits): POOLERS["content_search"](WIDTH, nearest=nearest, bits=bits).eval()
        for nearest in (50, 100)
        for bits in (0, 16)
    }
    print("| L | K | search | ms | din over all, ms | SA-TA over all, ms | din / search |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for length in LENGTHS:
        din, sata = (seconds(whole[name], length) * 1e3 for name in names)
        for (nearest, bits), pooler in searches.items():
            used = seconds(pooler, length) * 1e3
            how = f"{bits} bits" if bits else "exact"
            row = f"| {length:,} | {nearest} | {how} | {used:.2f} | {din:.2f} | {sata:.2f} "
            print(f"{row}| {din / used:.1f} |", flush=True)


if __name__ == "__main__":
    main()
