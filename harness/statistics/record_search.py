"""The verdicts on ways of fusing to JSON and back; null stands for nan."""

from fusefront.harness.statistics.record import estimate_of, estimate_record, finite, number
from fusefront.harness.statistics.record_types import SearchRecord
from fusefront.harness.statistics.result_rows import SearchRow, SearchVerdicts


def search_record(search: SearchVerdicts) -> SearchRecord:
    """The verdicts on ways of fusing, row by row."""
    return {
        "rows": [
            {
                "name": row.name,
                "trials": row.trials,
                "sd": finite(row.sd),
                "doubling": finite(row.doubling),
                "difference": estimate_record(row.difference),
                "p_adjusted": finite(row.p_adjusted),
                "share": finite(row.share),
                "verdict": row.verdict,
                "reason": row.reason,
            }
            for row in search.rows
        ],
        "df": finite(search.df),
        "c_base": finite(search.c_base),
        "best_set": list(search.best_set),
        "source": search.source,
        "sentences": list(search.sentences),
    }


def search_of(record: SearchRecord) -> SearchVerdicts:
    """The verdicts that `search_record` wrote."""
    return SearchVerdicts(
        tuple(
            SearchRow(
                row["name"],
                row["trials"],
                number(row["sd"]),
                number(row["doubling"]),
                estimate_of(row["difference"]),
                number(row["p_adjusted"]),
                number(row["share"]),
                row["verdict"],
                row["reason"],
            )
            for row in record["rows"]
        ),
        number(record["df"]),
        number(record["c_base"]),
        tuple(record["best_set"]),
        record["source"],
        tuple(record["sentences"]),
    )
