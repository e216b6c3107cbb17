"""What `run`, `tune` and `ablate` print: the matrix, the winners, the conclusion."""

import json
import sys
from typing import TYPE_CHECKING, Literal

from rich.console import Console
from rich.table import Table

from fusefront.harness.runs.files import Json

if TYPE_CHECKING:  # these import torch, whose memory would break `prepare --max-memory`
    from fusefront.harness.ablation.forecast import AblationForecast
    from fusefront.harness.dossier.record_types import ExplanationRecord, ModalityShare
    from fusefront.harness.jobs.matrix import StudyPlan
    from fusefront.harness.jobs.pipeline import Conclusion
    from fusefront.harness.runs.records import (
        AblationRecord,
        PlannedRemoval,
        TimedDifference,
        WinnerRecord,
    )
    from fusefront.harness.tuning.budget import SearchBudget

QUANTILES: tuple[Literal["p50", "p99"], ...] = ("p50", "p99")
WIDE = 140  # columns of a table that no terminal limits


def console(*, quiet: bool = False) -> Console:
    """The console for progress: standard error, so that standard output has the result alone."""
    return Console(stderr=True, quiet=quiet, soft_wrap=True)


def show(value: Json) -> None:
    """Print one JSON document on standard output."""
    sys.stdout.write(json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def show_matrix(plan: "StudyPlan", *, as_json: bool) -> None:
    """Print the runs that would be trained, and their budget."""
    trials, seeds = plan.study.tuning.trials, len(plan.study.seeds)
    budget = {
        name: trials if name in plan.searched() and plan.space(name) else 0
        for name in plan.strategies
    }
    rows: list[dict[str, Json]] = [
        {
            "strategy": name,
            "baseline": strategy.baseline,
            "role": strategy.role,
            "trials": budget[name],
            "seeds": seeds,
        }
        for name, strategy in plan.strategies.items()
    ]
    again = plan.finalist_trainings * sum(count > 0 for count in budget.values())
    total = sum(budget.values()) + again + seeds * len(rows)
    if as_json:
        show({"dataset": plan.store.name, "runs": total, "trials": trials, "strategies": rows})
        return
    table = Table("strategy", "baseline", "role", "trials", "seeds", box=None)
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    out = Console()
    out.print(table)
    out.print(f"{total} trainings on {plan.store.name} ({plan.store.fingerprint}); nothing was run")


def show_removals(
    rows: "list[PlannedRemoval]", forecast: "AblationForecast", *, as_json: bool
) -> None:
    """Print what an ablation would leave out, how many of its runs exist, and what it could
    detect."""
    if as_json:
        show({**forecast, "rows": rows})
        return
    table = Table("without", "kind", "seeds", "to train", box=None)
    for row in rows:
        table.add_row(row["without"], row["kind"], str(row["seeds"]), str(row["to_train"]))
    out = Console()
    out.print(table)
    for sentence in forecast["sentences"]:
        out.print(sentence, markup=False, highlight=False, soft_wrap=True)


def show_winners(
    winners: "list[WinnerRecord]", spent: "list[SearchBudget]", *, as_json: bool
) -> None:
    """Print the frozen winner of every search, and the budgets that were spent."""
    if as_json:
        show({"winners": winners, "spent": [budget.to_json() for budget in spent]})
        return
    table = Table("strategy", "valid AUC", "trial", "parameters", "trials", "seconds", box=None)
    by_name = {winner["strategy"]: winner for winner in winners}
    for budget in spent:
        winner = by_name.get(budget.strategy)
        params = winner["params"] if winner else {}
        whole = "" if budget.cap_seconds is None else f" of {budget.cap_seconds:g}"
        table.add_row(
            budget.strategy,
            f"{winner['valid_auc']:.4f}" if winner else "none",
            str(winner["number"]) if winner else "",
            ", ".join(f"{key}={_short(value)}" for key, value in params.items()) or "defaults",
            f"{budget.finished} of {budget.cap}",
            f"{budget.seconds:.0f}{whole}",
        )
    out = Console()
    out.print(table)
    for winner in winners:
        for point in winner.get("front", []):
            of = f"{winner['strategy']} trial {point['number']}"
            cost = f"{point['macs']:,.0f} MACs a candidate"
            if (p99 := point.get("p99_ms")) is not None:
                cost += f", p99 {p99:.2f} ms timed"
            out.print(f"{of}: valid AUC {point['valid_auc']:.4f}, {cost}", markup=False)


def _short(value: Json) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def show_conclusion(conclusion: "Conclusion", *, as_json: bool) -> None:
    """Print the decision and the report's path; failed runs were reported before."""
    if as_json:
        show({"decision": conclusion.sentence, "report": str(conclusion.page)})
        return
    out = Console(soft_wrap=True)
    out.print(f"Decision: {conclusion.sentence}", markup=False, highlight=False)
    out.print(f"Report: {conclusion.page}", markup=False, highlight=False)


def show_deltas(record: "AblationRecord") -> None:
    """Print an ablation's table: the AUC lost without each part, and the part's cost."""
    table = Table("without", "kind", "delta AUC", "95% interval", "MDE", "verdict", box=None)
    table.add_column("kMAC")
    rows = record.get("rows", [])
    timed = [key for key in QUANTILES if any(key in row.get("cost", {}) for row in rows)]
    for key in timed:
        table.add_column(f"ms at {key}", no_wrap=True)
    table.add_column("bytes an item")
    for row in sorted(rows, key=lambda row: float(row["delta"])):
        low, high = row.get("low"), row.get("high")
        interval = "no interval" if low is None else f"[{low:+.4f}, {high:+.4f}]"
        mde, verdict = row.get("mde"), str(row.get("verdict", ""))
        smallest = "" if mde is None else f"{mde:.4f}"  # seen with 80 % power
        cells = [f"{row['delta']:+.4f}", interval, smallest, verdict]
        cost = row.get("cost", {})
        cells.append(f"{cost['macs'] / 1000:+.1f}" if "macs" in cost else "")
        cells += [_milliseconds(cost.get(key)) for key in timed]
        cells.append(f"{cost['code_bytes']:+.0f}" if "code_bytes" in cost else "")
        table.add_row(str(row["without"]), str(row.get("kind", "")), *cells)
    out = Console(soft_wrap=True, width=None if sys.stdout.isatty() else WIDE)
    mode = record.get("hyper_parameters", "")
    of = record.get("of", "")
    words = f"{of}: AUC without a part, minus AUC with it; hyper-parameters {mode}"
    out.print(words, markup=False, highlight=False)
    out.print(table)
    if path := record.get("path"):
        if path.get("choice") == "greedy":
            out.print("Each step adds the part that adds most on validation:", markup=False)
        steps = Table("built up", "AUC", "adds", "simultaneous interval", box=None)
        steps.add_row(path["start"], f"{path['start_auc']:.4f}", "", "")
        for step in path["steps"]:
            gain = step["gain"]
            ends = (gain["low"], gain["high"])
            both = "" if None in ends else f"[{ends[0]:+.4f}, {ends[1]:+.4f}]"
            adds = f"{gain['delta']:+.4f}"
            steps.add_row(f"+ {step['part']}", f"{step['auc']:.4f}", adds, both)
        out.print(steps)
    if shares := record.get("shares"):
        table = Table("modality", "AUC it adds", "simultaneous interval", box=None)
        for share in shares:
            low, high = share["auc"]["low"], share["auc"]["high"]
            both = "" if low is None or high is None else f"[{low:+.4f}, {high:+.4f}]"
            table.add_row(share["modality"], f"{share['auc']['delta']:+.4f}", both)
        drawn = max(share.get("drawing", 0.0) for share in shares)
        over = "all subsets" if all("drawing" not in share for share in shares) else "drawn orders"
        error = f" (standard error of the drawing up to {drawn:.4f}, in the intervals)"
        about = f"Shapley values over {over}, each subset trained by itself"
        out.print(f"{about}{error if over == 'drawn orders' else ''}:", markup=False)
        out.print(table)
    for sentence in record.get("sentences", []):
        out.print(sentence, markup=False, highlight=False)


def _milliseconds(added: "TimedDifference | None") -> str:
    """What a part adds in ms; in words if it cannot be distinguished from 0."""
    if added is None:
        return ""
    return f"{added['ms']:+.2f}" if added["measurable"] else "nothing measurable"


def show_explanation(record: "ExplanationRecord") -> None:
    """Tables of what each modality adds, then what the explanation says in words."""
    show_shares(record["shares"])
    out = Console()
    for sentence in record.get("sentences", []):
        out.print(sentence, markup=False, highlight=False, soft_wrap=True)


def show_shares(rows: "list[ModalityShare]") -> None:
    """Print the modalities' Shapley values, one table a strategy; slices come after all rows."""
    out = Console()
    for strategy in dict.fromkeys(row["strategy"] for row in rows):
        table = Table("rows", "modality", "AUC it adds", "95% interval", "", box=None)
        for row in (row for row in rows if row["strategy"] == strategy):
            low, high = row["auc"].get("low"), row["auc"].get("high")
            where = f"{row['slice']} = {row['value']}" if row["slice"] else "all"
            if low is None or high is None:
                interval, remark = "no interval", ""
            else:
                interval = f"[{low:+.4f}, {high:+.4f}]"
                remark = "not told from nothing" if low <= 0 <= high else ""
            table.add_row(where, row["modality"], f"{row['auc']['value']:+.4f}", interval, remark)
        title = f"{strategy}: AUC that each modality adds, over all subsets of them (Shapley)"
        out.print(title, markup=False)
        out.print(table)
