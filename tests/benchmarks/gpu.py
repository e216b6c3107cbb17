"""What a GPU brings and where its step goes: one card, sized to end within 5 minutes.

    python tests/benchmarks/gpu.py [speed loader waits evaluation repeats curve profile graph auc]
        [--rows 8192] [--steps 50] [--requests 400000] [--device cuda]

On the generated log of `gpu_log.py` (MMCTR shape), batches made on the card. `speed`: rows/s of a
step of DIN at its published widths and of the default families in float32, TF32 and bf16, all sides
in turn, against a plain row-wise DIN in TF32 (`plain_din.py`); peak memory padded and packed.
`loader`: batches alone and whole epochs with them, against the host's loader. `waits`: calls that
wait for the card within an epoch. `evaluation`: code table and scores against the CPU's. `repeats`:
whether gradients do. `curve`: losses against the CPU's. `profile`: kernels, launches and the
wall-clock of a step. `graph`: the same step as a CUDA graph. `auc`: DIN trained until it converges,
bf16 and TF32 against float32, 3 seeds. `--device cpu` with small sizes only shows that it runs.
"""

import argparse
import time
import warnings
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import torch
from generated_batches import ITEMS
from gpu_log import log_of, planted
from plain_din import PlainDin
from torchmetrics.functional.classification import binary_auroc
from training_speed import padded

from fusefront.baselines.contract import Baseline, ItemTable, RequestBatch, Schema
from fusefront.datasets.store import PreparedDataset
from fusefront.harness.data.batches import Batcher, moved
from fusefront.harness.data.resident import ResidentBatcher
from fusefront.harness.parts.plugins import load_parts
from fusefront.harness.runs.recipe import Training
from fusefront.harness.training.fit import products
from fusefront.harness.training.module import encode_table
from fusefront.harness.training.optimiser import make_optimizer, one_cycle
from fusefront.harness.training.predict import predict

STRATEGIES = ("din", "compressed_fusion", "early_fusion")
PLAIN = "plain row-wise DIN"
WAYS = ("float32", "TF32", "bf16")


class Scene(NamedTuple):
    """A log on the device, and what is asked of it."""

    device: torch.device
    schema: Schema
    table: ItemTable
    store: PreparedDataset
    train: ResidentBatcher
    order: np.ndarray[Any, np.dtype[np.int64]]
    batches: list[RequestBatch]  # the first four
    rows: int
    steps: int

    def build(self, name: str, **settings: object) -> Any:
        """A model with its first weights, on the device, to be trained."""
        torch.manual_seed(0)
        if name == PLAIN:
            return PlainDin(self.schema, self.table).to(self.device).train()
        parts = load_parts([])
        kind: type[Baseline] = parts.baselines[name]
        return kind.build(self.schema, self.table, settings, parts, 0).to(self.device).train()

    def wait(self) -> None:
        """Until the device has done what it was given."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def seconds(self, action: Callable[[], object]) -> float:
        """Of an action, the device's included."""
        self.wait()
        begin = time.perf_counter()
        action()
        self.wait()
        return time.perf_counter() - begin


