"""Which processes a command has started, for tests that kill some of them."""

from pathlib import Path


def below(pid: int) -> list[int]:
    """The processes that a process has started, and those that they have."""
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    children = [int(word) for word in text.split()]
    return [*children, *(inner for child in children for inner in below(child))]
