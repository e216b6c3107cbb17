"""check_pooler and check_head catch planted defects, each by its own error."""

from random import SystemRandom
from typing import ClassVar

import pytest
import torch
from torch import nn

from fusefront.baselines.contract import Head, Pooler
from fusefront.harness.testing import check_head, check_pooler
from fusefront.harness.testing.promises import (
    BatchError,
    ContentError,
    CrashError,
    DeclarationError,
    ExportError,
    FiniteError,
    GradientError,
    PaddingError,
    SeedError,
    ShapeError,
    SplitError,
    StateError,
)


class Mean(Pooler):
    """A projected mean: keeps the contract; each defect below breaks one promise."""

    name: ClassVar[str] = "plain"

    def __init__(self, width):
        super().__init__(width)
        self.value = nn.Linear(width, width)

    @property
    def width_out(self):
        return self.width

    def prepare_history(self, x):
        return self.value(x)

    def prepare_target(self, x):
        return x[..., :0]

    def weight(self, mask, like):
        real = mask.to(like.dtype)
        return real / real.sum(-1, keepdim=True).clamp_min(1.0)

    def forward(self, target, history, mask):
        weight = self.weight(mask, history)
        if history.ndim == 4:
            return (weight[:, None, None] @ history).squeeze(-2)
        return (weight.unsqueeze(1) @ history).expand(-1, target.shape[1], -1)


class NoName(Mean):
    name = ""


class NoForward(Pooler):
    name: ClassVar[str] = "no_forward"


class MissingKeyword(Mean):
    choices: ClassVar = {"heads": (1, 2)}


class CannotBeBuilt(Mean):
    def __init__(self, width):
        raise KeyError("no such word")


class WrongWidth(Mean):
    @property
    def width_out(self):
        return self.width + 1


class KeepsWidth(Mean):
    keeps_width: ClassVar[bool] = False


class AxesMatter(Mean):
    def prepare_history(self, x):
        return self.value(x) * x.dim()


class Random(Mean):
    def forward(self, target, history, mask):
        pooled = super().forward(target, history, mask)
        return pooled + 1e-3 * torch.randn_like(pooled)


class RandomInTraining(Mean):
    def forward(self, target, history, mask):
        scale = 1.0 + SystemRandom().random() if self.training else 1.0
        return scale * super().forward(target, history, mask)


class NoMask(Mean):
    def weight(self, mask, like):
        return torch.full(mask.shape, 1.0 / mask.shape[1], dtype=like.dtype)


class CountsPlaces(Mean):
    def weight(self, mask, like):
        return mask.to(like.dtype) / mask.shape[1]


class NoEmptyHistory(Mean):
    def weight(self, mask, like):
        real = mask.to(like.dtype)
        return real / real.sum(-1, keepdim=True)


class SharedOnly(Mean):
    def forward(self, target, history, mask):
        if history.ndim == 4:
            history = history[:, 0].flip(1)
        return super().forward(target, history, mask)


class OtherRows(Mean):
    def forward(self, target, history, mask):
        return super().forward(target, history, mask)

    def pool_rows(self, target, history, packed):
        like = target.new_zeros(len(packed.place), 1, 0)
        once = super().forward(like, history[packed.place], packed.mask)  # [R, 1, D]
        return 2.0 * once[packed.request].squeeze(1)


class FailsOnOwnHistories(Mean):
    def forward(self, target, history, mask):
        requests, _, width = history.shape
        return super().forward(target, history.reshape(requests, -1, width), mask)


class Deaf(Mean):
    def prepare_history(self, x):
        return 0.0 * self.value(x)


class BatchMean(Mean):
    def forward(self, target, history, mask):
        pooled = super().forward(target, history, mask)
        return pooled - 0.1 * pooled.mean(0)


class Unused(Mean):
    def __init__(self, width):
        super().__init__(width)
        self.spare = nn.Linear(3, 3)


class Overflow(Mean):
    def forward(self, target, history, mask):
        pooled = super().forward(target, history, mask)
        return pooled + (200.0 + 0.0 * pooled).exp() * 1e-100


class Forgets(Mean):
    def __init__(self, width):
        super().__init__(width)
        self.drawn = torch.randn(width, dtype=torch.float64)

    def prepare_history(self, x):
        return self.value(x) * self.drawn.to(x.dtype)


class LooksAtTheCatalogue(Mean):
    """Offline the rows of the batch are other rows than those of the catalogue."""

    def prepare_history(self, x):
        value = self.value(x)
        return value - value.mean(0) if x.dim() == 2 and len(x) > 40 else value


class ExportsOtherNumbers(Mean):
    def forward(self, target, history, mask):
        pooled = super().forward(target, history, mask)
        observed = torch.compiler.is_exporting() or torch.jit.is_tracing()
        return 2.0 * pooled if observed else pooled


