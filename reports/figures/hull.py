"""The soft outline around a group of points, in pixels."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def lasso(points: Floats, radius: float) -> Floats:
    """Convex hull of circles around points [n, 2]: soft corners without a spline. [m, 2]"""
    turn = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    ring = radius * np.stack([np.cos(turn), np.sin(turn)], 1)
    return convex((points[:, None, :] + ring).reshape(-1, 2))


def convex(points: Floats) -> Floats:
    """Corners [c, 2] of the convex hull of points [n, 2], counter-clockwise (Andrew's monotone
    chain, 1979)."""
    ordered = points[np.lexsort((points[:, 1], points[:, 0]))]
    return np.array(_chain(ordered) + _chain(ordered[::-1]))


def _chain(points: Floats) -> list[Floats]:
    chain: list[Floats] = []
    for point in points:
        while len(chain) > 1 and _turn(chain[-2], chain[-1], point) <= 0:
            chain.pop()
        chain.append(point)
    return chain[:-1]


def _turn(a: Floats, b: Floats, c: Floats) -> float:
    return float((b[0] - a[0]) * (c[1] - b[1]) - (b[1] - a[1]) * (c[0] - b[0]))


def lower_middle(hull: Floats) -> tuple[float, float]:
    """The middle of the lower edge of a hull [c, 2]: where its label is anchored."""
    left, right = int(np.argmin(hull[:, 0])), int(np.argmax(hull[:, 0]))
    edge = np.roll(hull, -left, 0)[: (right - left) % len(hull) + 1]
    edge = edge[np.argsort(edge[:, 0])]
    x = float((hull[:, 0].min() + hull[:, 0].max()) / 2)
    return x, float(np.interp(x, edge[:, 0], edge[:, 1]))
