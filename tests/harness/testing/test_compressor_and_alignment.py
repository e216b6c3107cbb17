"""check_compressor and check_alignment catch planted defects, each by its own error."""

from typing import ClassVar

import pytest
import torch
from torch import nn

from fusefront.fusion_variants.contract import AlignmentLoss, Compressor, CompressorReport
from fusefront.harness.testing import check_alignment, check_compressor
from fusefront.harness.testing.promises import (
    BatchError,
    ContentError,
    CrashError,
    DeclarationError,
    ExportError,
    FiniteError,
    GradientError,
    PresenceError,
    SeedError,
    ShapeError,
    StateError,
)


class Centred(Compressor):
    """Centred by the fit, then projected: keeps the contract; each defect breaks one promise."""

    name: ClassVar[str] = "centred"

    def __init__(self, width_in, *, k=8):
        super().__init__(width_in)
        if k > width_in:
            raise ValueError(f"k is {k}; expected at most {width_in}")
        self.register_buffer("mean", torch.zeros(width_in))
        self.encode = nn.Linear(width_in, k)

    @property
    def width_frozen(self):
        return self.width_in

    @property
    def width_out(self):
        return self.encode.out_features

    def fit(self, rows, seed):
        self.mean.copy_(rows.nanmean(0))
        return CompressorReport({"largest": float(self.mean.abs().max())})

    def transform(self, rows):
        return rows - self.mean

    def forward(self, rows, present):
        absent = ~present.unsqueeze(-1)
        x = self.encode(rows.masked_fill(absent, 0.0)).masked_fill(absent, 0.0)
        return x, x.new_zeros(())


class Wide(Centred):
    """Refuses vectors of 64 numbers."""

    def __init__(self, width_in, *, k=100):
        super().__init__(width_in, k=k)


class NoFit(Compressor):
    name: ClassVar[str] = "no_fit"


class NeverFits(Centred):
    def __init__(self, width_in, *, k=5000):
        super().__init__(width_in, k=k)


class CrashingFit(Centred):
    def fit(self, rows, seed):
        raise KeyError("no such word")


class Shared(Centred):
    """Says that trainings may share its table."""

    fit_uses: ClassVar[str] = "rows"


class SharedBySeed(Centred):
    fit_uses: ClassVar[str] = "seed"

    def fit(self, rows, seed):
        self.mean.copy_(rows.nanmean(0) + seed)
        return CompressorReport({})


class SeedUnsaid(SharedBySeed):
    fit_uses: ClassVar[str] = "rows"


class WeightsUnsaid(Centred):
    """Its table stands on the first weights of the encoder."""

    fit_uses: ClassVar[str] = "seed"

    def transform(self, rows):
        return rows - self.mean + self.encode.weight.detach().sum()


class OwnWordForUses(Centred):
    fit_uses: ClassVar[str] = "nothing"


class NarrowTable(Centred):
    def transform(self, rows):
        return super().transform(rows)[:, 1:]


class DoubleCodes(Centred):
    def forward(self, rows, present):
        x, loss = super().forward(rows, present)
        return x.double(), loss


class LossInEval(Centred):
    def forward(self, rows, present):
        x, loss = super().forward(rows, present)
        return x, loss + 1.0


class DividesByZero(Centred):
    def forward(self, rows, present):
        x, loss = super().forward(rows, present)
        return x / (0.0 * x), loss


class GlobalFit(Centred):
    def fit(self, rows, seed):
        self.mean.copy_(rows[torch.randperm(len(rows))[:50]].mean(0))
        return CompressorReport({})


class NoSeed(Centred):
    def fit(self, rows, seed):
        generator = torch.Generator()
        generator.seed()
        self.mean.copy_(rows[torch.randperm(len(rows), generator=generator)[:50]].mean(0))
        return CompressorReport({})


class TextReport(Centred):
    def fit(self, rows, seed):
        super().fit(rows, seed)
        return CompressorReport({"kind": "centred"})


class MultipliesByPresence(Centred):
    def forward(self, rows, present):
        x = self.encode(rows * present.unsqueeze(-1)).masked_fill(~present.unsqueeze(-1), 0.0)
        return x, x.new_zeros(())


class BiasWhereAbsent(Centred):
    def forward(self, rows, present):
        x = self.encode(rows.masked_fill(~present.unsqueeze(-1), 0.0))
        return x, x.new_zeros(())


class BatchCentred(Centred):
    def transform(self, rows):
        return rows - rows.mean(0)


class Joint(Centred):
    """Gaps are filled by the mean."""

    joint: ClassVar[bool] = True

    def transform(self, rows):
        return (rows - self.mean).nan_to_num()


class JointWithGaps(Centred):
    joint: ClassVar[bool] = True


class Forgets(Centred):
    def __init__(self, width_in, *, k=8):
        super().__init__(width_in, k=k)
        del self.mean
        self.mean = torch.zeros(width_in)

    def fit(self, rows, seed):
        self.mean = rows.mean(0)
        return CompressorReport({})


class Unused(Centred):
    def __init__(self, width_in, *, k=8):
        super().__init__(width_in, k=k)
        self.spare = nn.Linear(3, 3)


class ExportsOtherNumbers(Centred):
    def forward(self, rows, present):
        x, loss = super().forward(rows, present)
        return (2.0 * x if torch.compiler.is_exporting() else x), loss


