"""What `prepare` left out or read as absent: counted, printed, kept in the manifest."""

from pydantic import BaseModel, ConfigDict


class Loss(BaseModel):
    """`count` of `of` things were left out, read as absent, or not known; `what` names them."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    count: int
    of: int
    what: str  # "rows of the log name no item of items.parquet and are left out"

    @property
    def share(self) -> float:
        """The affected share, 0 to 1."""
        return self.count / self.of if self.of else 0.0

    def sentence(self) -> str:
        """One line for people.

        >>> Loss(count=3, of=200, what="rows of the log have no user").sentence()
        '3 of 200 (1.5 %) rows of the log have no user'
        """
        return f"{self.count:,} of {self.of:,} ({100 * self.share:.1f} %) {self.what}"


class Tally:
    """Sums up losses while data are read; keys such as "rows.unknown_item" are stable."""

    def __init__(self) -> None:
        self._losses: dict[str, Loss] = {}

    def add(self, key: str, count: int, of: int, what: str) -> None:
        """`count` more of `of` more things."""
        before = self._losses.get(key)
        if before is not None:
            count, of = count + before.count, of + before.of
        self._losses[key] = Loss(count=count, of=of, what=what)

    def losses(self) -> dict[str, Loss]:
        """The losses that occurred, in the order in which they were first counted."""
        return {key: loss for key, loss in self._losses.items() if loss.count}
