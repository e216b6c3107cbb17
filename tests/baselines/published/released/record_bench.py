"""Numbers of MMCTR-Bench's models, for test_released_bench.py: weights, logits, losses, gradients.

    python record_bench.py BENCH/src

BENCH is a folder with github.com/hdu-yzl/MMCTR-Bench at 00ce954; nothing of theirs is copied here.
For each model NAME.npz is written beside this file, as record.py does it: inputs, `weight/KEY` and,
for the click loss and each auxiliary loss as a run of its own, `RUN/logits`, `RUN/loss` and
`RUN/gradient/KEY`. What an entry of ours has once, theirs may have twice (maps and operators of the
candidate and of the history): these are equal here, and their gradients are added up. Further, the
identity stands for maps that ours has not, zero for their constants and ReLU for Dice, which takes
its mean and deviation from whatever rows are scored together, in evaluation, too.
"""

import sys

import numpy as np
import torch
from record import record, season
from torch import nn

SEED, ROWS, LENGTH, USERS, WIDTH = 17, 12, 4, 5, 4
WIDTHS = {"image": 5, "text": 3}
NAMES = ("id", *WIDTHS)
SETTINGS = {"latent_dim": WIDTH, "projection_dim": WIDTH, "dropout": 0.0, "mlp_dims": [6, 5]}
DATA = {
    "use_mm_features": NAMES,
    "mm_dims": WIDTHS,
    "mm_seq_dims": WIDTHS,
    "user_features": ("id",),
    "id_feature_num": ROWS + USERS,
}


def inputs(shortest=0, mirrored=False):
    """As many items as rows, each once a candidate, and histories of every length from `shortest`.
    Mirrored vectors are of length 1 and width 4, and every second is the one before turned around:
    their mean is zero and so no PCA turns a cosine."""
    draw = np.random.default_rng(SEED)
    widths = WIDTHS if not mirrored else dict.fromkeys(WIDTHS, WIDTH)
    vectors = {
        name: draw.normal(size=(ROWS + 1, w)).astype(np.float32) for name, w in widths.items()
    }
    for rows in vectors.values():
        rows[0] = 0.0
        if mirrored:
            rows[1:] /= np.linalg.norm(rows[1:], axis=-1, keepdims=True)
            rows[2::2] = -rows[1::2]
    lengths = np.maximum(np.arange(ROWS) % (LENGTH + 1), shortest)
    mask = np.arange(LENGTH) >= LENGTH - lengths[:, None]
    return vectors | {
        "history": draw.integers(1, ROWS + 1, (ROWS, LENGTH)) * mask,
        "mask": mask,
        "target": draw.permutation(ROWS) + 1,
        "user": draw.integers(1, USERS + 1, ROWS),
        "labels": draw.integers(0, 2, ROWS),
    }


def batch_of(numbers):
    """The inputs as theirs reads them; users follow the items in the one table of ids."""
    from mmctr.core import Batch

    tensors = {name: torch.from_numpy(np.asarray(value)) for name, value in numbers.items()}
    target, history = tensors["target"], tensors["history"]
    vectors = {name: tensors[name].double() for name in WIDTHS}
    return Batch(
        user_features={"id": (tensors["user"] + ROWS).unsqueeze(1)},
        item_features={"id": target.unsqueeze(1)} | {n: v[target] for n, v in vectors.items()},
        history_features={"id": history} | {n: v[history] for n, v in vectors.items()},
        history_mask=tensors["mask"],
        labels=tensors["labels"].double(),
    )


def fix(model, *, identity=(), zero=(), equal=()):
    """Maps that are the identity (behind zeros where they are wide), parameters that are zero and
    pairs of parts that are equal."""
    parameters = dict(model.named_parameters())
    with torch.no_grad():
        parameters["embedding.embedding"][0] = 0.0
        for key, value in model.named_buffers():
            if key.endswith("boundaries"):  # season turned them into noise
                value.copy_(torch.linspace(-1.0, 1.0, len(value)))
        for key in identity:
            parameters[key].zero_()[:, -len(parameters[key]) :] = torch.eye(len(parameters[key]))
        for key, value in parameters.items():
            if any(part in key for part in zero):
                value.zero_()
    for first, second in equal:
        parts = dict(model.named_modules())
        parts[second].load_state_dict(parts[first].state_dict())
    return model


def relu_for_dice(model):
    """ReLU where DIN's network has Dice."""
    network = model.attention.network
    for place, layer in enumerate(network):
        if type(layer).__name__ == "_Dice":
            network[place] = nn.ReLU()


def join(equal):
    """Add the gradients of the second of two equal parts to the first's, drop its weights."""

    def joined(numbers):
        for first, second in equal:
            for key in [key for key in numbers if f"/{second}." in key]:
                value = numbers.pop(key)
                if "/gradient/" in key:
                    numbers[key.replace(f"/{second}.", f"/{first}.")] += value

    return joined


