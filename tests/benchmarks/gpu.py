"""What a GPU brings and where its step goes: one script of under 10 minutes, for one card.

    python tests/benchmarks/gpu.py [--rows 8192] [--steps 20]

For DIN at its published widths and the two default families, on the generated log of
`training_speed.py` (batches made beforehand and resident: no loader is timed): rows/s padded and
packed, in float32, TF32 and bf16, with peak memory; the operators that a step spends its time
in; whether gradients repeat bit by bit; the loss of `--steps` steps on the card against the
CPU. Without a GPU it says so and measures nothing. Not yet run on one.
"""

import argparse
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from training_speed import generated_log, padded

from fusefront.baselines.contract import Baseline, RequestBatch
from fusefront.harness.parts.plugins import load_parts
from fusefront.harness.runs.recipe import Training
from fusefront.harness.training.optimiser import make_optimizer

STRATEGIES = ("din", "compressed_fusion", "early_fusion")


def moved(part: Any, device: str) -> Any:
    """A batch, or any nest of named tuples, on the device."""
    if isinstance(part, torch.Tensor):
        return part.to(device)
    return part if part is None else type(part)(*(moved(each, device) for each in part))


def step(model: Baseline, optimizer: torch.optim.Optimizer, batch: RequestBatch, half: bool) -> Any:
    """One step; the loss stays where it is, so that nothing waits for it."""
    with torch.autocast(batch.labels.device.type, torch.bfloat16, enabled=half):
        losses = model.losses(batch)
    optimizer.zero_grad()
    (losses.click + losses.auxiliary).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
    optimizer.step()
    return losses.click.detach()


def speed(build: Callable[[], Baseline], batches: list[RequestBatch], half: bool) -> str:
    """Rows/s and peak memory of the batches' steps, after a pass to warm up."""
    model = build().to("cuda").train()
    optimizer = make_optimizer(model, Training(), 200)
    torch.cuda.reset_peak_memory_stats()
    for _ in range(2):  # the first is to warm up
        torch.cuda.synchronize()
        begin = time.perf_counter()
        for batch in batches:
            step(model, optimizer, batch, half)
        torch.cuda.synchronize()
        seconds = time.perf_counter() - begin
    rows = sum(len(batch.rows) for batch in batches)
    return f"{rows / seconds:,.0f} rows/s, {torch.cuda.max_memory_allocated() / 2**30:.2f} GiB"


def gradients(build: Callable[[], Baseline], batch: RequestBatch) -> list[torch.Tensor]:
    """One batch's gradients of a fresh model."""
    torch.manual_seed(0)
    model = build().to("cuda").train()
    losses = model.losses(batch)
    (losses.click + losses.auxiliary).backward()
    return [p.grad for p in model.parameters() if p.grad is not None]


def curve(build: Callable[[], Baseline], batches: list[RequestBatch], steps: int) -> torch.Tensor:
    """Losses of so many steps, on the device that the batches are on."""
    model = build().to(batches[0].labels.device).train()
    for part in model.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.0  # two devices draw different masks
    optimizer = make_optimizer(model, Training(learning_rate=1e-3), 200)
    losses = [step(model, optimizer, batches[n % len(batches)], False) for n in range(steps)]
    return torch.stack(losses).cpu()


def main() -> None:
    """Everything on one card, printed as it comes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=8192)
    parser.add_argument("--steps", type=int, default=20)
    chosen = parser.parse_args()
    if not torch.cuda.is_available():
        print("PyTorch sees no GPU here: nothing was measured")
        return
    print(torch.cuda.get_device_name())
    schema, table, log = generated_log(chosen.rows, 4)
    batches = [moved(batch, "cuda") for batch in log]
    parts = load_parts([])
    for name in STRATEGIES:

        def build(name: str = name) -> Baseline:
            return parts.baselines[name].build(schema, table, {}, parts, 0)

        for way, circumstances in (("padded", padded), ("packed", nullcontext)):
            for precision in ("highest", "high", "bf16"):
                torch.set_float32_matmul_precision("high" if precision == "bf16" else precision)
                word = {"highest": "float32", "high": "TF32"}.get(precision, precision)
                with circumstances():
                    print(f"{name}, {way}, {word}: {speed(build, batches, precision == 'bf16')}")
        torch.set_float32_matmul_precision("highest")
        first, again = gradients(build, batches[0]), gradients(build, batches[0])
        equal = all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
        print(f"{name}: gradients {'repeat bit by bit' if equal else 'differ from run to run'}")
        small = generated_log(512, 2)[2]
        there = curve(build, [moved(batch, "cuda") for batch in small], chosen.steps)
        gap = float((there - curve(build, small, chosen.steps)).abs().max())
        print(f"{name}: largest gap to the CPU's loss over {chosen.steps} steps: {gap:.1e}")
        profile(build, batches[0], name)


def profile(build: Callable[[], Baseline], batch: RequestBatch, name: str) -> None:
    """The five operators that a packed step spends most of the card's time in."""
    model = build().to("cuda").train()
    optimizer = make_optimizer(model, Training(), 200)
    step(model, optimizer, batch, False)
    kinds = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=kinds) as profiler:
        step(model, optimizer, batch, False)
        torch.cuda.synchronize()
    events = sorted(profiler.key_averages(), key=lambda e: -e.self_device_time_total)
    total = sum(event.self_device_time_total for event in events) or 1.0
    shares = [f"{event.key} {event.self_device_time_total / total:.0%}" for event in events[:5]]
    print(f"{name}, one step of the card: {', '.join(shares)}")


if __name__ == "__main__":
    main()
