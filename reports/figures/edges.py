"""Texts at the edges of the frontier figure: the limit, the best possible AUC, and points below the
axis."""

from typing import Any, Literal, NamedTuple

from matplotlib.text import Text

from fusefront.reports import numbers
from fusefront.reports.figures import style
from fusefront.reports.figures.canvas import drawn_name
from fusefront.reports.figures.sheet import Sheet, pixels
from fusefront.reports.figures.style import ink
from fusefront.reports.plane import Spot

Box = tuple[float, float, float, float]
MOST_ARROW_NAMES = 8
MOST_TRIES = 20_000  # of the search for places of arrow names
# Beside the arrow, else above it, best first: side of the arrow on which the name ends, pixels.
ARROW_NAME_PLACES: tuple[tuple[Literal["left", "right"], float, float], ...] = (
    ("left", 8.0, 12.0),
    ("right", -8.0, 12.0),
    ("right", 4.0, 29.0),
    ("left", -4.0, 29.0),
    ("right", 4.0, 46.0),
    ("left", -4.0, 46.0),
)


class NamePlace(NamedTuple):
    """A possible place of an arrow's name; `leader` is the line from the arrow to it."""

    cost: int
    at: tuple[float, float]
    ha: Literal["left", "right"]
    box: Box
    leader: Box


def edge_blocks(sheet: Sheet) -> list[Box]:
    """Draw the edge texts and give their boxes: no label may touch them."""
    blocks = limit_words(sheet) + bayes_words(sheet)
    below = sorted(sheet.plane.below, key=lambda s: s.x.value)
    blocks += [arrow(sheet, spot) for spot in below]
    return blocks if sheet.narrow else blocks + arrow_names(sheet, below, blocks)


def limit_words(sheet: Sheet) -> list[Box]:
    """The text `limit 10 ms` beside its line, or at the edge beyond which it lies."""
    plane = sheet.plane
    (left, right), top = plane.x_limits, plane.y_limits[1]
    slo = numbers.ms_setting(plane.slo)
    bold: dict[str, Any] = {"size": sheet.note, "weight": 600, "color": ink("ink"), "va": "top"}
    if plane.slo > right:
        x, y = sheet.at(right, top)
        return [
            _write(sheet, x - 7, y - 4, sheet.say("limit_right", slo=slo), bold | {"ha": "right"})
        ]
    if plane.slo < left:
        x, y = sheet.at(left, top)
        return [
            _write(sheet, x + 7, y - 4, sheet.say("limit_left", slo=slo), bold | {"ha": "left"})
        ]
    x, y = sheet.at(plane.slo, top)
    words, under = sheet.say("limit", slo=slo), sheet.say("over")
    soft: dict[str, Any] = {"size": sheet.note, "color": ink("soft"), "va": "top"}
    room = sheet.at(right, top)[0] - x
    for ha, dx in (("left", 7.0), ("right", -7.0)):
        drawn = [
            _text(sheet, x + dx, y - 4, words, bold | {"ha": ha}),
            _text(sheet, x + dx, y - 4 - sheet.note * 1.4, under, soft | {"ha": ha}),
        ]
        boxes = [sheet.extent(t) for t in drawn]
        if ha == "right" or max(b[2] - b[0] for b in boxes) + 10 < room:
            break
        for text in drawn:
            text.remove()
    else:
        return []
    if ha == "right":  # beside the line on the left nothing is over the limit
        drawn[1].remove()
        boxes = boxes[:1]
    return boxes


def bayes_words(sheet: Sheet) -> list[Box]:
    """The best possible AUC, on its line or with an arrow when above the axis."""
    plane = sheet.plane
    low, high = plane.y_limits
    if plane.bayes is None or plane.bayes < low:
        return []
    auc = numbers.fixed(plane.bayes + (plane.base or 0.0), 4)
    look: dict[str, Any] = {"size": sheet.note, "color": ink("ink"), "ha": "left"}
    x, y = sheet.at(plane.x_limits[0], min(plane.bayes, high))
    if plane.bayes >= high:
        return [
            _write(sheet, x + 4, y - 4, sheet.say("bayes_above", auc=auc), look | {"va": "top"})
        ]
    return [_write(sheet, x + 4, y + 3, sheet.say("bayes", auc=auc), look | {"va": "bottom"})]


def arrow(sheet: Sheet, spot: Spot) -> Box:
    """A point below the axis: its marker above a downward arrow, at its latency."""
    x, y = sheet.at(spot.x.value, sheet.plane.y_limits[0])
    colour = style.hue(spot.point.family) if spot.point.feasible else ink("off")
    at: dict[str, Any] = {"transform": pixels(sheet.fig), "clip_on": False}
    shape = style.marker(spot.point.family)
    sheet.ax.plot([x, x], [y + 4, y + 10], color=colour, lw=0.9, **at)
    sheet.ax.plot([x], [y + 3.2], "v", ms=4.2, mfc=colour, mec="none", **at)
    look: dict[str, Any] = {"ms": style.SIZE[shape] * 0.78, "mec": ink("paper"), "mew": 0.6}
    sheet.ax.plot([x], [y + 14.5], shape, mfc=colour, **look, **at)
    return x - 6, y, x + 6, y + 20