def write(name, model, losses=(), equal=(), **kinds):
    """Record a model with its click loss and the named auxiliary losses."""
    from torch.nn.functional import binary_cross_entropy_with_logits as click

    numbers = inputs(**kinds)
    batch = batch_of(numbers)
    runs = {"click": lambda m: (m(batch).logits, click(m(batch).logits, batch.labels))}
    for loss in losses:
        runs[loss] = lambda m, loss=loss: (m(batch).logits, m(batch).auxiliary_losses[loss])
    record(name, model, numbers, runs, join(equal))


SEQUENCE = {"identity": ["projectors.id.weight", "user_projectors.id.weight"]}
CONSTANTS = [f"projectors.{name}.bias" for name in NAMES]
TIED = [(f"target_projectors.{n}", f"history_projectors.{n}") for n in WIDTHS]
POOLED = {"identity": [f"{side}_projectors.id.weight" for side in ("target", "history")]}


def naml():
    from mmctr.models.mm_models.naml import NAML

    model = fix(season(NAML(SETTINGS, DATA)), **SEQUENCE, zero=CONSTANTS)
    write("bench_naml", model)


def lmf():
    from mmctr.models.mm_models.lmf import LMF

    equal = [*TIED, ("target_fusion", "history_fusion")]
    model = season(LMF(SETTINGS | {"rank": 3, "fusion_dim": WIDTH}, DATA))
    write("bench_lmf", fix(model, **POOLED, zero=CONSTANTS, equal=equal), equal=equal)


def mtfn():
    from mmctr.models.mm_models.mtfn import MTFN

    equal = [*TIED, ("target_fusion", "history_fusion")]
    model = season(MTFN(SETTINGS | {"rank": 3}, DATA))
    write("bench_mtfn", fix(model, **POOLED, zero=CONSTANTS, equal=equal), equal=equal)


def pamd():
    """Its maps from one modality to the other are zero: what it ranks is then all alike. Of a
    history without items it reads the constants of its maps, ours nothing: there is none here."""
    from mmctr.models.mm_models.pamd import PAMD

    equal = [*TIED, ("target_blocks", "history_blocks")]
    model = season(PAMD(SETTINGS | {"pamd_layer_norm": False}, DATA))
    queries = [f"{side}_blocks.image__text.query.weight" for side in ("target", "history")]
    identity = [*POOLED["identity"], *queries]
    fix(model, identity=identity, zero=[*CONSTANTS, "a_to_b", "b_to_a"], equal=equal)
    write("bench_pamd", model, ["pamd_disentanglement"], equal, shortest=1)


def marn():
    """Once as it is, once with a classifier that is as unsure of all modalities."""
    from mmctr.models.mm_models.marn import MARN

    losses = ["domain_classifier", "adversarial_invariance", "specific_classifier"]
    silent = [*CONSTANTS, "split.invariant.bias", *(f"split.specific.{n}.bias" for n in NAMES)]
    unsure = ["domain_classifier.2", "specific_classifier.classifier.2.weight"]
    for name, zero in (("bench_marn", silent), ("bench_marn_unsure", [*silent, *unsure])):
        model = season(MARN(SETTINGS, DATA))
        relu_for_dice(model)
        fix(model, **SEQUENCE, zero=zero)
        write(name, model, [f"marn_{loss}" for loss in losses])


def em3():
    """One query, and its output as it is where theirs maps the candidate's once more."""
    from mmctr.models.mm_models.em3 import EM3

    model = season(EM3(SETTINGS | {"query_num": 1, "fq_heads": 2}, DATA))
    relu_for_dice(model)
    model.content_map = nn.Identity()
    silent = [f"layers.{k}.value.bias" for k in (0, 1)]
    fix(model, **SEQUENCE, zero=[*CONSTANTS, *silent])
    write("bench_em3", model)


def dmf():
    """Cosines of the vectors themselves, counts of full histories; what theirs does to its two
    summaries after the attention and after the last layer over the counts, and after the logit, is
    left out."""
    from mmctr.models.mm_models.dmf import DMF

    wide = dict.fromkeys(WIDTHS, WIDTH)
    settings = {"attention_dim": WIDTH, "mlp_dims": [32, WIDTH], "batch_norm": True}
    model = season(DMF(SETTINGS | settings, DATA | {"mm_dims": wide, "mm_seq_dims": wide}))
    model.enhanced_mlp = nn.Identity()
    for place in (1, 5, 6):  # norm, norm and ReLU
        model.center_mlp.layers[place] = nn.Identity()
    model.output.layers[1] = nn.Identity()
    vectors = [f"projectors.{name}.weight" for name in WIDTHS]
    identity = [*SEQUENCE["identity"], *vectors]
    fix(model, identity=identity, zero=[*CONSTANTS, "target_attention.value.bias"])
    write("bench_dmf", model, shortest=LENGTH, mirrored=True)


def make():
    """Their MAKE is DIN beside counts of similarity, here of full histories."""
    from mmctr.models.mm_models.make import MAKE

    model = season(MAKE(SETTINGS, DATA))
    relu_for_dice(model)
    write("bench_make", fix(model, **SEQUENCE, zero=CONSTANTS), shortest=LENGTH)


if __name__ == "__main__":
    sys.path[:0] = sys.argv[1:]
    for recorder in (naml, lmf, mtfn, pamd, marn, em3, dmf, make):
        recorder()
