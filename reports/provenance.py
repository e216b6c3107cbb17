"""provenance.json: the files and runs from which each figure and each table cell was read."""

from fnmatch import fnmatch
from typing import NamedTuple

from fusefront.reports.cells import sorting_value
from fusefront.reports.evidence import Evidence
from fusefront.reports.exchange import Json
from fusefront.reports.exports import file_columns
from fusefront.reports.tables import Table

PREDICTIONS = ("predictions/test.parquet",)


class ColumnSource(NamedTuple):
    """The source of a column: files of the study, files of the row's runs, and the strategy
    subtracted."""

    files: tuple[str, ...]  # patterns under the study's folder
    in_runs: tuple[str, ...] = ()  # under each run's folder
    against: str = ""  # today | choice: the runs of that strategy, too


QUALITY, BENCH = (
    ColumnSource(("comparison.json",), PREDICTIONS),
    ColumnSource(("bench/bench.json",)),
)
MONEY = ColumnSource(("replay.json", "bench/bench.json", "study.yaml"), PREDICTIONS, "today")
OVER_TODAY = QUALITY._replace(against="today")
FRONT = ColumnSource(("comparison.json", "bench/bench.json"), PREDICTIONS)
TABLES: dict[str, ColumnSource] = {
    "leaderboard": QUALITY,
    "cost": BENCH,
    "front": FRONT,
    "session": BENCH,
    "scopes": BENCH,
    "arriving": BENCH,
    "at_once": BENCH,
    "backends": BENCH,
    "metrics": QUALITY,
    "ablation": ColumnSource(("ablation-*.json",), PREDICTIONS),
    "building": ColumnSource(("ablation-*.json",), PREDICTIONS),
    "crossing": ColumnSource(("ablation-*.json",), PREDICTIONS),
    "retrained": ColumnSource(("ablation-*.json",), PREDICTIONS),
    "fusing": ColumnSource(("comparison.json", "tuning/*"), PREDICTIONS),
    "searches": ColumnSource(("tuning/*",)),
    "importance": ColumnSource(("tuning/*",)),
    "codes": ColumnSource((), ("summary.json",)),
    "widths": ColumnSource((), ("nested.json",)),
    "slices": OVER_TODAY,
    "gaps": ColumnSource(("gaps.json",), PREDICTIONS),
    "worths": ColumnSource(("explanation.json",)),
    "controls": ColumnSource(("explanation.json",)),
    "weights": ColumnSource(("explanation.json",)),
    "missing": ColumnSource(("robustness.json",)),
    "what_if": MONEY,
    "what_if_grid": MONEY,
    "audit": ColumnSource(("audit.json",)),
    "environment": ColumnSource(
        ("study.yaml", "matrix.json", "bench/bench.json"), ("environment.json",)
    ),
    "runs": ColumnSource(("matrix.json",), ("summary.json",)),
}
COLUMNS: dict[tuple[str, str], ColumnSource] = {
    ("leaderboard", "gain"): OVER_TODAY,
    ("leaderboard", "gain_low"): OVER_TODAY,
    ("leaderboard", "gain_high"): OVER_TODAY,
    ("leaderboard", "verdict"): OVER_TODAY,
    ("leaderboard", "verdict_detail"): OVER_TODAY,
    ("leaderboard", "verdict_vs_choice"): QUALITY._replace(against="choice"),
    ("leaderboard", "p99_ms"): BENCH,
    ("cost", "limit"): ColumnSource(("bench/bench.json", "study.yaml")),
    ("cost", "parameters"): ColumnSource((), ("summary.json",)),
}
FIGURES: dict[str, ColumnSource] = {  # by the first word of the figure's name
    "frontier": ColumnSource(("comparison.json", "bench/bench.json"), PREDICTIONS),
    "ablation": ColumnSource(("ablation-*.json",), PREDICTIONS),
    "building": ColumnSource(("ablation-*.json",), PREDICTIONS),
    "crossing": ColumnSource(("ablation-*.json",), PREDICTIONS),
    "calibration": QUALITY,
    "epochs": ColumnSource((), ("metrics.jsonl",)),
    "trials": ColumnSource(("tuning/*",)),
    "missing": ColumnSource(("robustness.json",)),
    "widths": ColumnSource((), ("nested.json",)),
    "scopes": BENCH,
    "arriving": BENCH,
    "at_once": BENCH,
}


