"""Plans which sums the counters of a spec need, and which numbers are made of these sums."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from fusefront.datasets.counter_spec import PRIOR, Counter
from fusefront.datasets.durations import ticks
from fusefront.datasets.errors import SpecError
from fusefront.datasets.spec import DatasetSpec, FieldSpec


class Ledger(NamedTuple):
    """Sums over the past of a key: of rows, of positives and, with an `item_prior`, of label minus
    the item's rate. Times are in ticks of the log; 0 = not used."""

    key: tuple[str, ...]
    lag: int = 0
    frozen: bool = False
    last: int = 0
    window: int = 0
    halving: int = 0
    item_prior: float = 0.0

    @property
    def whole(self) -> "Ledger":
        """The same key's whole past."""
        return Ledger(self.key, self.lag, self.frozen)

    @property
    def of_items(self) -> "Ledger":
        """The rates of the items that residuals are against."""
        return Ledger(("item",), self.lag)


class Source(NamedTuple):
    """Sums, and the number of rows by which their rate is shrunk to the next coarser rate."""

    ledger: int
    prior: float


class Number(NamedTuple):
    """A number of a row: log(1 + n), the log-odds of a smoothed rate, or a mean residual."""

    name: str
    side: Literal["request", "candidate"]
    kind: Literal["n", "rate", "residual"]
    sources: tuple[
        Source, ...
    ]  # the finest first; each rate is shrunk to the next, the last to train's


class Plan(NamedTuple):
    """`ledgers` are in an order in which each comes after those it needs."""

    ledgers: tuple[Ledger, ...]
    numbers: tuple[Number, ...]

    def of(self, side: str) -> tuple[Number, ...]:
        """The numbers of "request" or "candidate", in order."""
        return tuple(number for number in self.numbers if number.side == side)

    def names(self, side: str) -> tuple[str, ...]:
        """The names of these numbers."""
        return tuple(number.name for number in self.of(side))

    def fields(self, side: str) -> tuple[FieldSpec, ...]:
        """The same as number fields of raw rows."""
        return tuple(FieldSpec(column=name, type="number") for name in self.names(side))


def counted_unit(spec: DatasetSpec, unit: str) -> str:
    """The unit of a log's times, which every duration of the spec needs.

    Raises:
        SpecError: a duration needs the unit and nothing tells it.
    """
    durations = [spec.history.lag]
    durations += [text for part in spec.counters for text in (part.lag, part.window, part.decay)]
    written = [text for text in durations if text]
    if written and not unit:
        raise SpecError(
            f"{written[0]} needs the unit of {spec.columns.timestamp!r}, which nothing tells; set "
            "columns.time_unit to s, ms, us or ns"
        )
    return unit


def plan_counters(counters: Sequence[Counter], unit: str, *, drawn: bool) -> Plan:
    """The ledgers of the counters, each once, and their numbers; `unit` is that of the log's
    times."""
    chains = [_chain(counter, unit, drawn=drawn) for counter in counters]
    needed = [ledger for chain in chains for ledger, _ in chain]
    needed += [ledger.of_items for ledger in needed if ledger.item_prior]
    ledgers = _distinct(needed)
    numbers = []
    for counter, chain in zip(counters, chains, strict=True):
        sources = tuple(Source(_place(ledgers, ledger), prior) for ledger, prior in chain)
        for name in counter.names(drawn=drawn):
            kind: Literal["n", "rate", "residual"] = "n"
            if name.endswith("_rate"):
                kind = "rate"
            if counter.residual is not None:
                kind = "residual"
            numbers.append(Number(name, counter.side, kind, sources))
    return Plan(tuple(ledgers), tuple(numbers))


def _chain(counter: Counter, unit: str, *, drawn: bool) -> list[tuple[Ledger, float]]:
    """A counter's own sums, then the coarser ones that its rate is shrunk to."""
    own = Ledger(
        counter.key,
        ticks(counter.lag, unit),
        counter.frozen is not None,
        counter.last or 0,
        ticks(counter.window, unit),
        ticks(counter.decay, unit),
    )
    if counter.residual is not None:
        return [(own._replace(item_prior=counter.item_prior or PRIOR), counter.prior)]
    chain = [own]
    if not drawn and own.whole != own:
        chain.append(own.whole)
    if not drawn and len(counter.key) > 1:
        chain.append(own.whole._replace(key=counter.key[:1]))
    return [(ledger, counter.prior) for ledger in chain]


def _distinct(needed: list[Ledger]) -> list[Ledger]:
    """Every ledger once, those without residuals first; sums with residuals serve for both."""
    with_residuals = [ledger for ledger in needed if ledger.item_prior]
    covered = {ledger._replace(item_prior=0.0) for ledger in with_residuals}
    plain = [ledger for ledger in needed if not ledger.item_prior and ledger not in covered]
    return list(dict.fromkeys([*plain, *with_residuals]))


def _place(ledgers: list[Ledger], needed: Ledger) -> int:
    """Where the sums of a ledger are."""
    for place, ledger in enumerate(ledgers):
        if ledger == needed or (
            not needed.item_prior and ledger._replace(item_prior=0.0) == needed
        ):
            return place
    raise KeyError(needed)
