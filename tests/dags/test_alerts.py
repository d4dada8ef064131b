"""What the DAGs tell people: deadlines from the collections' files, failures, approvals, and a test message."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from nightglass import errors
from nightglass.collections import Collection
from nightglass.settings import read_settings
from nightglass.store import Store
from tests.unit.night.test_report import make_assessment

IMAGES = "images: /data/{night}"
NIGHT = "2026-03-02"


@pytest.fixture
def told(monkeypatch, tmp_path, webhook) -> list[dict[str, str]]:
    """What the people of NIGHTGLASS_ALERT_URLS were told."""
    monkeypatch.setenv("NIGHTGLASS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NIGHTGLASS_ALERT_URLS", webhook.url)
    monkeypatch.setenv("NIGHTGLASS_UI_URL", "http://airflow.example")
    webhook.messages.clear()
    return webhook.messages


def collection(**options: object) -> Collection:
    return Collection(name="cells", images="/data/{night}", **options)


def context(task_id: str, error: Exception | None, *, dag_id="nightly_cells", map_index=-1, run_id="r 1") -> dict:
    """The part of Airflow's context that a callback reads."""
    moment = datetime(2026, 3, 3, 2, tzinfo=UTC)
    return {
        "exception": error,
        "ti": SimpleNamespace(dag_id=dag_id, task_id=task_id, run_id=run_id, map_index=map_index),
        "dag_run": SimpleNamespace(logical_date=moment, run_after=moment),
        "params": {},
    }


def fail(found: Collection | None, *contexts: dict) -> None:
    from nightglass_airflow.failures import default_arguments

    tell = default_arguments(found)["on_failure_callback"]
    for each in contexts:
        tell(each)


def test_a_deadline_comes_from_the_file_and_no_other_night_has_one(parse, write_collections):
    bag = parse(write_collections(cells=IMAGES + '\nalerts: {publish_by: "06:30"}', tiles=IMAGES))

    assert bag.import_errors == {}
    deadlines = bag.dags["nightly_cells"].deadline
    assert {deadline.interval for deadline in deadlines} == {timedelta(hours=4.5)}
    assert {deadline.reference.reference_name for deadline in deadlines} == {"DagRunLogicalDateDeadline"}
    assert [(type(deadline.callback).__name__, deadline.callback.path) for deadline in deadlines] == [
        ("SyncCallback", "nightglass_airflow.deadlines.tell_missed_deadline"),
        ("AsyncCallback", "nightglass_airflow.deadlines.tell_from_triggerer"),
    ]
    assert not bag.dags["nightly_tiles"].deadline


def test_a_failure_is_told_with_its_night_and_run(told):
    fail(collection(), context("assess_night", errors.InputError("3 shards missing")))

    (message,) = told
    assert message["title"] == f"Nightglass: cells {NIGHT}: assess_night failed"
    assert message["message"] == (
        "3 shards missing\n\nAirflow run: http://airflow.example/dags/nightly_cells/runs/r%201"
    )


def test_shards_retries_and_runs_of_one_night_are_told_once(told):
    shards = [context("score_shard", errors.InputError(f"shard {n}"), map_index=n) for n in range(5)]
    again = context("score_shard", errors.InputError("shard 3"), map_index=3, run_id="r2")

    fail(collection(), *shards, again)

    assert len(told) == 1


def test_a_service_is_told_once_for_all_and_no_task_beside_it(told):
    error = errors.StorageError("http://mlflow:5000: MLflow does not answer (refused)")
    for name in ("cells", "tiles", "panels"):
        fail(collection().model_copy(update={"name": name}), context("publish_night", error, dag_id=f"nightly_{name}"))

    assert [message["title"] for message in told] == [f"Nightglass: MLflow does not answer (noticed by cells {NIGHT})"]


def test_only_what_people_want_to_hear(told):
    service = errors.StorageError("s3://images: no answer")
    fail(collection(alerts={"about": ["hold"]}), context("list_images", errors.InputError("x")))
    fail(collection(alerts={"about": ["deadline"]}), context("list_images", service))
    fail(collection(), context("validate_images", errors.ValidationFailedError("told by the night itself")))
    assert told == []
    fail(collection(alerts={"about": ["service"]}), context("list_images", service))
    assert len(told) == 1


def test_a_broken_file_is_told_once_whatever_its_runs(told):
    runs = [
        context("read_collection_file", errors.ConfigurationError("broken"), dag_id="nightly_wrong", run_id=run)
        for run in ("r1", "r2")
    ]
    fail(None, *runs)
    assert [message["title"] for message in told] == ["Nightglass: nightly_wrong: read_collection_file failed"]


