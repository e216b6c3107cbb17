"""What every model promises, checked over every entry of the zoo and over the composed model's axes."""

import re

import pytest
import torch

from fusefront.baselines.contract import Context, ItemCodes, RequestBatch, Rows, gather
from fusefront.baselines.heads.zoo import HEADS
from fusefront.baselines.poolers.zoo import POOLERS
from fusefront.baselines.zoo import BASELINES
from fusefront.fusion_variants.contract import FusionOperator
from fusefront.fusion_variants.zoo import ALIGNMENTS, COMPRESSORS, OPERATORS

COMPOSED = {
    "item gmu": {"operator": "gmu"},
    "item target-aware film": {"operator": "film", "conditioning": "target_aware"},
    "item mean pooler": {"operator": "mean", "pooler": "mean", "head": "linear"},
    "pooled concat": {"operator": "concat", "placement": "pooled"},
    "pooled target-aware gate": {
        "operator": "scalar_gate",
        "placement": "pooled",
        "conditioning": "target_aware",
    },
    "interaction senet over all fields": {
        "operator": {"name": "senet", "readout": "tokens"},
        "placement": "interaction",
        "interaction_fields": "all",
        "skip": False,
        "presence_features": True,
    },
    "interaction bilinear over pairs": {
        "operator": "bilinear",
        "placement": "interaction",
        "interaction_fields": "pair",
    },
    "logit moe": {"operator": "moe", "placement": "logit", "presence_features": True},
    "aligned": {"operator": "sum", "alignment": "cosine"},
    "joint": {"operator": "concat", "compressor": {"name": "pca_joint", "k": 12}},
}
WIDE = {"token_width": 8, "id_width": 4, "head.hidden": (32, 16)}
SMALL = {  # the published widths take minutes and gigabytes
    "din": {"embedding": 4, "attention": (16, 8), "hidden": (16, 8), "attention_dropout": 0.0},
    "momo": {
        "embedding": 4,
        "layers": 1,
        "feed": 8,
        "last": 3,
        "cross_layers": 2,
        "hidden": (16, 8),
        "head": (8,),
        "transformer_dropout": 0.0,
        "dropout": 0.0,
    },
    "qin": {"embedding": 4, "layers": 2, "rank": 3, "dropout": 0.0},
    "seed_reconstruction": {"embedding": 8, "hidden": (16, 8)},
    "deepfm": {"embedding": 4, "hidden": (16, 8)},
    "autoint": {"embedding": 4, "layers": 2, "attention": 8},
    "dmf": {"width": 8, "content": 6, "hidden": (16, 8)},
    "naml": {"width": 8, "id_width": 4, "attention": 8},
    **dict.fromkeys(("make", "em3", "lmf", "mtfn", "simcen", "pamd", "marn"), WIDE),
}
POOLED = {f"pooler {name}": {"operator": "concat", "pooler": name} for name in POOLERS}
POOLED["pooler din with softmax"] = {"pooler": {"name": "din", "softmax": True}}
POOLED["pooler transformer"] = {
    "operator": "concat",
    "token_width": 4,
    "pooler": {"name": "transformer", "layers": 1, "hidden": 8, "last": 3},
}
POOLED["pooler din, target-aware"] = {**COMPOSED["item target-aware film"], "pooler": "din"}
HEADED = {f"head {name}": {"operator": "concat", "head": name} for name in HEADS}
SEEDED = {
    f"{recipe} {attention} senet {senet}": {
        **SMALL["seed_reconstruction"],
        "recipe": recipe,
        "attention": attention,
        "senet": senet,
    }
    for recipe, attention, senet in (
        ("V1", "din", True),
        ("V2", "target_attention", False),
        ("V3", "din", False),
        ("learned", "target_attention", True),
    )
}
CASES = [pytest.param(name, SMALL.get(name, {}), id=name) for name in BASELINES]
CASES += [
    pytest.param(name, settings, id=f"{name}: {title}")
    for name, cases in (("composed", COMPOSED | POOLED | HEADED), ("seed_reconstruction", SEEDED))
    for title, settings in cases.items()
]
JOINED_WITHOUT_AN_OPERATOR = {"momo", "deepfm", "autoint"}  # by a transformer, products, attention
NO_HISTORY = {"popularity"}  # every user gets the same scores
NOT_DRAWN = {"popularity"}  # nothing is random
SPARSE = {"qin"}  # items that match nothing weigh exactly nothing
SHIFT_BEFORE_NORM = re.compile(  # batch norm takes a constant away
    r"placement\.operator\.mix\.layers\.0\.bias|placement\.streams\.poolers\.0\.out\.bias"
    r"|(head|deep)\.layers\.\d\.bias|pool\.read\.layers\.1\.bias"
)
every_model = pytest.mark.parametrize(("name", "settings"), CASES)


