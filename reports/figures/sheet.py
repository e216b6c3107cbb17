"""A frontier figure while it is drawn: its axes, its content, and how lengths are measured."""

from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Affine2D, Transform

from fusefront.reports.evidence import Evidence
from fusefront.reports.figures import canvas, style
from fusefront.reports.plane import Plane
from fusefront.reports.words.figure import FIGURE
from fusefront.reports.words.phrase import Language


class Sheet(NamedTuple):
    """Everything a drawing step needs."""

    fig: Figure
    ax: Axes
    plane: Plane
    evidence: Evidence
    language: Language
    narrow: bool

    @property
    def label(self) -> float:
        """Size of names."""
        return style.LABEL_NARROW if self.narrow else style.LABEL

    @property
    def note(self) -> float:
        """Size of everything else."""
        return style.NOTE_NARROW if self.narrow else style.NOTE

    def say(self, key: str, **values: str) -> str:
        """Words of a figure, only characters that can be drawn."""
        return canvas.drawable(FIGURE[key].pattern(self.language).format(**values))

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Data to pixels."""
        px, py = self.ax.transData.transform((x, y))
        return float(px), float(py)

    def extent(self, text: Text) -> tuple[float, float, float, float]:
        """Box of a text in pixels."""
        x0, y0, x1, y1 = text.get_window_extent(canvas.renderer(self.fig)).extents
        return float(x0), float(y0), float(x1), float(y1)


def pixels(fig: Figure) -> Transform:
    """Coordinates in CSS pixels from the lower left, at any resolution."""
    return Affine2D().scale(1 / 72) + fig.dpi_scale_trans
