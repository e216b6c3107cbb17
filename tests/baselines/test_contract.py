"""What every model promises, checked over every entry of the zoo and over the composed model's
axes."""

import pytest
import torch

from fusefront.baselines.contract import Baseline, Parts, gather
from fusefront.baselines.heads.zoo import HEADS
from fusefront.baselines.poolers.zoo import POOLERS
from fusefront.baselines.zoo import BASELINES
from fusefront.fusion_variants.contract import FusionOperator
from fusefront.fusion_variants.zoo import ALIGNMENTS, COMPRESSORS, OPERATORS
from fusefront.harness.testing.baseline import PROMISES, subject_of
from fusefront.harness.testing.baseline_checks import check_grouping, check_presence, check_split
from fusefront.harness.testing.scene import make_scene
from fusefront.harness.testing.subject import encoded

PARTS = Parts(OPERATORS, COMPRESSORS, ALIGNMENTS, POOLERS, HEADS, BASELINES)
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
    "simtier": {"embedding": 4, "content": 6, "attention": (16, 8), "hidden": (16, 8)},
    "make": {"embedding": 4, "content": 4, "attention": (16, 8), "hidden": (16, 8)}
    | {"knowledge": (8,)},
    "one_trans": {"embedding": 4, "feed": 8},
    "muse": {"embedding": 4, "content": 6, "nearest": 3, "hidden": (16, 8)},
    "simcen": {"embedding": 4, "layers": 2, "hidden": 32, "dropout": 0.0},
    "naml": {"width": 8, "id_width": 4, "attention": 8},
    "m3srec": {"width": 8, "id_width": 4, "feed": 8, "experts": 2, "hidden": (16, 8)},
    **dict.fromkeys(("em3", "lmf", "mtfn", "pamd", "marn"), WIDE),
}
POOLED = {f"pooler {name}": {"operator": "concat", "pooler": name} for name in POOLERS}
POOLED["pooler content_search, hashed"] = {
    "operator": "concat",
    "pooler": {"name": "content_search", "nearest": 3, "bits": 8},
}
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
CASES.append(pytest.param("din", {**SMALL["din"], "dice": True}, id="din with dice"))
JOINED_WITHOUT_AN_OPERATOR = {
    "momo",
    "deepfm",
    "autoint",
    "one_trans",
    "m3srec",
}  # by a transformer, products, attention
SHIFT_BEFORE_NORM = (  # batch norm takes a constant away
    r"placement\.operator\.mix\.layers\.0\.bias",
    r"placement\.streams\.poolers\.0\.out\.bias",
    r"(head|deep)\.layers\.\d\.bias",
    r"pool\.read\.layers\.1\.bias",
)
every_model = pytest.mark.parametrize(("name", "settings"), CASES)


def placed(name: str, operator: type[FusionOperator]) -> dict[str, object]:
    """The operator where it may stand, at token width 8."""
    if name == "logit_stacked":
        return {"baseline": "stacked_fusion"}
    return {"operator": name, "placement": "logit" if operator.level == "logit" else "item"}


COMPRESSED = {
    "rq": {"levels": 2, "codes": 16},
    "qarm": {"levels": 2, "codes": 16},
    "psrq": {"levels": 2, "codes": 16},
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
every_part = pytest.mark.parametrize(
    ("name", "settings"),
    [
        pytest.param(
            settings.get("baseline", "composed"),
            {"token_width": 8, **{k: v for k, v in settings.items() if k != "baseline"}},
            id=title,
        )
        for title, settings in ENTRIES.items()
    ],
)


def subject(name, settings):
    """The zoo's model as the public checks take it."""
    kind = BASELINES[name]

    def build(scene, seed):
        return scene.model(kind, settings, PARTS, seed)

    return subject_of(name, build, SHIFT_BEFORE_NORM)


@pytest.mark.parametrize("promise", PROMISES.values(), ids=lambda check: check.__name__)
@every_model
def test_every_model_keeps_every_promise(name, settings, promise):
    promise(subject(name, settings))


@pytest.mark.parametrize(
    "promise", [check_split, check_grouping, check_presence], ids=lambda check: check.__name__
)
@every_part
def test_every_part_of_a_model_keeps_what_its_scores_depend_on(name, settings, promise):
    promise(subject(name, settings))


@every_model
def test_a_model_that_runs_no_operator_online_says_what_else_does(scene, name, settings):
    model = scene.build(name, settings)
    request = gather(encoded(model, scene), scene.batch, scene.batch.items)
    ran = []
    hook = torch.nn.modules.module.register_module_forward_hook(
        lambda module, *_: ran.append(isinstance(module, FusionOperator))
    )
    with torch.no_grad(), hook:
        model.score(request)
    if not any(ran) and model.cacheable() != "yes":
        assert name in JOINED_WITHOUT_AN_OPERATOR


SOLVED = ["popularity", "counts", "boosted"]


def test_only_the_solved_controls_read_no_history():
    assert [name for name, kind in BASELINES.items() if not kind.reads_history] == SOLVED


def undropped(model: Baseline) -> Baseline:
    """The model in training mode, without the masks that dropout draws."""
    for part in model.train().modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.0
    return model


@every_model
def test_real_pairs_alone_score_as_the_padded_graph(name: str, settings: dict[str, object]) -> None:
    """Logits, losses and gradients of training against the padded formula that is exported."""
    scene = make_scene()
    batch = scene.batch
    for dtype, tolerance in ((torch.float64, 1e-10), (torch.float32, 1e-5)):
        model = undropped(scene.model(BASELINES[name], settings, PARTS)).to(dtype)
        if model.solved:
            return
        logits, gradients = [], []
        for packed in (True, False):
            torch.manual_seed(0)
            codes, loss = model.encode_batch(batch)
            if packed:
                real, extra = model.score_rows(codes, batch)
            else:
                scored = model.score(gather(codes, batch), batch.rows)
                real, extra = scored.logits.flatten()[batch.rows], scored.loss
            model.zero_grad()
            ((real * torch.linspace(-1, 1, len(real), dtype=dtype)).sum() + loss + extra).backward()
            logits.append(real.detach())
            gradients.append([p.grad for p in model.parameters() if p.grad is not None])
        torch.testing.assert_close(*logits, rtol=tolerance, atol=tolerance)
        assert len(gradients[0]) == len(gradients[1])
        for ours, plain in zip(*gradients, strict=True):
            wide = tolerance * 10 * max(1.0, float(plain.abs().max()))
            torch.testing.assert_close(ours, plain, rtol=0, atol=wide)
