"""k-means in batches of matrix products, and measures of how well codes are used."""

import torch
from torch import Tensor


def nearest(rows: Tensor, centres: Tensor) -> Tensor:
    """Index of the nearest centre [n] for rows [n, D], centres [K, D], in chunks of rows."""
    length = centres.square().sum(-1)  # (K)
    parts = [(length - 2.0 * part @ centres.T).argmin(-1) for part in torch.split(rows, 8192)]
    return torch.cat(parts) if parts else rows.new_zeros(0, dtype=torch.int64)


def k_means(rows: Tensor, k: int, generator: torch.Generator, rounds: int = 15) -> Tensor:
    """Centres [k, D] of rows [n, D]: k-means++ on a sample, then Lloyd; empty clusters restart."""
    sample = rows[torch.randperm(len(rows), generator=generator)[: max(4096, 4 * k)]]
    centres = _spread(sample, k, generator)
    for _ in range(rounds):
        code = nearest(rows, centres)
        count = torch.bincount(code, minlength=k)
        total = torch.zeros_like(centres).index_add_(0, code, rows)
        moved = total / count.clamp_min(1).unsqueeze(-1)
        empty = count == 0
        if empty.any():
            far = (rows - centres[code]).square().sum(-1).topk(int(empty.sum())).indices
            moved[empty] = rows[far]
        if torch.equal(moved, centres):
            break
        centres = moved
    return centres


def _spread(rows: Tensor, k: int, generator: torch.Generator) -> Tensor:
    """Initial centres far apart: each next one is drawn by its squared distance to those chosen so
    far."""
    picked = [int(torch.randint(len(rows), (1,), generator=generator))]
    distance = (rows - rows[picked[0]]).square().sum(-1)
    for _ in range(k - 1):
        weight = distance if bool(distance.sum() > 0) else torch.ones_like(distance)
        picked.append(int(torch.multinomial(weight, 1, generator=generator)))
        distance = torch.minimum(distance, (rows - rows[picked[-1]]).square().sum(-1))
    return rows[picked].clone()


def usage(code: Tensor, k: int) -> tuple[float, float]:
    """Share of the k codes in use, and perplexity exp(entropy) of codes [n]."""
    share = torch.bincount(code, minlength=k).double() / max(len(code), 1)
    entropy = -(share * share.clamp_min(1e-300).log()).sum()
    return float((share > 0).double().mean()), float(entropy.exp())


def collision_rate(codes: Tensor) -> float:
    """Share of items whose whole code [n, levels] another item has too."""
    _, inverse, count = torch.unique(codes, dim=0, return_inverse=True, return_counts=True)
    return float((count[inverse] > 1).double().mean()) if len(codes) else 0.0
