"""The table of docs/synthetic.md: Bayes AUC and x-oracle of every world, mean over data seeds.

python tests/benchmarks/synthetic_table.py [--requests 8000] [--seeds 3]
"""

import argparse

import numpy as np

from fusefront.datasets.audit.ranking import auc
from fusefront.datasets.synthetic.bayes import bayes_auc
from fusefront.datasets.synthetic.generator import make_chunks
from fusefront.datasets.synthetic.latents import estimate_factors, vectors
from fusefront.datasets.synthetic.truth import WorldSource, build_source, true_logit
from fusefront.datasets.synthetic.worlds import WORLDS, World


def measure(world: World, seed: int, requests: int, returning: float) -> tuple[float, float, float]:
    """(Bayes AUC, AUC of the x-oracle on the drawn labels, click rate)."""
    source = build_source(world, seed)
    guess = _guess(source)
    p, label, score = [], [], []
    chunks = make_chunks(source, "test", requests, returning=returning, train=requests)
    for chunk in chunks:
        p.append(chunk.p.ravel())
        label.append(chunk.label.ravel())
        parts = chunk.history, chunk.group, chunk.candidates, chunk.variant
        score.append(true_logit(source, *parts, guess).ravel())
    labels = np.concatenate(label)
    return bayes_auc(np.concatenate(p)), auc(labels, np.concatenate(score)), float(labels.mean())


def _guess(source: WorldSource) -> np.ndarray:
    parts = []
    for modality in range(len(source.world.dims)):
        x = vectors(source.world, source.latents, source.seed, modality)
        parts.append(estimate_factors(source.world, source.latents, source.seed, modality, x))
    return np.stack(parts, axis=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=8_000)
    parser.add_argument("--seeds", type=int, default=3)
    chosen = parser.parse_args()
    print("| world | Bayes | x-oracle | click rate | Bayes, half of the requests return |")
    print("|---|---|---|---|---|")
    for name, world in WORLDS.items():
        new = [measure(world, s, chosen.requests, 0.0) for s in range(chosen.seeds)]
        old = [measure(world, s, chosen.requests, 0.5) for s in range(chosen.seeds)]
        best, oracle, rate = np.mean(new, axis=0)
        back = np.mean(old, axis=0)[0]
        print(f"| {name} | {best:.4f} | {oracle:.4f} | {rate:.3f} | {back:.4f} |")


if __name__ == "__main__":
    main()
