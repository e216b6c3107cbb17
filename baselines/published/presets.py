"""Parts that the presets of published models share."""

from collections.abc import Callable, Mapping


def none() -> Mapping[str, object]:
    """No compressor."""
    return {"name": "none"}


def deep() -> Mapping[str, object]:
    """The wide head that is usual for these models."""
    return {"name": "mlp", "hidden": (1024, 512, 256)}


def part(
    name: str, settings: Mapping[str, object] | None = None
) -> Callable[[], Mapping[str, object]]:
    """A default factory: part("din", {"softmax": True})."""
    return lambda: {"name": name, **(settings or {})}
