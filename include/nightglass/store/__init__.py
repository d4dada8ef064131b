"""The results database: nights, top anomalies, decisions and promotions; the only place that runs SQL."""

from nightglass.store.rows import NightRow, PromotionEvent, result_sha256
from nightglass.store.store import Store

__all__ = ["NightRow", "PromotionEvent", "Store", "result_sha256"]
