"""Further parts give the numbers of released code, with its weights.

`released/more.npz` holds weights, inputs, outputs and what the sum of squared outputs sends back to
the inputs; released/record_more.py made it and names the commits.
"""

from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import silu

from fusefront.baselines.contract import Request, Rows
from fusefront.baselines.heads.ppnet import PpNet
from fusefront.baselines.heads.rank_mixer import MixerBlock
from fusefront.baselines.poolers.content_search import ContentSearch
from fusefront.baselines.poolers.hstu import Hstu
from fusefront.baselines.poolers.semantic_attention import SemanticAttention
from fusefront.baselines.published.content import TierCounts
from fusefront.baselines.published.unified_layer import UnifiedLayer
from fusefront.fusion_variants.contrast import info_nce
from fusefront.fusion_variants.zoo import OPERATORS

D, HEADS = 4, 2


class Part:
    """The numbers of one part."""

    def __init__(self, name):
        with np.load(Path(__file__).with_name("released") / "more.npz") as file:
            keys = [key for key in file.files if key.startswith(f"{name}/")]
            self.of = {k.split("/", 1)[1]: torch.from_numpy(np.asarray(file[k])) for k in keys}
        self.out = self.of["out"]

    def weight(self, key):
        return self.of[f"weight/{key}"].double()

    def read(self, name):
        value = self.of[f"in/{name}"]
        return value.double().requires_grad_() if value.is_floating_point() else value

    def check(self, out, **inputs):
        """The output and what comes back to `inputs`, as recorded."""
        torch.testing.assert_close(out, self.out, rtol=1e-6, atol=1e-9)
        out.square().sum().backward()
        assert set(inputs) == {k.split("/")[1] for k in self.of if k.startswith("gradient/")}
        for name, value in inputs.items():
            theirs = self.of[f"gradient/{name}"]
            torch.testing.assert_close(value.grad, theirs, rtol=1e-6, atol=1e-9)


def loaded(module, weights):
    """Our module in evaluation with weights under our names, all of them given."""
    module = module.double().eval()
    module.load_state_dict({**module.state_dict(), **weights})
    assert set(weights) == {name for name, _ in module.named_parameters()}
    return module


def token(name, x, weights, **settings):
    operator = loaded(OPERATORS[name](x.shape[-2], D, **settings), weights)
    return operator(x, torch.ones(x.shape[:-1], dtype=torch.bool)).tokens.squeeze(-2)


def test_the_contrast_of_content_and_id():
    """Of vectors of length 1 theirs, which takes products, and ours, which takes cosines, agree."""
    part = Part("contrast")
    content, ids = part.read("content"), part.read("ids")
    out = info_nce(content, ids, torch.arange(len(ids)), 0.3)
    assert out.dtype == torch.float32  # whatever it reads
    torch.testing.assert_close(out.double(), part.out, rtol=1e-6, atol=0.0)
    (out.double() ** 2).backward()
    for name, value in (("content", content), ("ids", ids)):
        theirs = part.of[f"gradient/{name}"]
        torch.testing.assert_close(value.grad, theirs, rtol=1e-5, atol=1e-6)


def test_counts_of_similarity_and_their_weights():
    """Their tiers are closed above, ours below, so theirs are 22: one more for -1 and above 1."""
    part = Part("tiers")
    alike, weight = part.read("cosine").detach(), part.weight("emb").flatten()
    assert not part.out[:, 0].any()
    assert not part.out[:, -1].any()
    tiers = TierCounts([2], 20).double()
    with torch.no_grad():
        tiers.weights.copy_(weight[1:-1])
    toward = torch.tensor([1.0, 0.0]).double().expand(len(alike), 1, 2)
    ways = torch.stack([alike, (1.0 - alike.square()).sqrt()], -1)
    rows, length = alike.shape
    there = torch.ones(rows, 1, 1, dtype=torch.bool)
    mask = torch.ones(rows, length, dtype=torch.bool)
    request = Request(
        candidates=Rows(toward, there),
        history=Rows(ways, mask.unsqueeze(-1)),
        history_mask=mask,
        request_context=None,
        candidate_context=None,
    )
    out = tiers(request).squeeze(1)
    torch.testing.assert_close(out, part.out[:, 1:-1], rtol=1e-6, atol=1e-9)


