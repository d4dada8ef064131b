"""The retraining DAGs as Airflow sees them, and what their runs are asked for and answered."""

import itertools
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from nightglass.collections import Collection

SOUND = "images: /data/{night}"
STEPS = ["take_snapshot", "fit_challenger", "evaluate_models", "judge_challenger", "choose_next"]
TASKS = [*STEPS, "approve", "promote_challenger", "conclude"]


@pytest.fixture
def dag(parse, write_collections):
    return parse(write_collections(cells=SOUND)).dags["retrain_cells"]


def options(text: str) -> str:
    return f"{SOUND}\nretraining: {{{text}}}"


def test_every_sound_collection_has_one_and_a_broken_file_takes_none_down(parse, write_collections):
    bag = parse(write_collections(cells=SOUND, tiles=SOUND, wrong="imges: x", twice=SOUND + "\nname: cells"))

    assert bag.import_errors == {}
    assert {dag_id for dag_id in bag.dags if dag_id.startswith("retrain_")} == {"retrain_cells", "retrain_tiles"}
    assert not any("broken" in bag.dags[name].tags for name in ("retrain_cells", "retrain_tiles"))


def test_it_is_documented(dag):
    for word in ("Purpose", "Inputs", "Outputs", "Idempotent"):
        assert word in dag.doc_md
    assert "cells" in dag.description
    assert {task.task_id for task in dag.tasks if not task.doc_md} == set()
    assert {"nightglass", "retrain"} <= dag.tags


def test_the_steps_come_in_this_order(dag):
    assert [task.task_id for task in dag.topological_sort()] == TASKS
    for before, after in itertools.pairwise(STEPS):
        assert before in dag.get_task(after).upstream_task_ids
    assert dag.get_task("choose_next").downstream_task_ids == {"approve", "promote_challenger", "conclude"}
    assert dag.get_task("promote_challenger").upstream_task_ids >= {"approve", "fit_challenger"}
    assert dag.get_task("conclude").upstream_task_ids >= {"promote_challenger", "fit_challenger"}


@pytest.mark.parametrize("user", [{"id": "7", "name": "olu"}, None])
def test_a_rejection_skips_the_promotion_and_only_that(dag, user):
    """The approval itself skips nothing: Airflow would then skip whatever directly follows, trigger rules or not."""
    from airflow.sdk.exceptions import AirflowSkipException

    assert not dag.get_task("approve").inherits_from_skipmixin
    assert dag.get_task("conclude").upstream_task_ids >= {"approve", "promote_challenger"}
    promote = dag.get_task("promote_challenger").python_callable
    with pytest.raises(AirflowSkipException, match="rejected by"):
        promote({}, answer("Reject", user), outlet_events={})


def test_a_skipped_approval_or_promotion_lets_the_rest_run_and_a_failed_one_does_not(dag):
    rules = {task.task_id: str(task.trigger_rule.value) for task in dag.tasks}

    assert {rules[name] for name in ("promote_challenger", "conclude")} == {"none_failed_min_one_success"}
    assert {rules[name] for name in [*STEPS, "approve"]} == {"all_success"}


@pytest.mark.parametrize(
    ("judged", "task"), [("approve", "approve"), ("promote", "promote_challenger"), ("conclude", "conclude")]
)
def test_the_branch_follows_the_judgement(dag, judged, task):
    branch = dag.get_task("choose_next")

    assert branch.python_callable({"next": judged}) == task
    assert task in branch.downstream_task_ids


def starters(dag) -> list[str]:
    """The names of the assets whose events start the DAG."""
    return [asset.name for asset in dag.timetable.asset_condition.objects]


def test_a_night_that_asks_starts_it(dag):
    assert starters(dag) == ["retrain_requests_cells"]
    assert dag.max_active_runs == 1
    assert not dag.catchup


