"""The end of a retraining: its outcome, the model card, the rows, and who is told."""

import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from nightglass.alerting import audience_of, tell
from nightglass.alerting.champion_wording import about_retraining
from nightglass.detector.files import read_description
from nightglass.models import open_registry
from nightglass.records import ModelRef, Record
from nightglass.retraining.card import CardFacts, render_card
from nightglass.retraining.judgement import read_gates, read_proof
from nightglass.retraining.plan import CARD_NAMES, FACTS_NAME, GATES_NAME, REPORT_NAME, Planned
from nightglass.retraining.records import GateReport, Outcome, Retraining
from nightglass.retraining.shadow import give_up_shadow, read_shadow_end
from nightglass.retraining.shadow_gate import ShadowEnd
from nightglass.store import PromotionEvent, Store, format_time

_MAX_DESCRIPTION = 5000  # characters that MLflow's database holds
_SHORTENED = f"\n\n(shortened; all of it: `{CARD_NAMES[0]}` among the run's artifacts)\n"
_WORDS: dict[Outcome, str] = {
    "promoted": "promoted",
    "refused": "refused by its gates",
    "rejected": "rejected",
    "dry_run": "not promoted: a dry run",
}
_NOT_ASKED: dict[Outcome, str] = {
    "promoted": "promotion is automatic",
    "refused": "not every gate was met",
    "rejected": "its promotion was skipped",
    "dry_run": "a dry run",
}


class Approval(Record):
    """What a person answered; ``by`` is None where nobody did in time."""

    approved: bool
    by: str | None
    at: str


class Conclusion(Record):
    """What came of a retraining."""

    outcome: Outcome
    sentence: str
    card_url: str
    report_url: str


def conclude_retraining(
    planned: Planned, promoted: bool, approval: Approval | None, alert_urls: Sequence[str], run_url: str | None
) -> Conclusion:
    """Write card and rows, attach them to the version, and tell people, each once."""
    plan, place = planned.plan, planned.place
    folder = place.folder
    (evaluation, facts), gates, shadow = read_proof(planned), read_gates(planned), read_shadow_end(planned)
    is_champion = promoted or (shadow is not None and shadow.ending == "promoted")
    outcome = _name_outcome(gates, is_champion, dry_run=plan.request.dry_run)
    sentence = _tell(outcome, gates, approval, shadow, _find_successor(planned))
    cards = render_card(evaluation, gates, facts, _gather_card_facts(planned, outcome, approval, shadow))
    for name, text in zip(CARD_NAMES, cards, strict=True):
        folder.write_bytes(name, text.encode())
    row = Retraining(
        collection=plan.collection,
        run=plan.request.run,
        model_name=plan.champion.name,
        champion_version=plan.champion.version,
        challenger_version=plan.challenger and plan.challenger.version,
        data_version=plan.data_version,
        started_at=plan.started_at,
        finished_at=format_time(datetime.now(UTC)),
        requested_by=plan.request.requested_by,
        reason=plan.request.reason,
        outcome=outcome,
        sentence=sentence,
        folder_url=plan.folder_url,
        gates=gates.gates,
    )
    # The rows come before MLflow and the alert: what people query is there even where MLflow is down.
    with Store.connect(place.settings.database_url, place.settings.sql_dir) as store:
        store.migrate()
        store.publish_retraining(row)
    give_up_shadow(planned)
    if plan.challenger is not None:
        _annotate(planned, plan.challenger, {"outcome": outcome}, cards[0])
    report_url, card_url = f"{plan.folder_url}/{REPORT_NAME}", f"{plan.folder_url}/{CARD_NAMES[1]}"
    _tell_people(planned, row, report_url, alert_urls, run_url)
    return Conclusion(outcome=outcome, sentence=sentence, card_url=card_url, report_url=report_url)


