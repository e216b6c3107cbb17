"""Numbers of single parts of released code, for test_released_parts.py.

    python record_parts.py FUXICTR BENCH/src TFN LMF VQA/vqa/models

These are folders with github.com/reczoo/FuxiCTR at 0245987, github.com/hdu-yzl/MMCTR-Bench at
00ce954, github.com/Justin1904/TensorFusionNetworks at ef0e78b,
github.com/Justin1904/Low-rank-Multimodal-Fusion at ea47551 and github.com/Cadene/vqa.pytorch at
69d7a43; nothing of theirs is copied here. Parts run in float64 with dropout off, on weights and
inputs that float32 holds exactly. parts.npz, written beside this file, holds of each PART its
`PART/weight/KEY`, `PART/in/NAME`, `PART/out` and, as `PART/gradient/NAME`, what the sum of out²
sends back to each input.
"""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

SEED, ROWS, SLOTS, WIDTH, LENGTH = 11, 6, 3, 4, 5
NAMES = ("id", "image", "text")
NUMBERS = {}


def drawn(*shape):
    """Normal numbers that float32 holds exactly."""
    return torch.from_numpy(DRAW.normal(size=shape).astype(np.float32))


def season(module, *, zero=(), identity=()):
    """Weights far from their start; those whose names end in `zero` or `identity` are just that."""
    with torch.no_grad():
        for name, value in module.state_dict().items():
            if not value.is_floating_point() or value.numel() == 0:
                continue
            noise = drawn(*value.shape) * 0.4
            value.copy_(noise.square() + 0.5 if "var" in name or "norm" in name else noise)
            if name.endswith(tuple(zero)):
                value.zero_()
            if name.endswith(tuple(identity)):
                value.copy_(torch.eye(len(value)))
    return module.double().eval()


def record(part, module, run, inputs):
    """Run a part and keep what it read and gave."""
    leaves = {}
    for name, value in inputs.items():
        real = value.is_floating_point()
        leaves[name] = value.double().requires_grad_() if real else value
        NUMBERS[f"{part}/in/{name}"] = value.numpy()
    for key, value in module.state_dict().items():
        NUMBERS[f"{part}/weight/{key}"] = value.detach().numpy().astype(np.float32)
    out = run(**leaves)
    NUMBERS[f"{part}/out"] = out.detach().numpy()
    if out.requires_grad:
        out.square().sum().backward()
        for name, value in leaves.items():
            if value.grad is not None:
                NUMBERS[f"{part}/gradient/{name}"] = value.grad.numpy()


def fields():
    """Slots [N, M, d]."""
    return {"x": drawn(ROWS, SLOTS, WIDTH)}


def sequence():
    """A target, a history and which of it is real, at least one of each row."""
    mask = torch.arange(LENGTH) >= torch.arange(ROWS).remainder(LENGTH).unsqueeze(-1)
    return {"target": drawn(ROWS, WIDTH), "history": drawn(ROWS, LENGTH, WIDTH), "mask": mask}


def of_fuxictr():
    from fuxictr.pytorch import layers
    from fuxictr.pytorch.layers.activations import Dice
    from fuxictr.pytorch.layers.attentions.target_attention import MultiHeadTargetAttention
    from model_zoo.FinalMLP.src.FinalMLP import FeatureSelection, InteractionAggregation
    from model_zoo.GDCN.src.GDCN import GateCorssLayer
    from model_zoo.MaskNet.src.MaskNet import ParallelMaskNet

    wide = SLOTS * WIDTH
    net = season(layers.CrossNetV2(wide, 2))
    record("dcnv2", net, lambda x, net=net: net(x.flatten(1)), fields())
    for kind in ("all", "each", "interaction"):
        net = season(layers.BilinearInteractionV2(SLOTS, WIDTH, f"field_{kind}"), zero=["index"])
        record(f"bilinear_{kind}", net, net.forward, {"feature_emb": fields()["x"]})
    net = season(layers.SqueezeExcitation(SLOTS, 1, "sigmoid"))
    record("senet", net, net.forward, {"feature_emb": fields()["x"]})

    row = {"x": drawn(ROWS, wide)}
    block = layers.MLP_Block
    net = season(nn.ModuleList([GateCorssLayer(wide, 2), block(wide, [5, 3], output_dim=1)]))
    record("gdcn", net, lambda x, net=net: net[1](net[0](x)), row)
    net = ParallelMaskNet(wide, 1, None, num_blocks=2, block_dim=4, hidden_units=[5])
    net = season(net)
    record("mask_net", net, lambda x, net=net: net(x, x), row)
    towers = [block(wide, [6, 4]), block(wide, [6, 4]), InteractionAggregation(4, 4, 1, 2)]
    net = season(nn.ModuleList([*towers, FeatureSelection(None, wide, 3, [5])]))

    def final_mlp(x):
        first, second = net[3](None, x)
        return net[2](net[0](first), net[1](second))

    record("final_mlp", net, final_mlp, row)
    gates = [(net[3].fs1_gate, net[3].fs1_ctx_bias), (net[3].fs2_gate, net[3].fs2_ctx_bias)]
    logits = torch.cat([gate.mlp[:-1](bias) for gate, bias in gates])  # before the sigmoid
    NUMBERS["final_mlp/weight/gate_logits"] = logits.detach().numpy()
    net = season(Dice(wide))
    record("dice", net, net.forward, {"X": row["x"]})
    net = season(Dice(wide)).train()
    record("dice_training", net, net.forward, {"X": row["x"]})

    net = season(layers.DIN_Attention(WIDTH, [6, 5]))
    inputs = sequence()
    names = {"target_item": "target", "history_sequence": "history", "mask": "mask"}
    record("din", net, net.forward, {theirs: inputs[mine] for theirs, mine in names.items()})
    net = season(MultiHeadTargetAttention(WIDTH, WIDTH, 2), identity=["W_o.weight"])
    inputs = sequence()
    record("attention", net, net.forward, {a: inputs[b] for a, b in names.items()})