def placed(name: str, operator: type[FusionOperator]) -> dict[str, object]:
    """The operator where it may stand, at token width 8."""
    if name == "logit_stacked":
        return {"baseline": "stacked_fusion"}
    return {"operator": name, "placement": "logit" if operator.level == "logit" else "item"}


COMPRESSED = {
    "rq": {"levels": 2, "codes": 16},
    "vq": {"parts": 2, "codes": 16},
    "matryoshka": {"least": 2},
    "bottleneck_pretrained": {"epochs": 2},
}
ENTRIES = {f"operator {name}": placed(name, operator) for name, operator in OPERATORS.items()}
for name in COMPRESSORS:
    compressor = {"name": name, **({"k": 8} if "k" in COMPRESSORS[name].choices else {})}
    ENTRIES[f"compressor {name}"] = {
        "operator": "concat",
        "compressor": compressor | COMPRESSED.get(name, {}),
    }
ENTRIES |= {  # here the operator runs online, and its losses must not see padded candidates
    f"operator {name} pooled": {"operator": name, "placement": "pooled"}
    for name, operator in OPERATORS.items()
    if operator.level != "logit"
}
ENTRIES["operator moe target-aware"] = {"operator": "moe", "conditioning": "target_aware"}
ENTRIES |= {f"alignment {name}": {"operator": "sum", "alignment": name} for name in ALIGNMENTS}
every_entry = pytest.mark.parametrize(
    ("name", "settings"),
    CASES
    + [
        pytest.param(
            settings.get("baseline", "composed"),
            {"token_width": 8, **{k: v for k, v in settings.items() if k != "baseline"}},
            id=title,
        )
        for title, settings in ENTRIES.items()
    ],
)


def encoded(model, scene, keep=None):
    with torch.no_grad():
        return model.eval().encode_items(torch.arange(scene.schema.items + 1), keep)


def logits_of(model, scene, batch: RequestBatch) -> torch.Tensor:
    """Real candidates' logits, from the code table."""
    with torch.no_grad():
        request = gather(encoded(model, scene), batch, batch.items)
        return model.score(request).logits.flatten()[batch.rows]


@every_entry
def test_encode_then_score_equals_the_monolithic_forward(scene, name, settings):
    model = scene.build(name, settings).eval()
    with torch.no_grad():
        whole = model.losses(scene.batch).logits.flatten()[scene.batch.rows]
    torch.testing.assert_close(logits_of(model, scene, scene.batch), whole, rtol=0, atol=1e-10)


@every_entry
def test_grouped_training_equals_row_wise_training(scene, row_wise, name, settings):
    found = []
    for batch in (scene.batch, row_wise(scene.batch)):
        model = scene.build(name, settings).train()
        torch.manual_seed(3)  # what is drawn in training is drawn for the distinct items
        losses = model.losses(batch)
        (losses.click + losses.auxiliary).backward()
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        found.append(
            (losses.logits.flatten()[batch.rows], losses.click, losses.auxiliary, gradients)
        )
    grouped, rows = found
    torch.testing.assert_close(grouped, rows, rtol=1e-9, atol=1e-10)


@every_model
def test_padding_content_changes_nothing(scene, name, settings):
    model = scene.build(name, settings)
    batch = scene.batch
    other = batch._replace(
        history=torch.where(batch.history_mask, batch.history, 7),
        candidates=torch.where(batch.candidate_mask, batch.candidates, 9),
    )
    assert not torch.equal(other.history, batch.history)
    torch.testing.assert_close(
        logits_of(model, scene, other), logits_of(model, scene, batch), rtol=0, atol=1e-12
    )


