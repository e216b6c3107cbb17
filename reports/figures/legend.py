"""One line above the plot: marker shape and hue of each family that is shown."""

from typing import Any

from matplotlib.lines import Line2D

from fusefront.reports.figures import style
from fusefront.reports.figures.sheet import Sheet, pixels
from fusefront.reports.figures.style import ink
from fusefront.reports.words.terms import FAMILY


def legend(sheet: Sheet) -> None:
    """Families in a fixed order, wrapped where the figure ends."""
    shown = {style.family_of(s.point.family) for s in (*sheet.plane.spots, *sheet.plane.below)}
    width, height = sheet.fig.get_size_inches() * 72
    x, y, at = 6.0, height - 9.0, pixels(sheet.fig)
    for family in style.FAMILIES:
        if family not in shown:
            continue
        words = FAMILY[family].pattern(sheet.language)
        look: dict[str, Any] = {"size": sheet.note, "color": ink("ink"), "va": "center_baseline"}
        text = sheet.fig.text(0, 0, words, transform=at, **look)
        x0, _, x1, _ = sheet.extent(text)
        if x + x1 - x0 + 20 > width and x > 6:
            x, y = 6.0, y - sheet.note * 1.55
        shape = style.marker(family)
        mark: dict[str, Any] = {
            "ms": style.SIZE[shape] * 0.9,
            "mec": ink("paper"),
            "mew": 0.5,
            "ls": "",
        }
        line = Line2D([x + 4], [y], marker=shape, mfc=style.hue(family), transform=at, **mark)
        sheet.fig.add_artist(line)
        text.set_position((x + 14, y))
        x += x1 - x0 + (26 if sheet.narrow else 34)
