"""check_fusion catches planted defects, each by its own error."""

from random import SystemRandom
from typing import ClassVar

import pytest
import torch
from torch import nn

from fusefront.fusion_variants.contract import Fused, FusionOperator
from fusefront.fusion_variants.presence import absent_bias, cleared, lowest, one_token
from fusefront.harness.testing.operator import cases, check_fusion, check_operator
from fusefront.harness.testing.operator_checks import check_content, check_gradients, check_query
from fusefront.harness.testing.promises import (
    BatchError,
    ContentError,
    CrashError,
    DeclarationError,
    ExportError,
    FiniteError,
    GradientError,
    PresenceError,
    QueryError,
    SeedError,
    ShapeError,
)


class Good(FusionOperator):
    """A linear layer over cleared slots: keeps the contract; each defect below breaks one
    promise."""

    name: ClassVar[str] = "good"

    def __init__(self, slots, d):
        super().__init__(slots, d)
        self.mix = nn.Linear(slots * d, d)

    @property
    def tokens_out(self):
        return 1

    def token(self, x, present, query):
        return self.mix(x.flatten(-2))

    def forward(self, x, present, query=None):
        x = x.masked_fill(~present.unsqueeze(-1), 0.0)
        some = present.any(-1, keepdim=True)
        token = self.token(x, present, query).masked_fill(~some, 0.0)
        return Fused(token.unsqueeze(-2), some, x.new_zeros(()))


class ZeroFactor(Good):
    def token(self, x, present, query):
        return super().token(x, present, query) * x.prod(-2)


class MultipliesByPresence(Good):
    def forward(self, x, present, query=None):
        some = present.any(-1, keepdim=True)
        token = self.mix((x * present.unsqueeze(-1)).flatten(-2)).masked_fill(~some, 0.0)
        return Fused(token.unsqueeze(-2), some, x.new_zeros(()))


class IgnoresPresence(Good):
    def forward(self, x, present, query=None):
        some = present.any(-1, keepdim=True)
        token = self.mix(x.flatten(-2)).masked_fill(~some, 0.0)
        return Fused(token.unsqueeze(-2), some, x.new_zeros(()))


class ClearsTooLate(Good):
    """The numbers are right and the gradient of the layer is NaN."""

    def __init__(self, slots, d):
        super().__init__(slots, d)
        self.turn = nn.Linear(d, d)

    def forward(self, x, present, query=None):
        return super().forward(
            self.turn(x).masked_fill(~present.unsqueeze(-1), 0.0), present, query
        )


class BiasWhenEmpty(Good):
    def forward(self, x, present, query=None):
        x = x.masked_fill(~present.unsqueeze(-1), 0.0)
        return Fused(
            self.mix(x.flatten(-2)).unsqueeze(-2), present.any(-1, keepdim=True), x.new_zeros(())
        )


class DiceLike(Good):
    """The gate of MMCTR-Bench: statistics of the current batch, in eval too."""

    def token(self, x, present, query):
        token = super().token(x, present, query)
        flat = token.reshape(-1, token.shape[-1])
        if len(flat) < 2:
            return 0.5 * token
        return token * ((token - flat.mean(0)) / (flat.std(0) + 1e-6)).sigmoid()


class KeyBias(Good):
    """Softmax of scores that share a bias: it learns by round-off only."""

    def __init__(self, slots, d):
        super().__init__(slots, d)
        self.score = nn.Linear(d, 1)

    def token(self, x, present, query):
        score = self.score(x).squeeze(-1).masked_fill(~present, -1e9)
        return super().token(x, present, query) + (score.softmax(-1).unsqueeze(-1) * x).sum(-2)


class Unused(Good):
    def __init__(self, slots, d):
        super().__init__(slots, d)
        self.spare = nn.Linear(d, d)


class Random(Good):
    def token(self, x, present, query):
        token = super().token(x, present, query)
        return token + 1e-3 * torch.randn_like(token)


