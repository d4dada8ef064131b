"""What is known of a collection's models, from the database and from MLflow, as their pages read it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from starlette.exceptions import HTTPException

from nightglass.collections import Collection
from nightglass.night.shadow_records import Shadow
from nightglass.pages.places import open_store
from nightglass.pages.registered import Registered, read_registered
from nightglass.retraining.records import Gate, Retraining
from nightglass.settings import Settings
from nightglass.store import PromotionEvent, VersionNights
from nightglass.version_details import VersionDetails

_RETRAININGS = 200
Standing = Literal[
    "champion", "was champion", "shadows the champion", "refused", "rejected", "dry run", "promoted", "registered"
]


@dataclass(frozen=True)
class VersionFacts:
    """One version: what MLflow has of it, the last retraining that made it, and what it judged; None where unknown.

    ``made_champion`` is the newest promotion of it; a rollback to it is none.
    """

    version: str
    standing: Standing
    details: VersionDetails | None
    retraining: Retraining | None
    made_champion: PromotionEvent | None
    judged: VersionNights | None

    @property
    def data_version(self) -> str | None:
        """Sha256 of the manifest that it was fitted on."""
        if self.details and self.details.tags.get("data_version"):
            return self.details.tags["data_version"]
        return self.retraining.data_version if self.retraining else None

    @property
    def failed_gates(self) -> list[Gate]:
        """The gates that it did not pass."""
        return [gate for gate in self.retraining.gates if not gate.passed] if self.retraining else []

    @property
    def unjudged(self) -> str:
        """Why no gates are known of it; empty where there are some."""
        if self.retraining and self.retraining.gates:
            return ""
        if self.standing == "shadows the champion":
            return "all met; the shadow goes on"
        if self.details is None:
            return "none known"
        return "not concluded yet" if "retraining" in self.details.tags else "none: fitted by hand"

    @property
    def learned(self) -> str:
        """What it learned beside good images; empty where its detector cannot be asked."""
        description = self.details and self.details.description
        if not description:
            return ""
        head = f"label head, {description.labelled_defects:,} defects" if description.labelled_defects else ""
        tuned = "fine-tuned" if description.finetuning and description.finetuning.best_epoch else ""
        return "; ".join(filter(None, (head, tuned))) or "good images only"


@dataclass(frozen=True)
class ModelFacts:
    """All of it: the promotion log newest first, the versions newest first, and who shadows the champion now.

    ``problem`` says why what MLflow has is missing; where the answer ``is_late``, it comes by itself.
    """

    collection: Collection
    history: Sequence[PromotionEvent]
    versions: Sequence[VersionFacts]
    shadow: Shadow | None
    shadow_nights: int
    problem: str
    is_late: bool

    @property
    def champion(self) -> PromotionEvent | None:
        """The entry that says who is champion; None before the first."""
        return self.history[0] if self.history else None

    def find(self, version: str) -> VersionFacts:
        """Return one version.

        Raises:
            HTTPException: 404: neither the database nor MLflow has it.
        """
        for facts in self.versions:
            if facts.version == version:
                return facts
        raise HTTPException(404, f"{self.collection.model_name}: expected a known version, got {version[:20]!r}")


def read_models(collection: Collection, settings: Settings) -> ModelFacts:
    """Read everything; what MLflow does not tell is left out, and ``problem`` says so."""
    registered = read_registered(collection.model_name, settings)
    with open_store(settings) as store:
        history = store.promotions_of_model(collection.model_name)
        retrainings = store.list_retrainings(collection.name, _RETRAININGS)
        judged = store.nights_of_versions(collection.name, collection.model_name)
        shadow = store.shadows.find_active(collection.name)
        seen = len(store.shadows.list_nights(collection.name, shadow.run)) if shadow else 0
    versions = gather_versions(registered, history, retrainings, judged, shadow)
    return ModelFacts(collection, history, versions, shadow, seen, registered.problem, registered.is_late)


def gather_versions(
    registered: Registered,
    history: Sequence[PromotionEvent],
    retrainings: Sequence[Retraining],
    judged: Mapping[str, VersionNights],
    shadow: Shadow | None,
) -> list[VersionFacts]:
    """Bring together what each source has of every version, newest first.

    Args:
        registered: What MLflow has.
        history: The promotion log, newest first.
        retrainings: Newest first.
        judged: What each version judged.
        shadow: The one that goes on.
    """
    details = {found.version: found for found in registered.versions}
    made = {done.challenger_version: done for done in reversed(retrainings) if done.challenger_version}
    promoted = {event.version: event for event in reversed(history) if event.event == "promoted"}
    named = {event.version for event in history} | ({shadow.challenger_version} if shadow else set())
    versions = {*details, *made, *judged, *named}
    return [
        VersionFacts(
            version=version,
            standing=_find_standing(version, history, made.get(version), shadow),
            details=details.get(version),
            retraining=made.get(version),
            made_champion=promoted.get(version),
            judged=judged.get(version),
        )
        for version in sorted(versions, key=lambda version: (len(version), version), reverse=True)
    ]


def _find_standing(
    version: str, history: Sequence[PromotionEvent], retraining: Retraining | None, shadow: Shadow | None
) -> Standing:
    if history and history[0].version == version:
        return "champion"
    if any(event.version == version for event in history):
        return "was champion"
    if shadow and shadow.challenger_version == version:
        return "shadows the champion"
    if retraining is None:
        return "registered"
    return "dry run" if retraining.outcome == "dry_run" else retraining.outcome
