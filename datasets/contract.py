"""The contracts of plug-in encoders and published layouts, which a spec can name."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

from numpy.typing import ArrayLike

from fusefront.datasets.spec import DatasetSpec
from fusefront.datasets.yaml_file import Json

Call = Callable[..., ArrayLike]


class RawEncoder:
    """Converts raw texts or images to vectors. `__init__` takes the spec's `settings` as keywords,
    once.

    A plain function `encode(inputs, **settings)` also works if no model has to be loaded.
    """

    name: ClassVar[str]
    kind: ClassVar[Literal["text", "image"]]  # what it reads

    def encode(self, inputs: Sequence[Any]) -> ArrayLike:
        """Float vectors [n, width] of n texts, or of n RGB images uint8 [height, width, 3].

        A vector depends on its own input alone: inputs come in batches of any size.
        """
        raise NotImplementedError


class PublishedLayout:
    """The published files of a data set, and the spec that reads them.

    A plain function `propose(folder)` also works.
    """

    name: ClassVar[str]

    def propose(self, folder: Path) -> DatasetSpec | Mapping[str, Json]:
        """The spec, or its mapping as in YAML, of the files in `folder`; paths are relative to it.

        Raises:
            DataContractError: the folder lacks a file of the layout (see `adapters.layout.need`).
        """
        raise NotImplementedError


class OwnEncoder(NamedTuple):
    """A plug-in encoder in the form that `prepare` accepts."""

    make: Callable[..., Call]  # the spec's settings by name -> what is called with inputs
    code: str  # stands for its code in a store's fingerprint
    kind: str = ""  # text | image; "" where it does not say


Propose = Callable[[Path], DatasetSpec | Mapping[str, Json]]