@pytest.mark.parametrize("known", [False, True])
def test_a_connection_that_cannot_be_had_costs_the_alert_and_not_the_night(monkeypatch, caplog, known):
    from airflow.sdk import Connection
    from airflow.sdk.exceptions import AirflowNotFoundException

    from nightglass_airflow.connections import alert_urls

    def get(name: str) -> Connection:
        raise RuntimeError("secret of the backend") if known else AirflowNotFoundException(name)

    monkeypatch.setattr(Connection, "get", get)
    with caplog.at_level("WARNING", logger="nightglass_airflow"):
        assert alert_urls(collection(alerts={"connection": "people"})) == ()
    assert "cells: nobody is told: " in caplog.text
    assert "secret" not in caplog.text


def missed(found: Collection, folder, *, state="running", queued: timedelta = timedelta(), **conf: str) -> None:
    """Call back as Airflow's scheduler has the executor do it."""
    from nightglass_airflow.deadlines import tell_missed_deadline

    file = folder / "cells.yaml"
    file.write_text(found.model_dump_json())
    logical = datetime(2026, 3, 3, 2, tzinfo=UTC)
    run = {
        "dag_id": "nightly_cells",
        "dag_run_id": "r1",
        "logical_date": logical.isoformat(),
        "run_after": logical.isoformat(),
        "queued_at": (logical + queued).isoformat(),
        "state": state,
        "conf": conf,
    }
    tell_missed_deadline(str(file), {"dag_run": run, "deadline": {"deadline_time": logical + timedelta(hours=4)}})


def test_a_missed_deadline_is_told_in_the_time_of_the_collection(told, tmp_path):
    found = collection(timezone="Europe/Berlin")
    missed(found, tmp_path)
    missed(found, tmp_path)

    (message,) = told
    assert message["title"] == f"Nightglass: cells {NIGHT}: not published in time"
    assert (
        f"cells {NIGHT} was due by 2026-03-03 07:00 (CET) and is not published; its run is still running."
        in (message["message"])
    )


def test_a_published_night_an_old_one_and_one_nobody_waits_for_are_not_told(told, tmp_path, published_night):
    missed(collection(), tmp_path, night=published_night)
    missed(collection(), tmp_path, queued=timedelta(days=30))
    missed(collection(alerts={"about": ["hold"]}), tmp_path)
    assert told == []
    missed(collection(), tmp_path, night="2026-01-31", state="failed")
    assert "its run failed" in told[0]["message"]


@pytest.fixture
def published_night(told) -> str:
    settings = read_settings()
    with Store.connect(settings.database_url, settings.sql_dir) as store:
        store.migrate()
        store.publish_night(make_assessment([], night="2026-02-01"), "/report.html", datetime.now(UTC))
    return "2026-02-01"


def test_whoever_is_asked_hears_of_it_and_finds_the_question(told, monkeypatch):
    from nightglass_airflow.retrain_runs import ask_person

    task = ask_person(collection(), "judge_challenger")
    (notifier,) = task.notifiers
    ti = SimpleNamespace(dag_id="retrain_cells", run_id="r1", xcom_pull=lambda **_: {"sentence": "All met."})

    notifier.notify({"ti": ti})

    (message,) = told
    assert message["title"] == "Nightglass: cells: a challenger waits for approval"
    assert message["message"].splitlines()[0] == "All met."
    assert (
        "Answer: http://airflow.example/dags/retrain_cells/runs/r1/tasks/approve/required_actions"
        in (message["message"])
    )


def test_the_addresses_of_a_collection_can_be_tried(told, parse, write_collections, monkeypatch):
    bag = parse(write_collections(cells=IMAGES, wrong="imges: x"))
    dag = bag.dags["try_alerts"]
    assert dag.params.get_param("collection").schema["enum"] == ["cells"]
    send = dag.get_task("send_test").python_callable

    assert send({"collection": "cells"}) == 1
    assert [message["title"] for message in told] == ["Nightglass: cells: a test"]
    monkeypatch.setenv("NIGHTGLASS_ALERT_URLS", "json://token@127.0.0.1:9")
    with pytest.raises(errors.StorageError, match=r"alert 1 of 1 \(json://\*\*\*\) was not delivered"):
        send({"collection": "cells"})
    with pytest.raises(errors.ConfigurationError, match="tiles: expected a collection with addresses"):
        send({"collection": "tiles"})
