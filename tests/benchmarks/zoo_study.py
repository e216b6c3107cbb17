"""Every part of the zoo trained on the tour world of known truth: docs/zoo_results.md.

    python tests/benchmarks/zoo_study.py [--requests 2000] [--epochs 2] [--lines FILE] [--page FILE]

One change at a time around one composed model: each operator at each placement, then poolers,
heads, compressors and alignment losses, then the families and the published models at small
widths. A line a model is appended to FILE; lines that stand there are not trained again, so a
study that was ended goes on. Loop, data and recipe: tests/baselines/test_known_truth.py.
"""

import argparse
import importlib.util
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch

from fusefront.baselines.heads.zoo import HEADS
from fusefront.baselines.poolers.zoo import POOLERS
from fusefront.baselines.zoo import BASELINES
from fusefront.datasets.synthetic.bayes import bayes_auc
from fusefront.fusion_variants.zoo import ALIGNMENTS, COMPRESSORS, OPERATORS
from fusefront.harness.statistics.auc import auc_influence, tie_groups
from fusefront.harness.testing.macs import encode_macs_per_item

ROOT = Path(__file__).parents[2]
WORLD = "tour"
AROUND = {"operator": "concat"}
WIDE = {"token_width": 16, "id_width": 8, "head.hidden": (64, 32)}
SMALL = {"embedding": 8, "attention": (32, 16), "hidden": (64, 32)}
PUBLISHED = {
    "din": SMALL | {"attention_dropout": 0.0},
    "momo": {"embedding": 8, "layers": 1, "feed": 32, "last": 4, "cross_rank": 16}
    | {"hidden": (64, 32), "head": (16,)},
    "qin": {"embedding": 8, "layers": 2, "rank": 2},
    "seed_reconstruction": {"embedding": 16, "hidden": (64, 32)},
    "deepfm": {"embedding": 8, "hidden": (64, 32)},
    "autoint": {"embedding": 8, "layers": 2, "attention": 16},
    "dmf": {"width": 16, "content": 16, "hidden": (64, 32)},
    "simtier": SMALL | {"content": 16},
    "make": SMALL | {"content": 16, "knowledge": (32,), "first_epochs": 1},
    "muse": {"embedding": 8, "content": 16, "nearest": 8, "hidden": (64, 32)},
    "one_trans": {"embedding": 8, "layers": 2},
    "naml": {"width": 16, "id_width": 8, "attention": 16},
    "simcen": {"embedding": 8, "layers": 2, "hidden": 16},
    "m3srec": {"width": 16, "id_width": 8, "feed": 32, "hidden": (64, 32)},
    **dict.fromkeys(("em3", "lmf", "mtfn", "pamd", "marn"), WIDE),
}
OWN_WORLDS = ("counts", "boosted", "composed")  # solved from raw columns; the rows above


def cases() -> list[tuple[str, str, str, dict[str, object]]]:
    """(part, name, baseline, settings) of every model of the study."""
    rows: list[tuple[str, str, str, dict[str, object]]] = []
    for name, operator in OPERATORS.items():
        if name == "logit_stacked":
            continue  # it needs folds: the baseline `stacked_fusion`
        if operator.level != "logit":
            rows += [
                (
                    "operator",
                    f"{name} at {place}",
                    "composed",
                    {"operator": name, "placement": place},
                )
                for place in ("item", "pooled", "interaction")
            ]
        if operator.level != "feature":
            rows.append(
                (
                    "operator",
                    f"{name} at logit",
                    "composed",
                    {"operator": name, "placement": "logit"},
                )
            )
    short = {"content_search": {"name": "content_search", "nearest": 8}}
    rows += [
        ("pooler", name, "composed", {**AROUND, "pooler": short.get(name, {"name": name})})
        for name in POOLERS
    ]
    rows += [("head", name, "composed", {**AROUND, "head": {"name": name}}) for name in HEADS]
    few = {name: {"codes": 64} for name in ("rq", "qarm", "psrq", "vq")}
    rows += [
        (
            "compressor",
            name,
            "composed",
            {**AROUND, "compressor": {"name": name, **few.get(name, {})}},
        )
        for name in COMPRESSORS
    ]
    rows += [
        ("alignment", name, "composed", {**AROUND, "alignment": {"name": name}})
        for name in ALIGNMENTS
    ]
    models = [name for name in BASELINES if name not in OWN_WORLDS]
    models.sort(key=lambda name: name == "momo")  # the dearest by far comes last
    rows += [("model", name, name, dict(PUBLISHED.get(name, {}))) for name in models]
    return rows


