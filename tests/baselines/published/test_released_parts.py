"""Operators, heads, poolers and codes give the numbers of released code, with its weights.

`released/parts.npz` holds weights, inputs, outputs and what the sum of squared outputs sends back
to the inputs; released/record_parts.py made it and names the commits.
"""

from pathlib import Path

import numpy as np
import pytest
import torch

from fusefront.baselines.heads.dice import Dice
from fusefront.baselines.heads.final_mlp import FinalMlp
from fusefront.baselines.heads.gdcn import Gdcn
from fusefront.baselines.heads.mask_net import MaskNet
from fusefront.baselines.poolers.additive_attention import AdditiveAttention
from fusefront.baselines.poolers.din import DinPooler
from fusefront.baselines.poolers.similarity import bucket, tier_counts
from fusefront.baselines.poolers.similarity_buckets import SimilarityBuckets
from fusefront.baselines.poolers.target_attention import TargetAttention
from fusefront.fusion_variants.compressors.qarm import QarmCodes
from fusefront.fusion_variants.compressors.rq import ResidualCodes
from fusefront.fusion_variants.zoo import OPERATORS

D = 4  # width of a slot


@pytest.fixture(scope="module")
def recorded():
    with np.load(Path(__file__).with_name("released") / "parts.npz") as file:
        return {key: torch.from_numpy(np.asarray(file[key])) for key in file.files}


class Part:
    """The numbers of one part."""

    def __init__(self, numbers, name):
        start = f"{name}/"
        self.numbers = {k.removeprefix(start): v for k, v in numbers.items() if k.startswith(start)}
        self.out = self.numbers["out"]

    def weight(self, key):
        return self.numbers[f"weight/{key}"].double()

    def read(self, name):
        """An input, and whether gradients of it are recorded."""
        value = self.numbers[f"in/{name}"]
        return value.double().requires_grad_() if value.is_floating_point() else value

    def check(self, out, **inputs):
        """The output and what comes back to `inputs`, as recorded."""
        torch.testing.assert_close(out, self.out, rtol=1e-6, atol=1e-9)
        out.square().sum().backward()
        for name, value in inputs.items():
            theirs = self.numbers[f"gradient/{name}"]
            torch.testing.assert_close(value.grad, theirs, rtol=1e-6, atol=1e-9)
        assert inputs
        assert len(inputs) == sum(key.startswith("gradient/") for key in self.numbers)


def loaded(module, weights):
    """Our module in evaluation with weights under our names, all of them given."""
    module = module.double().eval()
    module.load_state_dict({**module.state_dict(), **weights})
    assert set(weights) >= {name for name, _ in module.named_parameters()}
    return module


def operator(name, slots, weights, **settings):
    return loaded(OPERATORS[name](slots, D, **settings), weights)


def token(operator, x):
    present = torch.ones(x.shape[:-1], dtype=torch.bool)
    return operator(x, present).tokens


def slot_matrix(*layers):
    """Linear weights [out, in], one a slot, as `SlotLinear` has them [M, in, out]."""
    return torch.stack([layer.T for layer in layers])


def slot_bias(*biases):
    return torch.stack(biases).unsqueeze(1)


def test_the_cross_network(recorded):
    part = Part(recorded, "dcnv2")
    names = {
        f"cross.{k}.layers.0.{key}": f"cross_layers.{k}.{key}"
        for k in (0, 1)
        for key in ("weight", "bias")
    }
    weights = {mine: part.weight(theirs) for mine, theirs in names.items()}
    ours = operator("dcnv2", 3, weights, layers=2, readout="tokens")
    x = part.read("x")
    part.check(token(ours, x).flatten(-2), x=x)