@every_model
def test_real_history_content_always_matters(scene, name, settings):
    model = scene.build(name, settings)
    batch = scene.batch
    changed = torch.where(batch.history_mask, (batch.history % 100) + 17, batch.history)
    before, after = (logits_of(model, scene, b) for b in (batch, batch._replace(history=changed)))
    empty = (batch.history_mask.sum(-1) == 0)[batch.rows // batch.candidates.shape[1]]
    moved = (before - after).abs() > 1e-9
    assert not moved[empty].any()
    if name in NO_HISTORY:
        assert not moved.any()
    elif name in SPARSE or settings.get("pooler") == "sparse_relu_attention":
        assert moved[~empty].double().mean() > 0.6
    else:
        assert moved[~empty].all()


@every_entry
def test_absent_modality_is_ignored_whatever_it_holds(scene, name, settings):
    vectors = {}
    for m, (modality, rows) in enumerate(scene.items.vectors.items()):
        vectors[modality] = rows.masked_fill(~scene.items.present[:, [m]], torch.nan)
    noisy = scene._replace(items=scene.items._replace(vectors=vectors))
    assert any(rows.isnan().any() for rows in vectors.values())
    clean, same = (logits_of(s.build(name, settings), s, s.batch) for s in (scene, noisy))
    assert clean.isfinite().all()
    torch.testing.assert_close(same, clean, rtol=0, atol=0)


@every_model
def test_a_modality_kept_out_counts_as_absent(scene, name, settings):
    model = scene.build(name, settings)
    everything = encoded(model, scene)
    present = scene.items.present.clone()
    torch.testing.assert_close(encoded(model, scene, present), everything)
    nothing = torch.zeros(present.shape[1], dtype=torch.bool)
    for code in encoded(model, scene, nothing):
        assert code.values.isfinite().all()


@every_model
def test_scores_do_not_depend_on_batch_size_or_order(scene, name, settings):
    model = scene.build(name, settings)
    codes = encoded(model, scene)
    batch = scene.batch
    with torch.no_grad():
        request = gather(codes, batch, batch.items)
        whole = model.score(request).logits
        for chosen in (torch.tensor([3]), torch.tensor([4, 2, 0]), torch.arange(5, -1, -1)):
            part = type(request)(
                Rows(*(x[chosen] for x in request.history)),
                request.history_mask[chosen],
                Rows(*(x[chosen] for x in request.candidates)),
                Context(*(x[chosen] for x in request.request_context)),
                Context(*(x[chosen] for x in request.candidate_context)),
            )
            torch.testing.assert_close(model.score(part).logits, whole[chosen], rtol=0, atol=1e-10)


@every_model
def test_gradient_reaches_every_parameter(scene, name, settings):
    model = scene.build(name, settings).train()
    losses = model.losses(scene.batch)
    (losses.click + losses.auxiliary).backward()
    silent = [
        key
        for key, parameter in model.named_parameters()
        if parameter.grad is None or parameter.grad.abs().max() < 1e-9
    ]
    assert [key for key in silent if not SHIFT_BEFORE_NORM.fullmatch(key)] == []


@every_model
def test_a_cacheable_model_runs_no_operator_online(scene, name, settings):
    model = scene.build(name, settings)
    request = gather(encoded(model, scene), scene.batch, scene.batch.items)
    ran = []
    hook = torch.nn.modules.module.register_module_forward_hook(
        lambda module, *_: ran.append(isinstance(module, FusionOperator))
    )
    with torch.no_grad(), hook:
        model.score(request)
    said, _, why = model.cacheable().partition(": ")
    assert said in ("yes", "part", "no")
    assert (said == "yes") == (not why)
    if any(ran):
        assert said != "yes"
    elif said != "yes":
        assert name in JOINED_WITHOUT_AN_OPERATOR


@every_model
def test_every_parameter_has_one_role(scene, name, settings):
    model = scene.build(name, settings)
    roles = model.parameter_roles()
    assert set(roles) == {"id_embedding", "field_embedding", "fusion", "dense"}
    listed = [id(p) for found in roles.values() for p in found]
    assert sorted(listed) == sorted(id(p) for p in model.parameters())


@every_model
def test_weights_are_drawn_by_the_seed_alone(scene, name, settings):
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    first = scene.build(name, settings, seed=5)
    assert torch.equal(before, torch.random.get_rng_state())
    torch.manual_seed(2)
    again, other = scene.build(name, settings, seed=5), scene.build(name, settings, seed=6)
    state = first.state_dict()
    assert all(torch.equal(value, state[key]) for key, value in again.state_dict().items())
    differs = any(
        not torch.equal(p, q) for p, q in zip(first.parameters(), other.parameters(), strict=True)
    )
    assert differs != (name in NOT_DRAWN)


@every_model
def test_bfloat16_autocast_stays_finite(scene, name, settings):
    model = scene.build(name, settings).float().train()
    batch = scene.batch._replace(
        labels=scene.batch.labels.float(),
        request_context=Context(
            *(x.float() if x.is_floating_point() else x for x in scene.batch.request_context)
        ),
        candidate_context=Context(
            *(x.float() if x.is_floating_point() else x for x in scene.batch.candidate_context)
        ),
    )
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses = model.losses(batch)
    (losses.click + losses.auxiliary).backward()
    assert losses.logits.isfinite().all()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)


@every_model
def test_the_code_table_and_settings_survive_a_round_trip(scene, name, settings):
    model = scene.build(name, settings)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.01)
    other = scene.build(name, settings, seed=9)
    other.load_state_dict(model.state_dict())
    torch.testing.assert_close(encoded(other, scene), encoded(model, scene), rtol=0, atol=0)
    assert isinstance(encoded(model, scene), ItemCodes)
    assert other.settings == model.settings
