"""Promises of a contract: each has a check, and each kind of breach has an error class."""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple


class ContractError(AssertionError):
    """A part breaks its contract; the message says how."""


class DeclarationError(ContractError):
    """The class does not declare what it must, or cannot be built with its own choices."""


class CrashError(ContractError):
    """The part raises where it must give a result."""


class ShapeError(ContractError):
    """The outputs have wrong shapes, types or presence."""


class PresenceError(ContractError):
    """An absent input has an effect."""


class PaddingError(ContractError):
    """The padding of a batch changes the numbers of real entries."""


class ContentError(ContractError):
    """A present input has no effect on the output."""


class QueryError(ContractError):
    """A target-aware part ignores its query."""


class BatchError(ContractError):
    """A row's output depends on the rows beside it."""


class GroupingError(ContractError):
    """K candidates of one request do not train as K separate rows do."""


class SplitError(ContractError):
    """Encoding items first and scoring later gives other numbers than doing both at once."""


class GradientError(ContractError):
    """A parameter gets no gradient."""


class SeedError(ContractError):
    """The same seed gives different numbers, or something is random that must not be."""


class StateError(ContractError):
    """After restoring its saved state, the part gives other numbers."""


class RoleError(ContractError):
    """A parameter has no role, or several."""


class CacheError(ContractError):
    """The part declares another use of item codes than it makes."""


class FiniteError(ContractError):
    """A result is infinite or NaN."""


class InfluenceError(ContractError):
    """The declared influence of a row is not its effect."""


class ParityError(ContractError):
    """The scores are not those of the model."""


class ExportError(ContractError):
    """The part cannot be exported, or its graph gives other numbers."""


class Promise(NamedTuple):
    """One promise of a contract, and the check that raises its breach."""

    title: str
    check: Callable[[], None]
    gate: bool = False  # if it is broken, the promises after it are not checked


def breaches(label: str, promises: Iterable[Promise]) -> Iterator[ContractError]:
    """The breaches of all broken promises; if a part raises in a check, it breaks that promise."""
    for promise in promises:
        try:
            promise.check()
        except ContractError as error:
            yield error
        except Exception as error:  # a plug-in's code can raise anything
            reason = " ".join(str(error).split())[:200].rstrip(".")
            crash = CrashError(f"{label}: {promise.title}: {type(error).__name__}: {reason}")
            crash.__cause__ = error
            yield crash
        else:
            continue
        if promise.gate:
            return


def hold(label: str, promises: Iterable[Promise]) -> None:
    """Raise the breach of the first broken promise."""
    for error in breaches(label, promises):
        raise error