@pytest.mark.parametrize("sharing", ["all", "each", "interaction"])
def test_bilinear_pairs(recorded, sharing):
    """Ours ends in a linear layer over slots and pairs; here it reads the recorded pairs alone."""
    part = Part(recorded, f"bilinear_{sharing}")
    matrix = part.weight("bilinear_W")
    count = {"all": None, "each": 2, "interaction": 3}[sharing]
    turn = matrix.T if count is None else matrix[:count]
    key = "turn.0.layers.0.weight" if count is None else "turn.0.weight"
    x = part.read("feature_emb")
    outs = []
    for pair in range(3):
        mix = torch.zeros(D, 6 * D, dtype=torch.float64)
        mix[:, (3 + pair) * D : (4 + pair) * D] = torch.eye(D)
        weights = {key: turn, "mix.layers.0.weight": mix, "mix.layers.0.bias": mix.new_zeros(D)}
        outs.append(token(operator("bilinear", 3, weights, sharing=sharing), x))
    part.check(torch.cat(outs, -2), feature_emb=x)


def test_squeeze_and_excitation(recorded):
    part = Part(recorded, "senet")
    weights = {
        f"excite.layers.{k}.weight": part.weight(f"excitation.{2 * k}.weight") for k in (0, 1)
    }
    weights |= {f"excite.layers.{k}.bias": torch.zeros(3) for k in (0, 1)}
    x = part.read("feature_emb")
    part.check(token(operator("senet", 3, weights, readout="tokens"), x), feature_emb=x)


def mlp_weights(part, start, layers, prefix):
    """FuxiCTR's MLP_Block: linear layers at 0, 2, ..."""
    return {
        f"{prefix}{k}.{key}": part.weight(f"{start}{2 * k}.{key}")
        for k in range(layers)
        for key in ("weight", "bias")
    }


def test_gated_cross_layers(recorded):
    part = Part(recorded, "gdcn")
    weights = mlp_weights(part, "1.mlp.", 2, "deep.")
    for k in (0, 1):
        weights[f"cross.{k}.weight"] = part.weight(f"0.w.{k}.weight")
        weights[f"cross.{k}.bias"] = part.weight(f"0.b.{k}")
        weights[f"gates.{k}.weight"] = part.weight(f"0.wg.{k}.weight")
    weights |= {f"out.{key}": part.weight(f"1.mlp.4.{key}") for key in ("weight", "bias")}
    head = loaded(Gdcn(3 * D, layers=2, hidden=(5, 3), norm=False), weights)
    x = part.read("x")
    part.check(head(x).unsqueeze(-1), x=x)


def test_mask_blocks(recorded):
    part = Part(recorded, "mask_net")
    names = {"enter": "mask_layer.0", "leave": "mask_layer.2", "layer_norm": "hidden_layer.1"}
    weights = mlp_weights(part, "dnn.mlp.", 1, "layers.")
    weights |= {f"out.{key}": part.weight(f"dnn.mlp.2.{key}") for key in ("weight", "bias")}
    for k in (0, 1):
        start = f"mask_blocks.{k}."
        weights[f"blocks.{k}.project.weight"] = part.weight(f"{start}hidden_layer.0.weight")
        for mine, theirs in names.items():
            for key in ("weight", "bias"):
                weights[f"blocks.{k}.{mine}.{key}"] = part.weight(f"{start}{theirs}.{key}")
    head = loaded(MaskNet(3 * D, blocks=2, block=4, hidden=(5,), norm=False), weights)
    x = part.read("x")
    part.check(head(x).unsqueeze(-1), x=x)


def test_two_gated_streams(recorded):
    part = Part(recorded, "final_mlp")
    weights = {"gates": part.weight("gate_logits")}
    for stream in (0, 1):
        weights |= mlp_weights(part, f"{stream}.mlp.", 2, f"layers.{stream}.")
    ends = [part.weight(f"2.{name}.weight") for name in ("w_x", "w_y")]
    weights["out.weight"] = torch.cat(ends, -1)
    weights["out.bias"] = part.weight("2.w_x.bias") + part.weight("2.w_y.bias")
    weights["products"] = part.weight("2.w_xy").view(2, 2, 2)
    head = loaded(FinalMlp(3 * D, hidden=(6, 4), parts=2, norm=False), weights)
    x = part.read("x")
    part.check(head(x).unsqueeze(-1), x=x)


