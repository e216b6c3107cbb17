"""Histories whose events are told apart by their kind, over every shipped model."""

from collections.abc import Callable

import pytest
import torch

from fusefront.baselines.contract import Baseline, Events, Parts, Schema, gather
from fusefront.baselines.event_kinds import EventKindTokens
from fusefront.baselines.zoo import BASELINES, check_settings
from fusefront.harness.testing.baseline_checks import (
    check_batch,
    check_grouping,
    check_history,
    check_keep,
    check_padding,
    check_presence,
    check_split,
)
from fusefront.harness.testing.scene import SCHEMA, Scene
from fusefront.harness.testing.subject import Subject

KINDS, REDRAWS = 3, 8
PRESETS = {"em3", "mtfn", "pamd", "marn", "simcen"}  # of the composed model at `pooled` or `item`
TYPED = SCHEMA._replace(history_kinds=KINDS)
READING = [name for name, kind in BASELINES.items() if kind.reads_kinds]
COMPOSED: dict[str, dict[str, object]] = {
    "composed at item, target aware": {
        "placement": "item",
        "conditioning": "target_aware",
        "operator": {"name": "film"},
    },
    "composed at pooled": {"placement": "pooled", "operator": {"name": "concat"}},
}
SMALL: dict[str, dict[str, object]] = {  # without dropout, which is drawn for rows
    "din": {"embedding": 4, "attention": (16, 8), "hidden": (16, 8), "attention_dropout": 0.0},
    "momo": {
        "embedding": 4,
        "layers": 1,
        "feed": 8,
        "last": 3,
        "hidden": (16, 8),
        "head": (8,),
        "transformer_dropout": 0.0,
        "dropout": 0.0,
    },
    "qin": {"embedding": 4, "layers": 2, "rank": 3, "dropout": 0.0},
    "simtier": {"embedding": 4, "content": 6, "attention": (16, 8), "hidden": (16, 8)},
    "make": {"embedding": 4, "content": 4, "attention": (16, 8), "hidden": (16, 8)}
    | {"knowledge": (8,)},
    "muse": {"embedding": 4, "content": 6, "nearest": 3, "hidden": (16, 8)},
}
CASES = [(name, "", SMALL.get(name, {})) for name in READING if name not in PRESETS] + [
    ("composed", name, settings) for name, settings in COMPOSED.items()
]


@pytest.fixture
def typed(scene_of: Callable[[Schema], Scene]) -> Scene:
    return scene_of(TYPED)


def subject_of(scene: Scene, name: str, settings: dict[str, object], parts: Parts) -> Subject:
    def build(scene: Scene, seed: int) -> Baseline:
        return scene.model(BASELINES[name], settings, parts, seed)

    return Subject(name, scene, build)