def provenance(evidence: Evidence, figures: list[str], tables: list[Table]) -> dict[str, Json]:
    """Figures by name, tables by column and row; runs and files each with a SHA-256.

    A cell comes from its column's `files`, and from `in_runs` of its row's runs, those of the
    strategy `against` included; `cell` follows the way.
    """
    return {
        "format": 1,
        "figures": {name: _figure(evidence, name) for name in figures},
        "tables": {table.name: _table(evidence, table) for table in tables},
        "strategies": {point.strategy: list(point.run_ids) for point in evidence.points},
        "runs": {
            origin.run_id: {
                "path": origin.path,
                "state": origin.state,
                "summary.json": origin.sha256,
                "predictions/test.parquet": origin.predictions,
            }
            for origin in evidence.origins
        },
        "files": evidence.hashes,
    }


class TableCell(NamedTuple):
    """The sources of one cell."""

    files: dict[str, str]  # under the study's folder -> sha256
    in_runs: tuple[str, ...]
    runs: dict[str, str]  # run id -> folder under the root
    against: dict[str, str]  # the same of the strategy that is subtracted


def cell(record: dict[str, Json], table: str, row: int, column: str) -> TableCell:
    """Find the sources of a cell in provenance.json; raises KeyError if it has none."""
    whole = _object(_object(record["tables"])[table])
    source = _object(_object(whole["columns"])[column])
    rows = whole["rows"]
    assert isinstance(rows, list)
    own = _object(rows[row])["runs"]
    files, runs = _object(record["files"]), _object(record["runs"])
    other = _object(record["strategies"]).get(str(source.get("against", "")), [])
    return TableCell(
        {name: str(files[name]) for name in _names(source["files"])},
        tuple(_names(source["in_runs"])),
        {run: str(_object(runs[run])["path"]) for run in _names(own)},
        {run: str(_object(runs[run])["path"]) for run in _names(other)},
    )


def _figure(evidence: Evidence, name: str) -> dict[str, Json]:
    """Files and runs that a figure shows."""
    kind, _, number = name.partition("-")
    return {**_column(evidence, FIGURES[kind]), "runs": _drawn_runs(evidence, kind, number)}


def _drawn_runs(evidence: Evidence, kind: str, number: str) -> list[Json]:
    """Run ids behind a figure; a search's trials are files of the study, no runs."""
    names: list[str] = []
    ids: list[str] = []
    if kind == "frontier":
        names = [point.strategy for point in evidence.points]
    elif kind == "ablation":
        ablation = evidence.ablations[int(number) - 1]
        names, ids = (
            [ablation.start, ablation.end],
            [run for step in ablation.steps for run in step.run_ids],
        )
    elif kind == "building":
        names = [[each for each in evidence.ablations if each.path][int(number) - 1].end]
    elif kind == "crossing":
        chain = [each for each in evidence.ablations if each.cells][int(number) - 1]
        names, ids = [chain.end], [run for step in chain.steps for run in step.run_ids]
    elif kind == "calibration":
        names = [curve.strategy for curve in evidence.calibration]
    elif kind == "missing" and evidence.missing is not None:
        names = [evidence.missing.reference, *(c.strategy for c in evidence.missing.curves)]
    elif kind == "scopes":
        names = [each.strategy for each in evidence.scopes]
    elif kind == "arriving":
        names = [each.strategy for each in evidence.arriving]
    elif kind == "at_once":
        names = [each.strategy for each in evidence.at_once]
    elif kind == "epochs":
        ids = [curve.run_id for curve in evidence.training if curve.kind == "epochs"]
    elif kind == "widths":
        ids = [curve.run_id for curve in evidence.widths]
    points = [evidence.point(name) for name in dict.fromkeys(names)]
    own = [run for point in points if point is not None for run in point.run_ids]
    return list(dict.fromkeys(run for run in (*own, *ids) if run))


def _table(evidence: Evidence, table: Table) -> Json:
    sources = {
        column: COLUMNS.get((table.name, column), TABLES[table.name])
        for column in file_columns(table)
    }
    return {
        "columns": {column: _column(evidence, source) for column, source in sources.items()},
        "rows": [
            {"key": sorting_value(row.cells[0]), "runs": list(row.run_ids)} for row in table.rows
        ],
    }


def _column(evidence: Evidence, source: ColumnSource) -> dict[str, Json]:
    strategies = {"today": evidence.decision.today, "choice": evidence.decision.choice}
    files = [n for n in evidence.hashes if any(fnmatch(n, pattern) for pattern in source.files)]
    column: dict[str, Json] = {"files": list(files), "in_runs": list(source.in_runs)}
    if other := strategies.get(source.against):
        column["against"] = other
    return column


def _object(value: Json) -> dict[str, Json]:
    assert isinstance(value, dict)
    return value


def _names(value: Json) -> list[str]:
    assert isinstance(value, list)
    return [str(name) for name in value]
