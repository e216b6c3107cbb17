"""Numbers of released code, for test_released.py: weights, inputs, logits, losses and gradients.

    python record.py momo CLONE FUXICTR      github.com/yinzm/WWW2025_MMCTR_rk1 at 7f8ed14
    python record.py qin CLONE FUXICTR       github.com/salmon1802/QIN at 5d07dd1
    python record.py simcen CLONE            github.com/salmon1802/SimCEN at c48e98d
    python record.py din CLONE FUXICTR       github.com/reczoo/WWW2025_MMCTR_Challenge at 4e0b2b4
    python record.py dice CLONE FUXICTR      the same with Dice in its head
    python record.py autoint FUXICTR
    python record.py deepfm FUXICTR

CLONE and FUXICTR (github.com/reczoo/FuxiCTR at 0245987; SimCEN has its own) are folders of these
repositories; nothing of theirs is copied here. Models run in float64 with dropout off, on weights
and inputs that float32 holds exactly, once in evaluation and once in training; NAME.npz is written
beside this file: inputs, `weight/KEY`, and of every run `logits`, `trained_logits`, `loss` (click
plus auxiliary) and its `gradient/KEY`. Layers that this repository has as one stand side by side.
"""

import sys
from collections import OrderedDict
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import torch

SEED, ROWS, LENGTH, ITEMS, TAGS, LEVELS, VECTOR, EMBEDDING = 5, 12, 4, 30, 7, 5, 2, 2
KEYWORDS = {
    "gpu": -1,
    "embedding_dim": EMBEDDING,
    "optimizer": "adam",
    "loss": "binary_crossentropy",
    "metrics": ["AUC"],
    "verbose": 0,
    "task": "binary_classification",
    "model_root": mkdtemp(),
    "net_dropout": 0.0,
}


def challenge_map():
    """The features of the MMCTR challenge, small."""
    from fuxictr.features import FeatureMap

    features = FeatureMap("released", mkdtemp())
    levels = {"type": "categorical", "vocab_size": LEVELS, "padding_idx": 0, "source": ""}
    item = {"padding_idx": 0, "source": "item"}
    features.features = OrderedDict(
        likes_level=dict(levels),
        views_level=dict(levels),
        item_id={**item, "type": "categorical", "vocab_size": ITEMS + 1},
        item_tags={
            **item,
            "type": "sequence",
            "vocab_size": TAGS,
            "feature_encoder": "layers.MaskedAveragePooling()",
        },
        item_emb_d128={"type": "embedding", "source": "item", "embedding_dim": VECTOR},
    )
    features.default_emb_dim, features.labels = EMBEDDING, ["label"]
    features.num_fields = features.get_num_fields()
    return features


def row_fields(width):
    """Fields of rows [N, F, width], labels, and the features whose embedding of row n they are."""
    from fuxictr.features import FeatureMap

    fields = 4
    draw = np.random.default_rng(SEED)
    x = draw.normal(size=(ROWS, fields, width)).astype(np.float32)
    inputs = {"x": x, "labels": draw.integers(0, 2, ROWS)}
    features = FeatureMap("released", mkdtemp())
    names = [f"field{f}" for f in range(fields)]
    features.features = OrderedDict(
        (name, {"type": "categorical", "vocab_size": ROWS, "source": ""}) for name in names
    )
    features.default_emb_dim, features.labels = EMBEDDING, ["label"]
    features.num_fields = fields
    features.column_index = {name: f for f, name in enumerate([*names, "label"])}
    return inputs, features


def challenge_inputs():
    """Items, histories padded on the left (of every length, one without any), levels, labels."""
    draw = np.random.default_rng(SEED)
    tags = draw.integers(0, TAGS, (ITEMS + 1, 2))
    vectors = draw.normal(size=(ITEMS + 1, VECTOR)).astype(np.float32)
    tags[0], vectors[0] = 0, 0.0
    lengths = np.arange(ROWS) % (LENGTH + 1)
    mask = np.arange(LENGTH) >= LENGTH - lengths[:, None]
    return {
        "tags": tags,
        "vectors": vectors,
        "history": draw.integers(1, ITEMS + 1, (ROWS, LENGTH)) * mask,
        "mask": mask,
        "target": draw.integers(1, ITEMS + 1, ROWS),
        "levels": draw.integers(1, LEVELS, (ROWS, 2)),
        "labels": draw.integers(0, 2, ROWS),
    }


