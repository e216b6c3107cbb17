"""What the placements share: pooling streams of item vectors, calling an operator, splitting codes."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from fusefront.baselines.contract import Pooler, no_loss

MakePooler = Callable[[int], Pooler]


def fuse(
    operator: nn.Module | None, x: Tensor, present: Tensor, query: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Slots [..., S, d] to (one vector [..., T * d], loss []); without operator, side by side."""
    if operator is None:
        return x.flatten(-2), no_loss(x)
    fused = operator(x, present, query)
    return fused.tokens.flatten(-2), fused.loss


def tokens_out(operator: nn.Module | None, slots: int) -> int:
    """How many tokens the operator gives, or the slots as they are."""
    return slots if operator is None else int(operator.tokens_out)  # type: ignore[arg-type]


class Streams(nn.Module):
    """Poolers side by side, one a stream; offline they prepare, online they pool.

    The code of a history item is the prepared streams [H_1 + ... + H_S]; that of a candidate the
    streams' vectors and the prepared queries [D_1 + ... + D_S + Q_1 + ... + Q_S].
    """

    def __init__(self, widths: Sequence[int], make_pooler: MakePooler | None) -> None:
        super().__init__()
        self.widths = list(widths)
        self.poolers = nn.ModuleList(make_pooler(width) for width in widths if make_pooler)
        self.has_history = make_pooler is not None
        probe = [torch.zeros(1, width) for width in self.widths]
        with torch.no_grad():
            self.history_widths = [
                _width(pooler.prepare_history(x)) for pooler, x in self._with(probe)
            ]
            self.query_widths = [
                _width(pooler.prepare_target(x)) for pooler, x in self._with(probe)
            ]
        self.pooled_widths = [int(pooler.width_out) for pooler in self.poolers]  # type: ignore[arg-type]

    def _with(self, vectors: Sequence[Tensor]) -> list[tuple[Pooler, Tensor]]:
        return list(zip(self.poolers, vectors, strict=bool(len(self.poolers))))  # type: ignore[arg-type]

    def history(self, vectors: Sequence[Tensor]) -> Tensor:
        """Vectors [n, D_s] to the code of a history item [n, H]."""
        if not self.has_history:
            return vectors[0][..., :0]
        return torch.cat([pooler.prepare_history(x) for pooler, x in self._with(vectors)], -1)

    def candidate(self, vectors: Sequence[Tensor]) -> Tensor:
        """Vectors [n, D_s] to the code of a candidate [n, D + Q]."""
        queries = [pooler.prepare_target(x) for pooler, x in self._with(vectors)]
        return torch.cat([*vectors, *queries], -1)

    @property
    def candidate_widths(self) -> list[int]:
        """How the code of a candidate splits."""
        return [*self.widths, *self.query_widths]

    def split(self, candidate: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """A candidate's code [R, K, D + Q] to its vectors and its queries."""
        pieces = list(torch.split(candidate, self.candidate_widths, -1))
        return pieces[: len(self.widths)], pieces[len(self.widths) :]

    def pool(
        self, queries: Sequence[Tensor], history: Tensor, masks: Sequence[Tensor]
    ) -> list[Tensor]:
        """Queries [R, K, Q_s], codes [R, L, H], masks [R, L] to pooled vectors [R, K, W_s]."""
        if not self.has_history:
            return []
        codes = torch.split(history, self.history_widths, -1)
        return [
            pooler(query, code, mask)
            for pooler, query, code, mask in zip(self.poolers, queries, codes, masks, strict=True)
        ]


def features(targets: Sequence[Tensor], pooled: Sequence[Tensor], products: bool) -> list[Tensor]:
    """Per stream [pooled; target; pooled * target] (the product where the widths agree)."""
    if not pooled:
        return list(targets)
    pieces = []
    for target, summary in zip(targets, pooled, strict=True):
        pieces += [summary, target]
        if products and summary.shape[-1] == target.shape[-1]:
            pieces.append(summary * target)
    return pieces


def features_width(targets: Sequence[int], pooled: Sequence[int], products: bool) -> int:
    """Width of what `features` gives, concatenated."""
    same = sum(t for t, p in zip(targets, pooled, strict=False) if products and t == p)
    return sum(targets) + sum(pooled) + same


def masks_by_stream(mask: Tensor, present: Tensor) -> list[Tensor]:
    """Mask [R, L] and presence [R, L, S] to one mask [R, L] a stream."""
    return list((mask.unsqueeze(-1) & present).unbind(-1))


def any_history(masks: Sequence[Tensor], candidates: Tensor) -> Tensor:
    """Which streams a request's history holds, for each candidate: [R, K, S] bool."""
    some = torch.stack([mask.sum(-1) > 0 for mask in masks], -1)  # [R, S]
    return some.unsqueeze(1).expand(-1, candidates.shape[1], -1)


def select(x: Tensor, rows: Tensor | None) -> Tensor:
    """[R, K, F] to the real candidates [N, F]; without rows, all of them."""
    flat = x.flatten(0, 1)
    return flat if rows is None else flat[rows]


def spread(logits: Tensor, rows: Tensor | None, like: Tensor) -> Tensor:
    """Logits [N] of the real candidates back to [R, K], 0 at padding; `like` is [R, K, .]."""
    lead = like.shape[:2]
    if rows is None:
        return logits.reshape(lead)
    return logits.new_zeros(lead.numel()).index_put((rows,), logits).reshape(lead)


def _width(x: Tensor) -> int:
    return int(x.shape[-1])
