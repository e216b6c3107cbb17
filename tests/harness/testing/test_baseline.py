"""check_baseline catches planted defects, each by its own error."""

from dataclasses import dataclass
from random import SystemRandom
from typing import ClassVar

import pytest
import torch
from torch import nn

from fusefront.baselines.contract import Baseline, ItemCodes, Rows, Scored, no_loss
from fusefront.baselines.fields import small_embedding
from fusefront.baselines.models.composed import Composed
from fusefront.baselines.placements.stream import select, spread
from fusefront.fusion_variants.operators.early.concat import Concat
from fusefront.harness.testing import check_baseline
from fusefront.harness.testing.baseline import baseline_promises
from fusefront.harness.testing.promises import (
    BatchError,
    CacheError,
    ContentError,
    CrashError,
    DeclarationError,
    ExportError,
    FiniteError,
    GradientError,
    GroupingError,
    PaddingError,
    PresenceError,
    RoleError,
    SeedError,
    SplitError,
    StateError,
    breaches,
)


@dataclass(frozen=True)
class GoodSettings:
    width: int = 6


class Good(Baseline):
    """Ids and content summed, the history's mean beside the candidate: each defect breaks one
    promise."""

    name: ClassVar[str] = "good"
    Settings = GoodSettings
    choices: ClassVar = {"width": (4, 6)}

    def __init__(self, schema, items, settings, parts):
        super().__init__(schema, items, settings, parts)
        width = settings.width
        self.ids = small_embedding(schema.items + 1, width)
        self.vectors = nn.ModuleList(nn.Linear(w, width, False) for w in schema.modalities.values())
        for column, name in enumerate(schema.modalities):
            self.register_buffer(f"rows_{column}", self.cleared(items, name, column))
        self.register_buffer("present", items.present.clone())
        self.mlp = nn.Sequential(nn.Linear(3 * width, 8), nn.ReLU(), nn.Linear(8, 1))

    def cleared(self, items, name, column):
        return items.vectors[name].masked_fill(~items.present[:, [column]], 0.0)

    def let_in(self, ids, keep):
        return self.present[ids] if keep is None else self.present[ids] & keep

    def encode(self, ids, keep=None):
        x, there = self.ids(ids), self.let_in(ids, keep)
        for column, project in enumerate(self.vectors):
            rows = self.get_buffer(f"rows_{column}")[ids].masked_fill(~there[:, [column]], 0.0)
            x = x + project(rows)
        rows = Rows(x, (ids > 0).unsqueeze(-1))
        return ItemCodes(rows, rows), no_loss(x)

    def user(self, request):
        real = request.history_mask.unsqueeze(-1).to(request.history.values.dtype)
        return (request.history.values * real).sum(1) / real.sum(1).clamp_min(1.0)

    def features(self, request):
        target = request.candidates.values
        user = self.user(request).unsqueeze(1).expand_as(target)
        return torch.cat([user, target, user * target], -1)

    def score(self, request, rows=None):
        x = self.features(request)
        logits = self.mlp(select(x, rows)).squeeze(-1)
        return Scored(spread(logits, rows, x), no_loss(x))


class NoName(Good):
    name = ""


class NoScore(Baseline):
    name: ClassVar[str] = "no_score"
    Settings = GoodSettings

    def encode(self, ids, keep=None):
        return None


class LooseSettings(Good):
    class Settings:
        width = 6


class ImpossibleChoice(Good):
    choices: ClassVar = {"width": (4, "wide")}


class TakesAnySetting(Good):
    @classmethod
    def check(cls, schema, settings, parts):
        return GoodSettings(**{k: v for k, v in settings.items() if k == "width"})


class CannotBeBuilt(Good):
    def __init__(self, schema, items, settings, parts):
        raise KeyError("no such word")


class NeedsAnItemField(Good):
    """Says nothing of it in check."""

    def __init__(self, schema, items, settings, parts):
        super().__init__(schema, items, settings, parts)
        self.fields = small_embedding(schema.item_fields[0].size, settings.width)
        self.register_buffer("field", items.fields[:, -1].clamp(max=self.fields.num_embeddings - 1))

    def encode(self, ids, keep=None):
        codes, loss = super().encode(ids, keep)
        x = codes.history.values + self.fields(self.field[ids])
        rows = codes.history._replace(values=x)
        return ItemCodes(rows, rows), loss


class OwnSeed(Good):
    def __init__(self, schema, items, settings, parts):
        torch.manual_seed(0)
        super().__init__(schema, items, settings, parts)


class GlobalDraw(Good):
    @classmethod
    def build(cls, schema, items, settings, parts, seed):
        torch.rand(1)
        return super().build(schema, items, settings, parts, seed)


