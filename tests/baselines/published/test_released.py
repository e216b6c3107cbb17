"""momo, QIN, SimCEN, DIN, AutoInt and DeepFM give the numbers of released code: their authors', the
challenge's for DIN, FuxiCTR's for AutoInt and DeepFM.

`released/NAME.npz` holds weights, inputs, logits, the training loss and every gradient of that
code with dropout off; released/record.py made it and names the commits.
"""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from fusefront.baselines.contract import Context, Field, ItemTable, RequestBatch, Schema, gather
from fusefront.baselines.heads.quadratic import QuadraticHead
from fusefront.baselines.zoo import BASELINES
from fusefront.harness.testing.macs import head_macs

NEAR = {"rtol": 1e-6, "atol": 1e-9}
EMBEDDINGS = {  # theirs -> ours, of the challenge's features
    "likes_level.weight": "context.candidate.tables.0.weight",
    "views_level.weight": "context.candidate.tables.1.weight",
    "item_id.weight": "tokens.ids.weight",
    "item_tags.weight": "tokens.fields.tables.0.weight",
    "item_emb_d128.weight": "tokens.vectors.0.weight",
}
MOMO = {
    r"transformer_encoder\.transformer_encoder\.layers\.": "pool.layers.",
    r"self_attn\.in_proj_": "project.",
    r"self_attn\.out_proj": "out",
    r"linear1": "feed.layers.0",
    r"linear2": "feed.layers.1",
    r"norm1": "norms.0",
    r"norm2": "norms.1",
    r"transformer_encoder\.out_linear": "pool.out",
    r"crossnet\.cross_layers\.(\d)": r"cross.\1.up",
    r"parallel_dnn\.mlp\.0": "deep.layers.0",
    r"^mlp\.mlp\.0": "head.layers.0",
    r"^mlp\.mlp\.2": "head.out",
}
QIN = {
    r"attention_layers\.W_q": "pool.query",
    r"attention_layers\.W_k": "pool.key",
    r"attention_layers\.W_v": "pool.value",
    r"attention_layers\.W_o": "pool.out",
    r"qnn\.norm\.(\d)": r"head.layers.\1.norm",
    r"qnn\.layer\.(\d)\.linear\.0": r"head.layers.\1.products",
    r"qnn\.activation\.(\d)": r"head.layers.\1.bend",
    r"qnn\.fc": "head.out",
}
SIMCEN = {
    r"mlep\.layer\.(\d)\.gate_tau": r"operator.experts.\1.scale",
    r"mlep\.layer\.1\.noise": "operator.shifts.0",
    r"mlep\.layer\.(\d)\.linear": r"operator.experts.\1.mix",
    r"mlep\.layer\.(\d)\.gate\.0": r"operator.experts.\1.gate",
    r"segmentation\.kp_W": "operator.turn.layers.0.weight",
    r"segmentation\.project_triu": "operator.above.layers.0",
    r"segmentation\.project_tril": "operator.below.layers.0",
    r"^W\.": "out.",
}
ATTENTION = {
    r"attention_layers\.attention_layer\.mlp\.0": "pool.first",
    r"attention_layers\.attention_layer\.mlp\.2": "pool.rest.layers.0",
    r"attention_layers\.attention_layer\.mlp\.4": "pool.rest.layers.1",
}
DIN = ATTENTION | {
    r"dnn\.mlp\.0": "head.layers.0",
    r"dnn\.mlp\.1": "head.norms.0",
    r"dnn\.mlp\.3": "head.layers.1",
    r"dnn\.mlp\.4": "head.norms.1",
    r"dnn\.mlp\.6": "head.out",
}
DICE = ATTENTION | {
    r"alpha": "slope",
    r"bn\.": "norm.",
    r"dnn\.mlp\.0": "head.layers.0",
    r"dnn\.mlp\.1": "head.bends.0",
    r"dnn\.mlp\.2": "head.layers.1",
    r"dnn\.mlp\.3": "head.bends.1",
    r"dnn\.mlp\.4": "head.out",
}
AUTOINT = {
    r"self_attention\.(\d)\.W_qkv": r"layers.\1.project",
    r"self_attention\.(\d)\.W_res": r"layers.\1.residual",
    r"^fc\.": "out.",
}
DEEPFM = {
    r"^mlp\.mlp\.0": "deep.layers.0",
    r"^mlp\.mlp\.1": "deep.norms.0",
    r"^mlp\.mlp\.3": "deep.layers.1",
    r"^mlp\.mlp\.4": "deep.norms.1",
    r"^mlp\.mlp\.6": "deep.out",
}
SMALL = {"attention": (5, 3), "hidden": (6, 4)}
CASES = {
    "din": (SMALL, {"attention_dropout": 0.0}, DIN),
    "dice": (SMALL | {"dice": True}, {"attention_dropout": 0.0}, DICE),
    "autoint": ({"layers": 2, "heads": 2, "attention": 3}, {}, AUTOINT),
    "deepfm": ({"hidden": (6, 4)}, {}, DEEPFM),
    "momo": (
        {"layers": 2, "feed": 5, "last": 2, "cross_layers": 1, "hidden": (6,), "head": (4,)},
        {"transformer_dropout": 0.0, "dropout": 0.0},
        MOMO,
    ),
    "qin": ({"layers": 2, "rank": 3}, {"dropout": 0.0}, QIN),
    "simcen": (
        {"layers": 2, "hidden": 4, "weight": 0.3, "temperature": 0.5},
        {"dropout": 0.0},
        SIMCEN,
    ),
}
TURN = "operator.turn.layers.0.weight"
MODELS = {"dice": "din"}
FIXED = {"autoint": {"layers.1.residual.weight": torch.eye(6)}}  # theirs adds v itself there
WITHOUT_PART = ("noise", "mask", "num_batches", "field")  # SimCEN's first layer adds no noise


