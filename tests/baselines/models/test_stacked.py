"""Out of fold means: a copy learns nothing from the labels of its own fold."""

import math

import pytest
import torch

from fusefront.baselines.contract import gather


def gradients(scene, labels):
    model = scene.build("stacked_fusion", {"folds": 3}).train()
    losses = model.losses(scene.batch._replace(labels=labels))
    (losses.click + losses.auxiliary).backward()
    return [
        [p.grad.clone() for p in member.parameters() if p.grad is not None]
        for member in model.members
    ], [p.grad.clone() for p in model.operator.parameters()]


def test_a_copy_learns_nothing_from_its_own_fold(scene):
    labels = scene.batch.labels
    before, stacker = gradients(scene, labels)
    own = (scene.batch.groups % 3 == 1).unsqueeze(-1) & scene.batch.candidate_mask
    flipped = torch.where(own, 1.0 - labels, labels)
    after, other_stacker = gradients(scene, flipped)
    same = [
        all(torch.equal(a, b) for a, b in zip(x, y, strict=True))
        for x, y in zip(before, after, strict=True)
    ]
    assert same == [False, True, False]
    assert not torch.equal(stacker[0], other_stacker[0])


def test_the_stacker_teaches_no_tower(scene):
    model = scene.build("stacked_fusion").train()
    model.losses(scene.batch).click.backward()
    assert all(p.grad is None for member in model.members for p in member.parameters())
    assert all(p.grad is not None for p in model.operator.parameters())


def test_scores_are_those_of_the_mean_tower(scene):
    model = scene.build("stacked_fusion").eval()
    with torch.no_grad():
        losses = model.losses(scene.batch)
        for member in model.members[1:]:
            member.load_state_dict(model.members[0].state_dict())
        alone = model.losses(scene.batch).logits
    assert not torch.allclose(losses.logits, alone)
    assert losses.logits.shape == scene.batch.labels.shape


def test_losses_are_those_of_a_loop_over_rows_and_copies(scene):
    """The stacker reads the row's own fold; a copy learns from the rows of the others, tower by
    tower."""
    model = scene.build("stacked_fusion", {"folds": 3, "token_width": 6}).train()
    for module in model.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm | torch.nn.Dropout):
            module.eval()
    batch = scene.batch
    with torch.no_grad():
        losses = model.losses(batch)
        codes, encoding = model.encode_batch(batch)
        request = gather(codes, batch)
        towers = model._towers(request, batch.rows)
        width = batch.candidates.shape[1]
        clicks, copies = [], []
        shown = model.context(
            batch.request_context, batch.candidate_context, losses.logits[..., None]
        )
        for n, row in enumerate(batch.rows.tolist()):
            r, k = divmod(row, width)
            own, label = int(batch.groups[r]) % 3, float(batch.labels[r, k])
            there = request.candidates.present[r, k]
            logit = model.operator(
                towers[own, n][None, :, None], there[None], None
            ).tokens.flatten()
            logit = logit + model.head(shown[r, k][None])
            torch.testing.assert_close(losses.logits[r, k], logit[0], rtol=1e-6, atol=1e-8)
            clicks.append(entropy(float(logit[0]), label))
            copies += [
                entropy(float(towers[f, n, s]), label)
                for f in range(3)
                for s in range(towers.shape[2])
                if f != own and there[s]
            ]
    assert float(losses.click) == pytest.approx(sum(clicks) / len(clicks), rel=1e-6)
    mean = sum(copies) / len(copies)
    assert float(losses.auxiliary - encoding) == pytest.approx(mean, rel=1e-6)


def entropy(logit, label):
    probability = 1 / (1 + math.exp(-logit))
    return -math.log(probability if label else 1 - probability)


def test_towers_of_every_copy_have_their_own_codes(scene):
    """Scores read the mean over the copies, each from its own part of the codes."""
    model = scene.build("stacked_fusion", {"folds": 3, "token_width": 6, "context_width": 0}).eval()
    assert model.head is None
    batch = scene.batch
    with torch.no_grad():
        codes = model.encode_items(torch.arange(scene.schema.items + 1))
        scored = model.score(gather(codes, batch, batch.items), batch.rows)
        alone = []
        for member in model.members:
            own = member.encode_items(torch.arange(scene.schema.items + 1))
            alone.append(member.placement.logits(gather(own, batch, batch.items), batch.rows))
        there = gather(codes, batch, batch.items).candidates.present.flatten(0, 1)[batch.rows]
        mean = torch.stack(alone).mean(0)
        expected = model.operator(mean.unsqueeze(-1), there, None).tokens.flatten()
    torch.testing.assert_close(scored.logits.flatten()[batch.rows], expected)
    assert not torch.allclose(alone[0], alone[1])


