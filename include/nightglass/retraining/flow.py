"""One retraining, step by step: what the tasks of the retraining DAG call, in this order.

`snapshot`, `fit`, `evaluate`, `judge_challenger`, `shadow_challenger` where the collection's file wants it,
`promote_challenger` where it may, `conclude`. Each step reads what the one before left in the retraining's folder, so
any of them can run again.
"""

import itertools
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from nightglass import promotion
from nightglass.engine.stage_times import count_workers
from nightglass.engine.training_record import read_training
from nightglass.errors import InputError
from nightglass.maintenance.redacted_training import mark_deleted
from nightglass.models import find_fitted, find_model, open_registry, register_fitted
from nightglass.records import ModelRef
from nightglass.retraining.challenger import count_unread, fit_challenger, score_each_other
from nightglass.retraining.conclusion import Approval, Conclusion, conclude_retraining
from nightglass.retraining.evaluation import evaluate_models
from nightglass.retraining.gates import judge, report_gates
from nightglass.retraining.gathering import find_nights, gather_nights
from nightglass.retraining.golden import gather_golden
from nightglass.retraining.judgement import asks_person, publish_gates, read_gates, read_proof
from nightglass.retraining.plan import (
    EVALUATION_NAME,
    FACTS_NAME,
    FROZEN_NAME,
    PLAN_NAME,
    SHADOW_END_NAME,
    TRAINING_NAME,
    Planned,
    Request,
    RetrainPlace,
    RetrainPlan,
)
from nightglass.retraining.records import TrainingFacts
from nightglass.retraining.shadow import has_shadow_gate, watch_shadow
from nightglass.retraining.shadow_gate import SHADOW_GATE, judge_shadow
from nightglass.retraining.snapshot import take_snapshot
from nightglass.retraining.training_images import open_images
from nightglass.retraining.verdicts import VerdictsInEffect
from nightglass.store import Store, format_time

Options = Mapping[str, Any] | None


def snapshot(collection_file: str, request: Request, *, storage_options: Options = None) -> RetrainPlan | None:
    """Choose what the challenger is fitted on and what both models are measured on, and write it down.

    A second time finds what it wrote, unless another run changed the champion since.

    Returns:
        None when the version that the request is about is champion no more: it was answered already.

    Raises:
        ModelError: The collection has no champion.
        InputError: The champion scored no night in reach.
    """
    place = RetrainPlace.open(collection_file, request.run, storage_options)
    collection = place.collection
    known = promotion.reconcile_champion(collection, place.settings)
    champion = find_model(known.uri if known else f"models:/{collection.model_name}@champion", place.settings)
    kept = place.kept_plan()
    if kept is not None and (kept.champion == champion.ref or _has_promoted(place, request.run)):
        return kept
    if request.champion_version not in {None, champion.ref.version}:
        return None
    detector = champion.detector
    nights, seed = place.nights(), collection.detector.seed
    chosen = find_nights(nights, request.since, request.until, collection.retraining.nights)
    golden = gather_golden(detector, collection, storage_options=storage_options, workers=count_workers())
    gathered = gather_nights(nights, chosen, detector.fingerprint[:12], seed)
    taken = take_snapshot(
        detector,
        read_training(detector.network_path.parent),
        gathered if golden is None else itertools.chain([golden], gathered),
        _read_verdicts(place, use=request.use_verdicts),
        collection,
        lambda group: score_each_other(
            group, detector, collection, storage_options=storage_options, workers=count_workers()
        ),
    )
    place.folder.remove(PLAN_NAME)  # first: without it the rest counts for nothing
    place.folder.remove()
    place.folder.write_table(TRAINING_NAME, taken.training)
    place.folder.write_table(FROZEN_NAME, taken.frozen)
    place.folder.write_bytes(FACTS_NAME, taken.facts.model_dump_json(indent=1).encode())
    plan = RetrainPlan(
        collection=collection.name,
        collection_file=collection_file,
        request=request,
        folder_url=place.folder.url,
        champion=champion.ref,
        champion_fingerprint=detector.fingerprint,
        data_version=taken.facts.data_version,
        started_at=format_time(datetime.now(UTC)),
    )
    # Last: it says that everything before it was written.
    place.folder.write_bytes(PLAN_NAME, plan.model_dump_json(indent=1).encode())
    return plan


def fit(plan: RetrainPlan, *, storage_options: Options = None) -> RetrainPlan:
    """Fit the challenger and register it as the next version; a second time finds the one that was registered."""
    planned = Planned(plan, storage_options)
    place = planned.place
    with Store.connect(place.settings.database_url, place.settings.sql_dir) as store:
        store.migrate()
        mark_deleted(place.folder, store.upkeep.deletions.contents(place.collection.name))
    training = place.folder.read_table(TRAINING_NAME)
    tags = {"retraining": plan.request.run, "data_version": plan.data_version}
    challenger = find_fitted(place.collection, tags, place.settings)
    if challenger is None:
        # Always the same place, so that a killed fit leaves nothing behind for long.
        work = place.settings.home / "challengers" / place.collection.name
        shutil.rmtree(work, ignore_errors=True)
        out = work / "detector"
        fitted = fit_challenger(
            training,
            place.collection,
            out,
            data_version=plan.data_version,
            storage_options=storage_options,
            workers=count_workers(),
        )
        version = register_fitted(out, fitted, place.collection, place.settings, tags=tags)
        shutil.rmtree(work)
        challenger = find_model(ModelRef(name=place.collection.model_name, version=version).uri, place.settings)
    facts = TrainingFacts.model_validate_json(place.folder.read_bytes(FACTS_NAME))
    facts = count_unread(facts, training, challenger.detector)
    place.folder.write_bytes(FACTS_NAME, facts.model_dump_json(indent=1).encode())
    ref = challenger.ref
    return plan.model_copy(
        update={
            "challenger": ref,
            "challenger_fingerprint": challenger.detector.fingerprint,
            "fitted_at": open_registry(place.settings).find_version(ref.name, ref.version).created_at,
        }
    )