def make_scene(device: torch.device, rows: int, steps: int, requests: int, items: int) -> Scene:
    """The log and its first batches."""
    schema, table, kind = planted(items)
    store = log_of(schema, kind, {"train": requests, "valid": max(rows * 4, requests // 10)})
    train = ResidentBatcher(store, "train", 64, device)
    order = np.random.default_rng(0).permutation(len(train.units))
    batches = list(train.batches(rows, order[: 4 * rows]))
    return Scene(device, schema, table, store, train, order, batches, rows, steps)


class Steps:
    """Training steps of one model in one precision."""

    def __init__(self, model: Any, way: str, recipe: Training | None = None) -> None:
        self.model, self.way = model, way
        if isinstance(model, PlainDin):
            self.optimizer: torch.optim.Optimizer = torch.optim.AdamW(
                model.parameters(), 1e-3, fused=True
            )
        else:
            self.optimizer = make_optimizer(model, recipe or Training(learning_rate=1e-3), 200)

    def __call__(self, batch: RequestBatch) -> torch.Tensor:
        """One step; the loss stays where it is, so that nothing waits for it."""
        kind = batch.labels.device.type
        with products(self.way == "TF32"):
            with torch.autocast(kind, torch.bfloat16, enabled=self.way == "bf16"):
                losses = self.model.losses(batch)
            self.optimizer.zero_grad()
            (losses.click + losses.auxiliary).backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 10.0)
            self.optimizer.step()
        click: torch.Tensor = losses.click.detach()
        return click

    def times(self, batches: list[RequestBatch], count: int) -> None:
        """So many steps."""
        for number in range(count):
            self(batches[number % len(batches)])


def speed(scene: Scene) -> None:
    """All sides in turn: median of three rounds after one to warm up, and each side's memory."""
    names = [(PLAIN, way) for way in WAYS] + [(name, way) for name in STRATEGIES for way in WAYS]
    sides = {side: Steps(scene.build(side[0]), side[1]) for side in names}
    count = max(1, scene.steps // 3)
    spent: dict[tuple[str, str], list[float]] = {side: [] for side in sides}
    for turn in range(4):
        for side, steps in sides.items():
            seconds = scene.seconds(lambda steps=steps: steps.times(scene.batches, count)) / count
            if turn:  # the first is to warm up
                spent[side].append(seconds)
    base = median(spent[PLAIN, "TF32"])
    for side, each in spent.items():
        middle = median(each)
        spread = f"{1e3 * min(each):.1f} to {1e3 * max(each):.1f} ms"
        ratio = f", {base / middle:.2f} x {PLAIN} in TF32" if side[0] in ("din", PLAIN) else ""
        print(f"{', '.join(side)}: {scene.rows / middle:,.0f} rows/s ({spread} a step){ratio}")
    if scene.device.type != "cuda":
        return
    for way, circumstances in (("padded", padded), ("packed", nullcontext)):
        for half in ("float32", "bf16"):
            torch.cuda.empty_cache()
            steps = Steps(scene.build("din"), half)
            torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated()
            with circumstances():
                steps.times(scene.batches, 2)
            peak = (torch.cuda.max_memory_allocated() - before) / 2**30
            print(f"din, {way}, {half}: a step takes {peak:.2f} GiB")


def loader(scene: Scene) -> None:
    """Batches alone, then epochs with them."""
    host = Batcher(scene.store, "train", 64)
    few = scene.order[: 20 * scene.rows]

    def resident() -> None:
        for _ in scene.train.batches(scene.rows, scene.order):
            pass

    def of_host() -> None:
        for batch in host.batches(scene.rows, few):
            moved(batch, scene.device)

    resident()
    seconds = scene.seconds(resident)
    print(f"batches made on the device: {len(scene.order) / seconds:,.0f} rows/s")
    first = scene.seconds(lambda: next(scene.train.batches(scene.rows, scene.order)))
    print(f"  of its {seconds:.3f} s an epoch's count and first batch took {first:.3f} s")
    print(f"batches of the host: {len(few) / scene.seconds(of_host):,.0f} rows/s")
    for name, way in (("din", "bf16"), ("compressed_fusion", "TF32"), ("early_fusion", "TF32")):
        steps = Steps(scene.build(name), way)
        steps.times(scene.batches, 4)

        def epoch(steps: Steps = steps) -> None:
            for batch in scene.train.batches(scene.rows, scene.order):
                steps(batch)

        print(f"{name}, {way}, an epoch: {len(scene.order) / scene.seconds(epoch):,.0f} rows/s")


def waits(scene: Scene) -> None:
    """Calls that synchronise, after an epoch's first batch."""
    if scene.device.type != "cuda":
        print("waits: only a GPU tells; tests/harness/training/test_waits.py holds the operators")
        return
    for name in STRATEGIES:
        steps = Steps(scene.build(name), "bf16")
        steps.times(scene.batches, 4)
        batches = scene.train.batches(scene.rows, scene.order[: 8 * scene.rows])
        next(batches)
        scene.wait()
        with warnings.catch_warnings(record=True) as notices:
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
            for batch in batches:
                steps(batch)
            torch.cuda.set_sync_debug_mode("default")
        places = Counter(
            f"{each.filename}:{each.lineno}" for each in notices if "ynchron" in str(each.message)
        )
        print(f"{name}: calls that wait in 7 steps: {dict(places) or 'none'}")


def evaluation(scene: Scene) -> None:
    """Code table and scores of validation on the device, against the CPU's."""
    for name in STRATEGIES:
        steps = Steps(scene.build(name), "float32")
        steps.times(scene.batches, 20)
        scored(scene, steps.model)  # to warm up
        scores, seconds = scored(scene, steps.model)
        others, longer = scored(scene, steps.model.to("cpu"))
        gap, largest, rows = np.abs(scores - others).max(), np.abs(others).max(), len(scores)
        print(
            f"{name}, {rows:,} rows: {rows / seconds:,.0f} rows/s on the device, "
            f"{rows / longer:,.0f} on {torch.get_num_threads()} threads of the CPU; "
            f"largest gap {gap:.1e} of logits up to {largest:.1f}"
        )


def scored(scene: Scene, model: Any) -> tuple[np.ndarray[Any, Any], float]:
    """Validation's scores [N], and the seconds of table and scores."""
    begin = time.perf_counter()
    scores = predict(model, encode_table(model, scene.schema.items), scene.store, "valid")
    return scores, time.perf_counter() - begin


def repeats(scene: Scene) -> None:
    """Whether one batch's gradients of fresh models are the same."""
    for name in STRATEGIES:
        each = []
        for _ in range(2):
            model = scene.build(name)
            torch.manual_seed(0)
            losses = model.losses(scene.batches[0])
            (losses.click + losses.auxiliary).backward()
            each.append([p.grad for p in model.parameters() if p.grad is not None])
        equal = all(torch.equal(a, b) for a, b in zip(*each, strict=True))
        print(f"{name}: gradients {'repeat bit by bit' if equal else 'differ from run to run'}")


def curve(scene: Scene) -> None:
    """Losses of 20 small steps without dropout, against the CPU's."""
    cpu = torch.device("cpu")
    small = list(scene.train.batches(512, scene.order[:1024]))
    for name in STRATEGIES:
        lines = []
        for device in (scene.device, cpu):
            steps = Steps(scene.build(name).to(device), "float32")
            for part in steps.model.modules():
                if isinstance(part, torch.nn.Dropout):
                    part.p = 0.0  # two devices draw different masks
            batches = [moved(batch, device) for batch in small]
            losses = [steps(batches[number % len(batches)]) for number in range(20)]
            lines.append(torch.stack(losses).cpu())
        gap = float((lines[0] - lines[1]).abs().max())
        print(f"{name}: largest gap to the CPU's loss over 20 steps: {gap:.1e}")


def profile(scene: Scene) -> None:
    """Kernels alone, so that no time counts twice; wall-clock and launches beside them."""
    if scene.device.type != "cuda":
        print("profile: only a GPU has kernels")
        return
    ways = (("din", "bf16"), ("din", "TF32"), ("compressed_fusion", "TF32"))
    for name, way in (*ways, ("early_fusion", "TF32"), (PLAIN, "TF32")):
        steps = Steps(scene.build(name), way)
        steps.times(scene.batches, 5)
        wall = scene.seconds(lambda steps=steps: steps.times(scene.batches, 10)) / 10
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as trace:
            steps.times(scene.batches, 3)
            scene.wait()
        kernels = [each for each in trace.key_averages() if each.self_device_time_total > 0]
        kernels.sort(key=lambda each: -each.self_device_time_total)
        busy = sum(each.self_device_time_total for each in kernels) / 3e3
        launches = sum(each.count for each in kernels) / 3
        print(f"{name}, {way}: {1e3 * wall:.2f} ms a step, kernels {busy:.2f} ms in {launches:.0f}")
        for each in kernels[:12]:
            print(
                f"  {each.self_device_time_total / 3e3:6.2f} ms x {each.count // 3} {each.key[:90]}"
            )


def graph(scene: Scene) -> None:
    """A whole step captured, with the shapes of one batch: what launches cost."""
    if scene.device.type != "cuda":
        print("graph: only a GPU captures")
        return
    for name, way in (("compressed_fusion", "TF32"), ("early_fusion", "TF32"), ("din", "bf16")):
        steps, batch = Steps(scene.build(name), way), scene.batches[0]
        steps.optimizer = torch.optim.AdamW(
            steps.model.parameters(), 1e-3, fused=True, capturable=True
        )
        apart = torch.cuda.Stream()
        apart.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(apart):
            for _ in range(4):
                steps(batch)
        torch.cuda.current_stream().wait_stream(apart)
        eager = scene.seconds(lambda steps=steps, batch=batch: steps.times([batch], 20)) / 20
        captured = torch.cuda.CUDAGraph()
        with torch.cuda.graph(captured):
            steps(batch)
        replayed = scene.seconds(lambda captured=captured: [captured.replay() for _ in range(20)])
        print(f"{name}, {way}: {1e3 * eager:.2f} ms a step, as a graph {50 * replayed:.2f} ms")


def auc(scene: Scene) -> None:
    """Test AUC after 3 epochs of one cycle, 3 seeds; the difference to float32 by seed."""
    labels = torch.from_numpy(scene.store.split("valid").label.astype(np.int64))
    recipe = Training(epochs=3, learning_rate=1e-3, id_tau=1.0)
    rows = min(2048, scene.rows)
    units = scene.order[: min(len(scene.order), 200_000)]
    for seed in range(3):
        values = {}
        for way in WAYS:
            parts = load_parts([])
            model = parts.baselines["din"].build(scene.schema, scene.table, {}, parts, seed)
            steps = Steps(model.to(scene.device).train(), way, recipe)
            count = max(1, round(len(units) / rows))
            schedule = one_cycle(steps.optimizer, recipe, count)
            torch.manual_seed(seed)
            for epoch in range(recipe.epochs):
                order = np.random.default_rng([seed, epoch]).permutation(units)
                for batch in scene.train.batches(rows, order):
                    steps(batch)
                    schedule.step()
            table = encode_table(model.eval(), scene.schema.items)
            logits = torch.from_numpy(predict(model, table, scene.store, "valid"))
            values[way] = float(binary_auroc(logits.double().sigmoid(), labels))
        gaps = {way: f"{values[way] - values['float32']:+.5f}" for way in WAYS[1:]}
        print(f"din, seed {seed}: AUC {values['float32']:.4f} in float32; {gaps}")


PARTS: dict[str, Callable[[Scene], None]] = {
    "speed": speed,
    "loader": loader,
    "waits": waits,
    "evaluation": evaluation,
    "repeats": repeats,
    "curve": curve,
    "profile": profile,
    "graph": graph,
    "auc": auc,
}


def main() -> None:
    """Every part on one card, printed as it comes; one that fails says why and the next begins."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="none: all")
    parser.add_argument("--rows", type=int, default=8192)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--requests", type=int, default=400_000)
    parser.add_argument("--items", type=int, default=ITEMS)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    chosen = parser.parse_args()
    if chosen.device == "cuda" and not torch.cuda.is_available():
        print("PyTorch sees no GPU here: nothing was measured")
        return
    device = torch.device(chosen.device)
    print(torch.cuda.get_device_name() if device.type == "cuda" else "CPU, to show that it runs")
    scene = make_scene(device, chosen.rows, chosen.steps, chosen.requests, chosen.items)
    for name in chosen.parts or PARTS:
        begin = time.perf_counter()
        try:
            PARTS[name](scene)
        except Exception as error:
            print(f"{name}: {type(error).__name__}: {' '.join(str(error).split())[:300]}")
        print(f"-- {name}: {time.perf_counter() - begin:.1f} s", flush=True)


if __name__ == "__main__":
    main()
