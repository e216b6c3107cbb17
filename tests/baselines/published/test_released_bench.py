"""naml, lmf, mtfn, pamd, marn and em3 give the numbers of MMCTR-Bench, its losses where they agree.

`released/bench_NAME.npz` holds weights, inputs and, for the click loss and each auxiliary loss,
logits, value and every gradient; released/record_bench.py made it and says what is equal, zero or
the identity there.
"""

from pathlib import Path

import numpy as np
import pytest
import torch

from fusefront.baselines.contract import Context, Field, ItemTable, RequestBatch, Schema, gather
from fusefront.baselines.zoo import BASELINES
from fusefront.fusion_variants.layers import Flat

D, USERS, SLOTS = 4, 5, ("id", "image", "text")
NEAR = {"rtol": 1e-6, "atol": 1e-9}
GRADIENT = {"rtol": 1e-6, "atol": 1e-8}


class Numbers:
    """What was recorded of one model."""

    def __init__(self, name):
        with np.load(Path(__file__).with_name("released") / f"{name}.npz") as file:
            self.of = {key: torch.from_numpy(np.asarray(file[key])) for key in file.files}

    def weight(self, key):
        return self.of[f"weight/{key}"].double()

    def gradient(self, *runs):
        """Key to the gradient of the runs' losses, 0 where none of them reads the weight."""

        def gradient(key):
            parts = [self.of.get(f"{run}/gradient/{key}") for run in runs]
            return sum((part.double() for part in parts if part is not None), 0 * self.weight(key))

        return gradient

    def batch(self, *, users):
        """Schema, items and a batch of one candidate a request; users are a request's field."""
        rows, length = self.of["history"].shape
        widths = {name: self.of[name].shape[1] for name in SLOTS[1:]}
        fields = (Field("user", USERS + 1),) * users
        schema = Schema(rows, widths, (), 0, fields, 0, (), 0, length)
        there = torch.arange(rows + 1) > 0
        vectors = {name: self.of[name] for name in widths}
        none = torch.zeros(rows + 1, 0)
        counts = there.long()
        present = there.unsqueeze(-1).expand(-1, len(widths))
        items = ItemTable(vectors, present, none.long(), none, there, counts, counts)
        target, ids = self.of["target"].unsqueeze(-1), self.of["user"].unsqueeze(-1)
        nothing = torch.zeros(rows, 1, 0)
        batch = RequestBatch(
            torch.arange(rows + 1),
            self.of["history"],
            self.of["mask"],
            target,
            torch.ones(rows, 1, dtype=torch.bool),
            torch.arange(rows),
            Context(ids if users else ids[:, :0], torch.zeros(rows, 0).double()),
            Context(nothing.long(), nothing.double()),
            self.of["labels"].double().unsqueeze(-1),
            torch.arange(rows).unsqueeze(-1),
            torch.arange(rows),
        )
        return schema, items, batch


def slot_matrix(layers):
    """Linear weights [out, in], one a slot, as `SlotLinear` has them [M, in, out]."""
    return torch.stack([layer.T for layer in layers])


def slot_bias(biases):
    return torch.stack(list(biases)).unsqueeze(1)


def inputs(get, side):
    rows = len(get("embedding.embedding")) - USERS
    names = {
        f"slots.project.{m}.weight": f"{side}.{name}.weight" for m, name in enumerate(SLOTS[1:])
    }
    embedding = {"slots.ids.weight": get("embedding.embedding")[:rows]}
    return embedding | {mine: get(theirs) for mine, theirs in names.items()}


def users(get):
    table = get("embedding.embedding")
    return {"context.request.tables.0.weight": torch.cat([0.0 * table[:1], table[-USERS:]])}


def head(get, order, out="output"):
    """Their first layer reads blocks in another order."""
    first = get("dnn.layers.0.weight")
    blocks = first.split(D, 1)
    mapped = {"head.layers.0.weight": torch.cat([first[:, :0], *(blocks[at] for at in order)], 1)}
    names = {"layers.0.bias": "dnn.layers.0.bias"}
    for key in ("weight", "bias"):
        names |= {f"layers.1.{key}": f"dnn.layers.3.{key}", f"out.{key}": f"{out}.layers.0.{key}"}
    return mapped | {f"head.{mine}": get(theirs) for mine, theirs in names.items()}


def attention(get):
    """DIN's network; a constant of every score is nothing to its softmax."""
    layers = {"first": 0, "rest.layers.0": 3, "rest.layers.1": 6}
    return {
        f"placement.streams.poolers.0.{mine}.{key}": get(f"attention.network.{place}.{key}")
        for mine, place in layers.items()
        for key in ("weight", "bias")
        if (mine, key) != ("rest.layers.1", "bias")
    }


