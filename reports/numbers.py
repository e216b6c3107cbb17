"""Formats numbers for people: true minus, no-break spaces, as many places as the interval needs."""

import math

from fusefront.reports.evidence import Interval

NB = "\u00a0"
MINUS = "\u2212"
AUC_PLACES = 4
MOST_PLACES = 12


def fixed(value: float, places: int) -> str:
    """Plain number with thousands separators and a true minus; never a negative zero.

    >>> fixed(-0.00004, 4), fixed(1234.5, 1), fixed(-2, 0)
    ('0.0000', '1,234.5', '−2')
    """
    if not math.isfinite(value):
        return "n/a" if math.isnan(value) else "∞" if value > 0 else f"{MINUS}∞"
    text = f"{value:,.{places}f}"
    if float(text.replace(",", "")) == 0:
        text = text.lstrip("-")
    return text.replace("-", MINUS)


def signed(value: float, places: int = AUC_PLACES) -> str:
    """A difference: always with its sign, zero without.

    >>> signed(0.0061), signed(-0.0012), signed(0.00001)
    ('+0.0061', '−0.0012', '0.0000')
    """
    text = fixed(value, places)
    zero = text.strip("0.,") == ""
    return text if zero or text.startswith(MINUS) or text == "n/a" else f"+{text}"


def end(value: float, places: int) -> str:
    r"""An end of an interval; one that rounds to 0 shows on which side of 0 it is.

    >>> end(0.00003, 4), end(-0.00003, 4), end(0.0, 4), end(0.00003, 5), end(-math.inf, 4)
    ('>\xa00', '<\xa00', '0.0000', '0.00003', '−∞')
    """
    if value and math.isfinite(value) and _rounded(value, places) == 0:
        return f"{'>' if value > 0 else '<'}{NB}0"
    return fixed(value, places)


def bracket(interval: Interval, places: int = AUC_PLACES, margin: float | None = None) -> str:
    r"""The ends in square brackets; "" where no interval was measured.

    An end near `margin` or its negative has as many places as show on which side it lies.

    >>> bracket(Interval(0.0061, 0.0042, 0.008)), bracket(Interval(1.0))
    ('[0.0042,\xa00.0080]', '')
    >>> bracket(Interval(0.0005, 0.00001, 0.00104), 4, 0.001)
    '[0.00001,\xa00.00104]'
    """
    if interval.low is None or interval.high is None:
        return ""
    shown = gap_places(interval, margin, places)
    return f"[{end(interval.low, shown)},{NB}{end(interval.high, shown)}]"


def gap(interval: Interval, margin: float | None = None) -> str:
    r"""A difference with its interval, both with the places that the ends need.

    >>> gap(Interval(0.0044, 0.00003, 0.0088)), gap(Interval(-0.0002))
    ('+0.0044 [>\xa00,\xa00.0088]', '−0.0002')
    """
    places = gap_places(interval, margin)
    return f"{signed(interval.value, places)} {bracket(interval, places)}".strip()


def gap_places(interval: Interval, margin: float | None = None, places: int = AUC_PLACES) -> int:
    """Enough places that each end is printed on its own side of ±margin; at most twelve.

    >>> gap_places(Interval(0.0, -0.00096, 0.0002), 0.001), gap_places(Interval(0.0, -0.1, 0.2))
    (5, 4)
    """
    ends = [end for end in (interval.low, interval.high) if end is not None]
    if margin is None or not all(map(math.isfinite, ends)):
        return places
    while places < MOST_PLACES and not all(_tells(end, margin, places) for end in ends):
        places += 1
    return places


def _tells(end: float, margin: float, places: int) -> bool:
    """Whether the rounded end lies on the same side of both margins as the end."""
    rounded = _rounded(end, places)
    return all(
        (end > edge) == (rounded > edge) and (end < edge) == (rounded < edge)
        for edge in (-margin, margin)
    )


def _rounded(value: float, places: int) -> float:
    """The number as `fixed` prints it."""
    return float(f"{value:.{places}f}")


