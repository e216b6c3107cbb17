"""Numbers of further parts of released code, for test_released_more.py.

    python record_more.py BENCH/src MUSE RECOMMENDERS MULTIBENCH FUXICTR MIXER GMU

These are folders with github.com/hdu-yzl/MMCTR-Bench at 00ce954, github.com/alimama-tech/MUSE at
85eea15 (its authors'), github.com/facebookresearch/generative-recommenders at 2e81fab (HSTU's
authors'), github.com/johnarevalo/gmu-mmimdb at 95226b0 (GMU's authors'),
github.com/pliang279/MultiBench at 49f9be2, github.com/reczoo/FuxiCTR at 0245987 and
github.com/lswhim/rankmixer at 22f6cca (RankMixer and OneTrans, by others than their authors);
nothing of theirs is copied here. more.npz, written beside this file, is as record_parts.py makes
it. GMU's code is of Theano: the few names of Theano and Blocks that its formula needs are stood in
for by PyTorch's; HSTU's two conversions of fbgemm by reshaping, as all its sequences are full here.
"""

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import record_parts as parts
import torch
from record_parts import LENGTH, ROWS, SLOTS, WIDTH, drawn, module_at, record, season
from torch import nn

HEADS = 2


def of_bench():
    """Its contrast between content and id, of vectors of length 1."""
    from mmctr.models.mm_models.em3 import EM3

    def contrast(content, ids):
        unit = [rows / rows.norm(dim=-1, keepdim=True) for rows in (content, ids)]
        return EM3._content_item_loss(SimpleNamespace(cic_temperature=0.3), *unit)

    both = {"content": drawn(ROWS, WIDTH), "ids": drawn(ROWS, WIDTH)}
    record("contrast", nn.Identity(), contrast, both)


def of_muse():
    """Tiers, attention and search."""
    from model.base_model.layers import multi_head_att_v2
    from model.base_model.simtier import simtier_level
    from utils.utils import sim_mm_top_k

    alike = torch.from_numpy(parts.DRAW.uniform(-1, 1, (ROWS, LENGTH)).astype(np.float32))
    tiers = simtier_level(0.1, 1)
    with torch.no_grad():
        tiers.emb.copy_(drawn(*tiers.emb.shape))
    record("tiers", tiers.double(), tiers.forward, {"cosine": alike})

    net = season(multi_head_att_v2(WIDTH, WIDTH, [HEADS], [HEADS], attn_score_cross=True))
    with torch.no_grad():
        net.cosine_tau1.abs_().add_(0.2)  # they divide by it

    def attend(query, fact, cosine):
        return net(query.unsqueeze(1), fact, mm_cosine=[cosine])

    inputs = {"query": drawn(ROWS, WIDTH), "fact": drawn(ROWS, LENGTH, WIDTH), "cosine": alike}
    record("sata", net, attend, inputs)

    def search(target, history):
        return sim_mm_top_k(target.unsqueeze(1), history, keep_top=3)

    inputs = {"target": drawn(ROWS, WIDTH), "history": drawn(ROWS, 2 * LENGTH, WIDTH)}
    inputs["history"][:, :2] = 0.0  # padding
    record("search", nn.Identity(), search, inputs)


