"""A challenger that met every gate scores nights beside the champion before it may take its place."""

import logging
from datetime import UTC, datetime

from nightglass.night.shadow_records import NewShadow
from nightglass.retraining.plan import SHADOW_END_NAME, Planned
from nightglass.retraining.records import GateReport
from nightglass.retraining.shadow_gate import SHADOW_GATE, ShadowEnd, find_ending, tell_seen
from nightglass.store import Store

_log = logging.getLogger(__name__)


def watch_shadow(planned: Planned) -> ShadowEnd | None:
    """Look once: begin the shadow where it did not yet, end it where it may.

    The database says whether it has ended, and its nights change no more then: however often this is done again, it
    comes to the same.

    Returns:
        How it ended; None while it goes on.
    """
    plan, place = planned.plan, planned.place
    if plan.challenger is None or plan.challenger_fingerprint is None:
        raise ValueError(f"{plan.collection}: the challenger of {plan.request.run} is not fitted yet")
    now = datetime.now(UTC)
    options = place.collection.retraining.shadow
    with Store.connect(place.settings.database_url, place.settings.sql_dir) as store:
        store.migrate()
        shadow = store.shadows.begin(
            NewShadow(
                collection=plan.collection,
                run=plan.request.run,
                model_name=plan.champion.name,
                champion_version=plan.champion.version,
                challenger_version=plan.challenger.version,
                challenger_fingerprint=plan.challenger_fingerprint,
                nights_wanted=options.nights,
                max_days=options.max_days,
            ),
            now,
        )
        if shadow.ending is None:
            history = store.promotions_of_model(plan.champion.name)
            champion = history[0].version if history else plan.champion.version
            nights = store.shadows.list_nights(plan.collection, shadow.run)
            ending = find_ending(shadow, nights, champion, now)
            if ending is None:
                _log.info("%s: the shadow saw %s so far", plan.collection, tell_seen(shadow, nights))
                return None
            shadow = store.shadows.end(shadow, *ending, now)
        nights = store.shadows.list_nights(plan.collection, shadow.run)
    if shadow.ending is None or shadow.sentence is None:
        raise ValueError(f"{plan.collection}: the shadow of {shadow.run} was not ended")
    return ShadowEnd(ending=shadow.ending, sentence=shadow.sentence, nights_wanted=shadow.nights_wanted, nights=nights)


def give_up_shadow(planned: Planned) -> None:
    """End the retraining's own shadow where it goes on: the retraining is concluded, nobody looks at it any more."""
    plan, place = planned.plan, planned.place
    with Store.connect(place.settings.database_url, place.settings.sql_dir) as store:
        store.migrate()
        shadow = store.shadows.find_active(plan.collection)
        if shadow is None or shadow.run != plan.request.run:
            return
        seen = tell_seen(shadow, store.shadows.list_nights(plan.collection, shadow.run))
        sentence = f"its retraining was concluded when the shadow had seen {seen}"
        store.shadows.end(shadow, "given_up", sentence, datetime.now(UTC))
    _log.info("%s: the shadow was ended: %s", plan.collection, sentence)


def read_shadow_end(planned: Planned) -> ShadowEnd | None:
    """Return how the retraining's shadow ended; None where it had none or goes on."""
    folder = planned.place.folder
    if not folder.exists(SHADOW_END_NAME):
        return None
    return ShadowEnd.model_validate_json(folder.read_bytes(SHADOW_END_NAME))


def has_shadow_gate(gates: GateReport) -> bool:
    """Tell whether the challenger was judged by its shadow too."""
    return any(gate.name == SHADOW_GATE for gate in gates.gates)
