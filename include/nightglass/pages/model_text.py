"""What the models' pages say of a version in words and rows; what is invisible in them is written out."""

from collections.abc import Sequence

from nightglass.night.report.figures import NOTHING, count, figure, percent
from nightglass.night.report.names import plain
from nightglass.pages.model_facts import VersionFacts
from nightglass.retraining.card import tell_parameters
from nightglass.retraining.records import TrainingFacts
from nightglass.store import PromotionEvent

_NOT_ASKED = {"refused": "not every gate was met", "dry_run": "a dry run"}


def tell_answer(facts: VersionFacts, history: Sequence[PromotionEvent]) -> str:
    """Return who let a challenger in or rejected it; the promotion log knows the one, the retraining's end the other.

    Args:
        facts: A version with a retraining.
        history: The promotion log.
    """
    retraining = facts.retraining
    if retraining is None:
        return NOTHING
    by_run = (event for event in history if (event.run, event.version) == (retraining.run, facts.version))
    event = next(by_run, facts.made_champion)
    if event:
        who = "nobody was asked: promotion is automatic" if event.by == "automatic" else event.by
        return f"{who}, {event.at[:16].replace('T', ' ')}"
    if retraining.outcome in _NOT_ASKED:
        return f"nobody was asked: {_NOT_ASKED[retraining.outcome]}"
    return retraining.sentence


def tell_detector(facts: VersionFacts) -> list[tuple[str, str]]:
    """Return how a version's detector was fitted as ``(name, value)``; nothing where it cannot be asked."""
    details = facts.details
    if details is None or details.description is None:
        return []
    description = details.description
    return [
        ("fitted", details.created_at[:16].replace("T", " ")),
        ("code version", plain(details.tags.get("code_version", NOTHING))),
        *((name, plain(value)) for name, value in tell_parameters(description.options, description.finetuning)),
        ("precision of the network", description.precision),
        ("labelled defects learned from", count(description.labelled_defects)),
        ("images in the memory bank", count(description.num_bank_images)),
        ("image threshold", figure(description.calibration.image_threshold)),
    ]


def tell_training(facts: VersionFacts, training: TrainingFacts | None) -> dict[str, str]:
    """Return what a version was fitted on, by name; what nobody wrote down is left out."""
    rows: dict[str, str] = {}
    if facts.data_version:
        rows["data version"] = plain(facts.data_version[:12])
    if training is None:
        description = facts.details and facts.details.description
        if description:
            rows["images"] = f"{count(description.num_bank_images)}, by hand"
            rows["labelled defects"] = count(description.labelled_defects)
        return rows
    nights = sorted(source for source in training.sources if source[:1].isdigit())
    rows |= {
        "images": count(training.images),
        "labelled defects": count(training.defects),
        "called normal by an analyst": count(training.called_normal),
        "nights they come from": f"{count(len(nights))}, {plain(nights[0], 20)} to {plain(nights[-1], 20)}"
        if nights
        else "none",
        "from the champion's own images": count(
            sum(number for source, number in training.sources.items() if source not in nights)
        ),
        "left out": count(sum(training.left_out.values())),
    }
    if training.new_normal:
        rows["a new kind of normal"] = plain(training.new_normal, 600)
    return rows


def tell_nights(facts: VersionFacts) -> dict[str, str]:
    """Return what a version judged, by name."""
    judged = facts.judged
    if judged is None:
        return {"nights judged": "none"}
    return {
        "nights judged": f"{count(judged.nights)}, {judged.first_night} to {judged.last_night}",
        "images scored": count(judged.scored),
        "anomaly rate": percent(judged.anomaly_rate),
    }
