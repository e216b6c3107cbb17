"""Rows, presence patterns and plain loops that the formula tests share."""

from itertools import product

import numpy as np
import pytest
import torch


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def compare():
    """Compare an operator with a plain loop `formula(x [M, d], there, query) -> [d] or [T, d]`.

    Runs over every presence pattern; absent slots hold NaN for the operator and are not even handed
    to the loop's arithmetic (`there` lists the slots that are).
    """

    def check(operator, formula, d=4, query_width=0):
        slots = operator.slots
        operator = operator.double().eval()
        for parameter in operator.parameters():  # away from zeros and ones of the initialisation
            parameter.data += 0.1 * torch.randn_like(parameter)
        present = torch.tensor(list(product([False, True], repeat=slots))[1:])
        x = torch.randn(len(present), slots, d, dtype=torch.float64)
        query = torch.randn(len(present), query_width, dtype=torch.float64) if query_width else None
        with torch.no_grad():
            fused = operator(x.masked_fill(~present.unsqueeze(-1), torch.nan), present, query)
        for row in range(len(present)):
            there = [slot for slot in range(slots) if present[row, slot]]
            asking = None if query is None else query[row].numpy()
            expected = np.atleast_2d(formula(x[row].numpy(), there, asking))
            np.testing.assert_allclose(fused.tokens[row].numpy(), expected, rtol=1e-9, atol=1e-11)

    torch.manual_seed(7)
    return check


class Loops:
    """Neural layers as scalar loops over their stored numbers, in float64."""

    @staticmethod
    def numbers(tensor):
        return tensor.detach().double().numpy()

    @staticmethod
    def matrix(weight, vector, bias=None):
        """weight [out][in], vector [in] -> [out], one multiplication at a time."""
        out = []
        for row in range(len(weight)):
            total = 0.0 if bias is None else float(bias[row])
            for column in range(len(vector)):
                total += float(weight[row][column]) * float(vector[column])
            out.append(total)
        return np.array(out)

    def flat(self, layers, vector):
        """`Flat`: linear layers with ReLU between."""
        for index, layer in enumerate(layers.layers):
            if index:
                vector = np.array([max(value, 0.0) for value in vector])
            bias = None if layer.bias is None else self.numbers(layer.bias)
            vector = self.matrix(self.numbers(layer.weight), vector, bias)
        return vector

    def slot(self, layer, index, vector):
        """`SlotLinear`: the matrix of one slot, stored [in][out]."""
        bias = None if layer.bias is None else self.numbers(layer.bias)[index, 0]
        return self.matrix(self.numbers(layer.weight)[index].T, vector, bias)

    def norm(self, layer, vector):
        """LayerNorm of one vector."""
        mean = sum(vector) / len(vector)
        variance = sum((value - mean) ** 2 for value in vector) / len(vector)
        scaled = [(value - mean) / (variance + layer.eps) ** 0.5 for value in vector]
        return self.numbers(layer.weight) * np.array(scaled) + self.numbers(layer.bias)

    @staticmethod
    def softmax(scores):
        raised = [np.exp(score - max(scores)) for score in scores]
        return [value / sum(raised) for value in raised]

    @staticmethod
    def sigmoid(vector):
        return np.array([1.0 / (1.0 + np.exp(-value)) for value in vector])

    @staticmethod
    def cosine(a, b):
        return float(a @ b) / (float(a @ a) * float(b @ b)) ** 0.5

    @staticmethod
    def side_by_side(x, there, slots=None):
        """All slots one after the other, zeros where a slot is not there."""
        parts = range(len(x)) if slots is None else slots
        return np.concatenate([x[m] if m in there else np.zeros(x.shape[1]) for m in parts])

    def attention(self, layer, query, slots):
        """One query vector over slot vectors, head by head."""
        d, heads = len(slots[0]), layer.heads
        width = d // heads
        keys_and_values = [self.matrix(self.numbers(layer.tell.weight), slot) for slot in slots]
        mixed = np.zeros(d)
        for head, weights in enumerate(self.read(layer, query, slots)):
            own = slice(head * width, (head + 1) * width)
            for weight, both in zip(weights, keys_and_values, strict=True):
                mixed[own] += weight * both[d:][own]
        return self.flat(layer.mix, mixed)

    def read(self, layer, query, slots):
        """Of each head, how one query vector weighs the slot vectors."""
        d, heads = len(slots[0]), layer.heads
        width = d // heads
        queries = self.matrix(self.numbers(layer.ask.weight), query, self.numbers(layer.ask.bias))
        keys = [self.matrix(self.numbers(layer.tell.weight), slot)[:d] for slot in slots]
        weights = []
        for head in range(heads):
            own = slice(head * width, (head + 1) * width)
            scores = [float(queries[own] @ key[own]) / width**0.5 for key in keys]
            weights.append(self.softmax(scores))
        return weights

    def encoder(self, layer, tokens):
        """A post-norm transformer layer over a list of vectors."""
        out = []
        for token in tokens:
            y = self.norm(layer.norm, token + self.attention(layer.attention, token, tokens))
            if layer.feed is not None:
                y = self.norm(layer.feed_norm, y + self.flat(layer.feed, y))
            out.append(y)
        return out


@pytest.fixture
def loops():
    return Loops()
