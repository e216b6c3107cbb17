"""Out of fold means: a copy learns nothing from the labels of its own fold."""

import torch


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
