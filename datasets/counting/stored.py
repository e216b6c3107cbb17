"""What a store and a bundle record about their counters, enough to count further logs in the same
way."""

from functools import cached_property

from pydantic import BaseModel, ConfigDict

from fusefront.datasets.counter_spec import Counter
from fusefront.datasets.counting.plan import Plan, plan_counters
from fusefront.datasets.spec import Columns, LabelSpec
from fusefront.datasets.table_text import TableText


class StoredCounters(BaseModel):
    """The counters of a data set, the columns of its log that they read, and train's rate."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    entries: tuple[Counter, ...]
    rate: float  # share of positives in train
    drawn: bool  # negatives are drawn: positives alone are counted
    unit: str  # of the log's times
    train_until: int | None  # train's rows are before this time; None if no time separates them
    columns: Columns
    label: LabelSpec
    separator: str = ","  # of log files that are csv
    names: tuple[str, ...] = ()  # their columns, where a csv has no header line
    numbers: dict[str, str]  # "<side>.<number>" -> how it is computed

    @cached_property
    def plan(self) -> Plan:
        """The sums, and the numbers made of them."""
        return plan_counters(self.entries, self.unit, drawn=self.drawn)

    @property
    def text(self) -> TableText:
        """How log files are written if they are not parquet."""
        return TableText(self.separator, self.names)

    @property
    def lags(self) -> tuple[str, ...]:
        """The lags of the counters, each once, in the order of the spec; "0" where there is
        none."""
        return tuple(dict.fromkeys(entry.lag or "0" for entry in self.entries))
