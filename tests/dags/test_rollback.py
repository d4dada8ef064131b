"""The rollback DAGs as Airflow sees them, and what their tasks do with a real results database and MLflow."""

import json
from types import SimpleNamespace

import pytest

SOUND = "images: /data/{night}"
NAME = "nightglass-cells"


@pytest.fixture
def dag(parse, write_collections):
    return parse(write_collections(cells=SOUND)).dags["rollback_cells"]


def test_a_broken_file_takes_no_rollback_down(parse, write_collections):
    bag = parse(write_collections(cells=SOUND, wrong="imges: x", twice=SOUND + "\nname: cells"))

    assert bag.import_errors == {}
    assert [dag_id for dag_id in bag.dags if dag_id.startswith("rollback_")] == ["rollback_cells"]


def test_it_is_documented_and_runs_only_by_hand(dag):
    for word in ("Purpose", "Inputs", "Outputs", "Idempotent"):
        assert word in dag.doc_md
    assert {task.task_id for task in dag.tasks if not task.doc_md} == set()
    assert not dag.timetable.can_be_scheduled
    assert dag.max_active_runs == 1
    for task in dag.tasks:
        assert task.retry_policy, task.task_id
        assert task.execution_timeout, task.task_id


def test_it_goes_back_tells_it_and_scores_again(dag):
    assert [task.task_id for task in dag.topological_sort()] == ["roll_back", "find_last_night", "score_again"]
    assert dag.get_task("find_last_night").upstream_task_ids == {"roll_back"}
    again = dag.get_task("score_again")
    assert again.upstream_task_ids >= {"find_last_night"}
    assert again.trigger_dag_id == "nightly_cells"
    assert again.skip_when_already_exists
    assert "{{ run_id }}" in again.trigger_run_id
    assert [asset.name for asset in dag.get_task("roll_back").outlets] == ["champion_cells"]


def test_the_form_needs_a_reason(dag):
    from airflow.sdk.exceptions import ParamValidationError

    with pytest.raises(ParamValidationError):
        dag.params.validate()
    for name in dag.params:
        assert {"title", "section", "description_md"} <= set(dag.params.get_param(name).schema), name
    dag.params.get_param("reason").resolve("false alarms")
    assert (dag.params["version"], dag.params["rescore"]) == ("", False)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("reason", ""),
        ("reason", " \n"),
        ("reason", None),
        ("version", "two"),
        ("version", "0"),
        ("version", "1; DROP TABLE promotion_log"),
        ("version", 2),
        ("rescore", "yes"),
    ],
)
def test_the_form_refuses_wrong_values(dag, name, value):
    from airflow.sdk.exceptions import ParamValidationError

    with pytest.raises(ParamValidationError):
        dag.params.get_param(name).resolve(value)


# What the tasks do


@pytest.fixture
def champions(monkeypatch, tmp_path):
    """Two versions in a real MLflow, of which the second is the champion."""
    from mlflow import MlflowClient

    from nightglass.collections import Collection
    from nightglass.promotion import promote
    from nightglass.registry import Registry
    from nightglass.settings import read_settings

    monkeypatch.setenv("NIGHTGLASS_HOME", str(tmp_path / "home"))
    settings = read_settings()
    assert Registry(settings.tracking_url, settings.home).get_champion(NAME) is None
    client = MlflowClient(settings.tracking_url)
    client.create_registered_model(NAME)
    for version in ("1", "2"):
        client.create_model_version(NAME, source="file:///nowhere")
        promote(Collection(name="cells", images="/{night}"), version, settings, by="ana", reason="gates")
    return client


def run_of(user: str | None) -> SimpleNamespace:
    """The part of Airflow's dag_run that the task reads."""
    return SimpleNamespace(run_id="manual__1", triggering_user_name=user)


@pytest.mark.parametrize(("user", "by"), [("olu", "olu"), (None, "airflow")])
def test_the_task_rolls_back_in_the_name_of_whoever_triggered_it(dag, champions, webhook, monkeypatch, user, by):
    from nightglass.collections import Collection
    from nightglass_airflow.champions import champion_asset

    monkeypatch.setenv("NIGHTGLASS_ALERT_URLS", webhook.url)
    webhook.messages.clear()
    task = dag.get_task("roll_back")
    events = {champion_asset(Collection(name="cells", images="/{night}")): SimpleNamespace(extra=None)}
    form = {"version": "", "reason": "false alarms"}
    for is_new in (True, False):  # the second time is a retry
        done = task.python_callable(*task.op_args, params=form, dag_run=run_of(user), outlet_events=events)
        assert (done["champion"]["version"], done["is_new"]) == ("1", is_new)
        (extra,) = (accessor.extra for accessor in events.values())
        assert (extra["version"], extra["previous_version"], extra["by"], extra["run"]) == ("1", "2", by, "manual__1")
        json.dumps([done, extra])
    assert champions.get_registered_model(NAME).aliases["champion"] == 1
    (message,) = webhook.messages
    assert message["title"] == "Nightglass: cells: rolled back to version 1"
    assert f"{by} rolled nightglass-cells back from version 2 to 1: false alarms" in message["message"]
    assert "/dags/rollback_cells/runs/manual__1" in message["message"]


def test_the_last_night_is_scored_again_where_it_is_asked_for(dag, champions):
    task = dag.get_task("find_last_night")

    def find(*, rescore):
        return task.python_callable(*task.op_args, params={"rescore": rescore})

    assert find(rescore=True) is None  # no night was published yet
    assert find(rescore=False) is None
