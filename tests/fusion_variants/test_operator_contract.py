"""Every operator of the zoo, with every value of every choice, keeps the contract."""

import pytest
import torch

from fusefront.fusion_variants.zoo import ALIGNMENTS, COMPRESSORS, OPERATORS
from fusefront.harness.testing.operator import check_fusion

SETTINGS = [
    pytest.param(name, {key: value}, id=f"{name}-{key}-{value}")
    for name, operator in OPERATORS.items()
    for key, values in operator.choices.items()
    for value in values
]
EXPORTED_FAST = ("lmf",)


@pytest.mark.parametrize(
    ("name", "slots"),
    [
        (name, slots)
        for name in OPERATORS
        for slots in (2, 3, 4)
        if (name, slots) != ("cross_attention", 2)  # refused: nothing to choose
    ],
)
def test_every_operator_keeps_the_contract(name, slots):
    check_fusion(OPERATORS[name], slots=slots, d=4 if slots == 2 else 8, export=False)


@pytest.mark.parametrize(("name", "choices"), SETTINGS)
def test_every_choice_keeps_the_contract(name, choices):
    check_fusion(OPERATORS[name], choices=choices, export=False)


@pytest.mark.parametrize("name", EXPORTED_FAST)
def test_some_operators_give_the_same_numbers_in_onnx_runtime(name):
    check_fusion(OPERATORS[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in OPERATORS if name not in EXPORTED_FAST])
def test_every_operator_gives_the_same_numbers_in_onnx_runtime(name):
    check_fusion(OPERATORS[name])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "choices"),
    [
        ("senet", {"readout": "tokens"}),
        ("dcnv2", {"rank": 4, "readout": "tokens"}),
        ("self_attention", {"readout": "tokens", "layers": 2}),
        ("bilinear", {"sharing": "interaction", "rank": 2}),
        ("moe", {"top_k": 2}),
    ],
)
def test_other_readouts_give_the_same_numbers_in_onnx_runtime(name, choices):
    check_fusion(OPERATORS[name], choices=choices)


@pytest.mark.parametrize(
    "zoo", [OPERATORS, COMPRESSORS, ALIGNMENTS], ids=lambda zoo: next(iter(zoo))
)
def test_the_name_in_the_zoo_is_the_name_of_the_class(zoo):
    assert {name: part.name for name, part in zoo.items()} == {name: name for name in zoo}


@pytest.mark.parametrize("name", ["self_attention", "cross_attention", "mbt", "perceiver"])
def test_heads_that_do_not_divide_the_width_are_refused(name):
    with pytest.raises(ValueError, match="3 heads do not divide width 8; choose a divisor of 8"):
        OPERATORS[name](3, 8, heads=3)


def test_cross_attention_from_an_id_to_one_modality_is_refused():
    with pytest.raises(ValueError, match="cross_attention got 2 slots; expected the id and"):
        OPERATORS["cross_attention"](2, 8)


def test_a_tensor_of_too_many_products_is_refused():
    with pytest.raises(ValueError, match="6 slots at k = 8 make 531441 products"):
        OPERATORS["tfn"](6, 8)


def test_an_unknown_sharing_mode_is_refused():
    with pytest.raises(ValueError, match="sharing is 'some'; expected one of 'all', 'each'"):
        OPERATORS["bilinear"](3, 8, sharing="some")


def test_more_chosen_experts_than_experts_are_refused():
    with pytest.raises(ValueError, match=r"top_k is 9; expected 0 \(all\) to the 4 experts"):
        OPERATORS["moe"](3, 8, top_k=9)


@pytest.mark.parametrize("name", ["em3", "marn", "moe", "pamd", "shared_specific", "simcen"])
def test_a_loss_is_of_rows_however_they_are_arranged(name):
    operator = OPERATORS[name](4, 4).double().train()
    torch.manual_seed(1)
    x, present = torch.randn(2, 5, 4, 4).double(), torch.rand(2, 5, 4) < 0.8
    losses = []
    for lead in ((2, 5), (10,)):
        torch.manual_seed(2)
        losses.append(operator(x.view(*lead, 4, 4), present.view(*lead, 4)).loss)
    assert losses[0] > 0.0
    torch.testing.assert_close(*losses, rtol=1e-6, atol=0.0)  # some are of single precision
