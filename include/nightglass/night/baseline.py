"""What is usual: the anomaly rate and drift that the champion's own quiet nights show."""

from collections.abc import Sequence
from statistics import median

from nightglass.collection_limits import DecisionOptions
from nightglass.records import Baseline, NightSummary

#: Tonight and so many quiet nights before it make up the week that is compared with the first nights.
_RECENT_NIGHTS = 6


def build_baseline(quiet: Sequence[NightSummary], first: Sequence[NightSummary], options: DecisionOptions) -> Baseline:
    """Sum up the champion's quiet nights before tonight.

    Rates are pooled from the counts of the nights, so that a large night weighs as much as its images; drift is
    the median night's, so that one odd night moves nothing, and no more than that of the frozen first nights:
    slow drift would else raise its own limit. Until there are ``min_baseline_nights`` the rate is the one that
    people expect, or none while it is being learned; the counts so far are kept. The first nights are frozen when
    there are ``baseline_nights`` of them: fewer hold too few anomalies to measure a year against.

    Args:
        quiet: The champion's quiet nights before tonight, newest first.
        first: The same from the other end, oldest first; the frozen counts come from its start.
        options: How many nights count.
    """
    nights = quiet[: options.baseline_nights]
    is_known = len(nights) >= options.min_baseline_nights and any(night.scored for night in nights)
    is_expected = not is_known and options.expected_anomaly_rate is not None
    # An expected rate has no counts behind it: it is a number that people stand for.
    counted = [] if is_expected else nights
    scored = sum(night.scored for night in counted)
    anomalous = sum(night.anomalous for night in counted)
    frozen = first[: options.baseline_nights]
    if len(frozen) < options.baseline_nights:
        frozen = []
    # A night cannot count on both sides of a test.
    recent = [night for night in nights[:_RECENT_NIGHTS] if frozen and night.night > frozen[-1].night]
    usual_psi, frozen_psi = _median_psi(nights), _median_psi(frozen)
    separabilities = [
        value for value in (_median_separability(nights), _median_separability(frozen)) if value is not None
    ]
    return Baseline(
        source="nights" if is_known else "expected" if is_expected else "learning",
        nights=len(nights),
        scored=scored,
        anomalous=anomalous,
        anomaly_rate=anomalous / scored if is_known else options.expected_anomaly_rate,
        statistic_psi={name: min(psi, frozen_psi.get(name, psi)) for name, psi in usual_psi.items()},
        separability=min(separabilities, default=None),
        frozen_scored=sum(night.scored for night in frozen),
        frozen_anomalous=sum(night.anomalous for night in frozen),
        recent_nights=len(recent),
        recent_scored=sum(night.scored for night in recent),
        recent_anomalous=sum(night.anomalous for night in recent),
        last_scored=nights[0].scored if nights else 0,
        last_anomalous=nights[0].anomalous if nights else 0,
        last_statistic_psi=nights[0].statistic_psi if nights else {},
    )


def _median_psi(nights: Sequence[NightSummary]) -> dict[str, float]:
    names = dict.fromkeys(name for night in nights for name in night.statistic_psi)
    return {
        name: median(night.statistic_psi[name] for night in nights if name in night.statistic_psi) for name in names
    }


def _median_separability(nights: Sequence[NightSummary]) -> float | None:
    found = [night.separability for night in nights if night.separability is not None]
    return median(found) if found else None