class NoSeed(Good):
    def __init__(self, schema, items, settings, parts):
        super().__init__(schema, items, settings, parts)
        with torch.no_grad():
            self.mlp[0].bias.fill_(SystemRandom().random())


class LooksAtTheBatchToEncode(Good):
    def encode(self, ids, keep=None):
        codes, loss = super().encode(ids, keep)
        rows = codes.history._replace(values=codes.history.values - codes.history.values.mean(0))
        return ItemCodes(rows, rows), loss


class ScoresPadding(Good):
    """A batch norm over padded candidates too: K candidates train another way than K rows."""

    def __init__(self, schema, items, settings, parts):
        super().__init__(schema, items, settings, parts)
        self.norm = nn.BatchNorm1d(3 * settings.width)

    def features(self, request):
        x = super().features(request)
        return self.norm(x.flatten(0, 1)).reshape(x.shape)


class NoMask(Good):
    def user(self, request):
        return request.history.values.mean(1)


class NoHistory(Good):
    def user(self, request):
        return 0.0 * super().user(request) + 1.0


class SaysNoHistory(Good):
    reads_history: ClassVar[bool] = False


class EmptyCounts(Good):
    def user(self, request):
        return super().user(request) + 0.01 * request.history.values.sum((1, 2)).unsqueeze(-1)


class MultipliesByPresence(Good):
    def cleared(self, items, name, column):
        return items.vectors[name]

    def encode(self, ids, keep=None):
        x, there = self.ids(ids), self.let_in(ids, keep)
        for column, project in enumerate(self.vectors):
            x = x + project(self.get_buffer(f"rows_{column}")[ids] * there[:, [column]])
        rows = Rows(x, (ids > 0).unsqueeze(-1))
        return ItemCodes(rows, rows), no_loss(x)


class ClearsTooLate(Good):
    """The numbers are right and the gradients of the projections are NaN."""

    def cleared(self, items, name, column):
        return items.vectors[name]

    def encode(self, ids, keep=None):
        x, there = self.ids(ids), self.let_in(ids, keep)
        for column, project in enumerate(self.vectors):
            rows = project(self.get_buffer(f"rows_{column}")[ids])
            x = x + rows.masked_fill(~there[:, [column]], 0.0)
        rows = Rows(x, (ids > 0).unsqueeze(-1))
        return ItemCodes(rows, rows), no_loss(x)


class DeafToKeep(Good):
    def let_in(self, ids, keep):
        return self.present[ids]


class BatchStatistics(Good):
    def features(self, request):
        x = super().features(request)
        return x - 0.1 * x.mean((0, 1))


class Unused(Good):
    def __init__(self, schema, items, settings, parts):
        super().__init__(schema, items, settings, parts)
        self.spare = nn.Linear(3, 3)


class NoRole(Good):
    def parameter_roles(self):
        return {"id_embedding": [], "field_embedding": [], "fusion": [], "dense": []}


class OtherRoles(Good):
    def parameter_roles(self):
        return {"all": list(self.parameters())}


class NoReason(Good):
    def cacheable(self):
        return "no"


class RunsAnOperator(Good):
    def __init__(self, schema, items, settings, parts):
        super().__init__(schema, items, settings, parts)
        self.operator = Concat(2, settings.width)

    def user(self, request):
        pooled = super().user(request)
        slots = torch.stack([pooled, pooled.square()], -2)
        return self.operator(slots, torch.ones_like(slots[..., 0], dtype=torch.bool)).tokens[
            ..., 0, :
        ]


class Overflow(Good):
    def features(self, request):
        x = super().features(request)
        return x + (200.0 + 0.0 * x).exp() * 1e-100  # no trouble in float64


class ForgetsItsTable(Good):
    """Drawn by the seed and kept outside the state."""

    def __init__(self, schema, items, settings, parts):
        super().__init__(schema, items, settings, parts)
        self.drawn = torch.randn(settings.width, dtype=torch.float64)

    def encode(self, ids, keep=None):
        codes, loss = super().encode(ids, keep)
        values = codes.history.values * self.drawn.to(codes.history.values)
        rows = codes.history._replace(values=values)
        return ItemCodes(rows, rows), loss


class OtherSettings(Good):
    def __init__(self, schema, items, settings, parts):
        super().__init__(schema, items, settings, parts)
        self.settings = {"width": settings.width}


class ExportsOtherNumbers(Good):
    def features(self, request):
        x = super().features(request)
        return x * 2.0 if torch.compiler.is_exporting() or torch.jit.is_tracing() else x


