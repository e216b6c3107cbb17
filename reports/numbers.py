"""Numbers as people read them: true minus, no-break spaces, places that fit the interval."""

import math

from fusefront.reports.evidence import Interval

NB = "\u00a0"
MINUS = "\u2212"
AUC_PLACES = 4


def fixed(value: float, places: int) -> str:
    """Plain number with thousands separators and a true minus; never a negative zero.

    >>> fixed(-0.00004, 4), fixed(1234.5, 1), fixed(-2, 0)
    ('0.0000', '1,234.5', '−2')
    """
    if not math.isfinite(value):
        return "n/a"
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


def bracket(interval: Interval, places: int = AUC_PLACES) -> str:
    r"""The ends in square brackets; "" where no interval was measured.

    >>> bracket(Interval(0.0061, 0.0042, 0.008)), bracket(Interval(1.0))
    ('[0.0042,\xa00.0080]', '')
    """
    if interval.low is None or interval.high is None:
        return ""
    return f"[{fixed(interval.low, places)},{NB}{fixed(interval.high, places)}]"


def auc_places(interval: Interval) -> int:
    """Four places, and more where an end beside zero would be shown as zero; at most seven.

    >>> auc_places(Interval(0.0044, 0.00003, 0.0088)), auc_places(Interval(0.1, 0.0, 0.2))
    (5, 4)
    """
    ends = [end for end in (interval.low, interval.high) if end]
    for places in range(AUC_PLACES, 7):
        if all(round(end, places) != 0 for end in ends):
            return places
    return 7


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
    return (
        significant(math.ceil(value), 2) if value < 1e6 else f"{significant(value / 1e6, 2)}{NB}M"
    )


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
    ('390', '1.3', '0.008')
    """
    size /= 1e6
    return fixed(size, 0 if size >= 10 else 1) if size >= 0.1 else significant(size, 1)


def ms_setting(value: float) -> str:
    r"""A limit as it was set, with its unit.

    >>> ms_setting(10.0), ms_setting(2.5)
    ('10\xa0ms', '2.5\xa0ms')
    """
    return f"{plain(value)}{NB}ms"