def layers(part, name, x):
    """Their projections, one a head, side by side, with x σ(x) around each."""
    each = range(HEADS)
    weight = torch.cat([part.weight(f"{name}_layers.{k}.linears.0.weight") for k in each])
    bias = torch.cat([part.weight(f"{name}_layers.{k}.linears.0.bias") for k in each])
    return silu(x @ weight.T + bias)


def test_attention_of_ids_and_content():
    """Their projections, ours have no x σ(x); theirs adds 1e-7 to every weight; their τ is our
    1 / ρ and their scores are not divided by √d."""
    part = Part("sata")
    query, fact, alike = (part.read(name) for name in ("query", "fact", "cosine"))
    values = layers(part, "value", fact)
    code = torch.cat([layers(part, "fact", fact), values, alike.unsqueeze(-1)], -1)
    ours = SemanticAttention(D, heads=HEADS, content=1).double()
    with torch.no_grad():
        ours.sharpness.copy_(1.0 / part.weight("cosine_tau1")[0].view(HEADS, 1, 1))
        ours.beta.copy_(part.weight("cosine_tau2").view(3, HEADS, 1, 1))
    mask = torch.ones(len(query), 1, fact.shape[1], dtype=torch.bool)
    out = ours.attend(layers(part, "query", query).unsqueeze(1), code, alike.unsqueeze(1), mask)
    part.check(out.squeeze(1) + 1e-7 * values.sum(1), query=query, fact=fact, cosine=alike)


def test_search_by_content():
    """What is attended to after the search are their three items; padding is none of them."""
    part = Part("search")
    target, history = part.read("target").detach(), part.read("history").detach()
    search = ContentSearch(D, heads=1, nearest=3).double()
    plain = SemanticAttention(D, heads=1).double()
    plain.load_state_dict(search.state_dict())
    asks, past = search.prepare_target(target), search.prepare_history(history)
    real = history.any(-1)
    chosen = torch.zeros_like(real).scatter(1, part.out, True)
    assert not (chosen & ~real).any()
    out = search(asks.unsqueeze(1), past, real)
    torch.testing.assert_close(out, plain(asks.unsqueeze(1), past, chosen), rtol=1e-9, atol=1e-12)


def test_hstus_layer():
    """At the end of a full history; their norms and first projections have no constants."""
    part = Part("hstu")
    weights = {"project.weight": part.weight("_uvqk").T, "project.bias": torch.zeros(4 * D)}
    weights |= {f"out.{key}": part.weight(f"_o.{key}") for key in ("weight", "bias")}
    for name in ("enter_norm", "mixed_norm"):
        weights |= {f"{name}.weight": torch.ones(D), f"{name}.bias": torch.zeros(D)}
    pooler = Hstu(D, layers=1, heads=HEADS)
    pooler = loaded(pooler, {f"layers.0.{key}": value for key, value in weights.items()})
    history, target = part.read("history"), part.read("target")
    mask = torch.ones(history.shape[:2], dtype=torch.bool)
    asks, past = pooler.prepare_target(target).unsqueeze(1), pooler.prepare_history(history)
    part.check(pooler(asks, past, mask).squeeze(1), history=history, target=target)


def test_gated_multimodal_units():
    """Their views of the two slots are made before; one gate z and 1 - z, as σ(-a) = 1 - σ(a)."""
    part = Part("gmu")
    gate = part.weight("W").T
    weights = {
        "gate.layers.0.weight": torch.cat([gate, -gate]),
        "gate.layers.0.bias": torch.zeros(2 * D),
        "view.weight": torch.eye(D).expand(2, D, D),
    }
    x = part.read("x")
    part.check(token("gmu", x, weights), x=x)


def test_scales_and_shifts():
    part = Part("film")
    weights = {"turn.layers.0.weight": torch.cat([part.weight("W"), part.weight("U")], -1).T}
    x = part.read("x")
    part.check(token("film", x, weights), x=x)


def test_mixture_of_all_experts():
    part = Part("moe")
    experts = range(3)
    weight = [part.weight(f"experts.{e}.mlp.2.weight").T for e in experts]
    bias = [part.weight(f"experts.{e}.mlp.2.bias") for e in experts]
    weights = {"leave.weight": torch.stack(weight), "leave.bias": torch.stack(bias).unsqueeze(1)}
    for key in ("weight", "bias"):
        weights[f"route.layers.0.{key}"] = part.weight(f"gate.0.mlp.0.{key}")
        enter = [part.weight(f"experts.{e}.mlp.0.{key}") for e in experts]
        weights[f"enter.layers.0.{key}"] = torch.cat(enter)
    x = part.read("x")
    part.check(token("moe", x, weights, experts=3, hidden=5), x=x)


