"""How the published models were trained where they were published, for `Baseline.recipe`.

Keys are those of a study's `training`. FuxiCTR adds its regulariser (lambda / 2) |w|^2 to the loss,
which is Adam's L2 lambda; its rate falls by `anneal` after every epoch without gain, and `patience`
such epochs in a row end the training. BARS is its public log of settings and runs.
"""

from collections.abc import Mapping

Recipe = Mapping[str, object]
PLATEAU: Recipe = {"optimizer": "adam", "schedule": "plateau", "anneal": 0.1, "epochs": 100}

BARS: Recipe = {  # its best DeepFM and AutoInt on MovieLens
    **PLATEAU,
    "learning_rate": 1e-3,
    "batch_rows": 4096,
    "l2_embedding": 0.01,
    "patience": 2,
}
BARS_SOURCE = "BARS, MovielensLatest_x1 (FuxiCTR)"

DIN: Recipe = {
    **PLATEAU,
    "learning_rate": 1e-3,
    "batch_rows": 4096,
    "l2_embedding": 1e-6,
    "patience": 3,
}
DIN_SOURCE = "baseline of the MMCTR challenge (FuxiCTR)"

MOMO: Recipe = {**PLATEAU, "learning_rate": 5e-4, "batch_rows": 128, "patience": 5}
MOMO_SOURCE = "the authors' configuration for the MMCTR challenge"

QIN: Recipe = {
    **PLATEAU,
    "learning_rate": 2e-3,
    "anneal": 0.5,
    "batch_rows": 8192,
    "l2_embedding": 2e-4,
    "patience": 8,
}
QIN_SOURCE = "the authors' configuration for the MMCTR challenge"

SIMCEN: Recipe = {**PLATEAU, "learning_rate": 1e-3, "batch_rows": 10_000, "patience": 2}
SIMCEN_SOURCE = "the authors' configuration for Avazu (FuxiCTR)"

MMCTR_BENCH: Recipe = {  # of all its models alike
    "optimizer": "adam",
    "schedule": "constant",
    "epochs": 20,
    "learning_rate": 1e-3,
    "batch_rows": 512,
    "l2": 1e-7,
    "l2_embedding": 1e-7,
    "patience": 5,
}
MMCTR_BENCH_SOURCE = (
    "MMCTR-Bench's protocol for all its models; the paper's own is not public or of another task"
)
