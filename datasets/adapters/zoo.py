"""Published layouts by name, and the YAML of a proposed spec."""

from collections.abc import Callable, Mapping
from pathlib import Path

import yaml

from fusefront.datasets.adapters import amazon, microlens_pairs, mmctr, mmrec, movielens, tiktok
from fusefront.datasets.errors import SpecError
from fusefront.datasets.spec import DatasetSpec

Adapter = Callable[[Path], DatasetSpec]

ADAPTERS: Mapping[str, Adapter] = {
    "microlens_mmctr": mmctr.propose,
    "microlens_pairs": microlens_pairs.propose,
    "mmrec": mmrec.propose,
    "tiktok": tiktok.propose,
    "amazon_2023": amazon.propose,
    "movielens_ml1m": movielens.propose_ml1m,
    "movielens_small": movielens.propose_small,
}


def find_adapter(name: str) -> Adapter:
    """The adapter of that name.

    >>> find_adapter("tiktok").__name__
    'propose'
    """
    if name not in ADAPTERS:
        raise SpecError(f"unknown layout {name!r}; choose one of {', '.join(ADAPTERS)}")
    return ADAPTERS[name]


def spec_yaml(spec: DatasetSpec) -> str:
    """The spec as the YAML a person edits: only what differs from the defaults."""
    raw = spec.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude_none=True)
    return yaml.safe_dump(raw, sort_keys=False, allow_unicode=True, width=100)
