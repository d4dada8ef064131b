"""Numbers as people read them: three significant digits, percentages with one decimal."""

import math

NOTHING = "\u2013"  # an en dash
_NARROW_SPACE = "\u202f"  # does not break, so that a number keeps its sign
_TIMES, _MINUS = "\u00d7", "\u2212"
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def count(value: int) -> str:
    """Return a whole number with thousands separators: ``12,480``."""
    return f"{value:,}"


def figure(value: float | None) -> str:
    """Return three significant digits: ``0.0312``, ``12.5``, ``48,213``, or a power of ten beyond."""
    if value is None or not math.isfinite(value):
        return NOTHING
    if value == 0:
        return "0"
    exponent = math.floor(math.log10(abs(value)))
    if exponent < -4 or exponent > 8:
        mantissa, power = f"{value:.2e}".split("e")
        return f"{mantissa} {_TIMES} 10{str(int(power)).translate(_SUPERSCRIPT)}".replace("-", _MINUS)
    return f"{value:,.{max(0, 2 - exponent)}f}".replace("-", _MINUS)


def mark(value: float | None) -> str:
    """Return a number that people set, such as a limit or an axis mark, without needless zeros: ``0.2``, ``50``."""
    text = figure(value)
    return text.rstrip("0").rstrip(".") if "." in text and _TIMES not in text else text


def percent(share: float | None) -> str:
    """Return a share of 1 with one decimal: ``2.4 %``; a tiny one is ``<0.1 %``, never a false zero."""
    if share is None or not math.isfinite(share):
        return NOTHING
    if 0 < share < 0.0005:
        return f"<0.1{_NARROW_SPACE}%"
    return f"{share * 100:.1f}{_NARROW_SPACE}%"


def p_value(value: float | None) -> str:
    """Return a p-value with its sign of comparison: ``p = 0.034``, ``p < 0.001``."""
    if value is None or not math.isfinite(value):
        return NOTHING
    if value < 0.001:
        return "p < 0.001"
    if value > 0.999:
        return "p > 0.999"
    return f"p = {value:.3f}" if value < 0.1 else f"p = {value:.2f}"


def times(ratio: float | None) -> str:
    """Return a ratio: ``2.1`` and a multiplication sign."""
    if ratio is None or not math.isfinite(ratio):
        return NOTHING
    return f"{ratio:.1f}{_TIMES}" if ratio < 100 else f"{ratio:,.0f}{_TIMES}"
