"""Absent slots made neutral, for every operator, shipped or not; docs/extending.md says when to use
which.

Neutral is 0 in a sum (`cleared`), 1 in a product (`factors`), the lowest number in a maximum
(`lowest`) and nothing at all in a softmax (`absent_bias`); with every slot absent the token is zero
(`one_token`).
"""

import torch
from torch import Tensor

from fusefront.fusion_variants.contract import Fused


def cleared(x: Tensor, present: Tensor) -> Tensor:
    """Zero the absent slots of x [..., M, d], whatever they hold: 0 * NaN would stay NaN."""
    return x.masked_fill(~present.unsqueeze(-1), 0.0)


def factors(x: Tensor, present: Tensor) -> Tensor:
    """x [..., M, d] with 1 in the absent slots, whatever they hold: neutral in a product over
    slots.

    Apply it to what is multiplied, after any layer: a bias would undo it.
    """
    return x.masked_fill(~present.unsqueeze(-1), 1.0)


def lowest(x: Tensor, present: Tensor) -> Tensor:
    """x [..., M, d] with the lowest finite number in the absent slots: neutral in a maximum over
    slots."""
    return x.masked_fill(~present.unsqueeze(-1), torch.finfo(x.dtype).min)


def absent_bias(present: Tensor, dtype: torch.dtype) -> Tensor:
    """What to add to scores over slots [..., M]: 0 where present, else so low that softmax gives 0.

    Half of the lowest number, so that adding a score cannot reach -inf (softmax of it is NaN).
    """
    least = present.new_full((), torch.finfo(dtype).min / 2, dtype=dtype)
    return torch.where(present, present.new_zeros((), dtype=dtype), least)


def one_token(token: Tensor, present: Tensor, loss: Tensor | None = None) -> Fused:
    """Wrap token [..., d]; it is zero and absent if no slot of present [..., M] is present."""
    some = present.any(-1, keepdim=True)  # (..., 1)
    loss = token.new_zeros(()) if loss is None else loss
    return Fused(token.masked_fill(~some, 0.0).unsqueeze(-2), some, loss)


def slot_tokens(tokens: Tensor, present: Tensor, loss: Tensor | None = None) -> Fused:
    """Wrap tokens [..., M, d], one a slot, zero where the slot is absent."""
    loss = tokens.new_zeros(()) if loss is None else loss
    return Fused(cleared(tokens, present), present, loss)


def several_tokens(tokens: Tensor, present: Tensor, loss: Tensor | None = None) -> Fused:
    """Wrap tokens [..., T, d] that all slots share; zero and absent if no slot of present [..., M]
    is present."""
    some = present.any(-1, keepdim=True)  # (..., 1)
    loss = tokens.new_zeros(()) if loss is None else loss
    return Fused(tokens.masked_fill(~some.unsqueeze(-1), 0.0), some.expand(tokens.shape[:-1]), loss)


def query_of_width(query: Tensor | None, width: int, name: str) -> Tensor:
    """The query [..., width]; raises ValueError, which says what query the operator was built for,
    if it does not fit."""
    if query is None or query.shape[-1] != width:
        width_text = "no query" if query is None else f"a query of width {query.shape[-1]}"
        raise ValueError(
            f"operator {name!r} was built with query_width={width} but got {width_text}; "
            "pass a query of that width or build it with query_width=0"
        )
    return query