def numbers_of(name):
    with np.load(Path(__file__).with_name("released") / f"{name}.npz") as file:
        return {key: torch.from_numpy(np.asarray(file[key])) for key in file.files}


def challenge(numbers):
    """The recorded items and rows as items and a batch of one candidate a request."""
    rows, length = numbers["history"].shape
    items = len(numbers["tags"])
    schema = Schema(
        items - 1,
        {"vector": numbers["vectors"].shape[1]},
        (Field("tags", 7, 2),),
        0,
        (),
        0,
        (Field("likes", 5), Field("views", 5)),
        0,
        length,
    )
    there = torch.arange(items) > 0
    counts = torch.ones(items, dtype=torch.long)
    table = ItemTable(
        {"vector": numbers["vectors"]},
        there.unsqueeze(-1),
        numbers["tags"],
        torch.zeros(items, 0),
        there,
        counts,
        counts,
    )
    none = torch.zeros(rows, 0, dtype=torch.long)
    batch = RequestBatch(
        torch.arange(items),
        numbers["history"],
        numbers["mask"],
        numbers["target"].unsqueeze(-1),
        torch.ones(rows, 1, dtype=torch.bool),
        torch.arange(rows),
        Context(none, none.double()),
        Context(numbers["levels"].unsqueeze(1), none.double().unsqueeze(1)),
        numbers["labels"].double().unsqueeze(-1),
        torch.arange(rows).unsqueeze(-1),
        torch.arange(rows),
    )
    return schema, table, batch


class RecordedFields(nn.Module):
    """In place of a model's fields: the recorded ones."""

    def __init__(self, x):
        super().__init__()
        self.x = nn.Parameter(x.double())
        self.count = x.shape[1]

    def encode(self, ids, keep=None):
        return self.x.new_zeros(len(ids), 1)

    def forward(self, request):
        return self.x.flatten(1).unsqueeze(1)


def built(name, numbers, parts, *, dropout=False, **settings):
    """Our model with their weights, and the batch that they saw."""
    own, quiet, names = CASES[name]
    own = {**own, **({} if dropout else quiet), "embedding": 2, **settings}
    make = alone if "x" in numbers else challenge
    schema, table, batch = make(numbers)
    model = BASELINES[MODELS.get(name, name)].build(schema, table, own, parts, 0).double()
    weights = {
        ours(key.removeprefix("weight/"), names): value.double()
        for key, value in numbers.items()
        if key.startswith("weight/")
    }
    weights.pop("", None)
    weights |= FIXED.get(name, {})
    if "x" in numbers:
        assert model.tokens.count == numbers["x"].shape[1]
        model.tokens = RecordedFields(numbers["x"])
        weights["tokens.x"] = numbers["x"].double()
    if name == "simcen":
        weights[TURN] = weights[TURN].T  # X W against a linear layer's X W'
        weights["operator.shifts.0"] = weights["operator.shifts.0"].view(2, -1)
    model.load_state_dict({**model.state_dict(), **weights})
    copied = {key for key in weights if "running" not in key}
    assert copied == {key for key, _ in model.named_parameters()}
    return model, batch, names


