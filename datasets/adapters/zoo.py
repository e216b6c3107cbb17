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
from fusefront.datasets.contract import Propose
from fusefront.datasets.errors import DataContractError, SpecError
from fusefront.datasets.spec import DatasetSpec, parse_spec
from fusefront.datasets.yaml_file import Json, read_yaml

Adapter = Callable[[Path], DatasetSpec]

VERIFIERS: Mapping[str, Callable[[Path], None]] = {"microlens_mmctr": mmctr.check_hashes}
LAYOUTS: Mapping[str, Adapter] = {
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

    Raises:
        SpecError: there is no layout of that name.
    """
    if name not in LAYOUTS:
        raise SpecError(f"unknown layout {name!r}; choose one of {', '.join(LAYOUTS)}")
    return LAYOUTS[name]


def read_spec(path: Path, folder: Path, allowed: Allowed = NOTHING) -> DatasetSpec:
    """The spec in a YAML file, for the data in `folder`.

    `layout: NAME` in the file stands for the spec that the layout proposes for that folder; other
    keys of the file override the proposed ones.
    """
    raw = read_yaml(path)
    if "layout" not in raw:
        return parse_spec(raw, str(path))
    proposed = propose_layout(str(raw.pop("layout")), folder, allowed)
    return parse_spec({**_mapping(proposed), **raw}, str(path))


def propose_layout(name: str, folder: Path, allowed: Allowed = NOTHING) -> DatasetSpec:
    """The spec of the files in `folder`, which have the layout `name`, shipped or plug-in.

    Raises:
        DataContractError: a file is missing or not as the layout requires.
    """
    own = allowed.layouts.get(name)
    adapter = find_adapter(name) if own is None else _own(name, own)
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


def _own(name: str, propose: Propose) -> Adapter:
    def proposed(folder: Path) -> DatasetSpec:
        try:
            spec = propose(folder)
        except (DataContractError, SpecError, pl.exceptions.PolarsError, UnicodeDecodeError):
            raise
        except Exception as error:  # a plug-in's code can raise anything
            reason = " ".join(str(error).split())[:160].rstrip(".")
            raise DataContractError(
                f"{folder}: layout {name!r} raised {type(error).__name__} ({reason}); mend it, "
                "`fusefront check` says what it breaks, or give the folder of its files"
            ) from error
        if isinstance(spec, DatasetSpec):
            return spec
        if not isinstance(spec, Mapping):
            raise SpecError(
                f"layout {name!r} gives a {type(spec).__name__}; expected a DatasetSpec or its "
                "mapping"
            )
        return parse_spec(dict(spec), f"layout {name}")

    return proposed


def verify(name: str, folder: Path, allowed: Allowed = NOTHING) -> None:
    """Raises DataContractError for files that differ by a byte from the published files of layout
    `name`."""
    if name not in allowed.layouts:
        find_adapter(name)
    if name not in VERIFIERS:
        raise SpecError(
            f"layout {name!r} has no published sums to verify; those of {', '.join(VERIFIERS)} are "
            "known, so leave --verify out"
        )
    VERIFIERS[name](folder)


def spec_yaml(spec: DatasetSpec) -> str:
    """The spec as YAML for a person to edit: only keys that differ from the defaults."""
    return yaml.safe_dump(_mapping(spec), sort_keys=False, allow_unicode=True, width=100)


def _mapping(spec: DatasetSpec) -> dict[str, Json]:
    return spec.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude_none=True)
