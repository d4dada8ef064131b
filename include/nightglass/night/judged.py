"""How top anomalies turned out: what analysts said of those that the last nights showed them."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from nightglass.engine.evaluation import rate_interval
from nightglass.images.slices import slices_of
from nightglass.records import Assessment, ShownImage
from nightglass.retraining.verdicts import VerdictsInEffect


class Interval(NamedTuple):
    """A share and its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class JudgedNight:
    """A night's top anomalies, counted by the verdict that is in effect; the rest of ``shown`` has none.

    ``in_bulk`` were judged by a word on their slice or on the whole night, for which nobody looked at each of them.
    """

    night: str
    model_version: str
    shown: int
    defect: int
    normal: int
    unsure: int
    in_bulk: int = 0

    @property
    def open(self) -> int:
        """How many nobody said anything of."""
        return self.shown - self.judged - self.unsure - self.in_bulk

    @property
    def judged(self) -> int:
        """How many have a verdict of their own that says one or the other."""
        return self.defect + self.normal

    @property
    def precision(self) -> float | None:
        """Defects among the judged; None where nothing was judged."""
        return self.defect / self.judged if self.judged else None


def shown_tonight(assessment: Assessment) -> list[ShownImage]:
    """Return the top anomalies of a night that may not be published yet."""
    night, version = assessment.night, assessment.model_version
    return [
        ShownImage(night=night, model_version=version, path=anomaly.path, sha256=anomaly.sha256)
        for anomaly in assessment.top_anomalies
    ]


def judge_nights(shown: Iterable[ShownImage], verdicts: VerdictsInEffect, pattern: str | None) -> list[JudgedNight]:
    """Count what analysts said of each night's top anomalies, the last night first.

    Args:
        shown: The top anomalies of some nights.
        verdicts: Those of the collection.
        pattern: The collection's ``slices``: a verdict on a slice holds for its images.
    """
    nights: dict[str, list[ShownImage]] = defaultdict(list)
    for image in shown:
        nights[image.night].append(image)
    return [_judge(nights[night], verdicts, pattern) for night in sorted(nights, reverse=True)]


def measure_precision(nights: Sequence[JudgedNight]) -> Interval | None:
    """Return the share of defects among the judged of all ``nights``, with its exact 95 % interval.

    None where nothing was judged. It says nothing of anomalies that no report showed, and is too high or too low where
    people judge only what is plain.
    """
    defects, judged = sum(night.defect for night in nights), sum(night.judged for night in nights)
    if not judged:
        return None
    return Interval(defects / judged, *rate_interval(defects, judged))


def _judge(shown: Sequence[ShownImage], verdicts: VerdictsInEffect, pattern: str | None) -> JudgedNight:
    found = [verdicts.find(image.night, image.sha256, slices_of(image.path, pattern)) for image in shown]
    said = [verdict for verdict in found if verdict]
    words = Counter(verdict.verdict for verdict in said if verdict.scope == "image")
    return JudgedNight(
        night=shown[0].night,
        model_version=shown[0].model_version,
        shown=len(shown),
        defect=words["defect"],
        normal=words["normal"],
        unsure=words["unsure"],
        in_bulk=sum(verdict.scope != "image" for verdict in said),
    )