def test_it_runs_only_by_hand_where_the_file_says_so(parse, write_collections):
    dag = parse(write_collections(cells=options("automatic: false"))).dags["retrain_cells"]

    assert not dag.timetable.can_be_scheduled
    assert dag.timetable.asset_condition is None


def test_the_night_asks_by_the_asset_that_starts_it(parse, write_collections):
    bag = parse(write_collections(cells=SOUND))

    asked = [asset.name for asset in bag.dags["nightly_cells"].get_task("publish_night").inlets]
    assert asked == starters(bag.dags["retrain_cells"])


@pytest.mark.parametrize(("text", "hours"), [("nights: 14", 24), ("approval_hours: 0.5", 0.5)])
def test_nobody_answers_is_a_rejection_after_the_hours_of_the_file(parse, write_collections, text, hours):
    approve = parse(write_collections(cells=options(text))).dags["retrain_cells"].get_task("approve")

    assert approve.response_timeout == timedelta(hours=hours)
    assert approve.defaults == ["Reject"]
    assert approve.options == ["Approve", "Reject"]
    assert approve.retries == 0
    assert "judge_challenger" in approve.subject
    assert "judge_challenger" in approve.body


def test_what_computes_runs_in_the_collections_pool(parse, write_collections):
    dag = parse(write_collections(cells=SOUND + "\nscoring: {pool: two_at_once}")).dags["retrain_cells"]

    in_pool = {task.task_id for task in dag.tasks if task.pool == "two_at_once"}
    assert in_pool == {"fit_challenger", "evaluate_models"}


def test_every_task_has_a_time_limit_and_the_retry_policy(dag):
    for task in dag.tasks:
        assert task.retry_policy, task.task_id
        assert task.on_failure_callback, task.task_id
        limit = task.response_timeout if task.task_id == "approve" else task.execution_timeout
        assert timedelta() < limit <= timedelta(hours=24), task.task_id


def test_a_promotion_is_told_by_the_collections_asset(dag):
    assert [asset.name for asset in dag.get_task("promote_challenger").outlets] == ["champion_cells"]
    assert [task.task_id for task in dag.tasks if task.outlets] == ["promote_challenger"]


def test_the_form_needs_nothing(dag):
    dag.params.validate()
    assert dag.params.dump() == {"reason": "", "since": None, "until": None, "use_verdicts": True, "dry_run": False}
    for name in dag.params:
        assert {"title", "section", "description_md"} <= set(dag.params.get_param(name).schema) | {"description_md"}
    assert "nightglass-cells" in dag.params.get_param("dry_run").schema["description_md"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("reason", None),
        ("reason", "x" * 2001),
        ("since", "yesterday"),
        ("since", "2026-13-01"),
        ("until", ""),
        ("until", 20260301),
        ("use_verdicts", "yes"),
        ("dry_run", None),
    ],
)
def test_the_form_refuses_wrong_values(dag, name, value):
    from airflow.sdk.exceptions import ParamValidationError

    with pytest.raises(ParamValidationError):
        dag.params.get_param(name).resolve(value)


# What a run is asked for, and answered

FORM = {"reason": "", "since": None, "until": None, "use_verdicts": True, "dry_run": False}
BY_OLU = SimpleNamespace(run_id="manual__1", triggering_user_name="olu")
BY_AN_ASSET = SimpleNamespace(run_id="asset__1", triggering_user_name=None)


def event(night: str, version: str = "1", **extra: object) -> SimpleNamespace:
    about = {"collection": "cells", "night": night, "model_version": version, "reasons": ["rate doubled", "drift"]}
    return SimpleNamespace(extra=about | extra)


@pytest.fixture
def request_of(dag):
    from nightglass_airflow.retrain_runs import read_request

    return lambda form, run, *events: read_request(FORM | form, run, {"the asset": list(events)} if events else {})