DEFECTS = [
    (nn.Linear, DeclarationError, "Linear is not a subclass of Baseline"),
    (NoName, DeclarationError, "NoName has no `name`"),
    (NoScore, DeclarationError, "'no_score': does not define score; every Baseline must"),
    (LooseSettings, DeclarationError, "expected a frozen dataclass"),
    (ImpossibleChoice, DeclarationError, "its choice width = 'wide' is refused by its own check"),
    (TakesAnySetting, DeclarationError, "check takes a setting 'no_such_setting'"),
    (CannotBeBuilt, DeclarationError, "cannot be built: KeyError: 'no such word'"),
    (NeedsAnItemField, CrashError, "it trains on data that has little: IndexError"),
    (OwnSeed, SeedError, "seeds 5 and 6 draw the same weights"),
    (GlobalDraw, SeedError, "building it draws from the global generator"),
    (NoSeed, SeedError, "the same seed gives another 'mlp.0.bias'"),
    (LooksAtTheBatchToEncode, SplitError, "from the code table a candidate gets another logit"),
    (ScoresPadding, GroupingError, "logits of K candidates of a request differ"),
    (NoMask, PaddingError, "what stands in padded places changes the scores"),
    (NoHistory, ContentError, "other items in the history leave 22 of 22 scores as they are"),
    (SaysNoHistory, ContentError, "`reads_history` is False and the history counts"),
    (EmptyCounts, PaddingError, "changes the scores of real candidates"),
    (MultipliesByPresence, PresenceError, r"NaN in the vector of an absent modality .* NaN is NaN"),
    (
        ClearsTooLate,
        PresenceError,
        "NaN .* reaches the gradients; clear the vectors before any lay",
    ),
    (DeafToKeep, PresenceError, "`keep` has no effect"),
    (BatchStatistics, GroupingError, "of K candidates of a request differ"),
    (Unused, GradientError, "parameter 'spare.weight' gets no gradient"),
    (NoRole, RoleError, "parameter 'ids.weight' has 0 roles"),
    (OtherRoles, RoleError, "parameter_roles.. has all; expected dense, field_embedding"),
    (NoReason, CacheError, "cacheable.. is 'no'; expected 'yes', or 'part: ' or 'no: ' and why"),
    (RunsAnOperator, CacheError, "is 'yes' and the operator Concat runs online"),
    (Overflow, FiniteError, "not finite under bfloat16 autocast"),
    (ForgetsItsTable, StateError, "loaded from its state it gives other codes"),
    (OtherSettings, StateError, "`settings` is not the resolved `Settings`"),
]


def test_a_model_that_keeps_the_contract_passes():
    check_baseline(Good)


def test_settings_that_are_given_are_the_ones_that_are_checked():
    check_baseline(Good, settings={"width": 4}, export=False)
    with pytest.raises(DeclarationError, match="setting 'width' is 'wide'"):
        check_baseline(Good, settings={"width": "wide"}, export=False)


def test_a_composed_model_of_ones_own_is_held_to_the_same(page_files):
    class Ours(Composed):
        name: ClassVar[str] = "ours"

    check_baseline(Ours, settings={"operator": "gmu", "token_width": 8}, export=False)


@pytest.mark.parametrize(("model", "error", "words"), DEFECTS, ids=lambda part: str(part)[:40])
def test_a_planted_defect_is_caught(model, error, words):
    with pytest.raises(error, match=words) as refusal:
        check_baseline(model, export=False)
    assert type(refusal.value) is error


def test_scores_that_depend_on_other_requests_are_caught():
    """Only where the grouping does not see it: in eval mode."""

    class InEvaluation(BatchStatistics):
        def features(self, request):
            return Good.features(self, request) if self.training else super().features(request)

    promises = baseline_promises(InEvaluation, export=False)
    assert BatchError in [type(error) for error in breaches("good", promises)]


def test_an_empty_history_that_counts_is_caught():
    class Counts(Good):
        def user(self, request):
            shift = request.history.values.abs().sum((1, 2)).unsqueeze(-1)
            return torch.where(
                request.history_mask.any(-1, keepdim=True), super().user(request), shift
            )

    promises = baseline_promises(Counts, export=False)
    errors = list(breaches("good", promises))
    assert {type(error) for error in errors} == {PaddingError}


def test_a_parameter_named_in_the_exceptions_may_go_untaught():
    check_baseline(Unused, exceptions=[r"spare\..*"], export=False)


def test_a_model_that_exports_other_numbers_is_caught():
    with pytest.raises(ExportError, match="cannot be exported: probabilities differ by"):
        check_baseline(ExportsOtherNumbers)
