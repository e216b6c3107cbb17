"""An operator built in one way, and the rows that it is tried on."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from fusefront.fusion_variants.contract import Fused, FusionOperator
from fusefront.harness.testing.module_checks import SEED
from fusefront.harness.testing.promises import ShapeError


class Case(NamedTuple):
    """One way to build the operator, with rows to try it on."""

    build: Callable[[], FusionOperator]
    x: Tensor  # [N, M, d] float64
    present: Tensor  # [N, M]; the first rows have every pattern, starting with none present
    query: Tensor | None  # [N, query_width]
    label: str
    seed: int = SEED

    def run(
        self, operator: nn.Module, x: Tensor | None = None, rows: Tensor | None = None
    ) -> Fused:
        """Run the operator on the case's rows, on those with indices `rows` [k], or with another x
        [..., M, d].

        Raises:
            ShapeError: `forward` does not return a `Fused`.
        """
        parts = [self.x if x is None else x, self.present, self.query]
        fused = operator(*(p if p is None or rows is None else p[rows] for p in parts))
        if not isinstance(fused, Fused):
            raise ShapeError(
                f"{self.label}: forward returns {type(fused).__name__}; expected Fused"
            )
        return fused

    def last(self, lead: tuple[int, ...]) -> tuple[Tensor | None, ...]:
        """The last rows of x, present and query, as many as the leading axes `lead` hold:
        [*lead, ...]."""
        size = torch.Size(lead).numel()
        parts = (self.x, self.present, self.query)
        return tuple(
            None if p is None else p[-size:][:size].reshape(*lead, *p.shape[1:]) for p in parts
        )

    def patterns(self) -> Tensor:
        """Every pattern of presence [2^M, M], which are the first rows."""
        return self.present[: 2 ** self.present.shape[-1]]

    def scorer(self) -> FusionOperator:
        """The operator in float64, ready to score."""
        return self.build().double().eval()
