"""Where a modality is wide and noise, a rate and a decay of its own win over any rate of all."""

from collections.abc import Mapping
from typing import NamedTuple

import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor

from fusefront.baselines.contract import Context, ItemTable, RequestBatch, Schema
from fusefront.baselines.zoo import BASELINES
from fusefront.harness.parts.plugins import load_parts
from fusefront.harness.runs.recipe import Training
from fusefront.harness.training.optimiser import make_optimizer, one_cycle

ITEMS, REQUESTS, CANDIDATES, BATCH, EPOCHS = 400, 600, 4, 64, 8
SETTINGS = {"compressor": "none", "use_id": False, "token_width": 16, "head.hidden": (32, 16)}
OF_IMAGES = {"image": {"rate": 0.1, "decay": 10}}


class Drawn(NamedTuple):
    schema: Schema
    items: ItemTable
    candidates: Mapping[str, Tensor]  # by split [R, K]
    labels: Mapping[str, Tensor]
    odds: Tensor  # of test [R, K]


def noisy_world(seed: int) -> Drawn:
    """Log odds 1.5 (t_0 + t_1 t_2) of a text of 4 numbers; an image of 200 that says nothing, three
    times as large. Items of test are others than those of train."""
    generator = torch.Generator().manual_seed(seed)
    count = 2 * ITEMS + 1
    text = torch.randn(count, 4, generator=generator)
    vectors = {"text": text, "image": 3.0 * torch.randn(count, 200, generator=generator)}
    there, ones = torch.arange(count) > 0, torch.ones(count, dtype=torch.long)
    none = torch.zeros(count, 0)
    present = there.unsqueeze(-1).expand(-1, 2)
    items = ItemTable(vectors, present, none.long(), none, there, ones, ones)
    widths = {name: rows.shape[1] for name, rows in vectors.items()}
    candidates = {
        "train": torch.randint(1, ITEMS + 1, (REQUESTS, CANDIDATES), generator=generator),
        "test": torch.randint(ITEMS + 1, count, (3_000, CANDIDATES), generator=generator),
    }
    odds = {k: 1.5 * (text[c, 0] + text[c, 1] * text[c, 2]) for k, c in candidates.items()}
    labels = {k: torch.bernoulli(x.sigmoid(), generator=generator) for k, x in odds.items()}
    schema = Schema(count - 1, widths, (), 0, (), 0, (), 0, 0)
    return Drawn(schema, items, candidates, labels, odds["test"])


def batch_of(candidates: Tensor, labels: Tensor) -> RequestBatch:
    requests = len(candidates)
    rows, none = torch.arange(candidates.numel()), torch.zeros(requests, CANDIDATES, 0)
    history = torch.zeros(requests, 1, dtype=torch.long)
    return RequestBatch(
        torch.arange(2 * ITEMS + 1),
        history,
        history > 0,
        candidates,
        candidates > 0,
        rows,
        Context(none[:, 0].long(), none[:, 0]),
        Context(none.long(), none),
        labels,
        rows.view(requests, CANDIDATES),
        torch.arange(requests),
    )


def auc_by(drawn: Drawn, recipe: Mapping[str, object]) -> float:
    """AUC on items that were not seen, after training by the recipe."""
    model = BASELINES["early_fusion"].build(drawn.schema, drawn.items, SETTINGS, load_parts([]), 0)
    training = Training.model_validate({"epochs": EPOCHS, **recipe})
    steps = REQUESTS // BATCH
    optimizer = make_optimizer(model, training, steps)
    schedule = one_cycle(optimizer, training, steps)
    torch.manual_seed(0)
    for _ in range(EPOCHS):
        for chosen in torch.randperm(REQUESTS).split(BATCH)[:steps]:
            batch = batch_of(drawn.candidates["train"][chosen], drawn.labels["train"][chosen])
            optimizer.zero_grad()
            model.train().losses(batch).click.backward()
            optimizer.step()
            schedule.step()
    labels = drawn.labels["test"]
    with torch.no_grad():
        logits = model.eval().losses(batch_of(drawn.candidates["test"], labels)).logits
    return float(roc_auc_score(labels.flatten(), logits.flatten()))


@pytest.mark.parametrize("seed", [0, 1])
def test_a_noisy_modality_learns_less_at_a_rate_and_decay_of_its_own(seed: int) -> None:
    """Against the best of six recipes of all parameters, chosen on the test itself: .768 against
    .700 and .778 against .694, where the truth has .844 and .850."""
    drawn = noisy_world(seed)
    of_all = [
        auc_by(drawn, {"learning_rate": rate, "tau": tau})
        for rate in (3e-3, 1e-2, 3e-2)
        for tau in (None, 3.0)
    ]
    own = auc_by(drawn, {"learning_rate": 1e-2, "tau": 3.0, "modalities": OF_IMAGES})
    truth = roc_auc_score(drawn.labels["test"].flatten(), drawn.odds.flatten())
    assert own - max(of_all) > 0.04
    assert own < truth
