"""The report's section on what analysts said of the top anomalies: how often they were right to look at."""

from collections.abc import Sequence
from dataclasses import dataclass

from nightglass.night.judged import JudgedNight, measure_precision
from nightglass.night.report.figures import count, percent


@dataclass(frozen=True)
class VerdictSection:
    """A sentence on all nights, and the nights of which somebody said something, the last first."""

    sentence: str
    nights: Sequence[JudgedNight]


def build_verdicts(nights: Sequence[JudgedNight]) -> VerdictSection | None:
    """Arrange the section; ``None`` while nobody said anything of a top anomaly."""
    told = [night for night in nights if night.open < night.shown]
    if not told:
        return None
    return VerdictSection(_tell_precision(nights), told)


def _tell_precision(nights: Sequence[JudgedNight]) -> str:
    shown, judged = sum(night.shown for night in nights), sum(night.judged for night in nights)
    over = f"of the last {len(nights)} nights" if len(nights) > 1 else "of tonight"
    precision = measure_precision(nights)
    if precision is None:
        return f"Analysts called none of the top anomalies {over} a defect or normal by itself."
    defects = sum(night.defect for night in nights)
    return (
        f"Of the {count(shown)} top anomalies {over}, analysts judged {count(judged)}: {count(defects)} "
        f"{'is a defect' if defects == 1 else 'are defects'}, a precision of {percent(precision.value)} "
        f"(95 % interval {percent(precision.low)} to {percent(precision.high)})."
    )
