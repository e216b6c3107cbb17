"""The nearest known name to a misspelt one, for the end of an error sentence."""

import difflib
from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that is most likely meant; "" where none is near.

    Beside a few wrong letters it takes initials, the last part of a dotted key, a beginning.

    >>> keys = ["learning_rate", "epochs", "training.tau"]
    >>> [nearest(name, keys) for name in ("epoch", "lr", "tau", "learning", "zebra")]
    ['epochs', 'learning_rate', 'training.tau', 'learning_rate', '']
    """
    names = sorted(known)
    lowered = name.lower()
    last = _last(lowered)
    short = [word for word in names if len(last) > 1 and _initials(word) == last]
    near = difflib.get_close_matches(lowered, names, n=1)
    within = [word for word in names if len(last) > 1 and _last(word).startswith(last)]
    return next(iter((*short, *near, *within)), "")


def or_nearest(name: str, known: Iterable[str]) -> str:
    """The end of a sentence on an unknown name: the nearest one, or all that there are.

    >>> or_nearest("epoch", ["epochs", "tau"]), or_nearest("x", ["epochs", "tau"])
    ("; did you mean 'epochs'?", '; known: epochs, tau')
    """
    names = sorted(known)
    near = nearest(name, names)
    return f"; did you mean {near!r}?" if near else f"; known: {', '.join(names)}"


def _initials(word: str) -> str:
    return "".join(part[0] for part in _last(word).split("_") if part)


def _last(word: str) -> str:
    return word.rpartition(".")[2]