def arrow_names(sheet: Sheet, below: list[Spot], blocks: list[Box]) -> list[Box]:
    """Names and numbers of the arrows, as many as fit; a name apart from its arrow has a leader."""
    spots = below[:MOST_ARROW_NAMES]
    texts = [_arrow_text(sheet, spot) for spot in spots]
    places = [_places(sheet, *pair, blocks) for pair in zip(spots, texts, strict=True)]
    boxes = []
    for text, place in zip(texts, together(places), strict=True):
        if place is None:
            text.remove()
            continue
        text.set(position=place.at, ha=place.ha)
        boxes.append(place.box)
        x, low, _, high = place.leader
        if high - low > 4:
            look: dict[str, Any] = {"color": ink("off"), "lw": 0.7, "transform": pixels(sheet.fig)}
            sheet.ax.plot([x + 1, x + 1], [low, high], **look)
            boxes.append(place.leader)
    return boxes


def together(places: list[list[NamePlace]]) -> list[NamePlace | None]:
    """One place each, or none, so that they do not overlap: most names first, then least cost; an
    exhaustive, bounded search."""
    best: list[NamePlace | None] = [None] * len(places)
    least, tries = 100 * len(places), 0

    def search(chosen: list[NamePlace | None], cost: int) -> None:
        nonlocal best, least, tries
        tries += 1
        if cost >= least or tries > MOST_TRIES:
            return
        if len(chosen) == len(places):
            best, least = chosen, cost
            return
        for place in places[len(chosen)]:
            if not any(_clash(place, other) for other in chosen if other is not None):
                search([*chosen, place], cost + place.cost)
        search([*chosen, None], cost + 100)

    search([], 0)
    return best


def _arrow_text(sheet: Sheet, spot: Spot) -> Text:
    value = spot.y.value
    number = numbers.signed(value) if sheet.plane.relative else numbers.fixed(value, 4)
    words = f"{drawn_name(spot.point, 20)} {number}"
    look: dict[str, Any] = {"size": sheet.note, "color": ink("soft"), "va": "center", "ha": "left"}
    return _text(sheet, 0, 0, words, look)


def _places(sheet: Sheet, spot: Spot, text: Text, blocks: list[Box]) -> list[NamePlace]:
    """Places inside the axes that touch nothing drawn before."""
    x, y = sheet.at(spot.x.value, sheet.plane.y_limits[0])
    own = _arrow_box(sheet, spot)
    occupied = [box for box in (*blocks, *_drawn(sheet)) if box != own]
    bounds = sheet.ax.get_window_extent().extents
    left, low, right, high = sheet.extent(text)
    places = []
    for cost, (ha, dx, dy) in enumerate(ARROW_NAME_PLACES):
        shift = x + dx - (right - left if ha == "right" else 0.0)
        box = (left + shift, low + y + dy, right + shift, high + y + dy)
        leader = (x - 1, y + 20, x + 1, max(y + 20, box[1]))
        free = not any(_touch(box, other) or _touch(leader, other) for other in occupied)
        if free and bounds[0] <= box[0] and box[2] <= bounds[2]:
            places.append(NamePlace(cost, (x + dx, y + dy), ha, box, leader))
    return places


def _clash(place: NamePlace, other: NamePlace) -> bool:
    pairs = ((place.box, other.box), (place.box, other.leader), (place.leader, other.box))
    return any(_touch(*pair) for pair in pairs)


def _drawn(sheet: Sheet) -> list[Box]:
    """Markers, arrows and the rises of the frontier: what no edge text may cover."""
    plane = sheet.plane
    boxes = [_arrow_box(sheet, other) for other in plane.below]
    for spot in plane.spots:
        x, y = sheet.at(spot.x.value, spot.y.value)
        boxes.append((x - 7, y - 7, x + 7, y + 7))
    heights = [plane.y_limits[0], *(y for _, y in plane.front)]
    for (x, top), bottom in zip(plane.front, heights, strict=False):
        (a, low), (_, high) = sheet.at(x, bottom), sheet.at(x, top)
        boxes.append((a - 1, low, a + 1, high))
    return boxes


def _arrow_box(sheet: Sheet, spot: Spot) -> Box:
    x, y = sheet.at(spot.x.value, sheet.plane.y_limits[0])
    return x - 6, y, x + 6, y + 20


def _touch(box: Box, other: Box) -> bool:
    wide = box[0] < other[2] + 2 and other[0] < box[2] + 2
    return wide and box[1] < other[3] and other[1] < box[3]


def _text(sheet: Sheet, x: float, y: float, words: str, look: dict[str, Any]) -> Text:
    return sheet.ax.text(x, y, words, transform=pixels(sheet.fig), zorder=7, **look)


def _write(sheet: Sheet, x: float, y: float, words: str, look: dict[str, Any]) -> Box:
    return sheet.extent(_text(sheet, x, y, words, look))
