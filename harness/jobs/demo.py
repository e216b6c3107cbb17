"""The study that `fusefront demo` runs."""

from pathlib import Path


def demo_file(*, quick: bool) -> Path:
    """The embedded study file."""
    return Path(__file__).with_name("demo_quick.yaml" if quick else "demo.yaml")
