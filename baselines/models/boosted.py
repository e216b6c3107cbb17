"""Control: gradient-boosted trees on what `counts` reads, without products (Friedman 2001, Annals
of Statistics).

logit = b + sum of 200 trees of at most 31 leaves, grown by scikit-learn's
HistGradientBoostingClassifier at rate .1 and kept here as arrays: node -> (column, threshold, left,
right, value).
"""

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from fusefront.baselines.contract import Batches, ItemTable, Parts, Schema
from fusefront.baselines.models.row_columns import ColumnControl

PACKAGE = "scikit-learn"


@dataclass(frozen=True)
class BoostedSettings:
    """The number and size of the trees, their learning rate, and the most rows to learn from."""

    trees: int = 200
    leaves: int = 31
    depth: int = 8
    rate: float = 0.1
    rows: int = 2_000_000


class Boosted(ColumnControl):
    """Gradient-boosted trees on the row's columns, a strong method for tables."""

    name: ClassVar[str] = "boosted"
    paper: ClassVar[str] = "Friedman 2001, Annals of Statistics"
    Settings: ClassVar[type[BoostedSettings]] = BoostedSettings

    def __init__(
        self, schema: Schema, items: ItemTable, settings: BoostedSettings, parts: Parts
    ) -> None:
        super().__init__(schema, items, settings, parts)
        shape = (settings.trees, 2 * settings.leaves - 1)
        for name in ("column", "left", "right"):
            self.register_buffer(name, torch.zeros(shape, dtype=torch.int64))
        self.register_buffer("threshold", torch.zeros(shape, dtype=torch.float64))
        self.register_buffer("value", torch.zeros(shape))
        self.intercept = nn.Parameter(torch.zeros(()))

    @classmethod
    def lacks(cls) -> str:
        """The package that learning needs, if it is not installed; "" if it is."""
        return "" if find_spec("sklearn") else PACKAGE

    def logits_of(self, columns: Tensor) -> Tensor:
        """Raw columns [N, C] to logits [N]."""
        return self._grown(columns) + self.intercept

    def _grown(self, x: Tensor) -> Tensor:
        """The trees' sum for columns [N, C]: every tree at once, a level a step; leaves stay."""
        tables = {name: self.get_buffer(name) for name in ("column", "threshold", "left", "right")}
        first = torch.arange(len(tables["column"]), device=x.device) * tables["column"].shape[1]
        flat = {name: table.flatten() for name, table in tables.items()}
        node = first.expand(x.shape[0], -1)  # [N, trees], flat places
        for _ in range(self.settings.depth):
            below = x.gather(1, flat["column"][node]) <= flat["threshold"][node]
            node = first + torch.where(below, flat["left"][node], flat["right"][node])
        return self.get_buffer("value").flatten()[node].sum(1)

    def solve(self, train: Batches, valid: Batches) -> None:
        """Grow the trees on train; with many rows, on an even share of its batches."""
        from sklearn.ensemble import HistGradientBoostingClassifier

        settings: BoostedSettings = self.settings
        total = sum(len(batch.rows) for batch in train())
        every = -(-total // settings.rows)
        blocks = [block for at, block in enumerate(self.side.blocks(train)) if at % every == 0]
        x = torch.cat([columns for columns, _ in blocks]).numpy()
        y = torch.cat([labels for _, labels in blocks]).numpy()
        grower = HistGradientBoostingClassifier(
            learning_rate=settings.rate,
            max_iter=settings.trees,
            max_leaf_nodes=settings.leaves,
            max_depth=settings.depth,
            early_stopping=False,
        ).fit(x, y.astype(np.int64))
        with torch.no_grad():
            self.intercept.fill_(float(np.ravel(grower._baseline_prediction)[0]))
            for at, (tree,) in enumerate(grower._predictors):
                self._keep(at, tree.nodes)

    def _keep(self, at: int, nodes: Any) -> None:
        """Store a tree's nodes in its row; a leaf points to itself, so that a row that has come to
        one stays."""
        count, leaf = len(nodes), nodes["is_leaf"].astype(bool)
        own = np.arange(count)
        arrays = {
            "column": nodes["feature_idx"],
            "threshold": nodes["num_threshold"],
            "left": np.where(leaf, own, nodes["left"]),
            "right": np.where(leaf, own, nodes["right"]),
            "value": nodes["value"],
        }
        for name, values in arrays.items():
            buffer = self.get_buffer(name)
            buffer[at, :count] = torch.from_numpy(values.astype(np.float64)).to(buffer.dtype)
