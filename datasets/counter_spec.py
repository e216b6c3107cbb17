"""Counters of a data set spec: whose past is counted, how far back, and how late it is known."""

from collections.abc import Iterator
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from fusefront.datasets.durations import checked
from fusefront.datasets.numbers_of_yaml import Numbers

Duration = Annotated[str, AfterValidator(checked)]
Part = Annotated[str, Field(min_length=1)]  # user, item, item.genres, request.device, candidate.x
Key = Part | Annotated[tuple[Part, ...], Field(min_length=1, max_length=4)]
PRIOR = 10.0  # rows that a rate is shrunk by


class Counter(Numbers):
    """One entry of `counters`: a count and a rate of a key's past, or the residual of its past."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    of: Key | None = None
    residual: Key | None = None  # labels against the rates that the items had at that time
    frozen: Literal["train"] | None = None  # rows of train alone
    last: int | None = Field(default=None, ge=1, le=10_000)  # only so many newest rows of the key
    window: Duration | None = None
    decay: Duration | None = None  # time after which a row counts half
    prior: float = Field(default=PRIOR, gt=0, le=1e9)
    item_prior: float | None = Field(default=None, gt=0, le=1e9)  # residual: of the items' rates
    lag: Duration | None = None  # how late the serving system knows a row
    name: str | None = Field(default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,47}$")

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.of is None) == (self.residual is None):
            raise ValueError("a counter has either 'of' or 'residual'")
        ways = [way for way in ("frozen", "last", "window", "decay") if getattr(self, way)]
        if len(ways) > 1:
            raise ValueError(f"got {' and '.join(ways)}, expected one of them; write two counters")
        if self.of is not None and self.item_prior is not None:
            raise ValueError("'item_prior' is for 'residual'; 'of' has 'prior'")
        if self.residual is not None and "item" in self.key:
            raise ValueError("a residual is against the items' own rates; name no item in it")
        if len(set(self.key)) < len(self.key):
            raise ValueError(f"got {', '.join(self.key)}, expected every part once")
        return self

    @property
    def key(self) -> tuple[str, ...]:
        """The parts of the key."""
        key = self.of if self.of is not None else self.residual
        assert key is not None
        return (key,) if isinstance(key, str) else key

    @property
    def label(self) -> str:
        """The name of its numbers before _n, _rate or _residual.

        >>> Counter(of=["user", "item.genres"]).label, Counter(of="user", last=20).label
        ('user_genres', 'user_last20')
        """
        if self.name:
            return self.name
        words = [part.partition(".")[2] or part for part in self.key]
        words += ["frozen"] if self.frozen else []
        words += [f"last{self.last}"] if self.last else []
        words += [self.window] if self.window else []
        words += [f"decay{self.decay}"] if self.decay else []
        return "_".join(words)

    @property
    def side(self) -> Literal["request", "candidate"]:
        """Whether the number is one of the whole request, or of each candidate."""
        per_item = any(part.split(".")[0] in ("item", "candidate") for part in self.key)
        return "candidate" if per_item else "request"

    def names(self, *, drawn: bool) -> tuple[str, ...]:
        """The names of its numbers; if negatives are `drawn` there are no exposures and so no
        rate."""
        if self.residual is not None:
            return (f"{self.label}_residual",)
        return (f"{self.label}_n",) if drawn else (f"{self.label}_n", f"{self.label}_rate")


class Attribute(NamedTuple):
    """A categorical field that a key may name."""

    place: str  # "item.genres"
    numeric: bool
    listed: bool  # several values a row


def counter_problems(
    counters: tuple[Counter, ...],
    attributes: list[Attribute],
    field_names: dict[str, set[str]],
    *,
    timed: bool,
    drawn: bool,
) -> Iterator[str]:
    """What is wrong with the counters of a spec; `field_names` holds the names of each side's
    fields."""
    if counters and not timed:
        yield "counters look back by time, and the log has none: name columns.timestamp"
    known = {attribute.place: attribute for attribute in attributes}
    names_of = {side: set(names) for side, names in field_names.items()}
    for counter in counters:
        for part in counter.key:
            if part not in ("user", "item"):
                yield from _wrong_part(part, known)
        if sum(known[part].listed for part in counter.key if part in known) > 1:
            yield f"counters: {', '.join(counter.key)} has two lists of values; one is allowed"
        if drawn and counter.residual is not None:
            yield (
                "counters: a residual needs rows that were shown and not clicked; where negatives "
                "are drawn only positives are counted"
            )
        for name in counter.names(drawn=drawn):
            if name in names_of[counter.side]:
                yield f"counters: the number {name!r} is there already; set 'name'"
            names_of[counter.side].add(name)


def _wrong_part(part: str, known: dict[str, Attribute]) -> Iterator[str]:
    if part not in known:
        names = ", ".join(("user", "item", *sorted(known)))
        yield f"counters: got {part!r}, expected one of {names}"
    elif known[part].numeric:
        yield f"counters: {part!r} is a number; a key needs a category, so bin it first"