def ms_places(interval: Interval) -> int:
    """One place from 1 ms on, more below, and enough that the ends differ; at most three.

    >>> ms_places(Interval(4.2, 4.0, 4.5)), ms_places(Interval(0.168, 0.165, 0.171))
    (1, 3)
    """
    value = abs(interval.value)
    places = 1 if value >= 1 else 2 if value >= 0.1 else 3
    if interval.low is None or interval.high is None or interval.high - interval.low < 1e-9:
        return places
    while places < 3 and (
        fixed(interval.low, places) == fixed(interval.value, places)
        or fixed(interval.high, places) == fixed(interval.value, places)
    ):
        places += 1
    return places


def ms(value: float, places: int | None = None) -> str:
    r"""Milliseconds with their unit.

    >>> ms(4.23), ms(0.1684)
    ('4.2\xa0ms', '0.17\xa0ms')
    """
    return f"{fixed(value, ms_places(Interval(value)) if places is None else places)}{NB}ms"


def plain(value: float) -> str:
    """A setting as it was written: no padding zeros, no exponent.

    >>> plain(10.0), plain(0.001), plain(0.00005)
    ('10', '0.001', '0.00005')
    """
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}".replace("-", MINUS)
    return f"{value:.10f}".rstrip("0").replace("-", MINUS)


def significant(value: float, digits: int = 3) -> str:
    """Rounded to significant digits, written out.

    >>> significant(0.0012345), significant(123456.0), significant(0.0)
    ('0.00123', '123,000', '0')
    """
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else "n/a"
    places = digits - 1 - math.floor(math.log10(abs(value)))
    return fixed(round(value, places), max(places, 0))


def count(value: float) -> str:
    r"""A large count, short: 412,608 stays, 1.2 M from a million on.

    >>> count(950), count(412608), count(1234567)
    ('950', '412,608', '1.23\xa0M')
    """
    if abs(value) >= 1e9:
        return f"{significant(value / 1e9)}{NB}G"
    return f"{significant(value / 1e6)}{NB}M" if abs(value) >= 1e6 else fixed(value, 0)


def about(value: float) -> str:
    """An estimate of a count, two digits: nobody knows it better.

    >>> about(123456), about(7.0)
    ('120,000', '7')
    """
    if value < 10:
        return fixed(math.ceil(value), 0)
    return (
        significant(math.ceil(value), 2) if value < 1e6 else f"{significant(value / 1e6, 2)}{NB}M"
    )


def amount(value: float, *, sign: bool = False) -> str:
    r"""Money: two significant digits, an interval of a factor of four deserves no more.

    >>> amount(543210.0), amount(-1234567.0), amount(87.4, sign=True), amount(0.4), amount(0.0)
    ('540\xa0k', '−1.2\xa0M', '+87', '>\xa00', '0')
    """
    if not math.isfinite(value) or abs(value) < 100:
        text = end(value, 0)
    else:
        rounded = float(f"{value:.2g}")
        scale, unit = (1e6, "M") if abs(rounded) >= 1e6 else (1e3, "k")
        if abs(rounded) < 1e4:
            text = fixed(rounded, 0)
        else:
            scaled = rounded / scale
            text = f"{fixed(scaled, 1 if abs(scaled) < 10 else 0)}{NB}{unit}"
    return f"+{text}" if sign and value > 0 and text[0].isdigit() and text != "0" else text


def percent(share: float, places: int = 0) -> str:
    """A share as percent; small shares keep a place.

    >>> percent(0.06), percent(0.004), percent(1)
    ('6%', '0.4%', '100%')
    """
    if places == 0 and 0 < share < 0.01:
        places = 1
    return f"{fixed(100 * share, places)}%"


def megabytes(size: float) -> str:
    """Bytes as MB (10^6), without the unit.

    >>> megabytes(390_200_000), megabytes(1_250_000), megabytes(8_000)
    ('390', '1.2', '0.008')
    """
    size /= 1e6
    return fixed(size, 0 if size >= 10 else 1) if size >= 0.1 else significant(size, 1)


def ms_setting(value: float) -> str:
    r"""A limit as it was set, with its unit.

    >>> ms_setting(10.0), ms_setting(2.5)
    ('10\xa0ms', '2.5\xa0ms')
    """
    return f"{plain(value)}{NB}ms"
