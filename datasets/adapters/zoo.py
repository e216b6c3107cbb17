"""Published layouts by name, and the YAML of a proposed spec."""

from collections.abc import Callable, Mapping
from pathlib import Path

import polars as pl
import yaml

from fusefront.datasets.adapters import (
    amazon,
    hm,
    kuairand,
    microlens_pairs,
    mind,
    mmctr,
    mmrec,
    movielens,
    tencent_gr,
    tiktok,
    yambda,
)
from fusefront.datasets.allowed import NOTHING, Allowed, Guard
from fusefront.datasets.errors import DataContractError, SpecError
from fusefront.datasets.spec import DatasetSpec

Adapter = Callable[[Path], DatasetSpec]

VERIFIERS: Mapping[str, Callable[[Path], None]] = {"microlens_mmctr": mmctr.check_hashes}
ADAPTERS: Mapping[str, Adapter] = {
    "microlens_mmctr": mmctr.propose,
    "microlens_pairs": microlens_pairs.propose,
    "mmrec": mmrec.propose,
    "tiktok": tiktok.propose,
    "amazon_2023": amazon.propose,
    "movielens_ml1m": movielens.propose_ml1m,
    "movielens_small": movielens.propose_small,
    "kuairand": kuairand.propose,
    "mind": mind.propose,
    "hm": hm.propose,
    "yambda_listens": yambda.propose_listens,
    "yambda_likes": yambda.propose_likes,
    "tencent_gr": tencent_gr.propose,
}


def find_adapter(name: str) -> Adapter:
    """The adapter of that name.

    >>> find_adapter("tiktok").__name__
    'propose'
    """
    if name not in ADAPTERS:
        raise SpecError(f"unknown layout {name!r}; choose one of {', '.join(ADAPTERS)}")
    return ADAPTERS[name]


def propose_layout(name: str, folder: Path, allowed: Allowed = NOTHING) -> DatasetSpec:
    """The spec of the files in `folder`, which have the layout `name`."""
    adapter = find_adapter(name)
    guard = Guard(folder, allowed)
    for path in (path for deep in ("*", "*/*", "*/*/*") for path in folder.glob(deep)):
        if path.is_symlink() and path.is_file():
            guard.check(path)
    try:
        return adapter(folder)
    except (pl.exceptions.PolarsError, UnicodeDecodeError) as error:
        reason = str(error).split("\n")[0][:160].rstrip(".")
        raise DataContractError(
            f"{folder}: a file is not as the layout {name!r} has it ({reason}); download it again"
        ) from None


def verify(name: str, folder: Path) -> None:
    """Refuse files that are not byte for byte those the layout `name` was published with."""
    find_adapter(name)
    if name not in VERIFIERS:
        raise SpecError(
            f"layout {name!r} has no published sums to verify; those of {', '.join(VERIFIERS)} are "
            "known, so leave --verify out"
        )
    VERIFIERS[name](folder)


def spec_yaml(spec: DatasetSpec) -> str:
    """The spec as the YAML a person edits: only what differs from the defaults."""
    raw = spec.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude_none=True)
    return yaml.safe_dump(raw, sort_keys=False, allow_unicode=True, width=100)
