"""The known name nearest to a misspelt one, for the end of an error sentence."""

import difflib
from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that was most likely meant; "" if none is near.

    Besides a few wrong letters it recognises initials, the last part of a dotted key, and a
    beginning.

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
    """The end of an error sentence on an unknown name: the nearest known one, else the list of all.

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
