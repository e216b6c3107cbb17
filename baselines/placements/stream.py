"""Functions shared by the placements: pooling streams of item vectors, calling an operator,
splitting codes."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from fusefront.baselines.contract import Pooler, Request, defined_with, no_loss, pool_packed
from fusefront.baselines.packed import Packed, at

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

    The code of a history item is what the poolers prepared, [n, H]; that of a candidate the
    streams' vectors and the prepared queries, [n, D + Q]. Equal poolers that can are run in common
    products; `per_candidate` histories [R, K, L, H] are pooled stream by stream.
    """

    def __init__(
        self,
        widths: Sequence[int],
        make_pooler: MakePooler | None,
        *,
        per_candidate: bool = False,
    ) -> None:
        super().__init__()
        self.widths = list(widths)
        self.poolers = nn.ModuleList(make_pooler(width) for width in widths if make_pooler)
        self.has_history = make_pooler is not None
        kinds = {(type(pooler), pooler.width) for pooler in self.poolers}
        able = self.has_history and hasattr(self.poolers[0], "pool_streams")
        self.together = able and len(kinds) == 1 and not per_candidate
        probe = [torch.zeros(width) for width in self.widths]
        with torch.no_grad():
            self.history_widths = [
                _width(pooler.prepare_history(x)) for pooler, x in self._with(probe)
            ]
            self.query_widths = [
                _width(pooler.prepare_target(x)) for pooler, x in self._with(probe)
            ]
            self.query_width = _width(self.candidate(probe)) - sum(self.widths)
        self.pooled_widths = [int(pooler.width_out) for pooler in self.poolers]  # type: ignore[arg-type]

    def _with(self, vectors: Sequence[Tensor]) -> list[tuple[Pooler, Tensor]]:
        return list(zip(self.poolers, vectors, strict=bool(len(self.poolers))))  # type: ignore[arg-type]

    def history(self, vectors: Sequence[Tensor]) -> Tensor:
        """Vectors [n, D_s] to the code of a history item [n, H]."""
        if not self.has_history:
            return vectors[0][..., :0]
        prepared = [pooler.prepare_history(x) for pooler, x in self._with(vectors)]
        if self.together:
            return self.poolers[0].join_history(prepared)  # type: ignore[operator,no-any-return]
        return torch.cat(prepared, -1)

    def candidate(self, vectors: Sequence[Tensor]) -> Tensor:
        """Vectors [n, D_s] to the code of a candidate [n, D + Q]."""
        queries = [pooler.prepare_target(x) for pooler, x in self._with(vectors)]
        if self.together:
            queries = [self.poolers[0].join_queries(queries)]  # type: ignore[operator]
        return torch.cat([*vectors, *queries], -1)

    def split(self, candidate: Tensor) -> tuple[Tensor, Tensor]:
        """A candidate's code [R, K, D + Q] to its vectors [R, K, D] and its queries [R, K, Q]."""
        if not self.has_history:
            return candidate, candidate[..., :0]
        target, queries = torch.split(candidate, [sum(self.widths), self.query_width], -1)
        return target, queries

    def pool(
        self, queries: Tensor, history: Tensor, masks: Tensor, packed: Packed | None = None
    ) -> Tensor | None:
        """Queries [R, K, Q], codes [R, (K,) L, H], masks [R, L, S] to pooled [R, K, W]; None
        without. Packed: [N, 1, Q], [n, H], which are present [n, S], to [N, 1, W]."""
        if not self.has_history:
            return None
        if packed is not None:
            return self._pool_packed(queries.squeeze(1), history, masks, packed).unsqueeze(1)
        if self.together:
            return self.poolers[0].pool_streams(queries, history, masks)  # type: ignore[operator,no-any-return]
        parts = torch.split(queries, self.query_widths, -1)
        codes = torch.split(history, self.history_widths, -1)
        each = zip(self.poolers, parts, codes, masks.unbind(-1), strict=True)
        return torch.cat([pooler(query, code, mask) for pooler, query, code, mask in each], -1)

    def _pool_packed(
        self, queries: Tensor, history: Tensor, present: Tensor, packed: Packed
    ) -> Tensor:
        if self.together:
            first = self.poolers[0]
            if defined_with(type(first), "pool_stream_rows", "pool_streams"):
                return first.pool_stream_rows(queries, history, present, packed)  # type: ignore[operator,no-any-return]
            masks = packed.mask.unsqueeze(-1) & at(present, packed.place)
            grid = first.pool_streams(packed.grid(queries), at(history, packed.place), masks)  # type: ignore[operator]
            return at(grid.flatten(0, 1), packed.rows)
        parts = torch.split(queries, self.query_widths, 1)
        codes = torch.split(history, self.history_widths, 1)
        each = zip(self.poolers, parts, codes, present.unbind(1), strict=True)
        return torch.cat(
            [
                pool_packed(pooler, query, code, packed.of(there))  # type: ignore[arg-type]
                for pooler, query, code, there in each
            ],
            1,
        )


def features(target: Tensor, pooled: Tensor | None, products: bool) -> list[Tensor]:
    """[pooled; target; pooled * target] over all streams (the product where the widths agree)."""
    if pooled is None:
        return [target]
    if products and pooled.shape[-1] == target.shape[-1]:
        return [pooled, target, pooled * target]
    return [pooled, target]


def features_width(targets: Sequence[int], pooled: Sequence[int], products: bool) -> int:
    """Width of what `features` gives, concatenated."""
    target, summary = sum(targets), sum(pooled)
    return target + summary + (target if products and summary == target else 0)


def masks_by_stream(request: Request) -> Tensor:
    """Which streams hold each place of the histories, [R, L, S]; of a packed request, each code
    [n, S]."""
    present = request.history.present
    if request.packed is not None:
        return present
    return request.history_mask.unsqueeze(-1) & present


def any_history(masks: Tensor, request: Request) -> Tensor:
    """Which streams a candidate's history holds, by `masks_by_stream`: [R, 1, S] bool, or
    [N, 1, S] of a packed request."""
    if request.packed is None:
        return masks.to(request.candidates.values.dtype).sum(1, keepdim=True) > 0
    packed = request.packed
    some = (packed.mask.unsqueeze(-1) & at(masks, packed.place)).any(1, keepdim=True)  # [R, 1, S]
    return at(some, packed.request)


def select(x: Tensor, rows: Tensor | None) -> Tensor:
    """[R, K, F] to the real candidates [N, F]; without rows, all of them."""
    flat = x.flatten(0, 1)
    return flat if rows is None else at(flat, rows)


def spread(logits: Tensor, rows: Tensor | None, like: Tensor) -> Tensor:
    """Logits [N] of the real candidates back to [R, K], 0 at padding; `like` is [R, K, .]."""
    lead = like.shape[:2]
    if rows is None:
        return logits.reshape(lead)
    return logits.new_zeros(lead.numel()).index_put((rows,), logits).reshape(lead)


def _width(x: Tensor) -> int:
    return int(x.shape[-1])