def trained(model: Baseline) -> Baseline:
    """Kinds as far apart as training may bring them."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, EventKindTokens):
                assert module.vectors is not None
                weight = module.vectors.weight
                weight[1:] = torch.randn(weight[1:].shape, generator=generator, dtype=weight.dtype)
    return model.eval()


@pytest.mark.parametrize(("name", "case", "settings"), CASES)
def test_promises_hold_over_events_of_several_kinds(
    name: str, case: str, settings: dict[str, object], typed: Scene, parts: Parts
) -> None:
    assert typed.batch.events is not None
    subject = subject_of(typed, name, settings, parts)
    for check in (
        check_split,
        check_grouping,
        check_padding,
        check_history,
        check_presence,
        check_keep,
        check_batch,
    ):
        check(subject)


def logits(model: Baseline, scene: Scene, events: Events | None) -> torch.Tensor:
    with torch.no_grad():
        codes = model.encode_items(torch.arange(scene.schema.items + 1))
        batch = scene.batch._replace(events=events)
        return model.score(gather(codes, batch, batch.items)).logits.flatten()[batch.rows]


@pytest.mark.parametrize(("name", "case", "settings"), CASES)
def test_another_kind_is_another_score_and_no_kind_is_the_item_alone(
    name: str, case: str, settings: dict[str, object], typed: Scene, parts: Parts
) -> None:
    model = trained(typed.model(BASELINES[name], settings, parts))
    events = typed.batch.events
    assert events is not None
    before = logits(model, typed, events)
    generator = torch.Generator().manual_seed(2)
    moved = torch.zeros(len(before), dtype=torch.bool)
    for _ in range(REDRAWS):  # an attention that is sparse may not listen to an entry
        kind = torch.randint(0, KINDS + 1, events.kind.shape, generator=generator)
        moved |= (logits(model, typed, events._replace(kind=kind)) - before).abs() > 1e-9
    lengths = typed.batch.history_mask.sum(-1)[typed.batch.rows // typed.batch.candidates.shape[1]]
    assert moved[lengths > 1].all()
    assert not moved[lengths == 0].any()
    plain = logits(model, typed, None)
    none = logits(model, typed, events._replace(kind=torch.zeros_like(events.kind)))
    torch.testing.assert_close(none, plain, rtol=0.0, atol=0.0)
    with torch.no_grad():
        own = model.encode(torch.arange(TYPED.items + 1))[0]  # as if events were not told apart
        request = gather(own, typed.batch._replace(events=None), typed.batch.items)
        alone = model.score(request).logits.flatten()[typed.batch.rows]
    torch.testing.assert_close(none, alone, rtol=0.0, atol=1e-12)


def test_the_vector_of_a_kind_is_added_slot_by_slot_where_the_slot_is_there() -> None:
    """Against a plain loop."""
    generator = torch.Generator().manual_seed(0)
    kinds = EventKindTokens(2, 3, 4).double()
    assert kinds.vectors is not None
    with torch.no_grad():
        kinds.vectors.weight[0] = 9.0  # kind 0 adds nothing, whatever stands there
    x = torch.randn(5, 3, 4, generator=generator, dtype=torch.float64)
    present = torch.rand(5, 3, generator=generator) > 0.4
    x = x.masked_fill(~present.unsqueeze(-1), 0.0)
    item, kind = torch.tensor([0, 1, 1, 4, 2]), torch.tensor([0, 2, 1, 1, 0])
    moved, there = kinds(x, present, Events(item, kind, torch.zeros(1, 1, dtype=torch.long)))
    assert present.any()
    assert not present.all()
    for p, (i, k) in enumerate(zip(item.tolist(), kind.tolist(), strict=True)):
        for s in range(3):
            right = x[i, s].clone()
            if k and present[i, s]:
                right += kinds.vectors.weight[k, 4 * s : 4 * s + 4]
            assert torch.equal(moved[p, s], right)
            assert there[p, s] == present[i, s]


def test_auxiliary_losses_see_an_item_once_however_many_kinds_it_was_met_with(
    typed: Scene, parts: Parts
) -> None:
    settings = {"alignment": {"name": "infonce"}}
    model = typed.model(BASELINES["composed"], settings, parts).train()
    torch.manual_seed(1)
    several = model.losses(typed.batch).auxiliary
    torch.manual_seed(1)
    plain = model.losses(typed.batch._replace(events=None)).auxiliary
    assert several > 0
    torch.testing.assert_close(several, plain, rtol=0.0, atol=1e-12)


def test_a_model_that_tells_no_kinds_apart_is_refused(parts: Parts) -> None:
    class Deaf(BASELINES["din"]):  # type: ignore[name-defined,misc]
        name = "deaf"
        reads_kinds = False

    own = parts._replace(baselines={**parts.baselines, "deaf": Deaf})
    with pytest.raises(
        ValueError, match=r"deaf: the histories hold events of 3 kinds.*reads_kinds"
    ):
        check_settings("deaf", TYPED, {}, own)
    check_settings("deaf", SCHEMA, {}, own)
    check_settings("popularity", TYPED, {}, own)
    deaf = set(BASELINES) - set(READING)
    assert deaf == {name for name, kind in BASELINES.items() if not kind.reads_history}
