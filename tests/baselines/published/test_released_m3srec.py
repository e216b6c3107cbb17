"""M3SRec gives the numbers of MMCTR-Bench's, which released/record_m3srec.py made.

The code of the paper's authors is not public. Logits in evaluation, then logits, loss and every
gradient of a training step with dropout off.
"""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from fusefront.baselines.contract import Context, Field, ItemTable, RequestBatch, Schema, gather
from fusefront.baselines.published.m3srec import M3SRec

NEAR = {"rtol": 1e-6, "atol": 1e-9}
NAMES = {  # theirs -> ours
    r"^projectors\.id": "slots.lift",
    r"^projectors\.image": "slots.project.0",
    r"^projectors\.text": "slots.project.1",
    r"^position_embedding\.weight": "reader.place",
    r"^modality_embedding\.weight": "slot",
    r"^input_attention": "reader.first",
    r"^specific_experts\.id\.0": "reader.specific.0",
    r"^specific_experts\.image\.0": "reader.specific.1",
    r"^specific_experts\.text\.0": "reader.specific.2",
    r"^cross_attention": "reader.blocks",
    r"^cross_experts": "reader.shared",
    r"attention\.in_proj_": "project.",
    r"attention\.out_proj": "out",
    r"feed_forward\.0": "feed.layers.0",
    r"feed_forward\.3": "feed.layers.1",
    r"first_norm": "norms.0",
    r"second_norm": "norms.1",
    r"router": "route",
    r"normalisation": "norm",
    r"^history_fusion\.projection": "read_history.inner",
    r"^history_fusion\.score": "read_history.score",
    r"^target_fusion\.projection": "read_candidate.inner",
    r"^target_fusion\.score": "read_candidate.score",
    r"^dnn\.layers\.0": "head.layers.0",
    r"^dnn\.layers\.1": "head.norms.0",
    r"^dnn\.layers\.4": "head.layers.1",
    r"^dnn\.layers\.5": "head.norms.1",
    r"^output\.layers\.0": "head.out",
}
WITHOUT_PART = re.compile(r"^projectors\..*bias|user_projectors|num_batches")
IDS, USERS = "slots.ids.weight", "context.request.tables.0.weight"
FIRST = "head.layers.0.weight"


@pytest.fixture(scope="module")
def numbers():
    with np.load(Path(__file__).with_name("released") / "m3srec.npz") as file:
        return {key: torch.from_numpy(np.asarray(file[key])) for key in file.files}


def in_our_words(numbers, start):
    """What is kept under `start`, by our names and in our shapes."""
    ours = {}
    for key, value in numbers.items():
        name = key.removeprefix(start)
        if not key.startswith(start) or WITHOUT_PART.search(name):
            continue
        for theirs, mine in NAMES.items():
            name = re.sub(theirs, mine, name)
        ours[name] = value.double()
    items = len(numbers["image"])
    table = ours.pop("embedding.embedding")  # items, then users, as wide as an item's
    ours[IDS] = table[:items]
    rows = torch.cat([table[:1], table[items:]])
    ours[USERS] = torch.nn.functional.pad(rows, (0, 1))
    ours["reader.place"] = ours["reader.place"].unsqueeze(1)
    ours[FIRST] = ours[FIRST].roll(4, 1)  # theirs reads history, candidate, user
    return ours