def of_bench():
    from mmctr.models.common.components.fusion import LowRankFusion, MAFFusion, MTFNFusion
    from mmctr.models.common.components.pooling import AttentionPooling
    from mmctr.models.common.similarity import SimilarityTiers
    from mmctr.models.mm_models.dmf import _DecoupledTargetAttention
    from mmctr.models.mm_models.em3 import _FQFormer
    from mmctr.models.mm_models.marn import _AdversarialModalityEncoder, _ModalitySplit
    from mmctr.models.mm_models.pamd import _PAMDDisentangleBlock
    from mmctr.quantization.residual import ResidualQuantizer

    def slots(x):
        return dict(zip(NAMES, x.unbind(1), strict=True))

    operators = {
        "lmf": LowRankFusion(NAMES, WIDTH, 3, WIDTH),
        "mtfn": MTFNFusion(NAMES, WIDTH, 3),
        "maf": MAFFusion(NAMES, WIDTH),
    }
    for name, net in operators.items():
        season(net)
        record(name, net, lambda x, net=net: net(slots(x)).fused, fields())
    net = season(_FQFormer(WIDTH, 2, layer_count=2, heads=2))
    record("fq_former", net, net.forward, {"modality_tokens": fields()["x"]})
    net = season(_PAMDDisentangleBlock(WIDTH, WIDTH, 0.0, layer_norm=False))
    record("pamd", net, lambda x, net=net: net(x[:, 1], x[:, 2], x[:, 0])[0], fields())
    parts = [_ModalitySplit(WIDTH, NAMES), MAFFusion(NAMES, WIDTH)]
    parts.append(_AdversarialModalityEncoder(WIDTH, NAMES))
    biases = ["invariant.bias", *(f"specific.{name}.bias" for name in NAMES)]
    net = season(nn.ModuleList(parts), zero=biases)

    def marn(x):
        specific, invariant = net[0](slots(x))
        return net[2].representation(invariant) + net[1](specific).fused

    record("marn", net, marn, fields())

    net = season(AttentionPooling(WIDTH))
    inputs = sequence()
    record("naml", net, net.forward, {"sequence": inputs["history"], "mask": inputs["mask"]})
    net = season(_DecoupledTargetAttention(WIDTH, WIDTH, 7, 0.0))
    inputs = sequence()
    alike = torch.from_numpy(DRAW.uniform(-1, 1, (ROWS, LENGTH)).astype(np.float32))
    read = {"target_id": inputs["target"], "history_id": inputs["history"]}
    record("dmf", net, net.forward, read | {"similarities": alike, "mask": inputs["mask"]})
    net = SimilarityTiers(10)
    record("tiers", net, net.forward, {"scores": alike, "mask": inputs["mask"]})

    net = ResidualQuantizer(n_levels=3, codebook_size=4, dimension=WIDTH)
    net.set_codebooks(drawn(3, 4, WIDTH))
    record("rq", net, lambda vectors: net.encode(vectors)[0], {"vectors": drawn(30, WIDTH)})
    unit = drawn(30, WIDTH)
    record("qarm", net, lambda x: net.encode(x / x.norm(dim=-1, keepdim=True))[0], {"x": unit})


def module_at(path, name):
    """A module of a folder that is no package."""
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Through(nn.Module):
    """In place of a tower: what comes in."""

    def forward(self, x):
        return x


def of_tensors(tfn, lmf, vqa):
    towers = ("audio_subnet", "video_subnet", "text_subnet")
    wide = (WIDTH,) * 3
    net = module_at(Path(tfn) / "model.py", "tfn").TFN(wide, wide, WIDTH, (0.0,) * 4, WIDTH)
    products = []
    net.post_fusion_layer_1.register_forward_hook(lambda *parts: products.append(parts[2]))
    for name in towers:
        setattr(net, name, Through())
    season(net)

    def tensor(x):
        net(*x.unbind(1))
        return products.pop()

    record("tfn", net, tensor, fields())
    low = module_at(Path(lmf) / "model.py", "lmf").LMF
    net = low(wide, wide, WIDTH, (0.0,) * 4, WIDTH, 3)
    for name in towers:
        setattr(net, name, Through())
    season(net)
    record("lmf_released", net, lambda x: net(*x.unbind(1)), fields())

    options = {f"dim_{name}": WIDTH for name in ("v", "q", "mm")} | {"dim_hv": 5, "dim_hq": 5}
    options |= {f"dropout_{name}": 0.0 for name in ("v", "q", "hv", "hq")} | {"R": 3}
    options |= {"activation_v": "tanh", "activation_q": "tanh"}
    fusion = module_at(Path(vqa) / "fusion.py", "fusion")
    net = season(fusion.MutanFusion(options))
    two = {"x": drawn(ROWS, 2, WIDTH)}
    record("mutan", net, lambda x: net(x[:, 0], x[:, 1]), two)


if __name__ == "__main__":
    fuxictr, bench, *others = sys.argv[1:]
    sys.path[:0] = [fuxictr, bench]
    torch.Tensor.float = torch.Tensor.double
    DRAW = np.random.default_rng(SEED)
    of_fuxictr()
    of_bench()
    of_tensors(*others)
    np.savez_compressed(Path(__file__).with_name("parts.npz"), **NUMBERS)