def _gather_card_facts(
    planned: Planned, outcome: Outcome, approval: Approval | None, shadow: ShadowEnd | None
) -> CardFacts:
    plan = planned.plan
    ref, detector = planned.challenger.ref, planned.challenger.detector
    # As it was when the challenger was fitted; Nightglass may have been renewed since.
    tags = open_registry(planned.place.settings).find_version(ref.name, ref.version).tags
    return CardFacts(
        description=planned.place.collection.description,
        options=detector.options,
        finetuning=read_description(detector.network_path.parent).finetuning,
        outcome=outcome,
        run=plan.request.run,
        requested_by=plan.request.requested_by,
        reason=plan.request.reason,
        fitted_at=plan.fitted_at or plan.started_at,
        answered_by=_name_answer(outcome, approval, shadow),
        answered_at=approval.at if approval else None,
        code_version=tags["code_version"],
    )


def _annotate(planned: Planned, challenger: ModelRef, tags: dict[str, str], card: str) -> None:
    with tempfile.TemporaryDirectory(prefix="nightglass-") as work:
        files = [Path(work) / name for name in (*CARD_NAMES, REPORT_NAME, GATES_NAME, FACTS_NAME)]
        for file in files:
            file.write_bytes(planned.place.folder.read_bytes(file.name))
        registry = open_registry(planned.place.settings)
        registry.annotate_version(challenger, tags=tags, description=_shorten(card), files=files)


def _shorten(card: str) -> str:
    if len(card) <= _MAX_DESCRIPTION:
        return card
    # At the end of a line, so that no table has half a row.
    return card[: card.rfind("\n", 0, _MAX_DESCRIPTION - len(_SHORTENED))] + _SHORTENED


def _name_outcome(gates: GateReport, promoted: bool, *, dry_run: bool) -> Outcome:
    if promoted:
        return "promoted"
    if not gates.passed:
        return "refused"
    return "dry_run" if dry_run else "rejected"


def _find_successor(planned: Planned) -> PromotionEvent | None:
    """Return the change that took the retraining's champion away while it went on; None where there was none."""
    plan, place = planned.plan, planned.place
    with Store.connect(place.settings.database_url, place.settings.sql_dir) as store:
        store.migrate()
        events = store.promotions_of_model(plan.champion.name)
    after = [e for e in events if e.previous_version == plan.champion.version and e.at > plan.started_at]
    return after[-1] if after else None


def _tell(
    outcome: Outcome,
    gates: GateReport,
    approval: Approval | None,
    shadow: ShadowEnd | None,
    successor: PromotionEvent | None,
) -> str:
    if shadow and not shadow.is_judged:
        came = "It is the champion" if outcome == "promoted" else "It was not promoted"
        return f"{gates.sentence.removesuffix('.')}. {came}: {shadow.sentence}."
    if outcome != "rejected":
        return gates.sentence
    if approval is None or approval.approved:
        why = (
            f"{successor.by} made version {successor.version} the champion meanwhile, which it was not compared with"
            if successor
            else "its promotion was skipped"
        )
        return f"{gates.sentence.removesuffix('.')}. It was not promoted: {why}."
    who = f"by {approval.by}" if approval.by else "as nobody approved it in time"
    return f"{gates.sentence.removesuffix('.')}. It was rejected {who}."


def _name_answer(outcome: Outcome, approval: Approval | None, shadow: ShadowEnd | None) -> str:
    """Return who answered, or why nobody did."""
    if approval:
        return approval.by or "nobody answered in time"
    if shadow and not shadow.is_judged:
        return f"nobody was asked: {shadow.sentence}"
    return f"nobody was asked: {_NOT_ASKED[outcome]}"


def _tell_people(planned: Planned, row: Retraining, report_url: str, urls: Sequence[str], run_url: str | None) -> None:
    alert = about_retraining(row, _WORDS[row.outcome], report_url, run_url)
    collection = planned.place.collection
    if collection.alerts.tells(alert.kind):
        tell(alert, audience_of(collection, urls), planned.place.settings)
