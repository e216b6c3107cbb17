"""The types of `manifest.json` of a prepared store."""

import hashlib
import json
import re
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from fusefront.datasets.counting.stored import StoredCounters
from fusefront.datasets.errors import DataContractError
from fusefront.datasets.losses import Loss
from fusefront.datasets.raw_rows import RawRows


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True)


class StoredField(_Frozen):
    """A categorical field: ids 0 (absent, unseen) to size - 1, in `columns` adjacent columns."""

    name: str
    size: int
    columns: int = 1


class StoredSchema(_Frozen):
    """Widths and names; `items` is without the padding row."""

    items: int
    modalities: dict[str, int]
    item_fields: tuple[StoredField, ...] = ()
    item_numbers: tuple[str, ...] = ()
    request_fields: tuple[StoredField, ...] = ()
    request_numbers: tuple[str, ...] = ()
    candidate_fields: tuple[StoredField, ...] = ()
    candidate_numbers: tuple[str, ...] = ()
    max_history: int = 0


class SplitCounts(_Frozen):
    """How much a split holds; `groups` are what group AUC groups by."""

    requests: int
    rows: int
    positives: int
    groups: int


class StoredSlice(_Frozen):
    """The names of the values of a slice, by code; gaps are reported for a sensitive slice."""

    values: tuple[str, ...]
    sensitive: bool = False


class StoredFile(_Frozen):
    """Length in bytes and SHA-256 of a file of the store."""

    bytes: int
    sha256: str


class Scaling(_Frozen):
    """The scaling of a numeric field, fitted on train: stored = (raw - mean) / deviation, cut at
    -limit and limit.

    Usually mean and standard deviation; median and spread if a few values are huge.
    """

    mean: float
    deviation: float
    limit: float = 1e6


class StoredHistory(_Frozen):
    """What a history holds: "earlier" events of the log, those of "train", or what was "given".

    `kinds` are the kinds of events in history/kind.npy: code k is kinds[k - 1], 0 is none of them.
    """

    past: Literal["earlier", "train", "given", "none"]
    events: Literal["positives", "all"] | tuple[str, ...] = "positives"
    kind: str | None = None
    kinds: tuple[str, ...] = ()
    lag: str | None = None  # how late an event is known

    def sentence(self) -> str:
        """For people.

        >>> StoredHistory(past="earlier").sentence()
        "A history is the user's positives strictly before the row."
        """
        what = "positives" if self.events == "positives" else "events of all kinds"
        if isinstance(self.events, tuple):
            what = f"events {', '.join(self.events)}"
        if self.past == "train":
            return (
                f"A history is the user's {what} in train, in a row of train without its own: "
                "the log has no times."
            )
        lag = f" less {self.lag}" if self.lag else ""
        return {
            "earlier": f"A history is the user's {what} strictly before the row{lag}.",
            "given": "A history is what the log's column gives.",
            "none": "There are no histories.",
        }[self.past]


class Manifest(_Frozen):
    """All of manifest.json: names, widths and counts of a store, and a hash of each file."""

    format: Literal[1] = 1
    name: str
    fingerprint: str
    schema_: StoredSchema = Field(alias="schema")
    counts: dict[str, SplitCounts]
    history_values: int
    history: StoredHistory | None = None  # None: a store from before it was kept
    drawn: int = 0  # negatives that were drawn for each positive; 0: the log's own
    files: dict[str, StoredFile]
    slices: dict[str, StoredSlice] = {}
    cluster: Literal["user", "request"] = "user"
    bayes_auc: dict[str, float] | None = None
    dtypes: dict[str, str] = {}  # modality -> float32 | float16 | int8
    present: dict[str, int] = {}  # modality -> items that have it
    numbers: dict[str, Scaling] = {}  # "<side>.<field>"
    timestamps: bool = False
    time_unit: str = ""  # of the stored timestamps: s, ms, us, ns, or "" where nothing tells
    split_by: str = ""
    source_rows: int = 0
    warnings: tuple[str, ...] = ()
    kinds: dict[str, dict[str, str]] = {}  # table -> column -> what its values are
    counters: StoredCounters | None = None
    raw: RawRows | None = None  # what a raw row is; stores from before it do not say
    losses: dict[str, Loss] = {}  # what was left out, read as absent, or is not known to train
    outside: tuple[str, ...] = ()  # paths of the spec that lay outside the data folder


def vocabulary_file(side: str, field: str) -> str:
    """The file name of a field's vocabulary in a store and a bundle; characters that no file name
    can have become %XX."""
    name = re.sub(r"[\x00-\x1f\x7f/%]", lambda match: f"%{ord(match[0]):02X}", field)
    if len(name.encode()) > 200:
        name = f"{name[:40]}%{hashlib.sha256(field.encode()).hexdigest()[:16]}"
    return f"vocabularies/{side}_{name}.parquet"


FORMAT = 1
BLOCKS = "blocks.json"  # checksums of the other files; stores from before it have no hash of this
CURE = "delete the folder and prepare again"


def manifest_bytes(manifest: Manifest) -> bytes:
    """manifest.json, with the SHA-256 of its own content under "sha256"."""
    raw = manifest.model_dump(mode="json", by_alias=True)
    return json.dumps({**raw, "sha256": _own_hash(raw)}, indent=1).encode()


def _own_hash(raw: dict[str, object]) -> str:
    text = json.dumps(raw, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def read_manifest(folder: Path) -> Manifest:
    """The manifest of the store in `folder`, as it was written.

    Raises:
        DataContractError: the file is missing, unreadable, changed, or of a format that is not
            read.
    """
    path = folder / "manifest.json"
    try:
        content = path.read_bytes()
        raw = json.loads(content)
        if not isinstance(raw, dict):
            raise DataContractError(f"{path}: got a {type(raw).__name__}, no mapping; {CURE}")
        if raw.get("format") != FORMAT:
            raise DataContractError(
                f"{path}: format {raw.get('format')!r}, this version reads {FORMAT}; {CURE}, or "
                "use the version that wrote it"
            )
        written = raw.pop("sha256", None)
        files = raw.get("files")
        older = written is None and not (isinstance(files, dict) and BLOCKS in files)
        if not older and written != _own_hash(raw):
            raise DataContractError(f"{path}: changed since it was written; {CURE}")
        manifest = Manifest.model_validate_json(content)
        for name in manifest.files:
            if Path(name).is_absolute() or ".." in Path(name).parts:
                raise DataContractError(f"{path}: the file {name!r} lies outside the store; {CURE}")
        return manifest
    except FileNotFoundError:
        raise DataContractError(
            f"{path}: not there, so {folder.name!r} is no prepared store; run prepare first"
        ) from None
    except DataContractError:
        raise
    except (ValueError, OSError, RecursionError) as error:  # pydantic's and JSON's are ValueErrors
        reason = str(error).split("\n")[0]
        raise DataContractError(f"{path}: unreadable ({reason}); {CURE}") from None