def naml(get, power):
    view = {
        "operator.view.weight": torch.stack([get(f"modal_fusion.weights.{s}") for s in SLOTS]),
        "operator.view.bias": slot_bias(get(f"modal_fusion.biases.{s}") for s in SLOTS),
    }
    bias = get("user_encoder.projection.bias")
    pool = {
        "pool.inner.weight": get("user_encoder.projection.weight"),
        # they have two constants, which are added: either's gradient is that of the sum
        "pool.inner.bias": bias + get("user_encoder.bias") if power > 0 else bias,
        "pool.score.weight": get("user_encoder.query").unsqueeze(0),
    }
    user = {f"user.{key}": get(f"user_linear.{key}") for key in ("weight", "bias")}
    return inputs(get, "projectors") | users(get) | view | pool | user


def lmf(get, power):
    factors = [get(f"target_fusion.factors.{m}") for m in range(3)]  # [R, 1 + d, d]
    operator = {
        "factor.weight": torch.stack([f[:, 1:].transpose(0, 1).flatten(1) for f in factors]),
        "factor.bias": slot_bias(f[:, 0].flatten() for f in factors),
        "weight": get("target_fusion.fusion_weights"),
        "bias": get("target_fusion.fusion_bias").squeeze(0),
    }
    operator = {f"placement.operator.{key}": value for key, value in operator.items()}
    return inputs(get, "target_projectors") | operator | head(get, (1, 0), "out_put")


def mtfn(get, power):
    factors = [
        torch.cat([get(f"target_fusion.heads.{s}.{r}.weight") for r in range(3)]) for s in SLOTS
    ]
    operator = {"placement.operator.factor.weight": slot_matrix(factors)}
    for key in ("weight", "bias"):
        operator[f"placement.operator.mix.layers.0.{key}"] = get(f"target_fusion.compress.{key}")
    return inputs(get, "target_projectors") | operator | head(get, (1, 0), "out_put")


def pamd(get, power):
    """Their two matrices of an attention are one of ours: with a query that is the identity."""
    block = "target_blocks.image__text."
    operator = {"keys.layers.0.weight": get(f"{block}key.weight")}
    for mine, place in (("enter", 0), ("leave", 3)):
        layers = [f"{block}common_{slot}.{place}" for slot in "ab"]
        operator[f"{mine}.weight"] = slot_matrix(get(f"{name}.weight") for name in layers)
        operator[f"{mine}.bias"] = slot_bias(get(f"{name}.bias") for name in layers)
    operator = {f"placement.operator.{key}": value for key, value in operator.items()}
    return inputs(get, "target_projectors") | operator | head(get, (1, 0))


def marn(get, power):
    operator = {
        "shared.layers.0.weight": get("split.invariant.weight"),
        "specific.weight": slot_matrix(get(f"split.specific.{s}.weight") for s in SLOTS),
        "view.weight": torch.stack([get(f"private_fusion.weights.{s}") for s in SLOTS]),
        "view.bias": slot_bias(get(f"private_fusion.biases.{s}") for s in SLOTS),
    }
    classifiers = {
        "tell_weight": "adversarial.domain_classifier",
        "tell_shared": "adversarial.adversarial_classifier",
        "tell_specific": "specific_classifier.classifier",
    }
    for mine, theirs in classifiers.items():
        for layer, place in ((0, 0), (1, 2)):
            for key in ("weight", "bias"):
                operator[f"{mine}.layers.{layer}.{key}"] = get(f"{theirs}.{place}.{key}")
    # where all modalities weigh 2 / 3, their adversary reads 2 / 3 of what ours does
    operator["tell_shared.layers.0.weight"] = (2 / 3) ** power * operator[
        "tell_shared.layers.0.weight"
    ]
    operator = {f"placement.operator.{key}": value for key, value in operator.items()}
    ends = users(get) | attention(get) | head(get, (1, 2, 0))
    return inputs(get, "projectors") | operator | ends


def em3(get, power):
    """Theirs divides by √(d + 1e-5); the keys' constant is nothing to a softmax."""
    shrink = (2.0 / (2.0 + 1e-5)) ** (0.5 * power)  # of heads of width 2
    operator = {"queries": get("fq_former.queries")[0]}
    for k in (0, 1):
        theirs, mine = f"fq_former.layers.{k}.", f"layers.{k}."
        for key in ("weight", "bias"):
            operator[f"{mine}attention.ask.{key}"] = get(f"{theirs}query.{key}") * shrink
            operator[f"{mine}attention.mix.layers.0.{key}"] = get(f"{theirs}output.{key}")
            operator[f"{mine}norm.{key}"] = get(f"{theirs}normalisation.{key}")
        both = [get(f"{theirs}{name}.weight") for name in ("key", "value")]
        operator[f"{mine}attention.tell.weight"] = torch.cat(both)
    operator = {f"placement.operator.encode.{key}": value for key, value in operator.items()}
    ends = users(get) | attention(get) | head(get, (1, 2, 0))
    return inputs(get, "projectors") | operator | ends


