"""The results database: nights, top anomalies, decisions and promotions; the only place that runs SQL."""

from nightglass.store.promotions import ChampionChange
from nightglass.store.rows import Event, NightRow, PromotionEvent, format_time, result_sha256
from nightglass.store.store import Store

__all__ = ["ChampionChange", "Event", "NightRow", "PromotionEvent", "Store", "format_time", "result_sha256"]