def evaluate(plan: RetrainPlan, *, storage_options: Options = None) -> dict[str, object]:
    """Measure champion and challenger on the same frozen images, in one run."""
    planned = Planned(plan, storage_options)
    place = planned.place
    frozen = place.folder.read_table(FROZEN_NAME)
    folders, rows = open_images(frozen, storage_options)
    evaluation = evaluate_models(
        folders,
        frozen,
        rows,
        planned.champion,
        planned.challenger,
        place.collection,
        workers=count_workers(),
    )
    place.folder.write_bytes(EVALUATION_NAME, evaluation.model_dump_json(indent=1).encode())
    return {"images": evaluation.images, "rank_correlation": evaluation.rank_correlation}


def judge_challenger(plan: RetrainPlan, *, storage_options: Options = None) -> dict[str, object]:
    """Judge every gate and write the report; return what Airflow's approval page shows.

    ``next`` is the step that follows: ``shadow``, ``approve``, ``promote`` or ``conclude``.
    """
    planned = Planned(plan, storage_options)
    options = planned.place.collection.retraining
    gates = judge(*read_proof(planned), options.gates)
    planned.place.folder.remove(SHADOW_END_NAME)
    told = publish_gates(planned, gates, [])
    return told | {"next": "shadow"} if options.shadow.nights and told["next"] != "conclude" else told


def shadow_challenger(plan: RetrainPlan, *, storage_options: Options = None) -> dict[str, object] | None:
    """Look whether the challenger's shadow is over; then judge it as one more gate.

    Returns:
        None while it goes on; then what `judge_challenger` returns. A shadow that saw too few nights, or whose champion
        is gone, is no gate: ``next`` is then ``conclude``.
    """
    planned = Planned(plan, storage_options)
    end = watch_shadow(planned)
    if end is None:
        return None
    planned.place.folder.write_bytes(SHADOW_END_NAME, end.model_dump_json(indent=1).encode())
    gates = [gate for gate in read_gates(planned).gates if gate.name != SHADOW_GATE]
    if end.is_judged:
        gates.append(judge_shadow(end))
    told = publish_gates(planned, report_gates(read_proof(planned)[0], gates), end.nights)
    return told if end.is_judged else told | {"passed": False, "next": "conclude"}


def promote_challenger(
    plan: RetrainPlan, *, approved_by: str | None, storage_options: Options = None
) -> promotion.Promotion:
    """Make the challenger the champion, if that is still the one that it was compared with.

    Args:
        plan: The retraining.
        approved_by: The person who approved; None where nobody was asked.
        storage_options: Credentials of remote folders.

    Raises:
        InputError: Its gates were not met, its shadow is missing, or a person must approve and none did.
        ChampionChangedError: There is another champion by now.
    """
    planned = Planned(plan, storage_options)
    place, gates = planned.place, read_gates(planned)
    if not gates.passed or plan.request.dry_run or plan.challenger is None:
        raise InputError(f"{plan.collection}: expected a challenger that met every gate, got: {gates.sentence}")
    if place.collection.retraining.shadow.nights and not has_shadow_gate(gates):
        got = f"{plan.collection}: expected a challenger that shadowed the champion, got one that did not"
        raise InputError(f"{got}: clear the task 'shadow_challenger'")
    if approved_by is None and asks_person(place):
        raise InputError(f"{plan.collection}: expected a person's approval, got none: clear the task 'approve'")
    return promotion.promote(
        place.collection,
        plan.challenger.version,
        place.settings,
        by=approved_by or "automatic",
        reason=f"{plan.request.reason}: {gates.sentence}",
        run=plan.request.run,
        instead_of=plan.champion.version,
    )


def conclude(
    plan: RetrainPlan,
    *,
    promoted: bool,
    approval: Approval | None,
    storage_options: Options = None,
    alert_urls: Sequence[str] = (),
    run_url: str | None = None,
) -> Conclusion:
    """Write the model card and the rows, and tell people what came of the retraining; a second time changes nothing."""
    return conclude_retraining(Planned(plan, storage_options), promoted, approval, alert_urls, run_url)


def _has_promoted(place: RetrainPlace, run: str) -> bool:
    with Store.connect(place.settings.database_url, place.settings.sql_dir) as store:
        return any(
            (event.run, event.event) == (run, "promoted")
            for event in store.promotions_of_model(place.collection.model_name)
        )


def _read_verdicts(place: RetrainPlace, *, use: bool) -> VerdictsInEffect:
    if not use:
        return VerdictsInEffect([])
    with Store.connect(place.settings.database_url, place.settings.sql_dir) as store:
        store.migrate()
        return VerdictsInEffect(store.verdicts(place.collection.name))
