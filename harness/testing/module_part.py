"""Promises of every part that is one module: class, seeds, learning, finite numbers, saved
state."""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from fusefront.harness.parts.kinds import Kind
from fusefront.harness.testing.declaration import declared, label_of
from fusefront.harness.testing.module_checks import (
    Run,
    check_learns,
    check_repeats,
    check_restores,
    check_stays_finite,
    seeded,
)
from fusefront.harness.testing.promises import Promise


class ModulePart(NamedTuple):
    """A part to check: how it is built, and its outputs on fixed inputs."""

    kind: Kind
    part: type[nn.Module]
    build: Callable[[], nn.Module]
    run: Run

    @classmethod
    def of_width(
        cls,
        kind: Kind,
        part: type[nn.Module],
        width: int,
        choices: Mapping[str, object],
        outputs: Callable[[nn.Module, torch.dtype], list[Tensor]],
    ) -> "ModulePart":
        """A part built as part(width, **choices). `outputs` gives its outputs [...] on inputs of
        the parameters' number type, or of float64 if it has no parameters."""

        def run(module: nn.Module) -> list[Tensor]:
            parameter = next(module.parameters(), None)
            return outputs(module, torch.float64 if parameter is None else parameter.dtype)

        return cls(kind, part, lambda: part(width, **choices), run)

    @property
    def label(self) -> str:
        """The name of the part in sentences."""
        return label_of(self.kind, self.part)

    def seeded(self) -> nn.Module:
        """The part built with the weights of a fixed seed."""
        return seeded(self.build)()

    def scorer(self) -> nn.Module:
        """The same in float64 and eval mode."""
        return self.seeded().double().eval()

    def opening(self, title: str, shapes: Callable[[], None]) -> Iterator[Promise]:
        """The promises without which no other can be checked; `shapes` is the check of the part's
        own kind."""
        choices = getattr(self.part, "choices", {})
        yield declared(self.kind, self.part, self.build, choices)
        yield Promise(title, shapes, gate=True)
        yield Promise("a seed repeats the results", self._repeats, gate=True)

    def learns(self, exceptions: Collection[str]) -> Promise:
        """The promise to learn; `exceptions` are patterns of parameter names that may stay without
        a gradient."""
        return Promise(
            "every parameter learns",
            lambda: check_learns(self.label, self.build, self.run, exceptions),
        )

    def closing(self, long: Run) -> Iterator[Promise]:
        """The promises on finite numbers and saved state; `long` runs the part on inputs ten times
        as large."""
        yield Promise(
            "numbers stay finite in bfloat16",
            lambda: check_stays_finite(self.label, self.build, long),
        )
        yield Promise(
            "its state restores it", lambda: check_restores(self.label, self.build, self.run)
        )

    def _repeats(self) -> None:
        check_repeats(self.label, self.build, self.run)
