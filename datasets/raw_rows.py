"""What a store and a bundle record about raw rows: their columns, and how each is read."""

from collections.abc import Mapping, Sequence

from pydantic import BaseModel, ConfigDict

from fusefront.datasets.spec import FieldSpec, History


class _RawModel(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True)


class RawField(_RawModel):
    """A field in the order of the store: its column in the raw rows, and the column's kind."""

    field: FieldSpec
    kind: str

    @property
    def name(self) -> str:
        """The name of the field in the spec."""
        return self.field.label

    @property
    def numeric(self) -> bool:
        """Whether its values are numbers, not categories."""
        return self.field.type == "number"


class RawRows(_RawModel):
    """The raw rows of a log, with the fields of its users as columns of their own."""

    item: str  # the log's column of item keys
    item_kind: str
    history: History
    history_columns: tuple[str, ...] = ()  # side by side, oldest first
    event_kind: str = "text"  # kind of the log's column `history.kind`
    event_kinds: tuple[str, ...] = ()  # kinds of events told apart: code k is the (k - 1)th
    request: tuple[RawField, ...]  # categorical fields, then numbers, each in the store's order
    candidate: tuple[RawField, ...]

    def side(self, name: str) -> tuple[RawField, ...]:
        """The fields of "request" or "candidate"."""
        return self.request if name == "request" else self.candidate


def raw_fields(
    fields: Sequence[FieldSpec], kinds: Sequence[Mapping[str, str]]
) -> tuple[RawField, ...]:
    """Fields with the kinds of the tables that they come from, in the order of the store."""
    all_fields = [
        RawField(field=field, kind=of.get(field.column, "text"))
        for field, of in zip(fields, kinds, strict=True)
    ]
    return tuple(sorted(all_fields, key=lambda part: part.numeric))
