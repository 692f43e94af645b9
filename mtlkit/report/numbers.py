"""Numbers, durations and table cells as text."""

import math

from mtlkit.report.blocks import Cell, Estimate

DASH, MINUS = "\N{EN DASH}", "\N{MINUS SIGN}"


def number(value: Cell, *, difference: bool = False) -> str:
    """Return a cell as text: whole numbers in full, others to four digits, with intervals.

    >>> number(1234567), number(0.51239), number(12.5), number("left")
    ('1,234,567', '0.5124', '12.50', 'left')
    >>> number(float("nan")) == number(None) == DASH
    True
    >>> number(Estimate(0.5, 0.4, 0.6, 5)), number(Estimate(2.0, 1.0, 3.0), difference=True)
    ('0.5000 [0.4000, 0.6000]', '+2.0 [+1.0, +3.0]')
    """
    if isinstance(value, Estimate):
        bounds = [] if value.low is None or value.high is None else [value.low, value.high]
        mean, *rest = [number(x, difference=difference) for x in (value.mean, *bounds)]
        return f"{mean} [{', '.join(rest)}]" if rest else mean
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return DASH
    if isinstance(value, str):
        return value
    if difference:
        return signed(value)
    if isinstance(value, int) or value.is_integer():
        return f"{int(value):,}"
    size = abs(value)
    if size < 1e-3:
        return f"{value:.3g}"
    return f"{value:,.{4 if size < 1 else 3 if size < 10 else 2 if size < 100 else 1}f}"


def signed(value: float) -> str:
    """Return a difference with its sign and one decimal.

    >>> signed(3.21), signed(-0.5) == f"{MINUS}0.5", signed(0.004)
    ('+3.2', True, '0.0')
    """
    size = f"{abs(value):.1f}"
    return size if float(size) == 0 else ("+" if value > 0 else MINUS) + size


def duration(seconds: float) -> str:
    """Return a time as people write it.

    >>> duration(42.4), duration(301), duration(9000)
    ('42 s', '5 min 1 s', '2 h 30 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