class RandomInTraining(Good):
    """Not from torch's generator: no seed repeats it."""

    def token(self, x, present, query):
        token = super().token(x, present, query)
        return token * (1.0 + SystemRandom().random()) if self.training else token


class BatchOrder(Good):
    def token(self, x, present, query):
        token = super().token(x, present, query)
        return token + 0.1 * token.roll(1, 0) if token.dim() == 2 else token


class AxesMatter(Good):
    def token(self, x, present, query):
        token = super().token(x, present, query)
        return 2.0 * token if token.dim() == 3 else token


class OwnSeed(Good):
    def __init__(self, slots, d):
        super().__init__(slots, d)
        generator = torch.Generator()
        generator.seed()
        with torch.no_grad():
            self.mix.weight.normal_(generator=generator)


class LossInEval(Good):
    def forward(self, x, present, query=None):
        return super().forward(x, present, query)._replace(loss=x.new_ones(()))


class DeafSlot(Good):
    def token(self, x, present, query):
        return super().token(x * torch.tensor([1.0, 0.0, 1.0]).unsqueeze(-1), present, query)


class Overflow(Good):
    def token(self, x, present, query):
        return super().token(x, present, query) + (20.0 * x.square().sum(-2)).exp() * 1e-300


class WrongShape(Good):
    def forward(self, x, present, query=None):
        fused = super().forward(x, present, query)
        return fused._replace(tokens=fused.tokens.squeeze(-2))


class FlatOnly(Good):
    def token(self, x, present, query):
        return self.mix(x.reshape(x.shape[0], -1))


class NotFused(Good):
    def forward(self, x, present, query=None):
        return super().forward(x, present, query).tokens


class FloatPresence(Good):
    def forward(self, x, present, query=None):
        fused = super().forward(x, present, query)
        return fused._replace(present=fused.present.float())


class NoName(FusionOperator):
    pass


class NoForward(FusionOperator):
    name: ClassVar[str] = "no_forward"


class CannotBeBuilt(Good):
    def __init__(self, slots, d):
        super().__init__(slots, d)
        raise KeyError("no such word")


class Crashes(Good):
    def token(self, x, present, query):
        raise KeyError("no such word")


class MissingKeyword(Good):
    choices: ClassVar = {"rank": (1, 2)}


class UnknownLevel(Good):
    level: ClassVar[str] = "item"


class CodeAttribute(Good):
    def __init__(self, slots, d):
        super().__init__(slots, d)
        self.code = 3


class DeafToQuery(Good):
    uses_query: ClassVar[bool] = True

    def __init__(self, slots, d, *, query_width=0):
        super().__init__(slots, d)


class GoodQuery(Good):
    uses_query: ClassVar[bool] = True

    def __init__(self, slots, d, *, query_width=0):
        super().__init__(slots, d)
        self.ask = nn.Linear(query_width, d) if query_width else None

    def token(self, x, present, query):
        token = super().token(x, present, query)
        return token if self.ask is None else token * (1.0 + self.ask(query).sigmoid())


class ExportsOtherNumbers(Good):
    def token(self, x, present, query):
        token = super().token(x, present, query)
        return 2.0 * token if torch.compiler.is_exporting() else token


class CannotExport(Good):
    def token(self, x, present, query):
        token = super().token(x, present, query)
        return token if float(x.detach().nansum()) > -1e30 else -token


class WeighsBatches(Good):
    def weights(self, x, present, query=None):
        return present.double().mean(-1)


class WeighsAbsent(Good):
    def weights(self, x, present, query=None):
        return present.double().softmax(-1)


class WeighsWhatIsAbsent(Good):
    def weights(self, x, present, query=None):
        return x.mean(-1) * present


class Weighs(Good):
    def weights(self, x, present, query=None):
        return present / present.sum(-1, keepdim=True).clamp(min=1)


