"""Batch norm before or after a linear layer; in evaluation both are one matrix product."""

from torch import Tensor, nn
from torch.nn import functional


def normed(norm: nn.BatchNorm1d | None, x: Tensor) -> Tensor:
    """Batch norm of x [N, F]; one row alone, which has no variance, by the running statistics."""
    if norm is None:
        return x
    if norm.training and x.shape[0] > 1:
        return norm(x)  # type: ignore[no-any-return]
    scale, shift = affine(norm)
    return x * scale + shift


def affine(norm: nn.BatchNorm1d) -> tuple[Tensor, Tensor]:
    """The norm as x * scale + shift in evaluation, each [F]."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
    return scale, norm.bias - norm.running_mean * scale


def normed_linear(norm: nn.BatchNorm1d | None, layer: nn.Linear, x: Tensor) -> Tensor:
    """Norm, then layer, of x [N, F]; folded into the layer's weights unless training."""
    if norm is None:
        return layer(x)  # type: ignore[no-any-return]
    if norm.training and x.shape[0] > 1:  # one row has no variance
        return layer(norm(x))  # type: ignore[no-any-return]
    scale, shift = affine(norm)
    bias = (layer.weight * shift).sum(-1)
    if layer.bias is not None:
        bias = bias + layer.bias
    return functional.linear(x, layer.weight * scale, bias)


def linear_normed(layer: nn.Linear, norm: nn.BatchNorm1d | None, x: Tensor) -> Tensor:
    """Layer, then norm, of x [N, F]; folded into the layer's weights unless training."""
    if norm is None:
        return layer(x)  # type: ignore[no-any-return]
    if norm.training and x.shape[0] > 1:  # one row has no variance
        return norm(layer(x))  # type: ignore[no-any-return]
    scale, shift = affine(norm)
    return functional.linear(x, layer.weight * scale.unsqueeze(-1), layer.bias * scale + shift)
