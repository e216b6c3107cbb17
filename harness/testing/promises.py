"""Promises of a contract: each has a check, and each breach an error class and a sentence of its
own."""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple


class ContractError(AssertionError):
    """A part that breaks its contract; the sentence says how."""


class DeclarationError(ContractError):
    """The class does not say what it must, or cannot be built with its own choices."""


class CrashError(ContractError):
    """It raises where it must give a result."""


class ShapeError(ContractError):
    """Wrong shapes, types or presence of what comes out."""


class PresenceError(ContractError):
    """What is absent is not neutral."""


class PaddingError(ContractError):
    """What fills a batch up changes the numbers of what is real."""


class ContentError(ContractError):
    """What is there does not reach the output."""


class QueryError(ContractError):
    """A target-aware part that does not listen to its query."""


class BatchError(ContractError):
    """A row's output depends on the rows beside it."""


class GroupingError(ContractError):
    """K candidates of one request do not train as K separate rows do."""


class SplitError(ContractError):
    """Encoding items first and scoring later gives other numbers than both at once."""


class GradientError(ContractError):
    """A parameter that nothing teaches."""


class SeedError(ContractError):
    """The same seed gives different numbers, or what must not be random is."""


class StateError(ContractError):
    """Restored from its saved state it is not what it was."""


class RoleError(ContractError):
    """A parameter without a role, or with several."""


class CacheError(ContractError):
    """What it says of the code table is not what happens."""


class FiniteError(ContractError):
    """Infinities or NaN."""


class InfluenceError(ContractError):
    """What it says of a row's influence is not what the row does."""


class ParityError(ContractError):
    """Its scores are not the model's."""


class ExportError(ContractError):
    """The exported graph is not the part."""


class Promise(NamedTuple):
    """What is held to, and the check that raises the breach."""

    title: str
    check: Callable[[], None]
    gate: bool = False  # where it is broken, the promises after it cannot be judged


def breaches(label: str, promises: Iterable[Promise]) -> Iterator[ContractError]:
    """Every broken promise; a part that raises breaks the one in which it does."""
    for promise in promises:
        try:
            promise.check()
        except ContractError as error:
            yield error
        except Exception as error:  # somebody else's code: anything can come out of it
            reason = " ".join(str(error).split())[:200].rstrip(".")
            crash = CrashError(f"{label}: {promise.title}: {type(error).__name__}: {reason}")
            crash.__cause__ = error
            yield crash
        else:
            continue
        if promise.gate:
            return


def hold(label: str, promises: Iterable[Promise]) -> None:
    """Raise the first broken promise."""
    for error in breaches(label, promises):
        raise error
