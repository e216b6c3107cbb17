"""Integer products against NumPy: what scales by column, one byte and two bytes move."""

from collections import Counter

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from fusefront.harness.serving.export import quantize as quantizing
from fusefront.harness.serving.export.quantize import products, quantize

RNG = np.random.default_rng(0)
WIDE, NARROW = RNG.normal(size=(64, 48)), RNG.normal(size=(48, 5))
WIDE[:, 0] *= 100.0  # a column's scale is its own
BIAS = RNG.normal(size=48)


def graph(
    *, transposed: bool = False, alpha: float = 1.0, beta: float = 1.0, trans_a: bool = False
) -> onnx.ModelProto:
    """relu(x WIDE + BIAS) NARROW -> logits."""
    wide = WIDE.T if transposed else WIDE
    nodes = [
        helper.make_node(
            "Gemm", ["x", "wide", "bias"], ["inner"],
            transB=int(transposed), alpha=alpha, beta=beta, transA=int(trans_a),
        ),
        helper.make_node("Relu", ["inner"], ["rectified"]),
        helper.make_node("MatMul", ["rectified", "narrow"], ["logits"]),
    ]  # fmt: skip
    weights = {"wide": wide, "bias": BIAS, "narrow": NARROW}
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "planted",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", "k"])],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 5])],
            [numpy_helper.from_array(v.astype(np.float32), k) for k, v in weights.items()],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=9,
    )
    onnx.checker.check_model(model)
    return model


def rows(count: int = 400, *, tails: bool = False) -> np.ndarray:
    """[count, 64], even; with tails one column is thirty times as wide as the others."""
    x = np.random.default_rng(count).uniform(-1, 1, size=(count, 64))
    x[:, 3] *= 30.0 if tails else 1.0
    return x.astype(np.float32)


def logits(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0].astype(np.float64)


def kinds(model: onnx.ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in model.graph.node)


def exact(x: np.ndarray, wide: np.ndarray = WIDE) -> np.ndarray:
    return np.maximum(x.astype(np.float64) @ wide + BIAS, 0) @ NARROW


def rounded(weights: np.ndarray) -> np.ndarray:
    """Every column to 127 steps of its own."""
    scale = np.abs(weights).max(0) / 127
    return np.round(weights / scale) * scale


def near(actual: np.ndarray, expected: np.ndarray) -> bool:
    """Half of what the weights' byte moves, a hundredth of what one byte of a wide range does."""
    return bool((actual - expected).std() < 1.5e-3 * expected.std())


def test_one_byte_is_the_product_of_rounded_rows_and_columns() -> None:
    x = rows()
    model = quantize(graph(), [{"x": x}], least=1000)
    assert kinds(model) == {"QuantizeLinear": 1, "MatMulIntegerToFloat": 1, "Relu": 1, "MatMul": 1}
    low, high = float(x.min()), float(x.max())
    step = (high - low) / 255
    zero = np.round(-low / step)
    by_hand = (np.clip(np.round(x / step) + zero, 0, 255) - zero) * step
    expected = exact(by_hand, rounded(WIDE))
    assert near(logits(model, x), expected)
    error = logits(model, x) - exact(x)
    assert 1e-3 < error.std() / exact(x).std() < 1e-2


def test_a_wide_range_takes_two_bytes_and_leaves_the_weights_error_alone() -> None:
    x = rows(tails=True)
    model = quantize(graph(), [{"x": x}], least=1000)
    assert kinds(model)["MatMulIntegerToFloat"] == 2
    assert near(logits(model, x), exact(x, rounded(WIDE)))
    beyond = 1.4 * x  # there is room for what calibration did not see
    assert near(logits(model, beyond), exact(beyond, rounded(WIDE)))


def test_every_product_is_measured_and_small_ones_stay() -> None:
    x = rows(tails=True)
    both = quantize(graph(), [{"x": x}], least=10)
    assert kinds(both)["MatMulIntegerToFloat"] == 4  # a rectified column is as wide, too
    assert "MatMul" not in kinds(both)
    none = quantize(graph(), [{"x": x}])
    assert none == graph()
    assert none is not graph()


def test_weights_are_read_as_the_product_reads_them() -> None:
    x = rows(tails=True)
    for model, wide in (
        (graph(transposed=True), WIDE),
        (graph(transposed=True, alpha=0.5), 0.5 * WIDE),
        (graph(alpha=3.0), 3.0 * WIDE),
    ):
        whole = quantize(model, [{"x": x}], least=1000)
        assert near(logits(whole, x), exact(x, rounded(wide)))


@pytest.mark.parametrize("odd", [graph(beta=2.0), graph(trans_a=True)])
def test_what_is_no_plain_product_is_left_alone(odd: onnx.ModelProto) -> None:
    assert [p.node.output[0] for p in products(odd)] == ["logits"]
    assert [p.node.output[0] for p in products(graph())] == ["inner", "logits"]