def test_a_night_asks_in_its_own_words(request_of):
    request = request_of({}, BY_AN_ASSET, event("2026-03-06", "7"))

    assert (request.run, request.requested_by) == ("asset__1", "the nightly decision")
    assert request.reason == "2026-03-06: rate doubled; drift"
    assert (request.champion_version, request.since, request.until) == ("7", None, "2026-03-06")


def test_of_several_nights_the_last_one_counts(request_of):
    request = request_of({}, BY_AN_ASSET, event("2026-03-06", "1"), event("2026-03-08", "2"), event("2026-03-07", "1"))

    assert (request.champion_version, request.until) == ("2", "2026-03-08")


def test_a_person_asks_with_the_form(request_of):
    form = {
        "reason": " new lamp ",
        "since": "2026-03-01",
        "until": "2026-03-05",
        "use_verdicts": False,
        "dry_run": True,
    }
    request = request_of(form, BY_OLU)

    assert request.model_dump() == {
        "run": "manual__1",
        "requested_by": "olu",
        "reason": "new lamp",
        "champion_version": None,
        "since": "2026-03-01",
        "until": "2026-03-05",
        "use_verdicts": False,
        "dry_run": True,
    }
    assert request_of({}, BY_OLU).reason == "started by hand"
    assert request_of({}, BY_OLU).until is None


def test_an_event_that_somebody_made_in_the_ui_is_a_start_by_hand(request_of):
    request = request_of({}, BY_AN_ASSET, SimpleNamespace(extra={"from_rest_api": True}))

    assert (request.requested_by, request.reason) == ("airflow", "started by hand")
    assert request.champion_version is None


def answer(option: str, user: dict[str, str] | None) -> dict[str, object]:
    """What Airflow's approval leaves behind."""
    at = datetime(2026, 3, 7, 9, 30, tzinfo=UTC)
    return {"chosen_options": [option], "params_input": {}, "responded_at": at, "responded_by_user": user}


@pytest.mark.parametrize(
    ("option", "user", "approved", "by"),
    [
        ("Approve", {"id": "7", "name": "olu"}, True, "olu"),
        ("Reject", {"id": "7", "name": "olu"}, False, "olu"),
        ("Reject", None, False, None),
        ("Approve", {"id": "7", "name": ""}, True, "7"),
    ],
)
def test_an_answer_says_who_gave_it(dag, option, user, approved, by):
    from nightglass_airflow.retrain_runs import read_answer

    found = read_answer(answer(option, user))

    assert (found.approved, found.by, found.at) == (approved, by, "2026-03-07T09:30:00+00:00")


def test_nobody_was_asked(dag):
    from nightglass_airflow.retrain_runs import read_answer

    assert read_answer(None) is None


# Who hears of a failure


@pytest.mark.parametrize(
    ("dag_id", "subject"),
    [
        ("nightly_cells", "cells 2026-03-06"),
        ("retrain_cells", "retrain_cells"),
        ("rollback_cells", "rollback_cells"),
    ],
)
def test_a_failure_alert_names_the_night_only_where_there_is_one(webhook, monkeypatch, tmp_path, dag_id, subject):
    from nightglass_airflow.failures import default_arguments

    monkeypatch.setenv("NIGHTGLASS_HOME", str(tmp_path))
    monkeypatch.setenv("NIGHTGLASS_ALERT_URLS", webhook.url)
    tell = default_arguments(Collection(name="cells", images="/{night}"))["on_failure_callback"]
    run = SimpleNamespace(logical_date=None, run_after=datetime(2026, 3, 7, 2, tzinfo=UTC))
    ti = SimpleNamespace(dag_id=dag_id, task_id="conclude", run_id="manual__1", map_index=-1)

    tell({"exception": OSError("disk full"), "ti": ti, "dag_run": run, "params": {}})

    message = webhook.messages[-1]
    assert message["title"] == f"Nightglass: {subject}: conclude failed"
    assert message["message"].startswith("disk full")
    assert f"/dags/{dag_id}/runs/manual__1" in message["message"]