POOLERS = [
    (nn.Linear, DeclarationError, "Linear is not a subclass of Pooler"),
    (NoName, DeclarationError, "NoName has no `name`"),
    (
        NoForward,
        DeclarationError,
        "does not define width_out, prepare_history, prepare_target, forw",
    ),
    (MissingKeyword, DeclarationError, "takes no keyword 'heads' with a default"),
    (CannotBeBuilt, DeclarationError, "cannot be built: KeyError: 'no such word'"),
    (WrongWidth, ShapeError, r"forward gives \(4, 5, 8\); expected \(4, 5, 9\)"),
    (KeepsWidth, DeclarationError, "keeps_width is False and width_out 8 for items of 8"),
    (AxesMatter, ShapeError, "prepare_history depends on the axes before the last"),
    (Random, SeedError, "scoring twice gives different numbers"),
    (RandomInTraining, SeedError, "a training step twice gives different numbers"),
    (NoMask, PaddingError, "what padded places hold changes the pooled vector"),
    (CountsPlaces, PaddingError, "more padding on the left changes the pooled vector"),
    (NoEmptyHistory, FiniteError, "an empty history does not give finite numbers"),
    (SharedOnly, ShapeError, "pools differently from a shared one"),
    (OtherRows, PaddingError, "pool_rows over the real rows pools differently from forward"),
    (FailsOnOwnHistories, CrashError, "a history of its own pools like a shared one: ValueError"),
    (Deaf, ContentError, "other items in the history leave the pooled vector as it is"),
    (BatchMean, BatchError, "is pooled differently among 1 than among 4"),
    (Unused, GradientError, "parameter 'spare.weight' gets no gradient"),
    (Overflow, FiniteError, "not finite in float32 in eval mode"),
    (Forgets, StateError, "loaded from its state it gives other numbers"),
    (LooksAtTheCatalogue, SplitError, "'plain' in the composed model: scored from the code table"),
]


def test_a_pooler_that_keeps_the_contract_passes():
    check_pooler(Mean)
    check_pooler(Unused, exceptions=[r"spare\..*"], export=False)


@pytest.mark.parametrize(("pooler", "error", "words"), POOLERS, ids=lambda part: str(part)[-40:])
def test_a_planted_defect_of_a_pooler_is_caught(pooler, error, words):
    with pytest.raises(error, match=words) as refusal:
        check_pooler(pooler, export=False)
    assert type(refusal.value) is error


def test_a_pooler_that_exports_other_numbers_is_caught():
    with pytest.raises(
        ExportError, match="in the composed model: Composed cannot be exported: prob"
    ):
        check_pooler(ExportsOtherNumbers)


class Plain(Head):
    """Two layers: keeps the contract; each defect below breaks one promise."""

    name: ClassVar[str] = "plain"

    def __init__(self, width):
        super().__init__(width)
        self.inner, self.out = nn.Linear(width, 8), nn.Linear(8, 1)

    def forward(self, x):
        return self.out(self.inner(x).relu()).squeeze(-1)


class HeadWithoutForward(Head):
    name: ClassVar[str] = "no_forward"


class OneColumn(Plain):
    def forward(self, x):
        return super().forward(x).unsqueeze(-1)


class NoSingleRow(Plain):
    def __init__(self, width):
        super().__init__(width)
        self.norm = nn.BatchNorm1d(width)

    def forward(self, x):
        return super().forward(self.norm(x))


class RandomHead(Plain):
    def forward(self, x):
        logits = super().forward(x)
        return logits + 1e-3 * torch.randn_like(logits)


class HeadOfTheBatch(Plain):
    def forward(self, x):
        return super().forward(x - 0.1 * x.mean(0)) if len(x) > 1 else super().forward(x)


class DeafFeature(Plain):
    def forward(self, x):
        return super().forward(torch.cat([x[:, :2], 0.0 * x[:, 2:3], x[:, 3:]], -1))


class UnusedHead(Plain):
    def __init__(self, width):
        super().__init__(width)
        self.spare = nn.Linear(3, 3)


class OverflowHead(Plain):
    def forward(self, x):
        return super().forward(x) + (200.0 + 0.0 * x[:, 0]).exp() * 1e-100


class ForgetfulHead(Plain):
    def __init__(self, width):
        super().__init__(width)
        self.drawn = torch.randn(width, dtype=torch.float64)

    def forward(self, x):
        return super().forward(x * self.drawn.to(x.dtype))


class HeadThatExportsOtherNumbers(Plain):
    def forward(self, x):
        pooled = torch.compiler.is_exporting() or torch.jit.is_tracing()
        return super().forward(x) * (2.0 if pooled else 1.0)


HEADS = [
    (Mean, DeclarationError, "Mean is not a subclass of Head"),
    (
        HeadWithoutForward,
        DeclarationError,
        "'no_forward': does not define forward; every Head must",
    ),
    (OneColumn, ShapeError, r"1 rows of features give \(1, 1\); expected \(1,\)"),
    (
        NoSingleRow,
        CrashError,
        r"logits \[N\] of features \[N, F\]: ValueError: Expected more than 1",
    ),
    (RandomHead, SeedError, "scoring twice gives different numbers"),
    (HeadOfTheBatch, BatchError, "a row gets another logit among 1 than among 64 in eval mode"),
    (DeafFeature, ContentError, "feature 2 does not reach any logit"),
    (UnusedHead, GradientError, "parameter 'spare.weight' gets no gradient"),
    (OverflowHead, FiniteError, "not finite in float32 in eval mode"),
    (ForgetfulHead, StateError, "loaded from its state it gives other numbers"),
]


def test_a_head_that_keeps_the_contract_passes():
    check_head(Plain)
    check_head(UnusedHead, exceptions=[r"spare\..*"], export=False)


@pytest.mark.parametrize(("head", "error", "words"), HEADS, ids=lambda part: str(part)[-40:])
def test_a_planted_defect_of_a_head_is_caught(head, error, words):
    with pytest.raises(error, match=words) as refusal:
        check_head(head, export=False)
    assert type(refusal.value) is error


def test_a_head_that_exports_other_numbers_is_caught():
    with pytest.raises(
        ExportError, match="in the composed model: Composed cannot be exported: prob"
    ):
        check_head(HeadThatExportsOtherNumbers)
