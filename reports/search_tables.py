"""The searches as tables: ways of fusing, what was spent, importances; the winners as YAML."""

from fusefront.reports import numbers
from fusefront.reports.evidence import Evidence, SearchSpent
from fusefront.reports.tables import NONE, Row, Table, bracket
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
                shorten(row.strategy, 60),
                f"{row.trials}" if row.trials else "as given",
                NONE if row.spread is None else f"±{numbers.fixed(row.spread, 4)}",
                NONE if row.difference is None else numbers.signed(row.difference.value),
                bracket(row.difference),
                NONE if row.share is None else f"{row.share:.0%}",
                f"{row.verdict}: {row.reason}" if row.verdict == "no verdict" else row.verdict,
            ),
            chosen=row.strategy == evidence.decision.choice,
        )
        for row in verdicts
    )
    heads = ("strategy", "trials", "search moves it by", "over baseline", "95% interval",
             "share of the search", "verdict on the way of fusing")  # fmt: skip
    return Table("fusing", HEADING["fusing"], heads, rows)


def spent(evidence: Evidence) -> Table:
    """Trials and seconds of every search, its best on validation, whether it had converged."""
    searches = evidence.searched.searches if evidence.searched else ()
    rows = tuple(
        Row(
            (
                shorten(search.strategy, 60),
                f"{search.completed}",
                f"{search.failed}",
                f"{search.finalists}" if search.finalists else NONE,
                numbers.fixed(search.seconds, 0),
                NONE if search.best is None else numbers.fixed(search.best, 4),
                f"not converged: {search.unfinished}" if search.unfinished else NONE,
            ),
            chosen=search.strategy == evidence.decision.choice,
        )
        for search in searches
    )
    heads = ("strategy", "trials", "failed", "finalists' trainings", "seconds",
             "best validation AUC", "converged?")  # fmt: skip
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
                shorten(search.strategy, 60),
                *(f"{search.importance[k]:.0%}" if k in search.importance else NONE for k in keys),
            ),
            chosen=search.strategy == evidence.decision.choice,
        )
        for search in known
    )
    heads = ("strategy", *(shorten(key, 40) for key in keys))
    return Table("importance", HEADING["importance"], heads, rows, IMPORTANCE)


def winners(evidence: Evidence) -> str:
    """The strategies of a study with the winning hyper-parameters, for a study's file."""
    searches = evidence.searched.searches if evidence.searched else ()
    texts = [search.winner for search in searches if search.winner]
    return "strategies:\n" + "".join(
        "".join(f"  {line}\n" for line in text.splitlines()) for text in texts
    )
