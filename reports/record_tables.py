"""Tables of what the study rests on: what-if grid, audit, environment, runs."""

from itertools import groupby

from fusefront.reports import numbers
from fusefront.reports.evidence import Evidence, WhatIfRow
from fusefront.reports.tables import NONE, Row, Table, bracket, runs_of
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
            Row((numbers.ms_setting(slo), numbers.plain(value), *shown), run_ids=tuple(ids))
        )
    currency = evidence.study.currency
    heads = (
        "limit",
        f"{currency} a click",
        *(f"{numbers.plain(qps)} requests/s" for qps in traffic),
    )
    note = (
        f"At {numbers.plain(prices[len(prices) // 2])} {currency} per core-hour." if prices else ""
    )
    return Table("what_if_grid", HEADING["what_if"], heads, tuple(limit_rows), note)


def what_if_full(evidence: Evidence) -> Table:
    """Every cell of the grid, for the files."""
    rows = evidence.what_if.rows if evidence.what_if else ()
    heads = ("limit ms", "price per core-hour", "requests per second", "value per click", "case",
             "winner", "yearly gain", "yearly gain interval", "yearly clicks",
             "yearly clicks interval")  # fmt: skip
    table_rows = [Row(_full(row), run_ids=runs_of(evidence, row.winner)) for row in rows]
    return Table("what_if", HEADING["what_if"], heads, tuple(table_rows))


def _full(row: WhatIfRow) -> tuple[str, ...]:
    gain, clicks = row.yearly_gain, row.yearly_clicks
    return (
        numbers.plain(row.slo_ms),
        numbers.plain(row.price_core_hour),
        numbers.plain(row.requests_per_second),
        numbers.plain(row.value_per_click),
        row.case,
        row.winner or NONE,
        numbers.signed(gain.value, 0) if gain else NONE,
        bracket(gain, 0),
        numbers.signed(clicks.value, 0) if clicks else NONE,
        bracket(clicks, 0),
    )


def _cell(evidence: Evidence, row: WhatIfRow) -> str:
    if row.case == "infeasible":
        return "none under the limit"
    point = evidence.point(row.winner)
    who = str(label(point, 30)) if point else "cannot tell"
    if row.winner == evidence.decision.today and row.winner is not None:
        return f"{who} (today)"
    gain = row.yearly_gain
    return f"{who} {numbers.signed(gain.value, 0)} {bracket(gain, 0)}" if gain else who


def audit(evidence: Evidence) -> Table:
    """Every check, findings first."""
    rank = {"error": 0, "warning": 1, "note": 2, "not run": 3, "ok": 4}
    findings = sorted(evidence.audit, key=lambda finding: rank[finding.state])
    rows = tuple(
        Row(
            (
                finding.check,
                f"{finding.state}{', accepted' if finding.accepted else ''}",
                finding.text or NONE,
            )
        )
        for finding in findings
    )
    return Table("audit", HEADING["audit"], ("check", "state", "finding"), rows)


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
        more = len(point.run_ids) - IDS
        ids = ", ".join(point.run_ids[:IDS]) + (f" and {more} more" if more > 0 else "")
        cells = (
            shorten(point.strategy, 60),
            point.family,
            point.role or NONE,
            point.recipe or NONE,
            numbers.count(point.seeds),
            numbers.count(point.failed_seeds),
            ids or NONE,
        )
        rows.append(Row(cells, run_ids=point.run_ids))
    measured = {point.strategy for point in evidence.points}
    lost = sorted({o.strategy for o in evidence.origins if o.state != "completed"} - measured)
    for name in lost:
        states = [o.state for o in evidence.origins if o.strategy == name]
        cells = (
            shorten(name, 60),
            NONE,
            NONE,
            NONE,
            "0",
            numbers.count(states.count("failed")),
            NONE,
        )
        lost_ids = tuple(o.run_id for o in evidence.origins if o.strategy == name)
        rows.append(Row(cells, run_ids=lost_ids))
    note = (
        "Every figure, table and cell is tied to its runs and their hashes in provenance.json "
        "beside this page."
    )
    heads = ("strategy", "family", "role", "recipe", "seeds", "failed", "runs")
    return Table("runs", HEADING["runs"], heads, tuple(rows), note)
