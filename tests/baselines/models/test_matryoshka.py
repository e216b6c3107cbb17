"""One training, every width: the narrowed model reads prefixes of the codes and nothing else."""

import pytest
import torch

NESTED = {"compressor": {"name": "matryoshka", "k": 16, "least": 4}}


def logits(model, scene):
    with torch.no_grad():
        return model.eval().losses(scene.batch).logits


@pytest.mark.parametrize("name", ["early_fusion", "late_fusion", "compressed_fusion"])
def test_a_narrowed_model_scores_as_if_the_rest_of_the_code_were_zero(scene, name):
    model = scene.build(name, NESTED)
    small = logits(model.narrowed(4), scene)
    assert torch.equal(logits(model.narrowed(16), scene), logits(model, scene))
    with torch.no_grad():
        for part in model.slots.modalities:
            part.compressor.encode.weight[4:] = 0.0
            part.compressor.encode.bias[4:] = 0.0
    torch.testing.assert_close(small, logits(model, scene))


def test_a_narrowed_model_has_fewer_weights_and_leaves_the_whole_one_alone(scene):
    model = scene.build("early_fusion", NESTED)
    before = logits(model, scene)
    small = model.narrowed(8)
    assert small.slots.project[0].in_features == 8
    assert torch.equal(before, logits(model, scene))
    assert not torch.allclose(before, logits(small, scene))


def test_what_cannot_be_narrowed_says_so(scene):
    with pytest.raises(ValueError, match="'pca' has no nested prefixes"):
        scene.build("early_fusion").narrowed(8)
    with pytest.raises(ValueError, match="trained: 16, 8, 4"):
        scene.build("early_fusion", NESTED).narrowed(5)
