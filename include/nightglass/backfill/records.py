"""What a backfill is about: its nights, and what another version made of each."""

from nightglass.errors import InputError
from nightglass.night.shadow_records import Agreement, Disagreement
from nightglass.records import ModelRef, Record, Verb

#: Nights that are scored at once: each holds a slot of the collection's pool until its lane is through.
MAX_LANES = 16


def check_parallel(parallel: int) -> None:
    """Raise InputError where so many nights cannot be scored at once: it is none of 1 to 16."""
    if not 1 <= parallel <= MAX_LANES:
        raise InputError(f"nights at once: expected 1 to {MAX_LANES}, got {parallel}")


class NightToRescore(Record):
    """A published night; ``result_sha256`` says of which assessment, ``is_scored`` that nothing is left to score."""

    night: str
    images_url: str
    images: int
    result_sha256: str
    is_scored: bool


class SkippedNight(Record):
    """A night that is left alone, and why."""

    night: str
    reason: str


class BackfillPlan(Record):
    """A range of nights and the version that scores them again; small, since it travels through Airflow's XCom."""

    collection: str
    collection_file: str
    since: str
    until: str
    model: ModelRef
    fingerprint: str
    nights: list[NightToRescore]  # the oldest first
    skipped: list[SkippedNight]

    def cut(self, parallel: int) -> list["BackfillPlan"]:
        """Cut it into lanes that are worked on at once, at least one and at most ``parallel``.

        The largest nights are dealt out first, each to the lane that has the least to do. What needs no scoring, and
        what is skipped, goes with the first.

        Raises:
            InputError: ``parallel`` is none of 1 to 16.
        """
        check_parallel(parallel)
        waiting = sorted(
            (night for night in self.nights if not night.is_scored), key=lambda night: (-night.images, night.night)
        )
        lanes: list[list[NightToRescore]] = [[] for _ in range(max(1, min(parallel, len(waiting))))]
        loads = [0] * len(lanes)
        for night in waiting:
            lane = loads.index(min(loads))
            lanes[lane].append(night)
            loads[lane] += night.images
        lanes[0] += [night for night in self.nights if night.is_scored]
        return [
            self.model_copy(
                update={
                    "nights": sorted(nights, key=lambda night: night.night),
                    "skipped": [] if number else self.skipped,
                }
            )
            for number, nights in enumerate(lanes)
        ]


class RescoredScores(Record):
    """What another version scored of a night, beside what the night's champion scored of the same images."""

    collection: str
    night: str
    model: ModelRef
    champion: ModelRef
    data_version: str
    score_key: str  # of the version's scores
    champion_result: str  # sha256 of the night's assessment
    champion_threshold: float
    threshold: float
    agreement: Agreement
    left_out: int  # images that were scored at the time, and are gone or have other content now
    top_k: int
    top_k_overlap: int
    disagreements: list[Disagreement]  # the largest first; without pictures
    statistic_psi: dict[str, float]  # against the version's own reference
    compute_seconds: float


class RescoredNight(Record):
    """One row of the ``rescored_nights`` view; ``decision`` is what it would have been with the version."""

    collection: str
    night: str
    model_name: str
    model_version: str
    champion_name: str
    champion_version: str
    data_version: str
    scored: int
    both_anomalous: int
    only_champion: int
    only_rescored: int
    left_out: int
    agreement: float | None
    rank_correlation: float | None
    top_k: int
    top_k_overlap: int
    champion_decision: Verb
    decision: Verb
    sentence: str
    compute_seconds: float
    folder_url: str

    @property
    def champion_rate(self) -> float | None:
        """Share of the images that the night's champion found anomalous; None where nothing was scored."""
        return (self.both_anomalous + self.only_champion) / self.scored if self.scored else None

    @property
    def rate(self) -> float | None:
        """Share of the images that the version finds anomalous; None where nothing was scored."""
        return (self.both_anomalous + self.only_rescored) / self.scored if self.scored else None

    @property
    def is_otherwise(self) -> bool:
        """Whether the version would have decided otherwise."""
        return self.decision is not self.champion_decision


class RescoringVersion(Record):
    """A version that scored nights again: which, and on how many it would have decided otherwise."""

    model_version: str
    nights: int
    first_night: str
    last_night: str
    decided_otherwise: int


class Backfilled(Record):
    """What came of a backfill; ``changed`` counts rows that are new or others now."""

    collection: str
    model: ModelRef
    since: str
    until: str
    nights: list[RescoredNight]
    skipped: list[SkippedNight]
    changed: int
    decided_otherwise: int
    compute_seconds: float
    sentence: str
