"""The kinds of parts that a file or an installed package can add; one line a kind."""

import inspect
import sys
from collections.abc import Mapping
from importlib import import_module
from typing import NamedTuple


class Kind(NamedTuple):
    """The name of a kind of part, where its parts are found, and what they must be."""

    word: str  # in sentences
    table: str  # name of the dictionary in a plug-in file: {"name": part}
    shipped: str  # "module:attribute" of the zoo, imported when asked for
    contract: str  # "module:class" that a part subclasses
    needs: tuple[str, ...]  # what a part's class must define itself
    plain: bool = False  # a plain function does, too

    @property
    def group(self) -> str:
        """The group of entry points."""
        return f"fusefront.{self.table.lower()}"

    @property
    def base(self) -> str:
        """The name of the contract's class, without its module."""
        return self.contract.partition(":")[2]

    @property
    def expected(self) -> str:
        """What a part must be, in words."""
        return f"{'a function or ' if self.plain else ''}a subclass of {self.base}"

    def zoo(self) -> Mapping[str, object]:
        """The shipped parts: name -> part."""
        module, _, attribute = self.shipped.partition(":")
        zoo: Mapping[str, object] = getattr(import_module(module), attribute)
        return zoo

    def is_zoo(self, table: object) -> bool:
        """Whether `table` is the shipped dictionary itself, which a file may have imported."""
        module, _, attribute = self.shipped.partition(":")
        return table is getattr(sys.modules.get(module), attribute, self)

    def fits(self, part: object) -> bool:
        """Whether the part has the form that the contract requires; imports nothing."""
        if isinstance(part, type):
            return self._base_of(part) is not None
        return self.plain and callable(part)

    def lacks(self, part: object) -> list[str]:
        """The methods and attributes that the class must define and does not."""
        if not isinstance(part, type) or (base := self._base_of(part)) is None:
            return []
        return [
            name
            for name in self.needs
            if inspect.getattr_static(part, name, None) is inspect.getattr_static(base, name, None)
        ]

    def _base_of(self, part: type) -> type | None:
        above = part.__mro__[1:]
        return next((b for b in above if f"{b.__module__}:{b.__qualname__}" == self.contract), None)


_FUSION, _MODELS = "fusefront.fusion_variants", "fusefront.baselines"
_HARNESS, _DATA = "fusefront.harness", "fusefront.datasets"

OPERATOR = Kind(
    "operator",
    "OPERATORS",
    f"{_FUSION}.zoo:OPERATORS",
    f"{_FUSION}.contract:FusionOperator",
    ("tokens_out", "forward"),
)
COMPRESSOR = Kind(
    "compressor",
    "COMPRESSORS",
    f"{_FUSION}.zoo:COMPRESSORS",
    f"{_FUSION}.contract:Compressor",
    ("width_frozen", "width_out", "fit", "transform", "forward"),
)
ALIGNMENT = Kind(
    "alignment loss",
    "ALIGNMENTS",
    f"{_FUSION}.zoo:ALIGNMENTS",
    f"{_FUSION}.contract:AlignmentLoss",
    ("forward",),
)
POOLER = Kind(
    "pooler",
    "POOLERS",
    f"{_MODELS}.poolers.zoo:POOLERS",
    f"{_MODELS}.contract:Pooler",
    ("width_out", "prepare_history", "prepare_target", "forward"),
)
HEAD = Kind("head", "HEADS", f"{_MODELS}.heads.zoo:HEADS", f"{_MODELS}.contract:Head", ("forward",))
BASELINE = Kind(
    "baseline",
    "BASELINES",
    f"{_MODELS}.zoo:BASELINES",
    f"{_MODELS}.contract:Baseline",
    ("Settings", "encode", "score"),
)
METRIC = Kind(
    "metric",
    "METRICS",
    f"{_HARNESS}.statistics.measures.metrics:ALL_METRICS",
    f"{_HARNESS}.statistics.contract:QualityMetric",
    ("higher_is_better", "value"),
)
BACKEND = Kind(
    "latency backend",
    "BACKENDS",
    f"{_HARNESS}.serving.latency.backends:BACKENDS",
    f"{_HARNESS}.serving.contract:Backend",
    ("exact", "load"),
)
LAYOUT = Kind(
    "layout",
    "LAYOUTS",
    f"{_DATA}.adapters.zoo:LAYOUTS",
    f"{_DATA}.contract:PublishedLayout",
    ("propose",),
    plain=True,
)
ENCODER = Kind(
    "encoder",
    "ENCODERS",
    f"{_DATA}.encoders:ENCODERS",
    f"{_DATA}.contract:RawEncoder",
    ("kind", "encode"),
    plain=True,
)
MODEL_KINDS = (OPERATOR, COMPRESSOR, ALIGNMENT, POOLER, HEAD, BASELINE)  # the order of `Parts`
DATA_KINDS = (LAYOUT, ENCODER)  # what a data set's spec may name
KINDS = (*MODEL_KINDS, METRIC, BACKEND, *DATA_KINDS)