@pytest.mark.parametrize("name", ["dice", "dice_training"])
def test_dice(recorded, name):
    part = Part(recorded, name)
    running = {f"norm.running_{key}": part.weight(f"bn.running_{key}") for key in ("mean", "var")}
    ours = loaded(Dice(3 * D), {"slope": part.weight("alpha"), **running})
    x = part.read("X")
    part.check(ours.train(name == "dice_training")(x), X=x)


def pooled(pooler, target, history, mask):
    """One candidate a request: [N, D]."""
    asks, past = pooler.prepare_target(target).unsqueeze(1), pooler.prepare_history(history)
    return pooler(asks, past, mask).squeeze(1)


def test_dins_attention(recorded):
    part = Part(recorded, "din")
    names = {"first": "0", "rest.layers.0": "2", "rest.layers.1": "4"}
    weights = {
        f"{mine}.{key}": part.weight(f"attention_layer.mlp.{theirs}.{key}")
        for mine, theirs in names.items()
        for key in ("weight", "bias")
    }
    ours = loaded(DinPooler(D, hidden=(6, 5)), weights)
    target, history = part.read("target_item"), part.read("history_sequence")
    out = pooled(ours, target, history, part.read("mask"))
    part.check(out, target_item=target, history_sequence=history)


def test_target_attention(recorded):
    part = Part(recorded, "attention")
    names = {"query": "W_q", "key": "W_k", "value": "W_v"}
    weights = {f"{mine}.weight": part.weight(f"{theirs}.weight") for mine, theirs in names.items()}
    ours = loaded(TargetAttention(D, heads=2), weights | {"query.bias": torch.zeros(D)})
    target, history = part.read("target_item"), part.read("history_sequence")
    out = pooled(ours, target, history, part.read("mask"))
    part.check(out, target_item=target, history_sequence=history)


def test_additive_attention(recorded):
    part = Part(recorded, "naml")
    bias = part.weight("projection.bias") + part.weight("bias")  # they have two of them
    weights = {"inner.weight": part.weight("projection.weight"), "inner.bias": bias}
    weights["score.weight"] = part.weight("query").unsqueeze(0)
    ours = loaded(AdditiveAttention(D, hidden=D), weights)
    history = part.read("sequence")
    out = pooled(ours, history[:, 0], history, part.read("mask"))
    part.check(out, sequence=history)


def test_attention_over_buckets_of_similarity(recorded):
    """Their similarity is given; here an angle on a circle has it. A key's bias changes nothing,
    a value's is one of every bucket's."""
    part = Part(recorded, "dmf")
    weights = {
        f"{name}.weight": part.weight(f"{name}.weight") for name in ("query", "key", "value")
    }
    weights["query.bias"] = part.weight("query.bias")
    weights["bucket_keys"] = part.weight("similarity_key.embedding")
    weights["bucket_values"] = part.weight("similarity_value.embedding") + part.weight("value.bias")
    ours = loaded(SimilarityBuckets(D, buckets=7, content=2), weights)
    target, history = part.read("target_id"), part.read("history_id")
    alike = part.read("similarities").detach()
    ways = torch.stack([alike, (1.0 - alike.square()).sqrt()], -1)
    toward = torch.tensor([1.0, 0.0]).double().expand(len(target), 2)
    asks = ours.target_code(target, toward).unsqueeze(1)
    out = ours(asks, ours.history_code(history, ways), part.read("mask")).squeeze(1)
    torch.testing.assert_close(out, part.out, rtol=1e-6, atol=1e-9)
    out.square().sum().backward()
    for name, value in (("target_id", target), ("history_id", history)):
        theirs = part.numbers[f"gradient/{name}"]
        torch.testing.assert_close(value.grad, theirs, rtol=1e-6, atol=1e-9)


def test_tiers_of_similarity(recorded):
    part = Part(recorded, "tiers")
    scores, mask = part.read("scores").detach(), part.read("mask")
    place = bucket(scores, 10).unsqueeze(1)
    assert torch.equal(tier_counts(mask, place, 10, scores).squeeze(1), part.out)