def of_recommenders():
    """A layer of HSTU without a bias of positions and times: what its last place gives."""
    library = torch.library.Library("fbgemm", "DEF")
    padded = "Tensor values, Tensor[] offsets, int[] max_lengths, float padding_value=0.0"
    library.define(f"jagged_to_padded_dense({padded}) -> Tensor")
    library.define("dense_to_jagged(Tensor dense, Tensor[] offsets) -> Tensor[]")
    kind = "CompositeImplicitAutograd"

    def dense(values, offsets, max_lengths, padding_value=0.0):
        return values.view(-1, max_lengths[0], values.shape[-1])

    library.impl("jagged_to_padded_dense", dense, kind)
    library.impl("dense_to_jagged", lambda dense, offsets: [dense.flatten(0, 1)], kind)
    from generative_recommenders.research.modeling.sequential import hstu

    sizes = {"embedding_dim": WIDTH, "num_heads": HEADS, "linear_activation": "silu"}
    sizes |= {"linear_hidden_dim": WIDTH // HEADS, "attention_dim": WIDTH // HEADS}
    still = {"dropout_ratio": 0.0, "attn_dropout_ratio": 0.0, "epsilon": 1e-5}
    bias = nn.Identity()  # it is not asked for without times
    layer = hstu.SequentialTransductionUnitJagged
    net = season(layer(**sizes, **still, relative_attention_bias_module=bias))
    long = LENGTH + 1
    offsets, order = torch.arange(ROWS + 1) * long, torch.ones(long, long).tril().double()

    def read(history, target):
        x = torch.cat([history, target.unsqueeze(1)], 1).flatten(0, 1)
        return net(x, offsets, None, order)[0].view(ROWS, long, -1)[:, -1]

    record("hstu", net, read, {"history": drawn(ROWS, LENGTH, WIDTH), "target": drawn(ROWS, WIDTH)})


class Matrix(torch.Tensor):
    """Theano's product."""

    def dot(self, other):
        return self @ other


def of_gmu(folder):
    """Its bimodal unit, which reads views of both modalities and one gate of theirs."""
    theano, tensor = ModuleType("theano"), ModuleType("theano.tensor")
    theano.tensor = tensor
    tensor.concatenate = lambda rows, axis: torch.cat(rows, axis).as_subclass(Matrix)
    names = ("blocks", "blocks.bricks", "blocks.bricks.parallel", "blocks.utils", "blocks.roles")
    sys.modules |= {"theano": theano} | {name: _Stand(name) for name in names}
    unit = module_at(Path(folder) / "model.py", "gmu").GatedBimodal
    net = season(nn.ParameterDict({"W": torch.empty(2 * WIDTH, WIDTH)}))
    bend, gate = SimpleNamespace(apply=torch.tanh), SimpleNamespace(apply=torch.sigmoid)
    own = SimpleNamespace(dim=WIDTH, W=net["W"], activation=bend, gate_activation=gate)

    def run(x):
        return unit.apply(own, *x.unbind(1))[0].as_subclass(torch.Tensor)

    record("gmu", net, run, {"x": drawn(ROWS, 2, WIDTH)})


class _Stand(ModuleType):
    """A module of Blocks: classes are empty, decorators leave what they decorate."""

    initialization = None

    def __getattr__(self, name):
        if name in ("lazy", "application"):
            return lambda **kwargs: lambda function: function
        return type(name, (), {})


def of_multibench():
    """Multiplicative interactions in their form of scales and shifts, at one without content."""
    from fusions.common_fusions import MultiplicativeInteractions2Modal

    net = season(MultiplicativeInteractions2Modal([2 * WIDTH, WIDTH], WIDTH, "vector"), zero=["b"])
    with torch.no_grad():
        net.V.fill_(1.0)
    record("film", net, lambda x: net([x[:, 1:].flatten(1), x[:, 0]]), {"x": drawn(ROWS, 3, WIDTH)})


def of_fuxictr():
    """PPNet's gates behind all hidden layers but the last; one task of MMoE with linear experts."""
    from model_zoo.multitask.MMoE.src.MMoE import MMoE_Layer
    from model_zoo.PEPNet.src.PPNet import PPNet_MLP

    wide = SLOTS * WIDTH
    net = PPNet_MLP(wide, gate_input_dim=wide, gate_hidden_dim=3, hidden_units=[6, 5])
    season(net, zero=["gate_layers.1.gate.2.weight", "gate_layers.1.gate.2.bias"])
    record("ppnet", net, lambda x: net(x, x[:, :0]), {"x": drawn(ROWS, wide)})

    bends = ["ReLU", None]
    net = MMoE_Layer(3, 1, wide, [5, WIDTH], [], "ReLU", 0.0, False)
    for expert in net.experts:
        assert len(expert.mlp) == 2 * len(bends)
        expert.mlp[-1] = nn.Identity()
    season(net)
    record("moe", net, lambda x: net(x.flatten(1))[0], {"x": drawn(ROWS, SLOTS, WIDTH)})


def of_mixer():
    """A block of RankMixer; two of OneTrans, ReLU for GELU, the last of its fields alone."""
    from models import onetrans, rankmixer

    onetrans.F = SimpleNamespace(gelu=torch.relu)
    net = season(rankmixer.RankMixerBlock(2, WIDTH, 2))
    record("rank_mixer", net, net.forward, {"x": drawn(ROWS, 2, WIDTH)})

    fields = 2
    net = nn.ModuleList(onetrans.OneTransBlock(WIDTH, HEADS, fields, 2) for _ in range(2))
    for block in net:
        block.ffn.s_ffn[1] = nn.ReLU()
        block.attn_norm.eps = block.ffn_norm.eps = 1e-6
    season(net)
    mask = torch.arange(LENGTH) >= torch.arange(ROWS).remainder(LENGTH).unsqueeze(-1)

    def read(history, fields, mask):
        pad = torch.cat([~mask, torch.zeros(ROWS, fields.shape[1], dtype=torch.bool)], 1)
        x = torch.cat([history, fields], 1)
        x, length = net[0](x, LENGTH, None, None, pad)
        last = torch.arange(LENGTH, x.shape[1])
        return net[1](x, length, None, last, pad)[0]

    inputs = {"history": drawn(ROWS, LENGTH, WIDTH), "fields": drawn(ROWS, fields, WIDTH)}
    record("one_trans", net, read, inputs | {"mask": mask})


if __name__ == "__main__":
    *folders, gmu = sys.argv[1:]
    torch.Tensor.float = torch.Tensor.double
    parts.DRAW = np.random.default_rng(parts.SEED)
    sections = (of_bench, of_muse, of_recommenders, of_multibench, of_fuxictr, of_mixer)
    for section, folder in zip(sections, folders, strict=True):
        sys.path.insert(0, folder)
        section()
        sys.path.remove(folder)
    of_gmu(gmu)
    np.savez_compressed(Path(__file__).with_name("more.npz"), **parts.NUMBERS)
