"""Numbers of MMCTR-Bench's M3SRec, for test_released_m3srec.py.

    python record_m3srec.py BENCH/src       github.com/hdu-yzl/MMCTR-Bench at 00ce954

Nothing of theirs is copied here. As in record.py the model runs in float64 with dropout off, on
weights and inputs that float32 holds exactly. Its output layer goes without batch norm, its
projections without constants, and a user's embedding is widened by zeros alone. Histories are
padded on the left, of every length; an item without image is in histories alone.
"""

import sys

import numpy as np
import torch
from record import LENGTH, ROWS, SEED, record, season
from torch.nn.functional import binary_cross_entropy_with_logits

ITEMS, USERS, WIDTH, LATENT, EXPERTS = 20, 4, 4, 3, 3
DIMENSIONS = {"image": 3, "text": 2}
WITHOUT_IMAGE = 7


def inputs():
    """Items, their vectors, histories, candidates, users and labels."""
    draw = np.random.default_rng(SEED)
    vectors = {
        name: draw.normal(size=(ITEMS + 1, width)).astype(np.float32)
        for name, width in DIMENSIONS.items()
    }
    for rows in vectors.values():
        rows[0] = 0.0
    vectors["image"][WITHOUT_IMAGE] = 0.0
    lengths = np.arange(ROWS) % (LENGTH + 1)
    mask = np.arange(LENGTH) >= LENGTH - lengths[:, None]
    history = draw.integers(1, ITEMS + 1, (ROWS, LENGTH)) * mask
    history[4, -1] = history[3, -2] = WITHOUT_IMAGE
    return vectors | {
        "history": history,
        "mask": mask,
        "target": draw.integers(WITHOUT_IMAGE + 1, ITEMS + 1, ROWS),
        "user": draw.integers(1, USERS + 1, ROWS),
        "labels": draw.integers(0, 2, ROWS),
    }


def main():
    from mmctr.core import Batch
    from mmctr.models.common.layers import MultiLayerPerceptron
    from mmctr.models.mm_models.m3srec import M3SRec

    config = {"latent_dim": LATENT, "projection_dim": WIDTH, "mlp_dims": [6, 5], "dropout": 0.0}
    config |= {"batch_norm": True, "num_heads": 2, "num_experts": EXPERTS, "num_cross_layers": 2}
    config |= {"moe_hidden_dim": 5, "attn_ffn_dim": 5, "max_seq_len": LENGTH}
    data = {"use_mm_features": ("id", *DIMENSIONS), "mm_dims": DIMENSIONS}
    model = M3SRec(config, data | {"id_feature_num": ITEMS + USERS, "seq_len": LENGTH})
    model.output = MultiLayerPerceptron(5, [1], 0.0, activation=None)
    model.user_projectors["id"] = torch.nn.Linear(LATENT, WIDTH, bias=False)
    season(model)
    with torch.no_grad():
        for name, value in model.named_parameters():
            if name.startswith("projectors") and name.endswith("bias"):
                value.zero_()
        model.user_projectors["id"].weight.copy_(torch.eye(WIDTH, LATENT))
        model.embedding.embedding[0] = 0.0
    read = inputs()
    tensors = {name: torch.from_numpy(np.asarray(value)) for name, value in read.items()}
    vectors = {name: tensors[name].double() for name in DIMENSIONS}
    history, target, labels = tensors["history"], tensors["target"], tensors["labels"].double()
    batch = Batch(
        user_features={"id": ITEMS + tensors["user"].unsqueeze(-1)},
        item_features={"id": target.unsqueeze(-1), **{k: v[target] for k, v in vectors.items()}},
        history_features={"id": history, **{k: v[history] for k, v in vectors.items()}},
        history_mask=tensors["mask"],
        labels=labels,
    )

    def run(m):
        logits = m.forward_batch(batch).logits.flatten()
        return logits, binary_cross_entropy_with_logits(logits, labels)

    record("m3srec", model, read, {"released": run}, join_experts)


def join_experts(numbers):
    """The experts of a mixture side by side: [E * H, D], [E * H], [E * H, D], [E, D]."""
    for first in [key for key in numbers if key.endswith(".experts.0.network.0.weight")]:
        start = first.removesuffix("experts.0.network.0.weight")
        pieces = {"enter.weight": [], "enter.bias": [], "leave": [], "shift": []}
        for expert in range(EXPERTS):
            for name, end in zip(pieces, ("0.weight", "0.bias", "3.weight", "3.bias"), strict=True):
                value = numbers.pop(f"{start}experts.{expert}.network.{end}")
                pieces[name].append({"leave": value.T, "shift": value[None]}.get(name, value))
        numbers |= {start + name: np.concatenate(values) for name, values in pieces.items()}


if __name__ == "__main__":
    sys.path[:0] = sys.argv[1:]
    main()
