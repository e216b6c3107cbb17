"""What a person's own quality metric keeps, so that it stands beside AUC in every table."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

Probabilities = NDArray[np.float64]


class QualityMetric:
    """How good probabilities are, as one number.

    Subclasses give `name`, `higher_is_better` and `value`. `influence` is optional: with it the
    interval costs one pass; without it whole clusters of rows are drawn again, some hundred times.
    """

    name: ClassVar[str]
    higher_is_better: ClassVar[bool]
    title: ClassVar[str] = ""  # heads the columns; "" = the name

    def value(
        self, probability: Probabilities, label: NDArray[np.uint8], group: NDArray[np.int32]
    ) -> float:
        """The metric of N rows; nan where they have none (one class only, say).

        `probability` [N] float64 in 0 .. 1, `label` [N] 0 or 1, `group` [N] codes of the users,
        0 .. G - 1, each there. The order of the rows and which code a user has mean nothing.
        """
        raise NotImplementedError

    def influence(
        self, probability: Probabilities, label: NDArray[np.uint8], group: NDArray[np.int32]
    ) -> Probabilities | None:
        """How much each row moves the metric, [N]: d value / d (weight of the row); they sum to 0.

        For a mean of x it is (x - mean) / N. None = not known, or the metric is not smooth.
        """
        return None
