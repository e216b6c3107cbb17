"""The exported scorer over long histories: search within the graph against search made ahead.

    python tests/benchmarks/searched_scorer.py

One request of 50 candidates, `composed` with `content_search` (untrained; what is paid does not
depend on weights), 5,000 items; the fastest of 25 calls on one thread, in milliseconds. The last
column is what finding the places of these candidates takes ahead of the request.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from fusefront.harness.serving.contract import Trained
from fusefront.harness.serving.export.online import export_core, random_feeds
from fusefront.harness.serving.export.trace import Example
from fusefront.harness.serving.latency.backends import OnnxRuntime, OnnxSearched

ROOT = Path(__file__).parents[2]
ITEMS, CANDIDATES, RUNS = 5_000, 50, 25
LENGTHS = (100, 1_000, 10_000)


def fastest(call: Callable[[], object]) -> float:
    """Milliseconds of a call."""
    times = []
    for _ in range(RUNS + 2):
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return min(times[2:]) * 1e3


def main() -> None:
    """Print a row a length and number of items left."""
    sys.path.insert(0, str(ROOT / "tests" / "harness" / "serving"))
    from planted import trained

    torch.set_num_threads(1)
    print("| L | K | search in the graph, ms | made ahead, ms | ahead of the request, ms |")
    print("| --- | --- | --- | --- | --- |")
    for nearest in (50, 100):
        pooler = {"name": "content_search", "nearest": nearest}
        settings = {"operator": "concat", "pooler": pooler}
        model, codes, schema = trained("composed", settings, items=ITEMS)
        with tempfile.TemporaryDirectory() as folder:
            core = export_core(model, codes, schema)
            ready = Trained("searched", model, codes, schema, core, Path(folder))
            backends = (OnnxRuntime(), OnnxSearched())
            calls = [backend.load(ready) for backend in backends]
            for length in LENGTHS:
                (feed,) = random_feeds(schema, (Example(1, CANDIDATES, length),), seed=1)
                feed["history_mask"][:] = True
                feed["history"][:] = feed["history"].clip(min=1)
                fed = [b.select(call, feed) for b, call in zip(backends, calls, strict=True)]
                times = [fastest(partial(call, f)) for call, f in zip(calls, fed, strict=True)]
                ahead = fastest(partial(backends[1].select, calls[1], feed))
                print(f"| {length:,} | {nearest} | {times[0]:.2f} | {times[1]:.2f} | {ahead:.2f} |")


if __name__ == "__main__":
    main()