DEFECTS = [
    (WeighsBatches, ShapeError, r"weights of slots \(\d+,\) have shape \(\); expected one a slot"),
    (WeighsAbsent, PresenceError, "an absent slot has a weight; clear it and give it 0"),
    (WeighsWhatIsAbsent, PresenceError, "an absent slot has a weight; clear it and give it 0"),
    (ZeroFactor, ContentError, "must not annihilate"),
    (MultipliesByPresence, PresenceError, r"0 \* NaN is NaN"),
    (IgnoresPresence, PresenceError, "nan in an absent slot changes tokens"),
    (ClearsTooLate, PresenceError, "nan in an absent slot changes gradients"),
    (BiasWhenEmpty, PresenceError, "without any slot the tokens must be zero"),
    (DiceLike, BatchError, "scored in a batch of 1 an item gets another output"),
    (KeyBias, GradientError, r"parameter 'score.bias' gets no gradient"),
    (Unused, GradientError, r"parameter 'spare.weight' gets no gradient"),
    (BatchOrder, BatchError, "the order of the rows changes the output in eval mode"),
    (AxesMatter, BatchError, r"leading axes \(2, 3\) change the numbers"),
    (Random, SeedError, "scoring twice gives different tokens"),
    (RandomInTraining, SeedError, "a training step twice gives different tokens"),
    (OwnSeed, SeedError, "scoring twice gives different tokens"),
    (LossInEval, SeedError, "loss is not zero in eval mode"),
    (DeafSlot, ContentError, "what slot 1 holds does not reach the output"),
    (Overflow, FiniteError, "not finite in float32"),
    (WrongShape, ShapeError, r"give tokens of shape \(8,\); expected \(1, 8\)"),
    (FlatOnly, ShapeError, r"leading axes \(\) make forward fail"),
    (NotFused, ShapeError, "forward returns Tensor; expected Fused"),
    (FloatPresence, ShapeError, "present is torch.float32; expected bool"),
    (NoName, DeclarationError, "NoName has no `name`"),
    (
        NoForward,
        DeclarationError,
        "'no_forward': does not define tokens_out, forward; every Fusion",
    ),
    (CannotBeBuilt, DeclarationError, "cannot be built: KeyError: 'no such word'"),
    (Crashes, CrashError, "shapes with free leading axes: KeyError: 'no such word'"),
    (nn.Linear, DeclarationError, "is not a subclass of FusionOperator"),
    (MissingKeyword, DeclarationError, "takes no keyword 'rank' with a default"),
    (UnknownLevel, DeclarationError, "level is 'item'; expected 'feature', 'logit' or 'any'"),
    (CodeAttribute, DeclarationError, "an attribute is named 'code', which breaks export"),
    (DeafToQuery, QueryError, "another query does not change the output"),
]


@pytest.mark.parametrize("operator", [Good, GoodQuery, Weighs])
def test_an_operator_that_keeps_the_contract_passes(operator):
    check_fusion(operator, export=False)


@pytest.mark.parametrize(("operator", "error", "words"), DEFECTS, ids=lambda part: str(part)[:40])
def test_a_planted_defect_is_caught(operator, error, words):
    with pytest.raises(error, match=words):
        check_fusion(operator, export=False)


def test_a_parameter_named_in_the_exceptions_may_go_untaught():
    check_fusion(Unused, exceptions=("spare.weight", "spare.bias"), export=False)


def test_an_operator_that_exports_other_numbers_is_caught():
    with pytest.raises(ExportError, match="gives other tokens than eager for 1 items"):
        check_fusion(ExportsOtherNumbers)


def test_an_operator_that_cannot_be_exported_is_caught():
    with pytest.raises(ExportError, match="ONNX export fails"):
        check_fusion(CannotExport)


class Largest(FusionOperator):
    """Selects number by number."""

    name: ClassVar[str] = "largest"

    @property
    def tokens_out(self):
        return 1

    def forward(self, x, present, query=None):
        return one_token(lowest(x, present).amax(-2), present)