def alone(numbers):
    """Twelve items whose fields are the recorded rows, one a request, without history."""
    rows, fields, width = numbers["x"].shape
    modalities = {str(m): width for m in range(fields - 1)}  # the id is a field, too
    schema = Schema(rows, modalities, (), 0, (), 0, (), 0, 0)
    zeros = torch.zeros(rows + 1, 0)
    there = torch.ones(rows + 1, dtype=torch.bool)
    vectors = {name: torch.zeros(rows + 1, width) for name in modalities}
    present = there.unsqueeze(-1).expand(-1, fields - 1)
    table = ItemTable(vectors, present, zeros.long(), zeros, there, there.long(), there.long())
    _, _, batch = challenge({**numbers_of("qin"), "labels": numbers["labels"]})
    candidates = torch.arange(1, rows + 1).unsqueeze(-1)
    empty = torch.zeros_like(batch.history)
    batch = batch._replace(items=torch.arange(rows + 1), candidates=candidates, history=empty)
    return schema, table, batch


def ours(key, names):
    """Our name of a weight of theirs; "" where we have no such weight."""
    for theirs, mine in EMBEDDINGS.items():
        if key.endswith(theirs):
            return mine
    changed = key
    for pattern, replacement in names.items():
        changed = re.sub(pattern, replacement, changed)
    return "" if any(part in changed for part in WITHOUT_PART) else changed


RUNS = [("momo", "released", True), ("momo", "negated", False), ("qin", "released", None)]
RUNS += [(name, "released", None) for name in ("simcen", "din", "dice", "autoint", "deepfm")]


@pytest.mark.parametrize(("name", "run", "as_published"), RUNS)
def test_logits_losses_and_gradients_are_those_of_the_released_code(parts, name, run, as_published):
    numbers = numbers_of(name)
    settings = {} if as_published is None else {"mask_as_published": as_published}
    model, batch, names = built(name, numbers, parts, **settings)
    model.eval()
    with torch.no_grad():
        codes, _ = model.encode(batch.items)
        logits = model.score(gather(codes, batch), batch.rows).logits
    torch.testing.assert_close(logits.flatten(), numbers[f"{run}/logits"], **NEAR)
    losses = model.train().losses(batch)
    torch.testing.assert_close(losses.logits.flatten(), numbers[f"{run}/trained_logits"], **NEAR)
    total = losses.click + losses.auxiliary
    torch.testing.assert_close(total, numbers[f"{run}/loss"], **NEAR)
    total.backward()
    parameters = dict(model.named_parameters())
    start = f"{run}/gradient/"
    compared = 0
    for key, theirs in numbers.items():
        mine = ours(key.removeprefix(start), names) if key.startswith(start) else ""
        if not mine:
            continue
        gradient = parameters[mine].grad
        if mine == TURN:
            gradient = gradient.T
        theirs = theirs.double().view_as(gradient)
        torch.testing.assert_close(gradient, theirs, rtol=1e-6, atol=1e-8)
        compared += 1
    recorded = "tokens.x" in parameters
    assert compared == len(parameters) - recorded - len(FIXED.get(name, {}))
    if recorded:
        theirs = [numbers[key] for key in sorted(numbers) if re.search(rf"{run}/.*field\d", key)]
        torch.testing.assert_close(
            parameters["tokens.x"].grad, torch.stack(theirs, 1).double(), rtol=1e-6, atol=1e-8
        )


def test_qin_drops_inside_its_sum_and_after_it(scene):
    """With dropout the R matrices are an ensemble: by hand with the same draws."""
    model = scene.build("qin", {"embedding": 2, "layers": 1, "rank": 3, "dropout": 0.4})
    layer = model.head.layers[0].train()
    x = torch.randn(9, layer.products.in_features, dtype=torch.float64)
    torch.manual_seed(3)
    out = layer(x)
    torch.manual_seed(3)
    each = nn.functional.dropout(layer.products(x), 0.4).view(9, 3, -1)
    rows = x * each[:, 0] + x * each[:, 1] + x * each[:, 2]
    bent = layer.bend((rows - rows.mean(0)) / (rows.var(0, unbiased=False) + layer.norm.eps).sqrt())
    torch.testing.assert_close(out, x + nn.functional.dropout(bent, 0.4))


def test_in_evaluation_a_quadratic_layer_is_one_matrix():
    macs = [head_macs(QuadraticHead(6, layers=2, rank=rank), 6) for rank in (1, 4)]
    assert macs == [2 * 6 * 6 + 6] * 2
