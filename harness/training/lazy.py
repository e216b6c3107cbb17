"""Lazy AdamW: rows of item id tables that a step does not touch stay as they are.

A row without gradient keeps its weights and its moments: it neither decays nor moves on, as it
would with AdamW. That is another recipe, not a faster way to the same numbers; it pays where tables
are so large that most of a step is spent on rows without gradient. Rows with gradient are updated
as AdamW updates them, its bias corrections counted by the steps of the whole table.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


class LazyAdamW(torch.optim.AdamW):
    """AdamW; groups with `lazy=True`, of tables [n, d], update the rows with a gradient alone."""

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step; `closure` computes the gradients anew, if given."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        set_aside = []
        for group in self.param_groups:
            for table in group["params"] if group.get("lazy") else ():
                if table.grad is not None:
                    self._update(table, table.grad, group)
                    set_aside.append((table, table.grad))
                    table.grad = None  # the others' step passes over it
        super().step()
        for table, gradient in set_aside:
            table.grad = gradient
        return loss

    def _update(self, table: nn.Parameter, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[table]
        if not state:
            state["step"] = torch.zeros((), dtype=torch.float32)
            state["exp_avg"] = torch.zeros_like(table)
            state["exp_avg_sq"] = torch.zeros_like(table)
        state["step"] += 1
        steps = float(state["step"])
        touched = (gradient.amax(-1) != 0) | (gradient.amin(-1) != 0)  # faster than any(-1)
        rows = touched.nonzero().squeeze(-1)  # (U,)
        g = gradient.index_select(0, rows)
        first, second = group["betas"]
        mean = state["exp_avg"].index_select(0, rows).lerp_(g, 1 - first)
        square = state["exp_avg_sq"].index_select(0, rows).mul_(second)
        square.addcmul_(g, g, value=1 - second)
        state["exp_avg"].index_copy_(0, rows, mean)
        state["exp_avg_sq"].index_copy_(0, rows, square)
        scale = square.div_(1 - second**steps).sqrt_().add_(group["eps"])
        weights = table.index_select(0, rows).mul_(1 - group["lr"] * group["weight_decay"])
        weights.addcdiv_(mean, scale, value=-group["lr"] / (1 - first**steps))
        table.index_copy_(0, rows, weights)
