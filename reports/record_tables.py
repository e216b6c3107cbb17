"""Tables of what the study is based on: what-if grid, audit, environment, runs."""

from itertools import groupby

from fusefront.reports import numbers
from fusefront.reports.cells import (
    NONE,
    ColumnHead,
    TableEntry,
    Value,
    count_head,
    ends_cell,
    ends_head,
    number_cell,
    value_head,
)
from fusefront.reports.evidence import Evidence, WhatIfRow
from fusefront.reports.tables import Row, Table, runs_of
from fusefront.reports.words.names import label, shorten
from fusefront.reports.words.reviewer import HEADING

IDS = 3  # run ids of a strategy on the page; provenance.json has all
WORD = {
    "python": "Python",
    "platform": "Platform",
    "processor": "Processor",
    "cores": "Cores",
    "threads": "Threads",
    "code": "Code fingerprint",
    "sources": "Git",
    "bench fingerprint": "Latency fingerprint",
}


def what_if(evidence: Evidence) -> Table:
    """Limit and value of a click down, traffic across, at the study's own price."""
    rows = evidence.what_if.rows if evidence.what_if else ()
    prices = sorted({row.price_core_hour for row in rows})
    middle = [row for row in rows if row.price_core_hour == prices[len(prices) // 2]]
    traffic = sorted({row.requests_per_second for row in middle})
    keyed = sorted(middle, key=lambda r: (r.slo_ms, r.value_per_click, r.requests_per_second))
    winners = {
        (r.slo_ms, r.value_per_click, r.requests_per_second): runs_of(evidence, r.winner)
        for r in middle
    }
    limit_rows = []
    for (slo, value), cells in groupby(keyed, key=lambda r: (r.slo_ms, r.value_per_click)):
        by_traffic = {cell.requests_per_second: _cell(evidence, cell) for cell in cells}
        shown = tuple(by_traffic.get(qps, NONE) for qps in traffic)
        ids = dict.fromkeys(i for qps in by_traffic for i in winners[slo, value, qps])
        limit_rows.append(
            Row(
                (
                    TableEntry(numbers.ms_setting(slo), slo),
                    TableEntry(numbers.plain(value), value),
                    *shown,
                ),
                run_ids=tuple(ids),
            )
        )
    currency = evidence.study.currency
    heads = (
        value_head("limit", "limit_ms"),
        value_head(f"{currency} a click", "value_of_a_click"),
        *(_traffic_head(qps) for qps in traffic),
    )
    note = (
        f"At {numbers.plain(prices[len(prices) // 2])} {currency} per core-hour." if prices else ""
    )
    constants: dict[str, Value] = {"currency": currency}
    if prices:
        constants["price_core_hour"] = prices[len(prices) // 2]
    rows_shown = tuple(limit_rows)
    return Table("what_if_grid", HEADING["what_if"], heads, rows_shown, note, constants=constants)


def _traffic_head(qps: float) -> ColumnHead:
    """Winner and yearly gain at one traffic, requests per second."""
    at = f"at_{qps:g}"
    columns = (f"winner_{at}", f"yearly_gain_{at}", f"yearly_gain_low_{at}",
               f"yearly_gain_high_{at}")  # fmt: skip
    return ColumnHead(f"{numbers.plain(qps)} requests/s", *columns, kind="mixed")


def what_if_full(evidence: Evidence) -> Table:
    """Every cell of the grid, for the files."""
    rows = evidence.what_if.rows if evidence.what_if else ()
    heads = (
        value_head("limit ms", "limit_ms"),
        value_head("price per core-hour", "price_core_hour"),
        value_head("requests per second", "requests_per_second"),
        value_head("value per click", "value_of_a_click"),
        "case",
        "winner",
        value_head("yearly gain", "yearly_gain"),
        ends_head("yearly gain interval", "yearly_gain"),
        value_head("yearly clicks", "yearly_clicks"),
        ends_head("yearly clicks interval", "yearly_clicks"),
    )
    table_rows = [Row(_full(row), run_ids=runs_of(evidence, row.winner)) for row in rows]
    constants = {"currency": evidence.study.currency}
    return Table("what_if", HEADING["what_if"], heads, tuple(table_rows), constants=constants)


def _full(row: WhatIfRow) -> tuple[str, ...]:
    gain, clicks = row.yearly_gain, row.yearly_clicks
    settings = (row.slo_ms, row.price_core_hour, row.requests_per_second, row.value_per_click)
    return (
        *(TableEntry(numbers.plain(setting), setting) for setting in settings),
        row.case,
        row.winner or NONE,
        number_cell(gain.value, numbers.signed(gain.value, 0)) if gain else NONE,
        ends_cell(gain, 0),
        number_cell(clicks.value, numbers.signed(clicks.value, 0)) if clicks else NONE,
        ends_cell(clicks, 0),
    )


def _cell(evidence: Evidence, row: WhatIfRow) -> TableEntry:
    gain = row.yearly_gain
    ends = (None, None, None) if gain is None else (gain.value, gain.low, gain.high)
    return TableEntry(_winner(evidence, row), row.winner, *ends)


def _winner(evidence: Evidence, row: WhatIfRow) -> str:
    if row.case == "infeasible":
        return "none under the limit"
    point = evidence.point(row.winner)
    who = str(label(point, 30)) if point else "cannot tell"
    if row.winner == evidence.decision.today and row.winner is not None:
        return f"{who} (today)"
    gain = row.yearly_gain
    if gain is None:
        return who
    return f"{who} {numbers.signed(gain.value, 0)} {numbers.bracket(gain, 0)}"


def audit(evidence: Evidence) -> Table:
    """Every check, findings first."""
    rank = {"error": 0, "warning": 1, "note": 2, "not run": 3, "ok": 4}
    findings = sorted(evidence.audit, key=lambda finding: rank[finding.state])
    rows = tuple(
        Row(
            (
                finding.check,
                TableEntry(
                    f"{finding.state}{', accepted' if finding.accepted else ''}",
                    finding.state,
                    finding.accepted,
                ),
                finding.text or NONE,
            )
        )
        for finding in findings
    )
    heads = ("check", ColumnHead("state", "state", "accepted"), "finding")
    return Table("audit", HEADING["audit"], heads, rows)


def environment(evidence: Evidence) -> Table:
    """Machine, versions, threads, git, data: what a number depends on."""
    study = evidence.study
    own = {
        "Study": study.study_hash,
        "Data": study.dataset,
        "Data fingerprint": study.fingerprint,
        "Rows": f"{study.rows_train or 0:,} train, {study.rows_test:,} test",
        "Past known after": study.lag,
        "Modalities": ", ".join(f"{name} {width}" for name, width in study.modalities.items()),
        "Seeds": numbers.count(study.seeds),
        "Trials a strategy": numbers.count(study.trials) if study.trials else "",
        "Timed on": study.hardware,
        "Runtime": study.runtime,
        "Timed request": _request(evidence),
        "Latency interval": study.latency_session,
    }
    rows = [(key, text) for key, text in own.items() if text]
    rows += [(WORD.get(key, key), text) for key, text in evidence.environment.items()]
    return Table(
        "environment", HEADING["environment"], ("what", "value"), tuple(Row(row) for row in rows)
    )


def _request(evidence: Evidence) -> str:
    study = evidence.study
    if study.candidates is None:
        return ""
    history = f", history up to {study.history}" if study.history else ""
    return f"1 user × {study.candidates} candidates{history}"


def runs(evidence: Evidence) -> Table:
    """Strategy by strategy: seeds, failures, and the runs that its numbers were read from."""
    rows = []
    for point in evidence.points:
        cells = (
            TableEntry(shorten(point.strategy, 60), point.strategy),
            point.family,
            point.role or NONE,
            point.recipe or NONE,
            number_cell(point.seeds, numbers.count(point.seeds)),
            number_cell(point.failed_seeds, numbers.count(point.failed_seeds)),
            _ids(point.run_ids),
        )
        rows.append(Row(cells, run_ids=point.run_ids))
    measured = {point.strategy for point in evidence.points}
    lost = sorted({o.strategy for o in evidence.origins if o.state != "completed"} - measured)
    for name in lost:
        failed = sum(o.strategy == name and o.state == "failed" for o in evidence.origins)
        failures = number_cell(failed, numbers.count(failed))
        cells = (
            TableEntry(shorten(name, 60), name),
            NONE,
            NONE,
            NONE,
            TableEntry("0", 0),
            failures,
            NONE,
        )
        lost_ids = tuple(o.run_id for o in evidence.origins if o.strategy == name)
        rows.append(Row(cells, run_ids=lost_ids))
    note = (
        "Every figure, table and cell is tied to its runs and their hashes in provenance.json "
        "beside this page."
    )
    heads = (
        "strategy",
        "family",
        "role",
        "recipe",
        count_head("seeds", "seeds"),
        count_head("failed", "failed"),
        "runs",
    )
    return Table("runs", HEADING["runs"], heads, tuple(rows), note)


def _ids(run_ids: tuple[str, ...]) -> str:
    """The first run ids; the file has all."""
    if not run_ids:
        return NONE
    more = len(run_ids) - IDS
    shown = ", ".join(run_ids[:IDS]) + (f" and {more} more" if more > 0 else "")
    return TableEntry(shown, ", ".join(run_ids))
