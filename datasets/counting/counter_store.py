"""A counter store on disk: counters.json and a table for each ledger."""

import json
from pathlib import Path

import polars as pl
from pydantic import BaseModel, ConfigDict, ValidationError

from fusefront.datasets.counting.state import START, CounterState, LedgerState
from fusefront.datasets.counting.stored import StoredCounters
from fusefront.datasets.durable import write_bytes
from fusefront.datasets.errors import DataContractError
from fusefront.datasets.raw.files import sha256

FILE, KIND, FORMAT = "counters.json", "fusefront-counters", 1
_VALUES = ("rows", "positives", "residual")
_FIX = "copy the folder again, or count all logs again into a fresh one"


class CountedLog(BaseModel):
    """A file that was counted."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    name: str
    sha256: str
    rows: int


class CounterFacts(BaseModel):
    """counters.json."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    kind: str
    format: int
    fingerprint: str  # of the prepared store whose counters they are
    until: int  # newest time counted
    rows: int
    logs: tuple[CountedLog, ...]
    tables: dict[str, str]  # file -> SHA-256
    counters: StoredCounters


class CounterStore:
    """The counters of one data set up to some time, and the files that were counted."""

    def __init__(self, fingerprint: str, state: CounterState, logs: tuple[CountedLog, ...]) -> None:
        self.fingerprint, self.state, self.logs = fingerprint, state, logs

    @classmethod
    def empty(cls, fingerprint: str, stored: StoredCounters) -> "CounterStore":
        """The counters before anything was counted."""
        return cls(fingerprint, CounterState(stored), ())

    def write(self, folder: Path) -> None:
        """Write every file into an existing folder."""
        tables = {}
        for place, each in enumerate(self.state.ledgers):
            name = f"ledger_{place}.parquet"
            columns = dict(zip(_VALUES, each.values.T, strict=False))
            pl.DataFrame({"key": each.key, "time": each.time, **columns}).write_parquet(
                folder / name
            )
            tables[name] = sha256(folder / name)
        facts = CounterFacts(
            kind=KIND,
            format=FORMAT,
            fingerprint=self.fingerprint,
            until=self.state.until,
            rows=self.state.rows,
            logs=self.logs,
            tables=tables,
            counters=self.state.stored,
        )
        write_bytes(folder / FILE, facts.model_dump_json(indent=1).encode())

    @classmethod
    def open(cls, folder: Path) -> "CounterStore":
        """The counter store in a folder; raises DataContractError if it is none, or was changed."""
        facts = _facts(folder)
        ledgers = []
        for (name, digest), ledger in zip(
            facts.tables.items(), facts.counters.plan.ledgers, strict=True
        ):
            path = folder / name
            if "/" in name or not path.is_file() or sha256(path) != digest:
                raise DataContractError(f"{path}: missing or changed since it was written; {_FIX}")
            table = pl.read_parquet(path, glob=False)
            each = LedgerState(ledger)
            values = table.select(_VALUES[: each.values.shape[1]]).to_numpy()
            each.add(table["key"].to_numpy(), table["time"].to_numpy(), values)
            ledgers.append(each)
        state = CounterState(facts.counters, facts.until, facts.rows, ledgers)
        return cls(facts.fingerprint, state, facts.logs)


def _facts(folder: Path) -> CounterFacts:
    path = folder / FILE
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(raw, dict) or raw.get("kind") != KIND or raw.get("format") != FORMAT:
            raise DataContractError(f"{path}: no counter store that this version reads; {_FIX}")
        facts = CounterFacts.model_validate(raw)
    except FileNotFoundError:
        raise DataContractError(
            f"{folder}: no counter store; `fusefront counters BUNDLE LOG --to {folder}` makes one"
        ) from None
    except (OSError, ValueError, ValidationError, RecursionError) as error:
        reason = str(error).split("\n")[0][:160]
        raise DataContractError(f"{path}: unreadable ({reason}); {_FIX}") from None
    if len(facts.tables) != len(facts.counters.plan.ledgers) or facts.until < START:
        raise DataContractError(f"{path}: lists other tables than its counters need; {_FIX}")
    return facts