def dmf(get, power):
    """Counts there, shares here: of histories of four items."""
    pool = {"bucket_keys": get("target_attention.similarity_key.embedding")}
    pool["bucket_values"] = get("target_attention.similarity_value.embedding")
    names = {f"{name}.weight": f"{name}.weight" for name in ("query", "key", "value")}
    names["query.bias"] = "query.bias"
    pool |= {mine: get(f"target_attention.{theirs}") for mine, theirs in names.items()}
    pool = {f"pool.attend.{key}": value for key, value in pool.items()}
    for layer, place in ((0, 0), (1, 4)):
        for key in ("weight", "bias"):
            pool[f"pool.read.layers.{layer}.{key}"] = get(f"center_mlp.layers.{place}.{key}")
    pool["pool.read.layers.0.weight"] = 4.0**power * pool["pool.read.layers.0.weight"]
    ends = {}
    for layer, place in ((0, 0), (1, 4)):
        for key in ("weight", "bias"):
            ends[f"head.layers.{layer}.{key}"] = get(f"dnn.layers.{place}.{key}")
            ends[f"head.norms.{layer}.{key}"] = get(f"dnn.layers.{place + 1}.{key}")
        for key in ("running_mean", "running_var") if power > 0 else ():
            ends[f"head.norms.{layer}.{key}"] = get(f"dnn.layers.{place + 1}.{key}")
    ends |= {f"head.out.{key}": get(f"output.layers.0.{key}") for key in ("weight", "bias")}
    return {"slots.ids.weight": get("embedding.embedding")[:-USERS]} | users(get) | pool | ends


def make(get, power):
    """Counts there, shares here: of histories of four items."""
    key, wide = "head.layers.0.weight", 3 * D
    ends = head(get, (), "out_put")
    user, pooled, target, tiers = get("dnn.layers.0.weight").split([D, wide, wide, 10], 1)
    ends[key] = torch.cat([pooled, 4.0**power * tiers, target, user], 1)
    pool = {name.replace("poolers.0", "poolers.0.pool"): v for name, v in attention(get).items()}
    return inputs(get, "projectors") | users(get) | pool | ends


def composed(operator, pooler, **settings):
    mlp = {"name": "mlp", "hidden": (6, 5), "norm": False}
    widths = {"id_width": D, "token_width": D, "context_width": D}
    parts = {"compressor": {"name": "none"}, "operator": operator, "pooler": pooler, "head": mlp}
    return {**widths, **parts, "products": False, **settings}


DIN = {"name": "din", "softmax": True, "hidden": (6, 5)}
MEAN = {"name": "mean"}
MARN = composed({"name": "marn"}, DIN)
FQ_FORMER = {"name": "fq_former", "queries": 1, "layers": 2, "heads": 2}
CASES = {  # our model, its settings, how weights map, whether users are read, parameters of ours
    "bench_naml": ("naml", {"width": D, "id_width": D, "attention": D}, naml, True, ("bias",)),
    "bench_lmf": ("lmf", composed({"name": "lmf", "rank": 3}, MEAN), lmf, False, ()),
    "bench_mtfn": (
        "mtfn",
        composed({"name": "mtfn", "rank": 3, "hidden": D, "bias": False}, MEAN),
        mtfn,
        False,
        (),
    ),
    "bench_pamd": (
        "composed",
        composed({"name": "pamd"}, MEAN, placement="pooled"),
        pamd,
        False,
        ("placement.operator.rebuild.weight", "placement.operator.rebuild.bias"),
    ),
    "bench_marn": ("marn", MARN, marn, True, ()),
    "bench_marn_unsure": ("marn", MARN, marn, True, ()),
    "bench_em3": (
        "composed",
        composed(FQ_FORMER, DIN),
        em3,
        True,
        (
            "placement.operator.encode.slot",
            "placement.operator.encode.mix.layers.0.weight",
            "placement.operator.encode.mix.layers.0.bias",
        ),
    ),
}

CASES["bench_dmf"] = ("dmf", {"width": D, "hidden": (32, D)}, dmf, True, ())
TIERS = DIN | {"name": "similarity_tiers", "tiers": 10}
CASES["bench_make"] = ("composed", composed(None, TIERS), make, True, ())