def test_low_rank_fusion_of_its_authors(recorded):
    part = Part(recorded, "lmf_released")
    factors = [part.weight(f"{name}_factor") for name in ("audio", "video", "text")]
    x = part.read("x")
    part.check(token(low_rank(part, factors), x).squeeze(-2), x=x)


def test_low_rank_fusion(recorded):
    part = Part(recorded, "lmf")
    factors = [part.weight(f"factors.{m}") for m in range(3)]
    x = part.read("x")
    part.check(token(low_rank(part, factors), x).squeeze(-2), x=x)


def low_rank(part, factors):
    """Factors [R, 1 + d, d], the constant's row first."""
    weights = {
        "factor.weight": torch.stack([f[:, 1:].transpose(0, 1).flatten(1) for f in factors]),
        "factor.bias": slot_bias(*(f[:, 0].flatten() for f in factors)),
        "weight": part.weight("fusion_weights"),
        "bias": part.weight("fusion_bias").squeeze(0),
    }
    return operator("lmf", 3, weights, rank=3)


SLOT_NAMES = ("id", "image", "text")


def test_tensor_fusion_of_rank(recorded):
    part = Part(recorded, "mtfn")
    factors = [
        torch.cat([part.weight(f"heads.{name}.{r}.weight") for r in range(3)])
        for name in SLOT_NAMES
    ]
    weights = {"factor.weight": slot_matrix(*factors)}
    weights |= {f"mix.layers.0.{key}": part.weight(f"compress.{key}") for key in ("weight", "bias")}
    x = part.read("x")
    ours = operator("mtfn", 3, weights, rank=3, hidden=D, bias=False)
    part.check(token(ours, x).squeeze(-2), x=x)


def test_additive_fusion(recorded):
    part = Part(recorded, "maf")
    x = part.read("x")
    part.check(token(operator("maf", 3, additive(part, "", "view")), x).squeeze(-2), x=x)


def additive(part, start, name):
    matrices = torch.stack([part.weight(f"{start}weights.{slot}") for slot in SLOT_NAMES])
    biases = slot_bias(*(part.weight(f"{start}biases.{slot}") for slot in SLOT_NAMES))
    return {f"{name}.weight": matrices, f"{name}.bias": biases}


def test_tensor_fusion(recorded):
    """The constant is first there and last here, and slots are not narrowed there."""
    part = Part(recorded, "tfn")
    cube = part.weight("post_fusion_layer_1.weight").view(D, 5, 5, 5)
    weights = {
        "narrow.weight": torch.eye(D).expand(3, D, D),
        "mix.layers.0.weight": cube.roll((-1, -1, -1), (1, 2, 3)).flatten(1),
        "mix.layers.0.bias": part.weight("post_fusion_layer_1.bias"),
    }
    x = part.read("x")
    part.check(token(operator("tfn", 3, weights, k=D), x).squeeze(-2), x=x)


def test_tucker_fusion(recorded):
    part = Part(recorded, "mutan")
    sides = ("v", "q")
    weights = {
        "squash.weight": slot_matrix(*(part.weight(f"linear_{s}.weight") for s in sides)),
        "squash.bias": slot_bias(*(part.weight(f"linear_{s}.bias") for s in sides)),
        "mix.layers.0.weight": torch.eye(D),
        "mix.layers.0.bias": torch.zeros(D),
    }
    lists = [[f"list_linear_h{s}.{r}" for r in range(3)] for s in sides]
    matrices = (torch.cat([part.weight(f"{name}.weight") for name in names]) for names in lists)
    weights["factor.weight"] = slot_matrix(*matrices)
    weights["factor.bias"] = slot_bias(
        *(torch.cat([part.weight(f"{name}.bias") for name in names]) for names in lists)
    )
    x = part.read("x")
    ours = operator("mutan", 2, weights, rank=3, inner=5, hidden=D)
    part.check(token(ours, x).squeeze(-2), x=x)


