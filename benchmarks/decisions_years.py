"""A champion's nights, judged one after the other by the code that judges real ones."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.decisions_world import Change, Nights, World, draw_nights
from nightglass.collection_limits import DecisionOptions, Drift
from nightglass.night.baseline import build_baseline
from nightglass.night.decision import decide
from nightglass.night.drift import adjust_p_values, statistic_drift
from nightglass.records import Decision, DriftReport, EmbeddingDrift, NightSummary, Verb

_QUIET = (Verb.OK, Verb.WATCH)


class Champion:
    """A version in production: it keeps what the results database would, and nothing else."""

    def __init__(self, nights: Nights, options: DecisionOptions, limits: Drift | None = None) -> None:
        self._nights = nights
        self._options = options
        self._limits = limits or Drift()
        self._quiet: list[NightSummary] = []

    def judge(self, night: int, scored: int, embedding: EmbeddingDrift | None) -> Decision:
        """Decide about night number ``night``, which must be the one after the last."""
        last = self._options.baseline_nights
        baseline = build_baseline(self._quiet[: -last - 1 : -1], self._quiet[:last], self._options)
        anomalous = int(self._nights.anomalous[night])
        statistics = adjust_p_values(
            [
                statistic_drift(name, self._nights.reference[name], night_counts=counts[night], night_median=0.0)
                for name, counts in self._nights.counts.items()
            ]
        )
        decision = decide(
            scored=scored,
            anomalous=anomalous,
            quarantined=0,
            images=scored,
            baseline=baseline,
            drift=DriftReport(statistics=statistics, embedding=embedding),
            validation=None,
            nights_since_promotion=None,
            options=self._options,
            drift_options=self._limits,
        )
        if decision.verb in _QUIET:
            summary = NightSummary(
                collection="simulated",
                night=f"{night:05}",
                model_version="1",
                scored=scored,
                anomalous=anomalous,
                quarantined=0,
                anomaly_rate=anomalous / scored,
                decision=decision.verb,
                statistic_psi={found.name: found.psi for found in statistics},
                separability=embedding.separability if embedding else None,
            )
            self._quiet.append(summary)
        return decision


@dataclass(frozen=True)
class Years:
    """Whole years of nights of one world."""

    years: int
    retrains: int
    watches: int
    codes: dict[str, int]  # which measures asked for retraining, and how often


@dataclass(frozen=True)
class Job:
    """Runs of one world and change; the same job gives the same result."""

    world: World
    change: Change
    runs: int
    nights: int
    seed: int
    options: DecisionOptions
    embeddings: tuple[EmbeddingDrift, ...] = ()


def count_asking(job: Job) -> Years:
    """Judge ``job.nights`` nights in every run and count those that asked for retraining."""
    verbs: Counter[Verb] = Counter()
    codes: Counter[str] = Counter()
    for run in range(job.runs):
        for decision in _decisions(job, run):
            verbs[decision.verb] += 1
            codes.update(reason.code for reason in decision.reasons if reason.verb is Verb.RETRAIN)
    return Years(job.runs, verbs[Verb.RETRAIN], verbs[Verb.WATCH], dict(codes))


def nights_until_caught(job: Job) -> list[int | None]:
    """Return for every run on which night of the change retraining was first asked for (1: its first); None: never."""
    found: list[int | None] = []
    for run in range(job.runs):
        asked = (
            night - job.change.start + 1
            for night, decision in enumerate(_decisions(job, run))
            if night >= job.change.start and decision.verb is Verb.RETRAIN
        )
        found.append(next(asked, None))
    return found


def share_within(nights: Sequence[int | None], limit: int) -> float:
    """Return the share of runs that were caught within ``limit`` nights."""
    return sum(night is not None and night <= limit for night in nights) / len(nights)


def _decisions(job: Job, run: int) -> Iterator[Decision]:
    random = np.random.default_rng([job.seed, run])
    nights = draw_nights(job.world, job.change, job.nights, random)
    champion = Champion(nights, job.options)
    for night in range(job.nights):
        embedding = job.embeddings[random.integers(len(job.embeddings))] if job.embeddings else None
        yield champion.judge(night, job.world.images, embedding)
