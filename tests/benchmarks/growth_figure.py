"""Exponents, table and figure of what `growth.py` measured."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

BASE = {"rows": 100_000, "items": 100_000, "history": 64, "modalities": 2}
Point = dict[str, float]  # the sizes of a point and its figures by name
STRATEGIES = ("compressed_fusion", "early_fusion", "din")
PANELS: tuple[tuple[str, str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("CPU seconds", "s", ("prepare", "loader"), ("epoch",)),
    ("CPU seconds", "s", ("auc",), ("build", "codes", "score")),
    ("MiB", "MiB", ("log", "store", "prepare", "loader"), ("",)),
)  # label, unit, figures of the data, figures of each strategy
COLOURS = dict(zip(STRATEGIES, ("#0072b2", "#d55e00", "#009e73"), strict=True))
MARKERS = {"build": "s", "codes": "^", "score": "D", "loader": "s", "auc": "v", "log": "v",
           "store": "^"}  # fmt: skip


class Fit(NamedTuple):
    """y = c * x ** exponent over `points` points; r2 of the logarithms."""

    exponent: float
    r2: float
    points: int


def fitted(x: Sequence[float], y: Sequence[float]) -> Fit:
    """The slope of least squares through the logarithms, over the upper part of x, where fixed
    costs do not hide growth: above the middle of its logarithmic span, three points at least.

    >>> fitted([1, 10, 100, 1000], [9, 5, 50, 500]).exponent
    1.0
    """
    a, b = np.log(np.asarray(x, float)), np.log(np.asarray(y, float))
    upper = min(int(np.searchsorted(a, (a[0] + a[-1]) / 2)), len(a) - 3)
    a, b = a[max(0, upper) :], b[max(0, upper) :]
    slope, start = np.polyfit(a, b, 1)
    rest = float(((b - start - slope * a) ** 2).sum())
    total = float(((b - b.mean()) ** 2).sum())
    return Fit(round(float(slope), 6), 1 - rest / total if total else 1.0, len(a))


def along(points: Sequence[Point], axis: str) -> list[Point]:
    """The points that differ from the base in this axis alone, in its order."""
    others = [name for name in BASE if name != axis]
    chosen = [point for point in points if all(point[name] == BASE[name] for name in others)]
    return sorted(chosen, key=lambda point: point[axis])


def series(points: Sequence[Point], axis: str, figure: str) -> tuple[list[float], list[float]]:
    """x and y of one line; points without the figure are left out."""
    having = [point for point in along(points, axis) if figure in point]
    return [point[axis] for point in having], [point[figure] for point in having]


def short(value: float) -> str:
    """Three digits that count."""
    digits = max(0, 2 - math.floor(math.log10(abs(value)))) if value else 0
    return f"{value:,.{digits}f}"


def table(points: Sequence[Point], axes: Sequence[str]) -> str:
    """Markdown: a row a figure, a column an axis, each with exponent, (R2), and the first and last
    value; above 1.1 in bold."""
    names = list(dict.fromkeys(name for point in points for name in point if name not in BASE))
    spans = []
    for axis in axes:
        sizes = [point[axis] for point in along(points, axis)]
        spans.append(f"{axis} {sizes[0]:,.0f} to {sizes[-1]:,.0f}")
    lines = ["| | " + " | ".join(spans) + " |", "|---" * (len(axes) + 1) + "|"]
    for name in names:
        cells = []
        for axis in axes:
            x, y = series(points, axis, name)
            if len(x) < 3:
                cells.append("")
                continue
            exponent, r2, _ = fitted(x, y)
            power = f"**{exponent:.2f}**" if exponent > 1.1 else f"{exponent:.2f}"
            shown = f" ({r2:.3f})" if abs(exponent) >= 0.1 else ""
            cells.append(f"{power}{shown}, {short(y[0])} → {short(y[-1])}")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def draw(points: Sequence[Point], axes: Sequence[str], path: Path) -> None:
    """Small multiples with logarithmic axes: an axis a column, a line a figure, dotted slope 1."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt
    from PIL import Image

    size = (3.0 * len(axes) + 2.4, 8.4)
    figure, grid = plt.subplots(len(PANELS), len(axes), figsize=size, sharex="col", sharey="row",
                                squeeze=False, layout="constrained")  # fmt: skip
    for row, (label, unit, of_data, of_strategy) in zip(grid, PANELS, strict=True):
        lines = [("", name) for name in of_data]
        lines += [(strategy, name) for strategy in STRATEGIES for name in of_strategy]
        for panel, axis in zip(row, axes, strict=True):
            for strategy, name in lines:
                words = f"{strategy} {name}".strip()
                x, y = series(points, axis, f"{words} {unit}")
                style = {"color": COLOURS.get(strategy, "0.25"), "marker": MARKERS.get(name, "o")}
                if len(x) > 1:
                    panel.loglog(x, y, ms=3.5, lw=1.2, label=words.replace("_", " "), **style)
            panel.grid(alpha=0.25, lw=0.5)
            panel.spines[["top", "right"]].set_visible(False)
        for panel, axis in zip(row, axes, strict=True):
            slope_of_one(panel, [point[axis] for point in along(points, axis)])
        row[0].set_ylabel(label)
        row[-1].legend(loc="center left", bbox_to_anchor=(1.02, 0.5), fontsize=8, frameon=False)
    for panel, axis in zip(grid[-1], axes, strict=True):
        panel.set_xlabel(axis)
        panel.xaxis.set_minor_formatter("")
        if axis in ("history", "modalities"):
            sizes = [int(point[axis]) for point in along(points, axis)]
            panel.set_xticks(sizes, [str(size) for size in sizes])
            panel.minorticks_off()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.canvas.draw()
    pixels = Image.fromarray(np.asarray(figure.canvas.buffer_rgba())).convert("RGB")  # type: ignore[attr-defined]
    pixels.quantize(64, dither=Image.Dither.NONE).save(path, optimize=True)


def slope_of_one(panel: "object", sizes: Sequence[float]) -> None:
    """Dotted lines y = c * x, a decade apart, behind the others; the limits stay."""
    low, high = panel.get_ylim()  # type: ignore[attr-defined]
    ends = np.array([sizes[0], sizes[-1]], float)
    for power in range(
        math.floor(math.log10(low / ends[-1])), math.ceil(math.log10(high / ends[0]))
    ):
        panel.loglog(ends, ends * 10.0**power, ":", color="0.75", lw=0.8, zorder=0)  # type: ignore[attr-defined]
    panel.set_ylim(low, high)  # type: ignore[attr-defined]