def built(name, numbers, parts):
    """Our model with their weights, and the batch that they saw."""
    kind, settings, mapped, reads, own = CASES[name]
    schema, items, batch = numbers.batch(users=reads)
    model = BASELINES[kind].build(schema, items, settings, parts, 0).double()
    weights = mapped(numbers.weight, 1)
    if mapped is marn:  # theirs has 64 hidden units, ours as many as d
        for key in ("tell_weight", "tell_shared", "tell_specific"):
            setattr(model.placement.operator, key, Flat([D, 64, 3]).double())
    parameters = dict(model.named_parameters())
    values = parameters | {key: v for key, v in model.named_buffers() if "running" in key}
    assert set(weights) == set(values) - set(own)
    with torch.no_grad():
        for key in own:
            parameters[key].zero_()
            if key.endswith("mix.layers.0.weight"):
                parameters[key].copy_(torch.eye(D))
        for key, value in weights.items():
            assert values[key].shape == value.shape, key
            values[key].copy_(value)
    return model, batch, parameters


@pytest.mark.parametrize("name", list(CASES))
def test_clicks_and_their_gradients_are_those_of_the_released_code(parts, name):
    numbers = Numbers(name)
    model, batch, parameters = built(name, numbers, parts)
    with torch.no_grad():
        codes, _ = model.eval().encode(batch.items)
        logits = model.score(gather(codes, batch), batch.rows).logits
    torch.testing.assert_close(logits.flatten(), numbers.of["click/logits"].flatten(), **NEAR)
    losses = model.train().losses(batch)
    trained = numbers.of["click/trained_logits"].flatten()
    torch.testing.assert_close(losses.logits.flatten(), trained, **NEAR)
    torch.testing.assert_close(losses.click, numbers.of["click/loss"], **NEAR)
    losses.click.backward()
    for key, theirs in CASES[name][2](numbers.gradient("click"), -1).items():
        if ".tell_" not in key:  # MARN: its weights are taken as they are here
            mine = parameters[key].grad
            torch.testing.assert_close(
                mine, theirs, **GRADIENT, msg=lambda m, key=key: f"{key} {m}"
            )


def test_pamds_losses_where_its_ranks_are_level(parts):
    """Common parts drawn together and specific ones apart, of candidates and of pooled histories;
    what theirs and ours rank, each otherwise, is alike there and adds 2 log 2 to either."""
    numbers = Numbers("bench_pamd")
    model, batch, parameters = built("bench_pamd", numbers, parts)
    loss = model.train().losses(batch).auxiliary
    torch.testing.assert_close(loss, numbers.of["pamd_disentanglement/loss"], **NEAR)
    loss.backward()
    gradients = pamd(numbers.gradient("pamd_disentanglement"), -1)
    assert any("placement" in key and value.any() for key, value in gradients.items())
    for key, theirs in gradients.items():
        mine = parameters[key].grad
        torch.testing.assert_close(0 * theirs if mine is None else mine, theirs, **GRADIENT)


MARNS = [f"marn_{kind}" for kind in ("domain_classifier", "adversarial_invariance")]
MARNS.append("marn_specific_classifier")


def test_marns_losses_where_no_modality_weighs_more(parts):
    """All three, and their gradients: the adversary's turned around, the classifier of weights by
    its own loss alone. That of specific parts sends nothing back here, as its last layer is 0."""
    numbers = Numbers("bench_marn_unsure")
    model, batch, parameters = built("bench_marn_unsure", numbers, parts)
    loss = model.train().losses(batch).auxiliary
    each = [numbers.of[f"{name}/loss"] for name in MARNS]
    torch.testing.assert_close(loss, torch.stack(each).sum(), **NEAR)
    loss.backward()
    ours = marn(numbers.gradient(*MARNS), -1)
    own = marn(numbers.gradient(MARNS[0]), -1)
    ours |= {key: value for key, value in own.items() if "tell_weight" in key}
    assert ours["slots.ids.weight"].any()
    for key, theirs in ours.items():
        mine = parameters[key].grad
        mine = torch.zeros_like(theirs) if mine is None else mine
        torch.testing.assert_close(mine, theirs, **GRADIENT, msg=lambda m, key=key: f"{key} {m}")


@pytest.mark.parametrize(("adversary", "terms"), [(0.0, MARNS[:1]), (None, MARNS[::2])])
def test_marns_classifiers_see_what_theirs_see(parts, adversary, terms):
    """The classifier of weights and that of specific parts, as seasoned: their own gradients."""
    numbers = Numbers("bench_marn")
    model, batch, parameters = built("bench_marn", numbers, parts)
    operator = model.placement.operator
    if adversary is not None:
        operator.adversary = adversary
    loss = model.train().losses(batch).auxiliary
    if adversary is not None:
        torch.testing.assert_close(loss, numbers.of[f"{terms[0]}/loss"], **NEAR)
    loss.backward()
    names = {MARNS[0]: "tell_weight", MARNS[2]: "tell_specific"}
    compared = 0
    for name in terms:
        for key, theirs in marn(numbers.gradient(name), -1).items():
            if names[name] in key:
                torch.testing.assert_close(parameters[key].grad, theirs, **GRADIENT)
                compared += 1
    assert compared == 4 * len(terms)