@pytest.fixture
def scene(numbers, parts):
    """Our model with their weights, and the batch that they saw."""
    items = len(numbers["image"])
    rows, length = numbers["history"].shape
    there = torch.arange(items) > 0
    vectors = {name: numbers[name] for name in ("image", "text")}
    present = torch.stack([x.abs().sum(-1) > 0 for x in vectors.values()], -1)
    empty, counts = torch.zeros(items, 0), torch.ones(items, dtype=torch.long)
    table = ItemTable(vectors, present, empty.long(), empty, there, counts, counts)
    schema = Schema(items - 1, {"image": 3, "text": 2}, (), 0, (Field("u", 5),), 0, (), 0, length)
    settings = {"width": 4, "id_width": 3, "heads": 2, "experts": 3, "feed": 5, "layers": 2}
    model = M3SRec.build(schema, table, {**settings, "hidden": (6, 5)}, parts, 0).double()
    weights = in_our_words(numbers, "weight/")
    model.load_state_dict({**model.state_dict(), **weights})
    copied = {key for key in weights if "running" not in key}
    assert copied == {key for key, _ in model.named_parameters()}
    none = torch.zeros(rows, 1, 0)
    batch = RequestBatch(
        torch.arange(items),
        numbers["history"],
        numbers["mask"],
        numbers["target"].unsqueeze(-1),
        torch.ones(rows, 1, dtype=torch.bool),
        torch.arange(rows),
        Context(numbers["user"].unsqueeze(-1), none[:, 0]),
        Context(none.long(), none),
        numbers["labels"].double().unsqueeze(-1),
        torch.arange(rows).unsqueeze(-1),
        torch.arange(rows),
    )
    return model, batch


def test_logits_are_those_of_the_benchmark(numbers, scene):
    model, batch = scene
    with torch.no_grad():
        codes, _ = model.eval().encode(batch.items)
        logits = model.score(gather(codes, batch), batch.rows).logits
    torch.testing.assert_close(logits.flatten(), numbers["released/logits"], **NEAR)


def test_a_training_step_is_that_of_the_benchmark(numbers, scene):
    model, batch = scene
    losses = model.train().losses(batch)
    theirs = numbers["released/trained_logits"]
    torch.testing.assert_close(losses.logits.flatten(), theirs, **NEAR)
    torch.testing.assert_close(losses.click, numbers["released/loss"], **NEAR)
    losses.click.backward()
    gradients = in_our_words(numbers, "released/gradient/")
    parameters = dict(model.named_parameters())
    assert gradients.keys() == parameters.keys()
    parameters[USERS].grad[:, -1] = 0.0  # theirs is three numbers wide
    for key, expected in gradients.items():
        torch.testing.assert_close(parameters[key].grad, expected, rtol=1e-6, atol=1e-8)


def test_places_are_counted_from_the_newest(scene):
    """A batch that is padded further on the left scores the same."""
    model, batch = scene
    model.eval()
    short = (batch.history_mask.sum(-1) <= 2).nonzero().flatten()
    narrow = batch._replace(
        history=batch.history[short, -2:],
        history_mask=batch.history_mask[short, -2:],
        candidates=batch.candidates[short],
        request_context=Context(*(x[short] for x in batch.request_context)),
        candidate_context=Context(*(x[short] for x in batch.candidate_context)),
        rows=torch.arange(len(short)),
    )
    with torch.no_grad():
        codes, _ = model.encode(batch.items)
        wide = model.score(gather(codes, batch), batch.rows).logits[short]
        logits = model.score(gather(codes, narrow), narrow.rows).logits
    torch.testing.assert_close(logits, wide, rtol=0, atol=1e-12)


def test_dropout_is_of_reader_and_head_in_training_alone(scene, parts):
    model, batch = scene
    layers = [m for m in model.modules() if isinstance(m, torch.nn.Dropout)]
    assert len(layers) == 12  # each block two, each mixture one, the head one
    quiet = model.train().losses(batch).logits
    for layer in layers:
        layer.p = 0.5
        torch.manual_seed(0)
        moved = model.train().losses(batch).logits
        assert not torch.allclose(moved, quiet)
        layer.p = 0.0
    settings = {"width": 4, "heads": 2, "experts": 2, "feed": 4, "hidden": (4,), "dropout": 0.3}
    schema = Schema(5, {"image": 3}, (), 0, (), 0, (), 0, 4)
    there = torch.arange(6) > 0
    empty, ones = torch.zeros(6, 0), torch.ones(6, dtype=torch.long)
    vectors = {"image": torch.randn(6, 3)}
    table = ItemTable(vectors, there.unsqueeze(-1), empty.long(), empty, there, ones, ones)
    other = M3SRec(schema, table, M3SRec.Settings(**settings), parts)
    assert {m.p for m in other.modules() if isinstance(m, torch.nn.Dropout)} == {0.3}
