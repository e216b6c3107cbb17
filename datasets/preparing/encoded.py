"""Raw text and image files to vectors, in batches; missing or unreadable inputs count as absent."""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusefront.datasets.allowed import NOTHING, Allowed, Guard
from fusefront.datasets.encoders import find_encoder
from fusefront.datasets.errors import SpecError
from fusefront.datasets.preparing.items import ItemFile
from fusefront.datasets.raw.column_kinds import TEXT
from fusefront.datasets.raw.files import broken
from fusefront.datasets.raw.values import texts
from fusefront.datasets.raw.vectors import VectorBlock
from fusefront.datasets.spec import KEY, DatasetSpec, Modality

_BATCH = {"text": 256, "image": 64}
_BATCH_BYTES = 1 << 26  # decoded images of a batch
_MOST_PIXELS = 1 << 26  # larger images are not taken for pictures of items


class Raw(NamedTuple):
    """One item's raw input: `row` from 0, `name` for messages."""

    row: int
    value: str | NDArray[np.uint8]
    name: str

    @property
    def bytes(self) -> int:
        """Bytes of the raw value in memory."""
        return self.value.nbytes if isinstance(self.value, np.ndarray) else len(self.value)


@dataclass
class Absent:
    """Items without a usable input: how many, and the first with its reason."""

    missing: int = 0
    unreadable: int = 0
    first_missing: str = ""
    first_unreadable: str = ""

    def sentences(self, modality: str, items: int) -> list[str]:
        """One sentence for each kind of absence that occurred."""
        sentences = []
        if self.missing:
            sentences.append(
                f"modality {modality!r}: {self.missing:,} of {items:,} items have no raw input and "
                f"count as absent, such as {self.first_missing}"
            )
        if self.unreadable:
            sentences.append(
                f"modality {modality!r}: {self.unreadable:,} files cannot be read and count as "
                f"absent, such as {self.first_unreadable}; replace them"
            )
        return sentences

    def miss(self, name: str) -> None:
        """Count an item without a file or text."""
        self.first_missing = self.first_missing or name
        self.missing += 1

    def fail(self, path: Path, reason: object) -> None:
        """Count a file that cannot be read, and keep why."""
        why = str(reason).split("\n")[0][:100].rstrip(".")
        self.first_unreadable = self.first_unreadable or f"{path} ({why})"
        self.unreadable += 1


@dataclass
class EncodedModality:
    """The blocks of one raw modality; `absent` is complete once all blocks were read."""

    data: Path
    spec: DatasetSpec
    name: str
    items: ItemFile
    allowed: Allowed = NOTHING
    absent: Absent = field(default_factory=Absent)

    @property
    def modality(self) -> Modality:
        return self.spec.modalities[self.name]

    def __iter__(self) -> Iterator[VectorBlock]:
        kind = self.modality.encode
        assert kind is not None
        modality = self.modality
        encoder = find_encoder(kind, modality.encoder, modality.settings, self.allowed.encoders)
        raw = self._column() if self.modality.column else self._files(READERS[kind])
        any_input = False
        for batch in batches(raw, _BATCH[kind]):
            any_input = True
            rows = np.array([raw.row for raw in batch], np.int64)
            vectors = encoder([raw.value for raw in batch], batch[0].name)
            yield VectorBlock(rows + 1, vectors, rows, self._source())
        if not any_input:
            some = self.absent.first_unreadable or self.absent.first_missing
            raise broken(
                self._source(),
                f"modality {self.name!r} has no readable {kind} of any item, such as {some}",
                "check the pattern, or remove the modality",
                column=self.modality.column,
            )

    def _source(self) -> Path:
        """The source of the inputs, for messages."""
        own, table = self.modality.path, self.items.table
        return self.data / str(own) if own else table.paths[0] if table else self.data

    def _column(self) -> Iterator[Raw]:
        """Texts of a column of the item file; empty ones are absent."""
        column, table = str(self.modality.column), self.items.table
        if table is None:
            raise SpecError(f"modality {self.name!r}: a text column needs items.path; name it")
        for part in table.chunks([column], 1 << 14):
            column_texts = texts(part.frame[column], TEXT, part.path).fill_null("").to_list()
            for place, text in enumerate(column_texts):
                name = f"row {part.first + place} of {part.path.name}"
                if text.strip():
                    yield Raw(part.start + place, text, name)
                else:
                    self.absent.miss(name)

    def _files(self, read: Callable[[Path], Any]) -> Iterator[Raw]:
        """One file an item, named by its key; keys that cannot be file names have none."""
        pattern, guard = str(self.modality.path), Guard(self.data, self.allowed)
        for row, key in enumerate(self.items.keys.keys):
            name = file_of(pattern, str(key))
            path = self.data / name
            if "/" in str(key) or str(key) in (".", "..") or not path.is_file():
                self.absent.miss(name)
                continue
            guard.check(path)
            try:
                value = read(path)
            except (OSError, ValueError, SyntaxError) as error:  # what decoders raise
                self.absent.fail(path, error)
                continue
            yield Raw(row, value, name)


def file_of(pattern: str, key: str) -> str:
    """The path of an item's file; `{key:.3}` is the key's beginning, as folders are often named.

    >>> file_of("images/{key:.3}/{key}.jpg", "0108775015")
    'images/010/0108775015.jpg'
    """
    return KEY.sub(lambda place: key[: int(place[1])] if place[1] else key, pattern)


def batches(raw: Iterator[Raw], most: int) -> Iterator[list[Raw]]:
    """Lists of at most `most` inputs, fewer where they are large."""
    batch: list[Raw] = []
    total = 0
    for item in raw:
        if batch and (len(batch) == most or total + item.bytes > _BATCH_BYTES):
            yield batch
            batch, total = [], 0
        batch.append(item)
        total += item.bytes
    if batch:
        yield batch


def read_text(path: Path) -> str:
    """A text file; ValueError where it is empty or not UTF-8."""
    text = path.read_text(encoding="utf-8")
    if not text.strip():
        raise ValueError("it is empty")
    return text


def read_image(path: Path) -> NDArray[np.uint8]:
    """An image file as RGB [height, width, 3], upright; OSError or ValueError where it is none."""
    try:
        from PIL import Image, ImageOps
    except ImportError:
        raise SpecError(
            "encode: image reads files with Pillow, which is not installed; pip install "
            "'fusefront[encoders]', or give vectors"
        ) from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warnings about sizes and palettes; sizes are checked here
        try:
            with Image.open(path) as image:
                if image.width * image.height > _MOST_PIXELS:
                    raise ValueError(f"{image.width} x {image.height} pixels are too many")
                return np.asarray(ImageOps.exif_transpose(image).convert("RGB"), np.uint8)
        except Image.DecompressionBombError as error:
            raise ValueError(str(error)) from None


READERS: dict[str, Callable[[Path], Any]] = {"text": read_text, "image": read_image}
