"""Content search before attention: of a long history only the K most alike items are attended to.

S = the K items of the largest cos(g_t, g_l) among the real ones; u = SA-TA over S
(`semantic_attention`). With `bits` > 0 the search compares signatures sign(G g) of so many bits
instead, G a fixed random matrix (ETA's hashing; SIM, TWIN and MUSE search exactly): the share of
equal bits orders the items as their angle does, in expectation. Attention then costs K, not L.
"""

from collections.abc import Mapping
from math import sqrt
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from fusefront.baselines.poolers.semantic_attention import SemanticAttention
from fusefront.baselines.poolers.similarity import cosines, direction

NEWER = 1e-7  # advantage of an item one place newer, so that ties take the newer one
SEED = 20_210  # of the random hyperplanes, which are part of the model's definition


class ContentSearch(SemanticAttention):
    """A search unit by frozen or shared content, then the attention unit."""

    name: ClassVar[str] = "content_search"
    paper: ClassVar[str] = (
        "Pi et al. 2020, CIKM (SIM); Chen et al. 2021 (ETA); Wu et al. 2025 (MUSE)"
    )
    choices: ClassVar[Mapping[str, tuple[object, ...]]] = {
        "heads": (1, 2, 4),
        "nearest": (8, 50, 100),
        "bits": (0, 32, 64),
    }

    def __init__(
        self, width: int, *, heads: int = 2, nearest: int = 50, bits: int = 0, content: int = 0
    ) -> None:
        """`nearest` is K; `bits` 0 searches exactly; `content` as `SemanticAttention` has it."""
        super().__init__(width, heads=heads, content=content)
        self.nearest, self.bits = nearest, bits
        generator = torch.Generator().manual_seed(SEED)
        planes = torch.randn(self.content, bits, generator=generator)
        self.planes: Tensor
        self.register_buffer("planes", planes, persistent=False)

    def history_code(self, x: Tensor, content: Tensor) -> Tensor:
        """As `SemanticAttention` has it, and the signature: [..., 2 D + C + bits]."""
        return torch.cat([super().history_code(x, content), self.signature(content)], -1)

    def target_code(self, x: Tensor, content: Tensor) -> Tensor:
        """The same of a candidate, [..., D + C + bits]."""
        return torch.cat([super().target_code(x, content), self.signature(content)], -1)

    def signature(self, content: Tensor) -> Tensor:
        """Content [..., C] to ±1 / √bits a hyperplane: [..., bits]."""
        if not self.bits:
            return content[..., :0]
        side = direction(content.detach()) @ self.planes.to(content.dtype) >= 0
        return (side.to(content.dtype) * 2.0 - 1.0) / sqrt(self.bits)

    def forward(self, target: Tensor, history: Tensor, mask: Tensor) -> Tensor:
        _, toward, hash_ = torch.split(target, [self.width, self.content, self.bits], -1)
        padding = (0, 0, self.nearest, 0)  # so that K items are there whatever the length
        history, mask = functional.pad(history, padding), functional.pad(mask, padding[2:])
        start = 2 * self.width + (self.content if self.bits else 0)
        with torch.no_grad():
            alike = cosines(hash_ if self.bits else toward, history[..., start:])  # [R, K, L]
            alike = ranked(alike).masked_fill(~mask.unsqueeze(1), -9.0)
            place = alike.topk(self.nearest, -1).indices  # [R, K, k]
        real = mask.unsqueeze(1).expand(-1, place.shape[1], -1).gather(-1, place)
        return self.read(target, history, place, real)

    def read(self, target: Tensor, history: Tensor, place: Tensor, real: Tensor) -> Tensor:
        """Attention over the items at places [R, K, k] of histories [R, (K,) L, .], where `real`
        [R, K, k]: what follows the search, whoever searched (`search_index`)."""
        query, toward, _ = torch.split(target, [self.width, self.content, self.bits], -1)
        code = 2 * self.width + self.content
        some = gathered(history, place)  # [R, K, k, .]
        near = (some[..., 2 * self.width : code] @ toward.unsqueeze(-1)).squeeze(-1)
        return self.attend(query, some[..., :code], near, real)


def ranked(alike: Tensor) -> Tensor:
    """Similarities [..., L], oldest first, with equal ones in the order of their age."""
    ages = torch.arange(alike.shape[-1], 0, -1, device=alike.device) * NEWER
    return alike - ages.to(alike.dtype)


def gathered(history: Tensor, place: Tensor) -> Tensor:
    """Rows of histories [R, (K,) L, H] at places [R, K, k] of their own: [R, K, k, H]."""
    requests, length, width = history.shape[0], history.shape[-2], history.shape[-1]
    lead = place.shape[:2] if history.ndim == 4 else (requests, 1)
    first = torch.arange(lead[0] * lead[1], device=place.device).view(*lead, 1) * length
    return history.reshape(-1, width)[place + first]