def season(model):
    """Weights far from their start, that float32 holds exactly; row 0 of an embedding is zero."""
    generator = torch.Generator().manual_seed(SEED)
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if not value.is_floating_point():
                continue
            noise = torch.randn(value.shape, generator=generator) * 0.3
            positive = any(word in name for word in ("running_var", "tau", "norm"))
            value.copy_(noise.square() + 0.5 if positive else noise)
            if (
                name.endswith("embedding_layers.item_id.weight")
                or "level" in name
                or "tags" in name
            ):
                value[0] = 0.0
    return model.double()


def of_challenge(model, inputs, *, negate=False):
    """Logits and click loss of a challenge's model on the inputs."""
    tensors = {name: torch.from_numpy(np.asarray(value)) for name, value in inputs.items()}
    ids = torch.cat([tensors["history"], tensors["target"][:, None]], 1).flatten()
    rows = {
        "likes_level": tensors["levels"][:, 0],
        "views_level": tensors["levels"][:, 1],
        "label": tensors["labels"],
    }
    item = {
        "item_id": ids,
        "item_tags": tensors["tags"][ids],
        "item_emb_d128": tensors["vectors"][ids].double(),
    }
    mask = tensors["mask"].double()
    chance = model((rows, item, 1.0 - mask if negate else mask))["y_pred"].flatten()
    loss = torch.nn.functional.binary_cross_entropy(chance, tensors["labels"].double())
    return torch.logit(chance), loss


def record(name, model, inputs, runs, join=lambda numbers: None):
    """For each run evaluate, then train a step's gradients, and write it all, joined."""
    numbers = dict(inputs)
    numbers |= {f"weight/{k}": v.numpy().astype(np.float32) for k, v in model.state_dict().items()}
    state = {key: value.clone() for key, value in model.state_dict().items()}
    for title, run in runs.items():
        model.load_state_dict(state)
        with torch.no_grad():
            numbers[f"{title}/logits"] = run(model.eval())[0].numpy()
        model.train().zero_grad()
        logits, loss = run(model)
        loss.backward()
        numbers[f"{title}/trained_logits"] = logits.detach().numpy()
        numbers[f"{title}/loss"] = loss.item()
        for key, value in model.named_parameters():
            if value.grad is not None:
                numbers[f"{title}/gradient/{key}"] = value.grad.numpy().astype(np.float32)
    join(numbers)
    np.savez_compressed(Path(__file__).with_name(f"{name}.npz"), **numbers)


def momo():
    from src.Transformer_DCN import Transformer_DCN

    inputs = challenge_inputs()
    keywords = KEYWORDS | {"transformer_dropout": 0.0, "dim_feedforward": 5, "first_k_cols": 2}
    keywords |= {"dcn_cross_layers": 1, "dcn_hidden_units": [6], "mlp_hidden_units": [4]}
    model = season(Transformer_DCN(challenge_map(), **keywords))
    torch.backends.mha.set_fastpath_enabled(False)
    runs = {
        "released": lambda m: of_challenge(m, inputs),
        "negated": lambda m: of_challenge(m, inputs, negate=True),  # as its comment says masks are
    }
    record("momo", model, inputs, runs)


def qin():
    from src.QIN_variety_v9 import QIN_variety_v9

    inputs = challenge_inputs()
    keywords = KEYWORDS | {"num_layers": 2, "num_row": 3, "batch_norm": True}
    model = season(QIN_variety_v9(challenge_map(), **keywords))
    record("qin", model, inputs, {"released": lambda m: of_challenge(m, inputs)})


def din():
    from src.DIN import DIN

    inputs = challenge_inputs()
    keywords = KEYWORDS | {"attention_hidden_units": [5, 3], "dnn_hidden_units": [6, 4]}
    keywords |= {"attention_hidden_activations": "ReLU", "batch_norm": True}
    model = season(DIN(challenge_map(), **keywords))
    record("din", model, inputs, {"released": lambda m: of_challenge(m, inputs)})


def dice():
    from src.DIN import DIN

    inputs = challenge_inputs()
    keywords = KEYWORDS | {"attention_hidden_units": [5, 3], "dnn_hidden_units": [6, 4]}
    keywords |= {"attention_hidden_activations": "ReLU", "dnn_activations": "Dice"}
    model = season(DIN(challenge_map(), **keywords))
    record("dice", model, inputs, {"released": lambda m: of_challenge(m, inputs)})


