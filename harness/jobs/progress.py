"""Shows run i of n, epoch, rows/s and time left: a bar on a terminal, plain lines elsewhere."""

import time
from collections.abc import Callable

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from fusefront.harness.runs.files import Json
from fusefront.harness.runs.spec import Cell


class RunProgress:
    """Receives events of runs (start, epoch, end) and shows them."""

    def __init__(
        self,
        total: int,
        what: str,
        console: Console,
        table: Callable[[], RenderableType] | None = None,  # under the bar, drawn at every event
    ) -> None:
        self.total, self.what, self.console, self.table = total, what, console, table
        self.live: Live | None = None
        self.over: set[str] = set()  # runs that ended, or paused, once
        self.begin = time.monotonic()
        self.detail: dict[str, str] = {}
        self.fraction: dict[str, float] = {}  # of each run under way, by its epochs
        self.bar: Progress | None = None

    def __enter__(self) -> "RunProgress":
        if self.console.is_terminal and self.total:
            self.bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=24),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("{task.fields[left]}"),
                TextColumn("[dim]{task.fields[detail]}"),
                console=self.console,
            )
            self.task = self.bar.add_task(self.what, total=self.total, left="", detail="")
            if self.table is None:
                self.bar.start()
            else:
                self.live = Live(Group(self.bar, self.table()), console=self.console)
                self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.live is not None:
            self.live.stop()
        elif self.bar is not None:
            self.bar.stop()

    def tell(self, kind: str, cell: Cell, message: dict[str, Json]) -> None:
        """Show one event of `Workers.execute`."""
        key = f"{cell.strategy} seed {cell.seed}"
        if kind == "start":
            self.detail[key] = f"{key} starts"
        elif kind == "epoch":
            epoch, epochs = int(str(message["epoch"])), int(str(cell.spec.training["epochs"]))
            self.fraction[key] = epoch / epochs
            self.detail[key] = f"{key} epoch {epoch}/{epochs} {message['rows_per_second']:,} rows/s"
        elif kind == "waiting":
            self.console.print(str(message["line"]), markup=False, highlight=False)
        else:  # done, paused or failed
            self.fraction.pop(key, None)
            last = self.detail.pop(key, key) + (", paused" if kind == "paused" else "")
            self.over.add(cell.spec.run_id)
            self._line(last, str(message.get("reason", "")))
        if self.bar is not None:
            self.bar.update(
                self.task,
                completed=self.ended,
                left=self.left(),
                detail=" · ".join(self.detail.values()),
            )
        if self.live is not None:
            assert self.bar is not None
            assert self.table is not None
            self.live.update(Group(self.bar, self.table()))

    @property
    def ended(self) -> int:
        """How many runs have ended; a run that goes on after a pause counts once."""
        return len(self.over)

    def left(self) -> str:
        """An estimate of the time left from the runs and epochs so far."""
        ended = self.ended + sum(self.fraction.values())
        if not ended:
            return ""
        seconds = (time.monotonic() - self.begin) / ended * (self.total - ended)
        return f"{seconds:.0f} s left" if seconds < 120 else f"{seconds / 60:.0f} min left"

    def _line(self, last: str, reason: str) -> None:
        if reason:
            self.console.print(f"{self.what} {last} failed: {reason}", style="red", markup=False)
        elif self.bar is None:
            line = f"{self.what} {self.ended} of {self.total}: {last}, {self.left()}"
            self.console.print(line, markup=False, highlight=False)


Tell = Callable[[str], None]
