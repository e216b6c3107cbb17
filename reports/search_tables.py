"""The searches as tables: ways of fusing, what was spent, importances; the winners as YAML."""

from fusefront.reports import numbers
from fusefront.reports.cells import (
    NONE,
    ColumnHead,
    TableEntry,
    count_head,
    ends_cell,
    ends_head,
    number_cell,
    value_head,
)
from fusefront.reports.evidence import Evidence, FusingVerdict, SearchSpent
from fusefront.reports.tables import Row, Table
from fusefront.reports.words.names import shorten
from fusefront.reports.words.reviewer import HEADING

SPENT = (
    "Seconds of training in the worker that trained, failed trials included. Not converged: its "
    "best is a lower bound, and more trials would raise it."
)
IMPORTANCE = (
    "Share of what sets the best trials apart from the others that each parameter explains (PED-"
    "ANOVA of Watanabe et al. 2023), on validation, trial 0 left out. All: trials of every search "
    "less their own mean. From few trials this is a hint, not a finding."
)


def fusing(evidence: Evidence) -> Table:
    """Each way of fusing against today's, with rows, seeds and another search in the interval."""
    verdicts = evidence.searched.verdicts if evidence.searched else ()
    rows = tuple(
        Row(
            (
                TableEntry(shorten(row.strategy, 60), row.strategy),
                TableEntry(f"{row.trials}" if row.trials else "as given", row.trials),
                number_cell(row.spread, f"±{numbers.fixed(row.spread or 0.0, 4)}"),
                _difference(row),
                ends_cell(row.difference, margin=evidence.decision.margin),
                number_cell(row.share, f"{row.share or 0.0:.0%}"),
                TableEntry(
                    f"{row.verdict}: {row.reason}" if row.verdict == "no verdict" else row.verdict,
                    row.verdict,
                    row.reason or None,
                ),
            ),
            chosen=row.strategy == evidence.decision.choice,
        )
        for row in verdicts
    )
    heads = (
        "strategy",
        count_head("trials", "trials"),
        value_head("search moves it by", "search_sd"),
        value_head("over baseline", "difference"),
        ends_head("95% interval", "difference"),
        value_head("share of the search", "share_of_the_search"),
        ColumnHead("verdict on the way of fusing", "verdict", "reason"),
    )
    return Table("fusing", HEADING["fusing"], heads, rows)


def _difference(row: FusingVerdict) -> str:
    if row.difference is None:
        return NONE
    return number_cell(row.difference.value, numbers.signed(row.difference.value))


def spent(evidence: Evidence) -> Table:
    """Trials and seconds of every search, its best on validation, whether it had converged."""
    searches = evidence.searched.searches if evidence.searched else ()
    rows = tuple(
        Row(
            (
                TableEntry(shorten(search.strategy, 60), search.strategy),
                TableEntry(f"{search.completed}", search.completed),
                TableEntry(f"{search.failed}", search.failed),
                TableEntry(f"{search.finalists}" if search.finalists else NONE, search.finalists),
                number_cell(search.seconds, numbers.fixed(search.seconds, 0)),
                number_cell(search.best, numbers.fixed(search.best or 0.0, 4)),
                TableEntry(
                    f"not converged: {search.unfinished}" if search.unfinished else NONE,
                    search.unfinished or None,
                ),
            ),
            chosen=search.strategy == evidence.decision.choice,
        )
        for search in searches
    )
    heads = (
        "strategy",
        count_head("trials", "trials"),
        count_head("failed", "failed"),
        count_head("finalists' trainings", "finalists_trainings"),
        value_head("seconds", "seconds"),
        value_head("best validation AUC", "best_validation_auc"),
        ColumnHead("converged?", "not_converged_because"),
    )
    return Table("searches", HEADING["searches"], heads, rows, SPENT)


def importance(evidence: Evidence) -> Table:
    """Shares of the parameters, a row a search and one for all together."""
    if evidence.searched is None:
        return Table("importance", HEADING["importance"], (), ())
    pooled = SearchSpent("all", 0, 0, 0.0, None, importance=evidence.searched.importance)
    known = [s for s in (pooled, *evidence.searched.searches) if s.importance]
    weight: dict[str, float] = {}
    for search in known:
        for key, share in search.importance.items():
            weight[key] = max(weight.get(key, 0.0), share)
    keys = sorted(weight, key=lambda key: -weight[key])
    rows = tuple(
        Row(
            (
                TableEntry(shorten(search.strategy, 60), search.strategy),
                *(_share(search.importance.get(key)) for key in keys),
            ),
            chosen=search.strategy == evidence.decision.choice,
        )
        for search in known
    )
    heads = ("strategy", *(value_head(shorten(key, 40), key) for key in keys))
    return Table("importance", HEADING["importance"], heads, rows, IMPORTANCE)


def _share(share: float | None) -> TableEntry:
    return number_cell(share, f"{share or 0.0:.0%}")


def winners(evidence: Evidence) -> str:
    """The strategies of a study with the winning hyper-parameters, for a study's file."""
    searches = evidence.searched.searches if evidence.searched else ()
    texts = [search.winner for search in searches if search.winner]
    return "strategies:\n" + "".join(
        "".join(f"  {line}\n" for line in text.splitlines()) for text in texts
    )