def test_the_query_former(recorded):
    """Our keys have no bias (softmax cancels it); theirs divides by √(d + 1e-5). The last linear
    layer of ours reads the queries one by one here."""
    part = Part(recorded, "fq_former")
    weights = {"encode.slot": torch.zeros(3, D), "encode.queries": part.weight("queries")[0]}
    for k in (0, 1):
        theirs, mine = f"layers.{k}.", f"encode.layers.{k}."
        weight = {
            n: part.weight(f"{theirs}{n}.weight") for n in ("key", "value", "query", "output")
        }
        bias = {n: part.weight(f"{theirs}{n}.bias") for n in ("value", "query", "output")}
        shrink = (2.0 / (2.0 + 1e-5)) ** 0.5  # of heads of width 2
        weights[f"{mine}attention.ask.weight"] = weight["query"] * shrink
        weights[f"{mine}attention.ask.bias"] = bias["query"] * shrink
        weights[f"{mine}attention.tell.weight"] = torch.cat([weight["key"], weight["value"]])
        weights[f"{mine}attention.mix.layers.0.weight"] = weight["output"]
        moved = bias["output"] + weight["output"] @ bias["value"]  # weights sum to 1
        weights[f"{mine}attention.mix.layers.0.bias"] = moved
        for key in ("weight", "bias"):
            weights[f"{mine}norm.{key}"] = part.weight(f"{theirs}normalisation.{key}")
    x = part.read("modality_tokens")
    outs = []
    for query in range(2):
        mix = torch.eye(2 * D)[query * D : (query + 1) * D]
        ends = {"encode.mix.layers.0.weight": mix, "encode.mix.layers.0.bias": torch.zeros(D)}
        ours = operator("fq_former", 3, weights | ends, queries=2, layers=2, heads=2)
        outs.append(token(ours, x).squeeze(-2))
    part.check(torch.cat(outs, -1), modality_tokens=x)


def test_pamds_fusion(recorded):
    """In evaluation; its losses are others, which its page says."""
    part = Part(recorded, "pamd")
    weights = {"keys.layers.0.weight": part.weight("query.weight").T @ part.weight("key.weight")}
    for mine, place in (("enter", 0), ("leave", 3)):
        layers = [f"common_{slot}.{place}" for slot in "ab"]
        weights[f"{mine}.weight"] = slot_matrix(*(part.weight(f"{n}.weight") for n in layers))
        weights[f"{mine}.bias"] = slot_bias(*(part.weight(f"{n}.bias") for n in layers))
    x = part.read("x")
    part.check(token(operator("pamd", 3, weights, weight=0.0), x).squeeze(-2), x=x)


def test_marns_fusion(recorded):
    """In evaluation; its losses are others, which its page says."""
    part = Part(recorded, "marn")
    specific = (part.weight(f"0.specific.{slot}.weight") for slot in SLOT_NAMES)
    weights = {
        "shared.layers.0.weight": part.weight("0.invariant.weight"),
        "specific.weight": slot_matrix(*specific),
        **additive(part, "1.", "view"),
    }
    for mine, theirs in (("tell_weight", "domain"), ("tell_shared", "adversarial")):
        for layer, place in ((0, 0), (1, 2)):
            for key in ("weight", "bias"):
                value = part.weight(f"2.{theirs}_classifier.{place}.{key}")
                weights[f"{mine}.layers.{layer}.{key}"] = value
    ours = OPERATORS["marn"](3, D)
    for name in ("tell_weight", "tell_shared"):  # theirs has 64 hidden units, ours as many as d
        setattr(ours, name, type(ours.tell_weight)([D, 64, 3]))
    weights |= {k: v for k, v in ours.state_dict().items() if k.startswith("tell_specific")}
    x = part.read("x")
    part.check(token(loaded(ours, weights), x).squeeze(-2), x=x)


def test_residual_codes(recorded):
    for name, maker in (("rq", ResidualCodes), ("qarm", QarmCodes)):
        part = Part(recorded, name)
        ours = maker(D, levels=3, codes=4).double()
        ours.centres = part.weight("codebooks")
        rows = part.read("vectors" if name == "rq" else "x").detach()
        assert torch.equal(ours.transform(rows), part.out)
        assert len(part.out.unique(dim=0)) > 5
