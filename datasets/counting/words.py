"""How each number of a counter is computed, in a sentence, for the manifest and the model card."""

from fusefront.datasets.counter_spec import PRIOR, Counter


def sentences(counter: Counter, rate: float, *, drawn: bool) -> dict[str, str]:
    """A sentence for each number of a counter; `rate` is train's share of positives.

    >>> sentences(Counter(of="user", lag="1h"), 0.25, drawn=False)["user_n"]
    "log(1 + n), n = rows of the same user strictly before the row's time less 1h"
    """
    names = counter.names(drawn=drawn)
    past = f"{'positives' if drawn else 'rows'} {_past(counter)}"
    k = f"{counter.prior:g}"
    if counter.residual is not None:
        j = f"{counter.item_prior or PRIOR:g}"
        mean = (
            f"sum of (label - q) / (n + {k}) over {past}; q = (p + {j} x {rate:.6g}) / (n + {j}) "
            "of the past row's item at that row's own time"
        )
        return {names[0]: mean}
    of = {names[0]: f"log(1 + n), n = {past}"}
    if not drawn:
        of[names[1]] = (
            f"log-odds of (p + {k} q) / (n + {k}), p = positives among n = {past}; "
            f"q = {_coarser(counter, rate)}"
        )
    return of


def _past(counter: Counter) -> str:
    """The rows that the counter looks back at, in words."""
    key = " and ".join(part.partition(".")[2] or part for part in counter.key)
    lag = f" less {counter.lag}" if counter.lag else ""
    text = f"of the same {key} strictly before the row's time{lag}"
    if counter.frozen:
        text += ", of train only"
    if counter.last:
        text += f", the newest {counter.last}"
    if counter.window:
        text += f", at most {counter.window} before"
    if counter.decay:
        text += f", each worth half for every {counter.decay}"
    return text


def _coarser(counter: Counter, rate: float) -> str:
    chain = []
    if counter.last or counter.window or counter.decay:
        chain.append("the same rate over the whole past")
    if len(counter.key) > 1:
        chain.append(f"the rate of the {counter.key[0].partition('.')[2] or counter.key[0]}")
    chain.append(f"{rate:.6g}, the rate of train")
    return ", shrunk likewise to ".join(chain)
