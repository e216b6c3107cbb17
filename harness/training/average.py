"""A running average of weights (Polyak and Juditsky 1992), exponential once its window is full."""

import math

import torch
from torch import Tensor, nn


class WeightAverage:
    """The exponential average of a model's parameters over about the last `window` steps.

    The first steps are averaged evenly, so that the random initial weights are soon forgotten.
    """

    def __init__(self, model: nn.Module, window: float) -> None:
        self.parameters = list(model.parameters())
        self.mean: list[Tensor] = []
        self.least = -math.expm1(-1.0 / window)  # share of the newest weights, at a full window
        self.steps = 0

    @torch.no_grad()
    def update(self) -> None:
        """Take the current weights into the average."""
        self.steps += 1
        now = [parameter.detach() for parameter in self.parameters]
        if self.steps == 1:
            self.mean = [value.clone() for value in now]
            return
        torch._foreach_lerp_(self.mean, now, max(1.0 / self.steps, self.least))

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange the weights and their average; a second call undoes it."""
        for parameter, mean in zip(self.parameters, self.mean, strict=True):
            weights = parameter.detach().clone()
            parameter.copy_(mean)
            mean.copy_(weights)