def main(arguments: list[str]) -> None:
    """Train what has no line yet, then write the page from all lines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=2_000)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--lines", type=Path, default=ROOT / "out" / "zoo_study.jsonl")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "zoo_results.md")
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(1)
    loop = known_truth_loop()
    data = loop.load_world(WORLD, chosen.requests)
    test = data.splits["test"]
    label, truth = (x.flatten().numpy() for x in (test.labels, test.truth))
    chosen.lines.parent.mkdir(parents=True, exist_ok=True)
    lines = read(chosen.lines)
    for part, name, baseline, settings in cases():
        if (part, name) in {(line["part"], line["name"]) for line in lines}:
            continue
        line: dict[str, object] = {"part": part, "name": name}
        begin = time.process_time()
        try:
            line |= trained(loop, data, baseline, settings, chosen.epochs, label)
        except (ValueError, RuntimeError) as error:
            line["refused"] = str(error)
        line["seconds"] = round(time.process_time() - begin, 1)
        lines.append(line)
        with chosen.lines.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        print(json.dumps(line), flush=True)
    chosen.page.write_text(page(lines, float(bayes_auc(truth)), data, chosen), encoding="utf-8")


def trained(loop, data, baseline, settings, epochs, label) -> dict[str, object]:
    """AUC on test with its standard error over requests, and multiplications."""
    model = loop.build(baseline, data, settings)
    if model.solved:
        order = torch.arange(len(data.splits["train"].history))
        model.solve(lambda: loop.batches(data.splits["train"], order), lambda: iter(()))
    else:
        model.first_stage(
            lambda: loop.batches(
                data.splits["train"], torch.arange(len(data.splits["train"].history))
            )
        )
        model = loop.fit(model, data, epochs)
    scores = loop.scores(model, data, "test")
    if not np.isfinite(scores).all():
        raise RuntimeError("its scores are not finite")
    influence = auc_influence(tie_groups(scores.astype(np.float32), label.astype(np.uint8)))
    by_request = influence.rows.reshape(len(data.splits["test"].history), -1).sum(-1)
    return {
        "auc": float(influence.value),
        "error": float(np.sqrt((by_request**2).sum())),
        "parameters": sum(p.numel() for p in model.parameters()),
        "offline": encode_macs_per_item(model),
        "online": online_macs(loop, model, data),
    }


def online_macs(loop, model, data) -> int:
    """Multiply-accumulates of scoring a request, a candidate."""
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    model.eval()
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        codes = model.encode_items(torch.arange(data.schema.items + 1))
        batch = next(iter(loop.batches(data.splits["test"], torch.arange(64))))
        request = loop.gather(codes, batch, batch.items)
        with FlopCounterMode(display=False) as counter:
            model.score(request)
    return int(counter.get_total_flops()) // 2 // batch.candidates.numel()


def page(lines, bayes, data, chosen) -> str:
    """The table in Markdown, by part and AUC."""
    label = data.splits["test"].labels
    out = [
        "# The zoo on a world of known truth\n",
        "Written by `python tests/benchmarks/zoo_study.py"
        f" --requests {chosen.requests} --epochs {chosen.epochs}`;",
        "not a ranking of the published models, which run here at small widths, with one recipe,",
        "one seed and few rows: it shows that every part trains, what it costs, and what follows",
        "from what the world plants.\n",
        f"World `{WORLD}` (three modalities with sums, one product of two of them, popularity,",
        f"gaps that tell something): {chosen.requests:,} requests to learn from,",
        f"{len(label):,} requests ({label.numel():,} rows) to test on; the Bayes AUC of these is",
        f"{bayes:.4f}. Around one composed model (`concat` at `item`) one thing changes at a time.",
        "The interval is 1.96 standard errors over requests of this one training. kMAC are",
        "multiplications: offline of an item, online of a candidate with a history of 16.",
        "Seconds are processor time of one core.\n",
        "What follows: every operator at `interaction`, where the modalities' summaries stand side",
        "by side, is ahead of every operator at `item` and `pooled`; models that compare content",
        "with the history (`simtier`, `muse`, `dmf`) are beside them at fewer multiplications.\n",
    ]
    trained_names = {(line["part"], line["name"]) for line in lines}
    if missing := [name for part, name, _, _ in cases() if (part, name) not in trained_names]:
        out.append(f"Not trained in this study: {', '.join(f'`{name}`' for name in missing)}.\n")
    for part in dict.fromkeys(line["part"] for line in lines):
        rows = [line for line in lines if line["part"] == part]
        fine = sorted((r for r in rows if "auc" in r), key=lambda r: -r["auc"])
        out += [
            f"## {part}\n",
            "| name | test AUC | parameters | kMAC offline | online | seconds |",
        ]
        out += ["| --- | --- | --- | --- | --- | --- |"]
        out += [
            f"| `{r['name'].split(' at ')[0]}`{r['name'][len(r['name'].split(' at ')[0]) :]} "
            f"| {r['auc']:.4f} ± {1.96 * r['error']:.4f} | {r['parameters']:,} "
            f"| {r['offline'] / 1e3:,.1f} | {r['online'] / 1e3:,.1f} | {r['seconds']:.0f} |"
            for r in fine
        ]
        out += [f"\nRefused: {r['name']}: {r['refused']}" for r in rows if "refused" in r]
        out.append("")
    return "\n".join(out)


def read(path: Path) -> list[dict]:
    """The lines that stand in the file."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line]


def known_truth_loop():
    """tests/baselines/test_known_truth.py as a module."""
    path = ROOT / "tests" / "baselines" / "test_known_truth.py"
    spec = importlib.util.spec_from_file_location("known_truth_loop", path)
    loop = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = loop
    spec.loader.exec_module(loop)
    return loop


if __name__ == "__main__":
    main(sys.argv[1:])
