"""What a class must declare before it is tried; each check is a function that raises a
ContractError, its breach."""

import inspect
from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from fusefront.harness.parts.kinds import Kind
from fusefront.harness.testing.promises import DeclarationError, Promise, hold

T = TypeVar("T")
P = ParamSpec("P")


def check_of(
    kind: Kind, promises: Callable[Concatenate[T, P], Iterator[Promise]]
) -> Callable[Concatenate[T, P], None]:
    """The public check of a kind: raises the first broken promise of a part as a ContractError."""

    @wraps(promises)
    def check(part: T, /, *args: P.args, **kwargs: P.kwargs) -> None:
        hold(label_of(kind, part), promises(part, *args, **kwargs))

    check.__name__ = check.__qualname__ = f"check_{promises.__name__.removesuffix('_promises')}"
    check.__doc__ = (
        f"Check a part by its contract.\n\n{promises.__doc__}\n\nRaises:\n    ContractError: the "
        "first broken promise, as a sentence."
    )
    return check


def declared(
    kind: Kind, part: type, build: Callable[[], object], keywords: Iterable[str]
) -> Promise:
    """The first promise: the class declares itself, accepts its choices and can be built."""

    def check() -> None:
        check_class(kind, part)
        check_keywords(kind, part, keywords)
        check_builds(label_of(kind, part), build)

    return Promise("the class says what it is and can be built", check, gate=True)


def label_of(kind: Kind, part: object) -> str:
    """The name of a part in sentences."""
    name = getattr(part, "name", None)
    return f"{kind.word} {name if isinstance(name, str) else getattr(part, '__name__', part)!r}"


def check_class(kind: Kind, part: object) -> None:
    """The part is a subclass of the contract, with a name and all required methods."""
    shown = getattr(part, "__name__", repr(part))
    if not kind.fits(part):
        raise DeclarationError(f"{shown} is not {kind.expected}")
    if not isinstance(part, type):
        return  # a function: its name is that in the file's dictionary
    name = getattr(part, "name", None)
    if not isinstance(name, str) or not name:
        raise DeclarationError(f"{shown} has no `name`; give it a short word")
    if missing := kind.lacks(part):
        raise DeclarationError(
            f"{label_of(kind, part)}: does not define {', '.join(missing)}; every {kind.base} must"
        )


def check_keywords(kind: Kind, part: type, keywords: Iterable[str]) -> None:
    """Every choice, and every other setting a model may pass, is a keyword with a default."""
    known = inspect.signature(part).parameters
    for keyword in keywords:
        if keyword not in known or known[keyword].default is inspect.Parameter.empty:
            raise DeclarationError(
                f"{label_of(kind, part)}: __init__ takes no keyword {keyword!r} with a default; "
                "every choice, and query_width where uses_query is set, needs one"
            )


def check_builds(label: str, build: Callable[[], object]) -> None:
    """The part can be built."""
    try:
        build()
    except Exception as error:  # a plug-in's code can raise anything
        reason = " ".join(str(error).split())[:200].rstrip(".")
        raise DeclarationError(
            f"{label}: cannot be built: {type(error).__name__}: {reason}"
        ) from error
