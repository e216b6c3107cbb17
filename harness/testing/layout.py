"""The contract of a published layout, checked by one call: `check_layout(ShopLog,
folder=Path("data"))`."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from fusefront.datasets.adapters.zoo import propose_layout, spec_yaml
from fusefront.datasets.allowed import Allowed, named_paths
from fusefront.datasets.contract import PublishedLayout
from fusefront.datasets.errors import DataContractError, SpecError
from fusefront.datasets.spec import KEY, DatasetSpec
from fusefront.harness.parts.data_parts import proposer
from fusefront.harness.parts.kinds import LAYOUT
from fusefront.harness.testing.declaration import check_builds, check_class, check_of, label_of
from fusefront.harness.testing.promises import ContentError, DeclarationError, Promise, SeedError

LayoutPart = type[PublishedLayout] | Callable[[Path], object]


def layout_promises(part: LayoutPart, *, folder: Path | None = None) -> Iterator[Promise]:
    """The promises of a published layout; those about its files need a `folder` with such files."""
    label = label_of(LAYOUT, part)

    def declared() -> None:
        check_class(LAYOUT, part)
        if isinstance(part, type):
            check_builds(label, part)

    yield Promise("it says what it is and can be built", declared, gate=True)
    yield Promise("a folder without its files is refused", lambda: _check_empty(label, part))
    if folder is not None:
        yield Promise(
            "it gives a spec of the folder", lambda: _check_spec(label, part, folder), gate=True
        )
        yield Promise("a folder gives one spec", lambda: _check_repeats(label, part, folder))
        yield Promise("the spec's files are there", lambda: _check_files(label, part, folder))


check_layout = check_of(LAYOUT, layout_promises)


def proposed(label: str, part: LayoutPart, folder: Path) -> DatasetSpec:
    """The spec that the layout proposes for a folder.

    Raises:
        DeclarationError: it proposes none.
    """
    try:
        return propose_layout("it", folder, Allowed(layouts={"it": proposer(part)}))
    except (SpecError, DataContractError) as error:
        raise DeclarationError(f"{label}: {error}") from error


def _check_spec(label: str, part: LayoutPart, folder: Path) -> None:
    proposed(label, part, folder)


def _check_empty(label: str, part: LayoutPart) -> None:
    propose = proposer(part)
    with tempfile.TemporaryDirectory() as empty:
        try:
            propose(Path(empty))
        except DataContractError as error:
            if "\n" not in str(error).strip():
                return
            raise DeclarationError(
                f"{label}: its refusal has several lines; say in one sentence what lacks"
            ) from error
        except Exception as error:  # a plug-in's code can raise anything
            raise DeclarationError(
                f"{label}: an empty folder makes it raise {type(error).__name__}; raise a "
                "DataContractError that names the file that lacks (`need` does)"
            ) from error
    raise DeclarationError(f"{label}: it gives a spec of an empty folder; refuse what is not there")


def _check_repeats(label: str, part: LayoutPart, folder: Path) -> None:
    first, second = (spec_yaml(proposed(label, part, folder)) for _ in range(2))
    if first != second:
        raise SeedError(f"{label}: the same folder gives two different specs")


def _check_files(label: str, part: LayoutPart, folder: Path) -> None:
    for key, name in named_paths(proposed(label, part, folder)):
        if not any(folder.glob(KEY.sub("*", name))):
            raise ContentError(
                f"{label}: its spec names {name!r} ({key}), which is not in {folder}"
            )
