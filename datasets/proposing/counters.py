"""Counters by what a log has: its rows need labels and times."""

from fusefront.datasets.counter_spec import Counter
from fusefront.datasets.proposing.draft import (
    Draft,
    Guess,
    TableGuess,
    Value,
    Word,
    is_open,
    plain,
)

WHY = (
    "what users and items did strictly before the row, a few numbers that alone rank well; say "
    "'lag: 1h' where the serving system knows it late"
)


def guess_counters(draft: Draft) -> Guess | None:
    """Counts, rates and residuals of user, item and the first list of the items' fields.

    None where a row's time or label is not known.
    """
    value = draft.columns.value if isinstance(draft.columns.value, dict) else {}
    known = {name for name, column in value.items() if not is_open(column)}
    labelled = draft.negatives is None and not (draft.label and draft.label.unknown)
    if not {"user", "item", "label", "timestamp"} <= known or not labelled:
        return None
    fields = draft.items.fields if isinstance(draft.items, TableGuess) else []
    user, item = Word("user"), Word("item")
    counters: list[Value] = [{"of": user}, {"of": item}, {"residual": user}]
    if (field := _field(fields)) is not None:
        pair: list[Value] = [user, f"item.{field}"]
        counters += [{"of": pair}, {"residual": pair}]
    entries = [Counter.model_validate(plain(each)) for each in counters]
    names = {name for entry in entries for name in entry.names(drawn=False)}
    return None if names & _labels(draft) else Guess(counters, WHY)


def _labels(draft: Draft) -> set[str]:
    """The names of the fields of requests and candidates."""
    users = draft.users.fields if draft.users is not None else []
    values = [guess.value for guess in (*draft.candidate_fields, *users)]
    return {str(value.get("name", value["column"])) for value in values if isinstance(value, dict)}


def _field(fields: list[Guess]) -> str | None:
    """The first field that holds lists of categories, else the first category."""
    for kind in ("categories", "category"):
        for guess in fields:
            value = guess.value if isinstance(guess.value, dict) else {}
            if not guess.unknown and value.get("type") == kind:
                return str(value.get("name", value["column"]))
    return None