class TopOne(FusionOperator):
    """Selects the slot of the highest score, which also weighs it, so that the score learns."""

    name: ClassVar[str] = "top_one"
    uses_query: ClassVar[bool] = True

    def __init__(self, slots, d, *, query_width=0):
        super().__init__(slots, d)
        self.score = nn.Linear(d, 1, bias=False)
        self.ask = nn.Linear(query_width, slots, bias=False) if query_width else None

    @property
    def tokens_out(self):
        return 1

    def forward(self, x, present, query=None):
        x = cleared(x, present)
        score = self.score(x).squeeze(-1) + absent_bias(present, x.dtype)
        if self.ask is not None:
            score = score + self.ask(query)
        weight, best = score.softmax(-1).max(-1, keepdim=True)
        chosen = x.gather(-2, best.unsqueeze(-1).expand(*best.shape, self.d)).squeeze(-2)
        return one_token(weight * chosen, present)


class DeafTopOne(TopOne):
    """Slot 1 is never selected: deaf, however many rows are tried."""

    name: ClassVar[str] = "deaf_top_one"

    def forward(self, x, present, query=None):
        open_to = present & (torch.arange(self.slots) != 1)
        return super().forward(
            x, torch.where(open_to.any(-1, keepdim=True), open_to, present), query
        )


class Longest(FusionOperator):
    """Selects the slot of the longest vector as it is: nothing is weighed, nothing learns."""

    name: ClassVar[str] = "longest"

    @property
    def tokens_out(self):
        return 1

    def forward(self, x, present, query=None):
        x = cleared(x, present)
        best = (x.square().sum(-1) + absent_bias(present, x.dtype)).argmax(-1, keepdim=True)
        chosen = x.gather(-2, best.unsqueeze(-1).expand(*best.shape, self.d)).squeeze(-2)
        return one_token(chosen, present)


SELECTING = [(o, slots) for o in (Largest, TopOne, Longest) for slots in range(1, 7)]


def keeps_its_promises(operator, slots, d, seeds):
    """All of them once; those that chance could break, by many seeds."""
    check_operator(operator, slots=slots, d=d, export=False)
    for seed in range(seeds):
        for case in cases(operator, slots, d, {}, seed):
            check_content(case)
        for case in cases(operator, max(slots, 2), d, {}, seed):
            check_query(case)
            check_gradients(case)


@pytest.mark.parametrize(("operator", "slots"), SELECTING)
def test_a_correct_selecting_operator_is_refused_at_no_number_of_slots(operator, slots):
    for d in (1, 5, 16):
        keeps_its_promises(operator, slots, d, 4)


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize(("operator", "slots"), SELECTING)
def test_a_correct_selecting_operator_is_refused_at_no_width_and_by_no_seed(operator, slots):
    for d in range(1, 17):
        keeps_its_promises(operator, slots, d, 20)


class DeafGate(TopOne):
    """With two slots its query could matter; with one it never could: judged with two."""

    name: ClassVar[str] = "deaf_gate"

    def forward(self, x, present, query=None):
        return super().forward(x, present, None if query is None else 0.0 * query)


def test_with_one_slot_what_only_a_choice_can_show_is_judged_with_two():
    with pytest.raises(GradientError, match=r"parameter 'ask.weight' gets no gradient"):
        check_operator(DeafGate, slots=1, export=False)
    with pytest.raises(GradientError, match=r"parameter 'spare.weight'"):
        check_operator(Unused, slots=1, export=False)


@pytest.mark.parametrize("seed", range(20))
def test_a_slot_that_is_never_selected_is_deaf_by_every_seed(seed):
    with pytest.raises(ContentError, match="what slot 1 holds does not reach the output"):
        check_operator(DeafTopOne, seed=seed, export=False)


@pytest.mark.parametrize("operator", [ZeroFactor, DeafSlot])
@pytest.mark.parametrize("seed", range(20))
def test_an_absent_slot_that_annihilates_is_caught_by_every_seed(operator, seed):
    with pytest.raises(ContentError, match="does not reach the output"):
        check_operator(operator, seed=seed, export=False)


@pytest.mark.parametrize("seed", range(20))
def test_deafness_to_the_query_is_caught_by_every_seed(seed):
    with pytest.raises(QueryError):
        check_operator(DeafToQuery, seed=seed, export=False)
