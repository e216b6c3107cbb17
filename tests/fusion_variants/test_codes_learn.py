"""Where codes of content win: what an item is worth depends on its group, and not linearly."""

import numpy as np
import pytest
import torch
from torch import nn

from fusefront.fusion_variants.zoo import COMPRESSORS

CORNERS = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * 3)  # [8, 3]


def drawn(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Items around the corners of a cube, and the product of their corner's signs."""
    generator = torch.Generator().manual_seed(seed)
    group = torch.randint(0, 8, (count,), generator=generator)
    noise = 0.2 * torch.randn(count, 3, generator=generator)
    return CORNERS[group] + noise, CORNERS[group].prod(-1)


def explained(truth: torch.Tensor, read: torch.Tensor) -> float:
    return 1 - float((truth - read).square().mean() / truth.var(unbiased=False))


@pytest.mark.parametrize("name", ["qarm", "psrq"])
def test_embedded_codes_tell_what_no_linear_map_of_the_vectors_does(name: str) -> None:
    """Read by one linear layer, on items that were not seen: cold ones share a group's code."""
    torch.manual_seed(0)
    (rows, worth), (fresh, fresh_worth) = drawn(2_000, 1), drawn(1_000, 2)
    compressor = COMPRESSORS[name](3, k=4, levels=2, codes=16)
    compressor.fit(rows, 0)
    codes, fresh_codes = compressor.transform(rows), compressor.transform(fresh)
    head = nn.Linear(compressor.width_out, 1)
    optimizer = torch.optim.Adam([*compressor.parameters(), *head.parameters()], 0.05)

    def read(of: torch.Tensor) -> torch.Tensor:
        x, _ = compressor(of, torch.ones(len(of), dtype=torch.bool))
        return head(x).squeeze(-1)

    for _ in range(150):
        optimizer.zero_grad()
        (read(codes) - worth).square().mean().backward()
        optimizer.step()
    with torch.no_grad():
        assert explained(fresh_worth, read(fresh_codes)) > 0.9
    wide = np.hstack([rows.numpy(), np.ones((len(rows), 1))])
    weights = np.linalg.lstsq(wide, worth.numpy(), rcond=None)[0]
    linear = fresh.numpy() @ weights[:3] + weights[3]
    assert explained(fresh_worth, torch.from_numpy(linear).float()) < 0.05
