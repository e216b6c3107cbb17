"""The contracts of operators, compressors and alignment losses. Masks and presence are bool, True =
real."""

from collections.abc import Mapping
from typing import ClassVar, NamedTuple

from torch import Tensor, nn


class Fused(NamedTuple):
    """The result of an operator: tokens, their presence and a loss."""

    tokens: Tensor  # [..., T, d]
    present: Tensor  # [..., T] bool
    loss: Tensor  # []; zero unless the operator is training


class FusionOperator(nn.Module):
    """Fuse `slots` tokens of width `d` into `tokens_out` tokens; leading axes are free.

    An absent slot is neutral: it changes nothing, whatever its vector holds, NaN included.
    Slot 0 is the item's id embedding where the model has one (`uses_query_slot`).

    An operator that weighs its slots may have a method `weights` beside `forward`, with the same
    arguments: how it weighs each slot [..., M], 0 where a slot is absent. `explain` sums it up.
    """

    name: ClassVar[str]
    paper: ClassVar[str] = ""  # author year, venue: printed by `list strategies`
    choices: ClassVar[Mapping[str, tuple[object, ...]]] = {}  # keyword -> values a search may try
    uses_query: ClassVar[bool] = False  # takes `query_width`: w > 0 reads `query` [..., w]
    uses_query_slot: ClassVar[bool] = False  # without a query, asks with slot 0: needs an id slot
    level: ClassVar[str] = "feature"  # "logit" (d = 1, placement `logit` only) or "any" (there
    # its features come through `query`)
    most_slots: ClassVar[int | None] = None  # at placement `interaction`; None = any number

    def __init__(self, slots: int, d: int) -> None:
        super().__init__()
        self.slots, self.d = slots, d

    @property
    def tokens_out(self) -> int:
        """The number of tokens in the result."""
        raise NotImplementedError

    def forward(self, x: Tensor, present: Tensor, query: Tensor | None = None) -> Fused:
        """Fuse x [..., M, d] with present [..., M] bool; query [..., query_width] if the operator
        was built for one."""
        raise NotImplementedError


class CompressorReport(NamedTuple):
    """Measures of a fitted compressor, for example explained variance, perplexity, collisions."""

    numbers: Mapping[str, float]


class Compressor(nn.Module):
    """Reduces the numbers of a modality: a frozen part is fitted offline, then a learned part
    follows.

    `fit` gets rows that are present and occur in train; `transform` makes the frozen table once a
    study; `forward` is the learned part, which runs inside the model.
    """

    name: ClassVar[str]
    paper: ClassVar[str] = ""
    choices: ClassVar[Mapping[str, tuple[object, ...]]] = {}
    joint: ClassVar[bool] = False  # takes the modalities side by side, NaN where one is absent
    fit_uses: ClassVar[str] = "model"  # besides the rows: "rows" nothing more, "seed" also the
    # seed, "model" also the module's own first weights. Of the first two the trainings of a study
    # share one table

    def __init__(self, width_in: int) -> None:
        super().__init__()
        self.width_in = width_in

    @property
    def width_frozen(self) -> int:
        """Columns of the table that `transform` makes."""
        raise NotImplementedError

    @property
    def width_out(self) -> int:
        """Width of what `forward` returns."""
        raise NotImplementedError

    def fit(self, rows: Tensor, seed: int) -> CompressorReport:
        """Learn the frozen part from rows [n, width_in], float32, all present and finite.

        Raises:
            ValueError: there are too few rows for what is to be learned.
        """
        raise NotImplementedError

    def report(self, rows: Tensor) -> Mapping[str, float]:
        """Measures of the current codes of the frozen rows [n, width_frozen] (use, perplexity,
        collisions)."""
        return {}

    def transform(self, rows: Tensor) -> Tensor:
        """Rows [n, width_in] to the frozen table [n, width_frozen] (float, int8 or int64)."""
        raise NotImplementedError

    def forward(self, rows: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """Frozen rows [..., width_frozen], present [...] to (x [..., width_out], auxiliary loss
        [])."""
        raise NotImplementedError


class AlignmentLoss(nn.Module):
    """Pull two modalities of the same item together: forward(a [n, d], b [n, d], ids [n]) -> loss
    []."""

    name: ClassVar[str]
    paper: ClassVar[str] = ""
    choices: ClassVar[Mapping[str, tuple[object, ...]]] = {}

    def __init__(self, d: int) -> None:
        super().__init__()
        self.d = d

    def forward(self, a: Tensor, b: Tensor, ids: Tensor) -> Tensor:
        """Loss [] of paired rows a, b [n, d] of items ids [n]."""
        raise NotImplementedError
