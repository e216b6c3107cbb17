"""The contract of a plug-in quality metric, which is then shown beside the AUC in every table."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

Probabilities = NDArray[np.float64]


class QualityMetric:
    """One number for the quality of predicted probabilities.

    Subclasses define `name`, `higher_is_better` and `value`. `influence` is optional: with it, the
    interval costs one pass over the rows; without it, whole clusters of rows are redrawn some
    hundred times.
    """

    name: ClassVar[str]
    higher_is_better: ClassVar[bool]
    title: ClassVar[str] = ""  # heading of the columns; "" = the name

    def value(
        self, probability: Probabilities, label: NDArray[np.uint8], group: NDArray[np.int32]
    ) -> float:
        """The metric of N rows; nan if it is not defined for them (say, only one class).

        `probability` [N] float64 from 0 to 1, `label` [N] 0 or 1, `group` [N] user codes 0 .. G -
        1, all of which occur. The result must not depend on the order of the rows nor on which user
        has which code.
        """
        raise NotImplementedError

    def influence(
        self, probability: Probabilities, label: NDArray[np.uint8], group: NDArray[np.int32]
    ) -> Probabilities | None:
        """The derivative of the metric with respect to the weight of each row, [N]; the influences
        sum to 0.

        For the mean of x the influence is (x - mean) / N. Return None if it is not known, or if the
        metric is not smooth.
        """
        return None
