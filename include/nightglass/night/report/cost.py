"""What a night cost, in words."""

from nightglass.night.cost import NightCost
from nightglass.night.report.figures import count, figure, mark


def build_cost(cost: NightCost | None) -> list[tuple[str, str]]:
    """Return what a night cost as ``(name, text)`` pairs; none where nobody measured it."""
    if cost is None or not cost.images:
        return []
    each = figure(cost.compute_seconds_per_1000_images)
    images = f"{count(cost.images)} {'image' if cost.images == 1 else 'images'}"
    pairs = [("Compute time", f"{tell_seconds(cost.compute_seconds)} for {images}, {each} s per 1,000")]
    if cost.cost is not None:
        whole, thousand = tell_money(cost.cost, cost.currency), tell_money(cost.cost_per_1000_images, cost.currency)
        price = f"{mark(cost.price_per_hour)} {cost.currency}"
        pairs.append(("Cost", f"{whole}, {thousand} per 1,000 images at {price} an hour"))
    return pairs


def tell_seconds(seconds: float) -> str:
    """Return a duration as people say it: ``42 s``, ``7 min 5 s``, ``3 h 20 min``, ``2 d 4 h``."""
    if seconds < 10:
        return f"{figure(seconds)} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    minutes = round(seconds / 60)
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    hours = round(seconds / 3600)
    return f"{hours // 24} d {hours % 24} h"


def tell_money(amount: float | None, currency: str) -> str:
    """Return an amount with its currency: ``0.0123 EUR``, ``12.30 EUR``."""
    if amount is not None and amount >= 1:
        return f"{amount:,.2f} {currency}"
    return f"{figure(amount)} {currency}"