def test_a_product_without_attributes_is_its_weights_alone() -> None:
    """A MatMul has no alpha, and a Gemm may leave its own out."""
    plain = graph()
    del plain.graph.node[0].attribute[:]
    wide, narrow = products(plain)
    np.testing.assert_allclose(wide.weights, WIDE, rtol=1e-6)
    np.testing.assert_allclose(narrow.weights, NARROW, rtol=1e-6)
    assert (wide.bias, narrow.bias) == (["bias"], [])


def test_nothing_is_byte_nought_where_no_value_is_below_it() -> None:
    """Of rectified values; the operators' domain is named once, also where it was before."""
    x = rows(tails=True)
    known = graph()
    known.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    for model in (graph(), known):
        both = quantize(model, [{"x": x}], least=10)
        values = {i.name: numpy_helper.to_array(i) for i in both.graph.initializer}
        assert values["logits_int8_zero"] == 0
        assert values["inner_int8_zero"] > 100
        domains = Counter(opset.domain for opset in both.opset_import)
        assert domains == {"": 1, "com.microsoft": 1}


def constants(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    """What the first product's integers are read by."""
    values = {i.name: numpy_helper.to_array(i) for i in model.graph.initializer}
    start = "inner_int8_"
    return {name.removeprefix(start): v for name, v in values.items() if name.startswith(start)}


def test_one_byte_spans_the_range_with_nothing_in_it() -> None:
    """255 steps from the lowest to the highest value, or from or to 0 beyond which no value is;
    a feed of no rows has no range."""
    even = rows()
    for x, low, high in (
        (even, even.min(), even.max()),
        (even + 2.5, 0.0, even.max() + 2.5),
        (even - 2.5, even.min() - 2.5, 0.0),
    ):
        near_zero = graph()
        wide = near_zero.graph.initializer[0]
        wide.CopyFrom(numpy_helper.from_array((WIDE / 10).astype(np.float32), "wide"))
        values = constants(quantize(near_zero, [{"x": x}, {"x": x[:0]}], least=1000))
        assert set(values) >= {"step", "zero"}
        assert values["step"] == pytest.approx((high - low) / 255, rel=1e-5)
        assert values["zero"] == round(255 * -low / (high - low))


def test_a_second_byte_has_254_steps_within_one_of_a_range_half_as_wide_again() -> None:
    x = rows(tails=True)
    values = constants(quantize(graph(), [{"x": x}], least=1000))
    assert values["step"] == pytest.approx(1.5 * (x.max() - x.min()) / 255, rel=1e-5)
    assert values["fine"] == pytest.approx(values["step"] / 254, rel=1e-6)
    assert values["half"] == 128
    assert not values["nought"].any()


def test_products_are_large_from_the_least_number_of_weights() -> None:
    x = rows()
    assert kinds(quantize(graph(), [{"x": x}], least=WIDE.size))["MatMulIntegerToFloat"] == 1
    assert kinds(quantize(graph(), [{"x": x}], least=WIDE.size + 1))["MatMulIntegerToFloat"] == 0
    assert quantizing.LEAST == 128 * 128


def test_inputs_of_nothing_take_one_byte() -> None:
    """They move no logit, which is not more than a hundredth of what does not vary."""
    plain = graph()
    bias = next(each for each in plain.graph.initializer if each.name == "bias")
    bias.CopyFrom(numpy_helper.from_array(np.zeros(48, np.float32), "bias"))
    model = quantize(plain, [{"x": np.zeros((7, 64), np.float32)}], least=1000)
    assert kinds(model)["MatMulIntegerToFloat"] == 1
    assert constants(model)["step"] == np.float32(1e-12)
    assert constants(model)["zero"] == 0


@pytest.mark.parametrize(("many", "thinned"), [(31_999, 31_999), (32_000, 16_000)])
def test_a_rounding_takes_all_of_up_to_32_000_rows(many: int, thinned: int) -> None:
    wide = products(graph())[0]
    assert len(quantizing._rows({"x": [np.zeros((many, 64), np.float32)]}, wide)) == thinned


@pytest.mark.parametrize(("most", "step"), [(1000, 1), (100, 3), (50, 6), (49, 7)])
def test_rows_are_thinned_evenly_over_all_feeds(
    monkeypatch: pytest.MonkeyPatch, most: int, step: int
) -> None:
    """To twice the most rows: half fits a rounding, half judges it."""
    monkeypatch.setattr(quantizing, "MOST_ROWS", most)
    parts = [rows(400).reshape(20, 20, 64), rows(0), rows(286)]
    (wide, _) = products(graph())
    thinned = quantizing._rows({"x": parts}, wide)
    expected = np.concatenate([parts[0].reshape(400, 64)[::step], parts[2][::step]])
    np.testing.assert_array_equal(thinned, expected)
    assert thinned.dtype == np.float64
    assert quantizing._rows({"x": []}, wide).shape == (0, 64)
