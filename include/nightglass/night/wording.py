"""How numbers read in the sentences that people get."""


def percent(share: float) -> str:
    """Return ``share`` (0..1) as percent with one decimal, or two significant digits when tiny."""
    value = share * 100
    return f"{value:.2g} %" if 0 < value < 0.1 else f"{value:.1f} %"


def share_of(part: int, whole: int) -> str:
    """Return ``2.5 % (5 of 200)``, or ``none`` where there is nothing to have a share of."""
    return f"{percent(part / whole)} ({part} of {whole})" if whole else "none"


def p_text(p_value: float) -> str:
    """Return ``p = 2e-06``; below what a double can hold, ``p < 1e-300``."""
    return f"p = {p_value:.1g}" if p_value >= 1e-300 else "p < 1e-300"


def ratio_of(value: float, usual: float | None) -> float | None:
    """Return ``value / usual``, or None where the usual is nothing, or so small that a ratio says nothing."""
    return value / usual if usual is not None and usual > 1e-9 else None
