"""Numbers as people read them: few digits, a real minus sign, thousands apart."""

import math


def number(value: float | None, digits: int = 4) -> str:
    """Format a number with about ``digits`` significant digits.

    Examples
    --------
    >>> number(0.314812), number(32561), number(-0.00001234), number(None)
    ('0.3148', '32,561', '−1.234e-05', 'n/a')
    """
    if value is None or not math.isfinite(value):
        return "n/a"
    size = abs(value)
    if size >= 10 ** (digits - 1) or (size >= 1 and float(value).is_integer()):
        text = f"{size:,.0f}" if size < 1e12 else f"{size:.{digits - 1}e}"
    else:
        text = f"{size:.{digits}g}"
    return minus(value) + text


def percent(value: float | None) -> str:
    """Format a share as a percentage with up to three significant digits.

    Examples
    --------
    >>> percent(0.0753), percent(0.5), percent(12.0), percent(1e-9)
    ('7.53%', '50%', '1,200%', 'less than 0.001%')
    """
    if value is None or not math.isfinite(value):
        return "n/a"
    size = abs(100.0 * value)
    if 0 < size < 0.001:
        return "less than 0.001%"
    return minus(value) + (f"{size:,.0f}" if size >= 100 else f"{size:.3g}") + "%"


def signed(value: float, text: str) -> str:
    """Put a plus sign before ``text`` where ``value`` is above zero; ``text`` has its own minus."""
    return f"+{text}" if value > 0 else text


def minus(value: float) -> str:
    """Return a minus sign for negative values, else nothing."""
    return "−" if value < 0 else ""


def duration(seconds: float | None) -> str:
    """Format a wall-clock time.

    Examples
    --------
    >>> duration(0.0421), duration(8.25), duration(192)
    ('42 ms', '8.25 s', '3 min 12 s')
    """
    if seconds is None or not math.isfinite(seconds):
        return "n/a"
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"


def share(value: float, places: int = 1) -> str:
    """Format a share as a percentage with a fixed number of decimals, for columns of them."""
    return fixed(100.0 * value, places) + "%"


def plural(count: float, noun: str) -> str:
    """Count a noun: ``1 point``, ``2 points``."""
    return f"{number(count)} {noun}" + ("" if count == 1 else "s")


def decimals(spread: float) -> int:
    """Return the decimals that show two significant digits of a column's standard deviation."""
    if not math.isfinite(spread) or spread <= 0:
        return 2
    return min(max(1 - math.floor(math.log10(spread) + 1e-9), 0), 6)


def fixed(value: float, places: int) -> str:
    """Format with a fixed number of decimals; a dash for NaN."""
    if not math.isfinite(value):
        return "–"
    text = f"{abs(value):,.{places}f}"
    return (minus(value) if text.strip("0.,") else "") + text
