"""What is known of a challenger that scores nights beside the champion: a shadow, and what it saw of each night."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Literal

from nightglass.records import Decision, ModelRef, Record, Verb

#: Why a shadow ended: enough was seen, too few nights came, somebody promoted the challenger, or another model, or
#: another retraining's challenger shadows now, or its own retraining was concluded without it.
Ending = Literal["seen", "expired", "promoted", "champion_changed", "superseded", "given_up"]


class Rate(Record):
    """A share of the images and its exact 95 % interval (Clopper-Pearson)."""

    value: float
    low: float
    high: float


class Agreement(Record):
    """Two models on the images that both of them scored; the four counts add up to ``scored``.

    The shares are None where nothing was scored; ``rank_correlation`` is Spearman's, of the image scores.
    """

    scored: int
    both: int
    only_champion: int
    only_challenger: int
    champion_rate: Rate | None
    challenger_rate: Rate | None
    agreement: float | None
    rank_correlation: float | None

    @property
    def neither(self) -> int:
        """Images that neither model finds anomalous."""
        return self.scored - self.both - self.only_champion - self.only_challenger


class Disagreement(Record):
    """An image that only one of the models finds anomalous; files are relative to the night's score folder."""

    path: str
    sha256: str
    anomalous_for: Literal["champion", "challenger"]
    champion_score: float
    challenger_score: float
    image: str = ""
    anomaly_map: str = ""  # of the model that finds it anomalous


class ShadowNight(Record):
    """A night as the challenger saw it, beside what the champion made of the same images."""

    collection: str
    night: str
    run: str  # of the retraining
    champion: ModelRef
    challenger: ModelRef
    data_version: str
    score_key: str  # of the challenger's scores
    champion_result: str  # sha256 of the champion's assessment
    champion_threshold: float
    challenger_threshold: float
    agreement: Agreement
    champion_decision: Verb
    decision: Decision  # what it would have been with the challenger
    statistic_psi: dict[str, float]  # against the challenger's reference
    disagreements: list[Disagreement]  # the largest first
    seen_before: int  # nights of this shadow that told something before this one
    nights_wanted: int


class SeenNight(Record):
    """One night of a shadow as the database keeps it."""

    collection: str
    run: str
    night: str
    data_version: str
    scored: int
    both_anomalous: int
    only_champion: int
    only_challenger: int
    agreement: float | None
    rank_correlation: float | None
    champion_decision: Verb
    decision: Verb
    sentence: str
    report_url: str

    @property
    def counts(self) -> bool:
        """Whether it tells anything: a night on hold does not."""
        return self.decision is not Verb.HOLD and self.scored > 0

    @property
    def champion_rate(self) -> float:
        """Share of the images that the champion finds anomalous; 0 where nothing was scored."""
        return (self.both_anomalous + self.only_champion) / self.scored if self.scored else 0.0

    @property
    def challenger_rate(self) -> float:
        """Share of the images that the challenger finds anomalous; 0 where nothing was scored."""
        return (self.both_anomalous + self.only_challenger) / self.scored if self.scored else 0.0


class NewShadow(Record):
    """A shadow that a retraining asks for."""

    collection: str
    run: str
    model_name: str
    champion_version: str
    challenger_version: str
    challenger_fingerprint: str
    nights_wanted: int
    max_days: float


class Shadow(NewShadow):
    """A shadow as the database keeps it; ``ending`` is None while it goes on.

    Only nights after ``after_night`` count: images of earlier ones may have fitted the challenger.
    """

    after_night: str
    began_at: str
    ended_at: str | None
    ending: Ending | None
    sentence: str | None

    def is_decided(self, nights: Iterable[SeenNight]) -> bool:
        """Tell whether these nights suffice to judge the challenger.

        There are enough of them, or one would ask for retraining with the challenger as well: no further night helps.
        """
        seen = [night for night in nights if night.counts]
        return len(seen) >= self.nights_wanted or any(night.decision is Verb.RETRAIN for night in seen)

    def has_expired(self, now: datetime) -> bool:
        """Tell whether its days are over; ``now`` has a zone."""
        return now - datetime.fromisoformat(self.began_at) >= timedelta(days=self.max_days)
