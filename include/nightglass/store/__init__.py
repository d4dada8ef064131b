"""The results database: nights, top anomalies, decisions and promotions; the only place that runs SQL."""

from nightglass.store.alert_log import AlertLog, Claim, NewAlert, Trouble
from nightglass.store.nights import NightImage, NightMeasures
from nightglass.store.promotions import ChampionChange, VersionNights
from nightglass.store.rows import Event, NightRow, PromotionEvent, format_time, result_sha256, results_of_file
from nightglass.store.store import Store
from nightglass.store.verdict_log import VerdictChangedError

__all__ = [
    "AlertLog",
    "ChampionChange",
    "Claim",
    "Event",
    "NewAlert",
    "NightImage",
    "NightMeasures",
    "NightRow",
    "PromotionEvent",
    "Store",
    "Trouble",
    "VerdictChangedError",
    "VersionNights",
    "format_time",
    "result_sha256",
    "results_of_file",
]