COMPRESSORS = [
    (nn.Linear, DeclarationError, "Linear is not a subclass of Compressor"),
    (NoFit, DeclarationError, "does not define width_frozen, width_out, fit, transform, forward"),
    (NeverFits, DeclarationError, "cannot be built: ValueError: k is 5000; expected at most 64"),
    (CrashingFit, CrashError, "tables and outputs have their widths: KeyError"),
    (NarrowTable, ShapeError, r"transform gives \(400, 63\) for 400 rows; expected \(400, 64\)"),
    (DoubleCodes, ShapeError, r"forward gives torch.float64 \(40, 10, 8\)"),
    (LossInEval, ShapeError, "its loss in eval mode is not a zero"),
    (DividesByZero, FiniteError, "codes of finite rows are not finite"),
    (GlobalFit, SeedError, "fit draws from the global generator"),
    (NoSeed, SeedError, "fitting twice by one seed gives different tables"),
    (SeedUnsaid, SeedError, "fit_uses is 'rows', but its fit depends on more: say 'seed' or 'mod"),
    (WeightsUnsaid, SeedError, "fit_uses is 'seed', but .* more: its own first weights; say 'mod"),
    (OwnWordForUses, SeedError, "fit_uses is 'nothing'; expected 'rows', 'seed' or 'model'"),
    (TextReport, ShapeError, "its report holds something else than numbers"),
    (
        MultipliesByPresence,
        PresenceError,
        r"what an absent row holds changes codes, loss or gradients",
    ),
    (BiasWhereAbsent, PresenceError, "the code of an absent row is not zero"),
    (BatchCentred, BatchError, "a row alone is compressed differently than among 50"),
    (JointWithGaps, FiniteError, "NaN where a modality is absent comes out again"),
    (Forgets, StateError, "loaded from its state it gives other numbers"),
    (Unused, GradientError, "parameter 'spare.weight' gets no gradient"),
]


@pytest.mark.parametrize("compressor", [Centred, Shared, SharedBySeed, Wide, Joint])
def test_a_compressor_that_keeps_the_contract_passes(compressor):
    check_compressor(compressor, export=False)


def test_a_compressor_is_exported_too():
    check_compressor(Centred, choices={"k": 4}, width=12)
    check_compressor(Unused, exceptions=[r"spare\..*"], export=False)
    with pytest.raises(ExportError, match="ONNX Runtime gives other codes than eager for 50 items"):
        check_compressor(ExportsOtherNumbers)


@pytest.mark.parametrize(("part", "error", "words"), COMPRESSORS, ids=lambda part: str(part)[-40:])
def test_a_planted_defect_of_a_compressor_is_caught(part, error, words):
    with pytest.raises(error, match=words) as refusal:
        check_compressor(part, export=False)
    assert type(refusal.value) is error


class Pull(AlignmentLoss):
    """Mean square of the projected difference; each defect below breaks one promise."""

    name: ClassVar[str] = "pull"

    def __init__(self, d):
        super().__init__(d)
        self.turn = nn.Linear(d, d, bias=False)

    def forward(self, a, b, ids):
        return self.turn(a - b).square().sum() / max(1, a.numel())


class PullWithoutForward(AlignmentLoss):
    name: ClassVar[str] = "no_forward"


class ALossForEveryRow(Pull):
    def forward(self, a, b, ids):
        return self.turn(a - b).square().sum(-1)


class NeedsRows(Pull):
    def forward(self, a, b, ids):
        return self.turn(a - b).square().mean()


class CrashesOnOne(Pull):
    def forward(self, a, b, ids):
        if len(a) == 1:
            raise IndexError("one row")
        return super().forward(a, b, ids)


class RandomRows(Pull):
    def forward(self, a, b, ids):
        return super().forward(a, b, ids) * (1.0 + torch.rand(1)).squeeze()


class OneSided(Pull):
    def forward(self, a, b, ids):
        return super().forward(a, b.detach(), ids)


class UnusedPull(Pull):
    def __init__(self, d):
        super().__init__(d)
        self.spare = nn.Linear(3, 3)


class RootOfZero(Pull):
    """Its gradient at equal rows is infinite."""

    def forward(self, a, b, ids):
        return self.turn(a - b).square().sum(-1).sqrt().sum() / max(1, a.numel())


ALIGNMENTS = [
    (nn.Linear, DeclarationError, "Linear is not a subclass of AlignmentLoss"),
    (PullWithoutForward, DeclarationError, "does not define forward; every AlignmentLoss must"),
    (ALossForEveryRow, ShapeError, r"0 rows give \(0,\); expected a number"),
    (NeedsRows, FiniteError, "0 rows give nan; a batch may hold no item with both modalities"),
    (CrashesOnOne, CrashError, r"a loss \[\] of any number of rows: IndexError: one row"),
    (RandomRows, SeedError, "scoring twice gives different numbers"),
    (OneSided, ContentError, "it does not move the second view"),
    (UnusedPull, GradientError, "parameter 'spare.weight' gets no gradient"),
    (RootOfZero, FiniteError, "equal rows give a loss or gradients that are not finite"),
]


def test_an_alignment_loss_that_keeps_the_contract_passes():
    check_alignment(Pull)
    check_alignment(UnusedPull, exceptions=[r"spare\..*"])


@pytest.mark.parametrize(("part", "error", "words"), ALIGNMENTS, ids=lambda part: str(part)[-40:])
def test_a_planted_defect_of_an_alignment_loss_is_caught(part, error, words):
    with pytest.raises(error, match=words) as refusal:
        check_alignment(part)
    assert type(refusal.value) is error