def test_a_stack_has_two_folds_at_least_and_roles_for_every_parameter(scene):
    with pytest.raises(
        ValueError, match="stacked_fusion: setting 'folds' is 1, expected at least 2"
    ):
        scene.build("stacked_fusion", {"folds": 1})
    model = scene.build("stacked_fusion", {"stack_hidden": 4})
    names = {id(p): name for name, p in model.named_parameters()}
    roles = {role: {names[id(p)] for p in parts} for role, parts in model.parameter_roles().items()}
    assert {name.split(".")[2:4][-1] for name in roles["id_embedding"]} == {"ids"}
    assert len(roles["id_embedding"]) == 2
    assert all(".side." in name or name.startswith("context") for name in roles["field_embedding"])
    assert any(name.startswith("context") for name in roles["field_embedding"])
    assert any(name.startswith("operator") for name in roles["fusion"])
    assert any(name.startswith("head") for name in roles["dense"])
    assert set.union(*roles.values()) == set(names.values())
    assert model.cacheable() == "part: towers and their join run online"
    assert model.report() == model.members[0].report() != {}
    for member in model.members:  # context is the stacker's alone
        assert member.head is None
        assert member.context.width_out == 0


def test_the_report_is_that_of_the_first_copy(scene):
    model = scene.build("stacked_fusion", {"compressor": {"name": "vq", "k": 8, "codes": 16}})
    with torch.no_grad():
        for parameter in model.members[1].parameters():
            parameter.add_(0.5)
    assert model.report() == model.members[0].report()
    assert model.report() != model.members[1].report()


def test_modalities_that_a_caller_keeps_are_kept_for_every_copy(scene):
    settings = {"folds": 2, "token_width": 6, "pooler": "mean", "modality_dropout": 0.9}
    model = scene.build("stacked_fusion", settings).train()
    ids, keep = torch.arange(1, 60), torch.tensor([True, False, True])
    with torch.no_grad():
        codes = model.encode(ids, keep)[0].candidate
        each = [member.encode(ids, keep)[0].candidate for member in model.members]
    assert torch.equal(codes.values, torch.cat([part.values for part in each], -1))
    assert torch.equal(codes.present, each[0].present)


def test_a_modality_is_dropped_for_every_copy_or_for_none(scene):
    """Copies whose presence differs would learn from slots that they do not hold."""
    settings = {"folds": 3, "token_width": 6, "pooler": "mean", "modality_dropout": 0.4}
    model = scene.build("stacked_fusion", settings)
    ids = torch.arange(1, 201)
    with torch.no_grad():
        whole = model.eval().encode(ids)[0].candidate.present
        codes = model.train().encode(ids)[0].candidate
    copies = codes.values.unflatten(-1, (3, -1, 6))  # [U, F, S, d]
    filled = (copies != 0).any(-1)
    slots = model.members[0].slots.names
    modalities = [s for s, name in enumerate(slots) if name not in ("id", "side")]
    for copy in range(3):
        assert torch.equal(filled[:, copy, modalities], codes.present[:, modalities])
    remaining = codes.present[:, modalities].sum() / whole[:, modalities].sum()
    assert 0.5 < float(remaining) < 0.7
    others = [s for s in range(len(slots)) if s not in modalities]
    assert torch.equal(codes.present[:, others], whole[:, others])


@pytest.mark.parametrize("there", [True, False])
def test_the_only_row_of_a_fold_weighs_one_and_no_row_nothing(scene, there):
    model = scene.build("stacked_fusion")
    towers = torch.tensor([[[0.3]], [[-1.2]]], dtype=torch.float64)  # [F, N, S]
    loss = model._copies(
        towers, torch.tensor([0]), torch.tensor([[there]]), torch.ones(1, dtype=torch.float64)
    )
    expected = entropy(-1.2, 1.0) if there else 0.0  # of the copy whose fold it is not
    assert float(loss) == pytest.approx(expected)
