"""Operators that would wait for a GPU, noted on a CPU."""

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

WORDS = ("_local_scalar_dense", "nonzero", "unique", "masked_select", "bincount", "equal.default")


class Waits(TorchDispatchMode):
    """Their names as they come: numbers fetched, sizes that only the values tell."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name, words = str(func), kwargs or {}
        indexed = name.startswith(("aten.index.", "aten.index_put"))
        masks = [part for part in args[1] if part is not None] if indexed else []
        lengths = name == "aten.repeat_interleave.Tensor" and words.get("output_size") is None
        if (
            lengths
            or any(word in name for word in WORDS)
            or any(mask.dtype == torch.bool for mask in masks)
        ):
            self.names.append(name)
        return func(*args, **words)