def test_gates_of_parameters():
    """Theirs stand behind hidden layers, ours in front of them: the first of ours and the last of
    theirs are 1 here, all between are the same."""
    part = Part("ppnet")
    weights = {"out.weight": part.weight("mlp_layers.2.weight")}
    weights["out.bias"] = part.weight("mlp_layers.2.bias")
    for key in ("weight", "bias"):
        weights |= {f"layers.{k}.{key}": part.weight(f"mlp_layers.{k}.0.{key}") for k in (0, 1)}
        weights[f"enter.1.{key}"] = part.weight(f"gate_layers.0.gate.0.{key}")
        weights[f"leave.1.{key}"] = part.weight(f"gate_layers.0.gate.2.{key}")
        weights[f"enter.0.{key}"] = part.weight(f"gate_layers.1.gate.0.{key}")
    weights |= {"leave.0.weight": torch.zeros(3 * D, 3), "leave.0.bias": torch.zeros(3 * D)}
    x = part.read("x")
    head = loaded(PpNet(3 * D, hidden=(6, 5), gate=3, norm=False), weights)
    part.check(head(x).unsqueeze(-1), x=x)


def test_a_block_of_mixed_tokens():
    part = Part("rank_mixer")
    weights = {}
    for mine, theirs in (("enter", "1"), ("leave", "2")):
        weights[f"{mine}.weight"] = part.weight(f"pffn.W{theirs}")
        weights[f"{mine}.bias"] = part.weight(f"pffn.b{theirs}").unsqueeze(1)
    for mine, theirs in (("mixed_norm", "norm1"), ("fed_norm", "norm2")):
        weights |= {f"{mine}.{key}": part.weight(f"{theirs}.{key}") for key in ("weight", "bias")}
    x = part.read("x")
    part.check(loaded(MixerBlock(2, D, 2 * D), weights)(x), x=x)


def test_causal_layers_over_history_and_fields():
    """Their norms have one scale for history and fields, ours two."""
    part = Part("one_trans")
    layers = [UnifiedLayer(D, 2, HEADS, 2 * D, last=last) for last in (False, True)]
    layers = [loaded(layer, unified(part, k)) for k, layer in enumerate(layers)]
    history, fields, mask = (part.read(name) for name in ("history", "fields", "mask"))
    s = history.masked_fill(~mask.unsqueeze(-1), 0.0)  # as the model does it
    f = fields.unsqueeze(1)
    for layer in layers:
        s, f = layer(s, f, mask)
    part.check(f.squeeze(1), history=history, fields=fields)


def unified(part, k):
    attention, feed = f"{k}.attn.", f"{k}.ffn."
    names = [f"{name}_proj" for name in "qkv"]
    norms = [part.weight(f"{k}.{name}_norm.weight") for name in ("attn", "ffn")]
    weights = {"scales": torch.stack([norms[0], norms[0], norms[1], norms[1]])}
    own = [part.weight(f"{attention}{name}.ns_weight") for name in names]
    weights["own.weight"] = torch.cat(own, -1)
    own = [part.weight(f"{attention}{name}.ns_bias") for name in names]
    weights["own.bias"] = torch.cat(own, -1).unsqueeze(1)
    weights["own_out.weight"] = part.weight(f"{attention}out_proj.ns_weight")
    weights["own_out.bias"] = part.weight(f"{attention}out_proj.ns_bias").unsqueeze(1)
    for mine, theirs in (("own_in", "1"), ("own_feed", "2")):
        weights[f"{mine}.weight"] = part.weight(f"{feed}ns_w{theirs}")
        weights[f"{mine}.bias"] = part.weight(f"{feed}ns_b{theirs}").unsqueeze(1)
    for key in ("weight", "bias"):
        past = [part.weight(f"{attention}{name}.shared.{key}") for name in names]
        weights[f"past.{key}"] = torch.cat(past)
        if k == 0:
            weights[f"past_out.{key}"] = part.weight(f"{attention}out_proj.shared.{key}")
            for mine, theirs in ((0, 0), (2, 3)):
                weights[f"past_feed.{mine}.{key}"] = part.weight(f"{feed}s_ffn.{theirs}.{key}")
    return weights
