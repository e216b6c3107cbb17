"""Builds joint models from score vectors that arrive one at a time."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fusefront.harness.statistics.joint import Floats, JointModel


@dataclass
class Accumulator:
    """Takes one score vector at a time; keeps only one column of cluster influences for each
    strategy."""

    names: tuple[str, ...]
    clusters: int
    mc: int
    theta: dict[str, list[float]]
    square: dict[str, float]  # sum over seeds of the squared length of the influences
    column: NDArray[np.float32]  # [S, m or redraws] influences summed over seeds
    effective: float | None = None  # number of equal clusters with as much information; None: mc
    df_bound: float = 0.0  # of the degrees of freedom of differences, see `JointModel.row_df`

    @classmethod
    def empty(
        cls,
        names: tuple[str, ...],
        clusters: int,
        mc: int,
        columns: int | None = None,
        effective: float | None = None,
        df_bound: float = 0.0,
    ) -> "Accumulator":
        """An empty accumulator; `columns` is the number of influence columns if it is not that of
        clusters."""
        return cls(
            names,
            clusters,
            mc,
            {name: [] for name in names},
            dict.fromkeys(names, 0.0),
            np.zeros((len(names), clusters if columns is None else columns), np.float32),
            effective,
            df_bound,
        )

    def add(self, name: str, value: float, influence: Floats) -> None:
        """Add one seed of a strategy: its metric `value` and its `influence` [columns], summed
        within clusters."""
        single = influence.astype(np.float32)
        self.theta[name].append(value)
        self.square[name] += _dot(single, single)
        self.column[self.names.index(name)] += single

    def select(self, names: tuple[str, ...]) -> "Accumulator":
        """The part for the strategies `names`, in this order."""
        if names == self.names:
            return self
        places = [self.names.index(name) for name in names]
        return replace(
            self,
            names=names,
            theta={name: self.theta[name] for name in names},
            square={name: self.square[name] for name in names},
            column=self.column[places],
        )

    def joint(self, rho: float = 0.0) -> JointModel:
        """The joint model of everything that was added; every strategy needs at least one seed."""
        n = np.array([len(self.theta[name]) for name in self.names])
        theta = np.array([np.mean(self.theta[name]) for name in self.names])
        s2 = np.array([_variance(self.theta[name]) for name in self.names])
        scale = self.clusters / max(self.clusters - 1, 1)
        gram = scale * _gram(self.column)  # of the sums over seeds
        square = scale * np.array([self.square[name] for name in self.names])
        K = gram / np.outer(n, n)
        floor = K.copy()
        several = np.maximum(n - 1, 1)
        between = np.where(n > 1, (np.diag(gram) - square) / (n * several), square)
        np.fill_diagonal(K, between)
        interaction = np.maximum(square / n - between, 0.0)  # 0 with one seed
        return JointModel(
            self.names,
            theta,
            s2,
            n,
            K,
            interaction,
            floor,
            self.clusters,
            self.mc,
            rho,
            effective=self.effective,
            df_bound=self.df_bound,
        )


def _variance(values: list[float]) -> float:
    return float(np.var(values, ddof=1)) if len(values) > 1 else float("nan")


def _dot(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    return float(np.dot(a.astype(np.float64), b.astype(np.float64)))


def _gram(columns: NDArray[np.float32], block: int = 1 << 16) -> Floats:
    """columns @ columns.T in float64, computed block by block; [S, m] -> [S, S]."""
    gram = np.zeros((len(columns), len(columns)))
    for start in range(0, columns.shape[1], block):
        part = columns[:, start : start + block].astype(np.float64)
        gram += part @ part.T
    return gram
