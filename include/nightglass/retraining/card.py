"""The model card: what a detector is, what it was measured at, and who let it in; as Markdown and as a page."""

from nightglass.collections import DetectorOptions
from nightglass.detector.finetuning_record import Finetuning
from nightglass.records import Record
from nightglass.retraining.card_markdown import CardText, write_markdown
from nightglass.retraining.page_parts import build_costs, build_detection, build_slices, build_tiles, shorten
from nightglass.retraining.pages import render_page
from nightglass.retraining.records import Evaluation, GateReport, Outcome, TrainingFacts

_OUTCOMES: dict[Outcome, str] = {
    "promoted": "promoted",
    "refused": "refused",
    "rejected": "rejected",
    "dry_run": "dry run",
}
_SCREENED = (
    "They are presumed good: those without an analyst's word were screened with the champion's scores, which hides "
    "some of the champion's false alarms."
)
_NO_DEFECT_SEEN = "It has seen no labelled defect: it finds what looks unlike good images, whatever that is."
_DRAWN_ONLY = (
    "Too few labelled defects were among the frozen images, so that its AUROC is known for drawn defects only, which "
    "resemble real ones but are none."
)
_MACHINE = (
    "Time and memory were measured on the machine that evaluated both models, one image at a time; only their ratio "
    "holds elsewhere."
)
_USES = (
    "A score is no probability and compares only with scores of the same model version.",
    "Not meant to reject, release or repair anything without a person who looks, nor for images of other collections.",
)


class CardFacts(Record):
    """What a card says beyond the proof; times are ISO 8601, UTC.

    ``answered_by`` is the person who approved, or rejected, or why nobody did.
    """

    description: str  # of the collection
    options: DetectorOptions
    finetuning: Finetuning | None
    outcome: Outcome
    run: str
    requested_by: str
    reason: str
    fitted_at: str
    answered_by: str
    answered_at: str | None
    code_version: str


def render_card(
    evaluation: Evaluation, gates: GateReport, training: TrainingFacts, facts: CardFacts
) -> tuple[str, str]:
    """Return the card as Markdown and as one self-contained HTML page; the same facts give the same text."""
    text = tell_card(evaluation, training, facts)
    page = render_page(
        "model_card.html",
        evaluation=evaluation,
        gates=gates,
        training=training,
        is_promoted=facts.outcome == "promoted",
        outcome=_OUTCOMES[facts.outcome],
        text=text,
        tiles=build_tiles(evaluation, training),
        detection=build_detection(evaluation),
        slices=build_slices(evaluation),
        costs=build_costs(evaluation),
        sources=shorten(training.sources),
        left_out=shorten(training.left_out),
    )
    return write_markdown(evaluation, gates, training, text), page


def tell_card(evaluation: Evaluation, training: TrainingFacts, facts: CardFacts) -> CardText:
    """Return what a card says in words."""
    return CardText(
        identity=_identity(evaluation, training, facts),
        parameters=tell_parameters(facts.options, facts.finetuning),
        uses=_uses(evaluation, facts),
        limits=_limits(evaluation, training),
        reproduce=f"nightglass reproduce {evaluation.challenger.uri}",
    )


def _identity(evaluation: Evaluation, training: TrainingFacts, facts: CardFacts) -> list[tuple[str, str]]:
    answered = f"{facts.answered_by}, {facts.answered_at}" if facts.answered_at else facts.answered_by
    rejected = facts.outcome == "rejected"
    rows = [
        ("Model", evaluation.challenger.uri),
        ("Collection", evaluation.collection),
        ("About the collection", facts.description),
        ("Outcome", _OUTCOMES[facts.outcome]),
        ("Champion it was measured against", evaluation.champion.uri),
        ("Rejected by" if rejected else "Approved by", answered),
        ("Asked for by", f"{facts.requested_by}: {facts.reason}"),
        ("Fitted", facts.fitted_at),
        ("Data version of the training images", training.data_version),
        ("Data version of the frozen images", evaluation.data_version),
        ("Nightglass", facts.code_version),
        ("Retraining", facts.run),
    ]
    return [(label, value) for label, value in rows if value]


def tell_parameters(options: DetectorOptions, finetuning: Finetuning | None) -> list[tuple[str, str]]:
    """Return how a detector was fitted as ``(name, value)``."""
    flat = {
        **{f"backbone {name}": value for name, value in options.backbone.model_dump().items()},
        **options.model_dump(exclude={"backbone"}),
    }
    rows = [(name, _say(value)) for name, value in flat.items()]
    return [*rows, ("fine-tuning", _tell_finetuning(finetuning))] if finetuning else rows


def _tell_finetuning(done: Finetuning) -> str:
    images = f"stage {done.stage}, {done.good_images:,} good images and {done.labelled_defects:,} labelled defects"
    before, after = (done.epochs[number].held_out_auroc for number in (0, done.best_epoch))
    if not done.best_epoch:
        return f"{images}; nothing gained on the AUROC {before:.4f} of held-out images, the weights are as they were"
    gained = f"AUROC on held-out images {before:.4f} before, {after:.4f} after"
    return f"{images}; {gained} {done.best_epoch} of {len(done.epochs) - 1} epochs"


def _say(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)


def _uses(evaluation: Evaluation, facts: CardFacts) -> list[str]:
    rate = f"{facts.options.false_alarm_rate:.1%}"
    ranks = (
        f"Ranks the images of the collection {evaluation.collection} by how unlike known good ones they are, and flags "
        f"those at and above its image threshold, set for {rate} false alarms, for a person to look at."
    )
    return [ranks, *_USES]


def _limits(evaluation: Evaluation, training: TrainingFacts) -> list[str]:
    limits = [f"Its false alarms are known from {evaluation.false_alarms.images:,} images. {_SCREENED}"]
    if training.defects:
        learned = f"What analysts taught it comes from {training.defects:,} labelled defects"
        limits.append(f"{learned}; other kinds are found as far as they look unlike good images.")
    else:
        limits.append(_NO_DEFECT_SEEN)
    if evaluation.labels is None:
        limits.append(_DRAWN_ONLY)
    if evaluation.unreadable:
        limits.append(f"{evaluation.unreadable:,} frozen images could not be read and are in no figure.")
    return [*limits, _MACHINE]