def rows_of(model, inputs):
    """Logits and click loss of a model over fields of rows."""
    batch = {f"field{f}": torch.arange(ROWS) for f in range(inputs["x"].shape[1])}
    chance = model(batch)["y_pred"].flatten()
    labels = torch.from_numpy(inputs["labels"]).double()
    return torch.logit(chance), torch.nn.functional.binary_cross_entropy(chance, labels)


def give(model, start, x):
    """Embeddings under `start` the numbers x [N, F, width] of the rows."""
    tables = [p for k, p in model.named_parameters() if k.startswith(start)]
    with torch.no_grad():
        for f, table in enumerate(tables):
            table.copy_(torch.from_numpy(x[:, f]))


def autoint():
    from model_zoo.AutoInt.src.AutoInt import AutoInt

    inputs, features = row_fields(EMBEDDING)
    keywords = KEYWORDS | {"dnn_hidden_units": [], "attention_layers": 2}
    model = season(AutoInt(features, num_heads=2, attention_dim=6, **keywords))
    give(model, "embedding_layer", inputs["x"])
    record("autoint", model, inputs, {"released": lambda m: rows_of(m, inputs)}, join_heads)


def join_heads(numbers):
    """Query, key and value of a layer side by side."""
    for key in [key for key in numbers if key.endswith("W_q.weight")]:
        parts = [numbers.pop(key.replace("W_q", f"W_{part}")) for part in "qkv"]
        numbers[key.replace("W_q", "W_qkv")] = np.concatenate(parts)


def deepfm():
    """Of its two constants, one is zero; a field's first-order weight is its last number."""
    from model_zoo.DeepFM.DeepFM_torch.src.DeepFM import DeepFM

    inputs, features = row_fields(EMBEDDING + 1)
    keywords = KEYWORDS | {"hidden_units": [6, 4], "batch_norm": True}
    model = season(DeepFM(features, **keywords))
    give(model, "embedding_layer", inputs["x"][..., :-1])
    give(model, "fm.lr_layer.embedding_layer", inputs["x"][..., -1:])
    with torch.no_grad():
        model.fm.lr_layer.bias.zero_()
    record("deepfm", model, inputs, {"released": lambda m: rows_of(m, inputs)}, join_orders)


def join_orders(numbers):
    """First-order weights beside the embeddings of their fields."""
    for key in [key for key in numbers if "fm.lr_layer" in key]:
        value, beside = numbers.pop(key), key.replace("fm.lr_layer.", "")
        if "field" in key:
            numbers[beside] = np.concatenate([numbers[beside], value], -1)


def simcen():
    """Fields of rows are what an embedding of one row each holds."""
    from src.SimCEN import SimCEN

    width = EMBEDDING
    inputs, features = row_fields(width)
    fields = inputs["x"].shape[1]
    keywords = KEYWORDS | {"embedding_dim": width, "alpha": 0.3, "cl_temperature": 0.5}
    keywords |= {"hidden_units": [12, 12], "v1_hidden_activations": "leaky_relu"}
    model = season(SimCEN(features, through_dropout=0.0, **keywords))
    give(model, "embedding_layer", inputs["x"])
    columns = [torch.arange(ROWS)] * fields + [torch.from_numpy(inputs["labels"])]
    batch = torch.stack(columns, 1).double()

    def run(m):
        out = m(batch)
        labels = torch.from_numpy(inputs["labels"]).double()
        loss = torch.nn.functional.binary_cross_entropy(out["y_pred"].flatten(), labels)
        views = (out["ego"], out["v1"], out["v2"])
        return torch.logit(out["y_pred"].flatten()), loss + 0.3 * m.InfoNCE(
            *views, cl_temperature=0.5
        )

    record("simcen", model, inputs, {"released": run})


if __name__ == "__main__":
    sys.path[:0] = sys.argv[2:]
    torch.Tensor.float = torch.Tensor.double  # FuxiCTR casts vectors; everything is float64 here
    recorders = (momo, qin, simcen, din, dice, autoint, deepfm)
    {recorder.__name__: recorder for recorder in recorders}[sys.argv[1]]()
