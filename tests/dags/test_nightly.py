"""The nightly DAGs as Airflow sees them: parsed, documented, wired and scheduled as the collections' files say."""

import itertools
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from nightglass import errors
from nightglass.collections import Collection, read_collection

REPOSITORY = Path(__file__).resolve().parents[2]
COLLECTIONS = REPOSITORY / "include" / "collections"
TASKS = ["list_images", "validate_images", "score_shard", "assess_night", "publish_night"]


def test_every_collection_of_the_repository_has_its_dag(parse):
    bag = parse(COLLECTIONS)

    assert bag.import_errors == {}
    assert {f"nightly_{file.stem}" for file in COLLECTIONS.glob("*.yaml")} <= set(bag.dags)
    assert not any("broken" in dag.tags for dag in bag.dags.values())


def test_every_dag_and_task_is_documented(parse, write_collections):
    bag = parse(write_collections(cells="images: /data/{night}", wrong="imges: x"))

    for dag in bag.dags.values():
        assert dag.doc_md
        assert dag.description
        assert {task.task_id: task.doc_md for task in dag.tasks if not task.doc_md} == {}
    for word in ("Purpose", "Inputs", "Outputs", "Idempotent"):
        assert word in bag.dags["nightly_cells"].doc_md


def test_the_tasks_form_one_chain(parse, write_collections):
    dag = parse(write_collections(cells="images: /data/{night}")).dags["nightly_cells"]

    order = [task.task_id for task in dag.topological_sort()]
    assert order == TASKS
    for before, after in itertools.pairwise(TASKS):
        assert before in dag.get_task(after).upstream_task_ids


def test_shards_are_mapped_into_the_collections_pool(parse, write_collections):
    folder = write_collections(cells="images: /data/{night}\nscoring: {pool: two_at_once}")
    task = parse(folder).dags["nightly_cells"].get_task("score_shard")

    assert task.is_mapped
    assert (task.pool, task.queue) == ("two_at_once", "cpu")
    assert task.map_index_template


def test_every_task_has_a_time_limit_and_the_retry_policy(parse, write_collections):
    dag = parse(write_collections(cells="images: /data/{night}")).dags["nightly_cells"]

    for task in dag.tasks:
        assert timedelta() < task.execution_timeout <= timedelta(hours=3), task.task_id
        assert task.retry_policy, task.task_id


def test_schedule_and_waiting_come_from_the_file(parse, write_collections):
    text = """
        images: /data/{night}
        schedule: 30 3 * * *
        timezone: Europe/Berlin
        start_date: 2026-02-01
        catchup: true
        ready: {deadline_hours: 2, poll_seconds: 30}
    """
    dag = parse(write_collections(cells=text)).dags["nightly_cells"]

    assert (dag.timetable.expression, str(dag.timetable.timezone)) == ("30 3 * * *", "Europe/Berlin")
    assert dag.start_date == datetime(2026, 1, 31, 23, tzinfo=UTC)
    assert dag.catchup
    assert dag.max_active_runs == 1
    sensor = dag.get_task("list_images")
    assert (sensor.mode, sensor.timeout, sensor.poke_interval) == ("reschedule", 7200, 30)


def test_a_collection_without_schedule_runs_only_by_hand(parse, write_collections):
    dag = parse(write_collections(cells="images: /data\nschedule: null")).dags["nightly_cells"]

    assert not dag.timetable.can_be_scheduled


@pytest.mark.parametrize(
    ("error", "action"),
    [
        (errors.StorageError("down"), "retry"),
        (errors.AccessDeniedError("no"), "fail"),
        (errors.InputError("wrong"), "fail"),
        (errors.ModelError("none"), "fail"),
        (errors.FolderIncompleteError("late"), "fail"),
        (errors.ValidationFailedError("bad"), "fail"),
        (KeyError("unexpected"), "default"),
    ],
)
def test_only_what_can_heal_is_retried(parse, write_collections, error, action):
    dag = parse(write_collections(cells="images: /data/{night}")).dags["nightly_cells"]

    decision = dag.get_task("assess_night").retry_policy.evaluate(error, try_number=1, max_tries=3)

    assert decision.action.value == action


def test_how_long_a_try_waits_comes_from_the_environment(parse, write_collections, monkeypatch):
    folder = write_collections(cells="images: /data/{night}")
    assert parse(folder).dags["nightly_cells"].get_task("assess_night").retry_delay == timedelta(minutes=1)
    monkeypatch.setenv("NIGHTGLASS_RETRY_SECONDS", "7")
    assert parse(folder).dags["nightly_cells"].get_task("assess_night").retry_delay == timedelta(seconds=7)


def test_the_form_takes_its_defaults_from_the_file(parse, write_collections):
    folder = write_collections(cells="images: /data/{night}\nscoring: {top_k: 7}")
    params = parse(folder).dags["nightly_cells"].params

    params.validate()
    assert params.dump() == {"night": None, "images_url": None, "top_k": 7, "rescore": False}
    for name in params:
        schema = params.get_param(name).schema
        assert {"title", "section", "description_md"} <= set(schema), name


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("night", "2026-13-01"),
        ("night", "yesterday"),
        ("images_url", ""),
        ("top_k", 0),
        ("top_k", 1001),
        ("top_k", "many"),
        ("rescore", "yes"),
    ],
)
def test_the_form_refuses_wrong_values(parse, write_collections, name, value):
    from airflow.sdk.exceptions import ParamValidationError

    params = parse(write_collections(cells="images: /data/{night}")).dags["nightly_cells"].params

    with pytest.raises(ParamValidationError):
        params.get_param(name).resolve(value)


def run(*, logical: str | None = None, after: str = "2026-05-01T00:00:00+00:00"):
    """The part of Airflow's dag_run that the DAGs read."""
    moment = datetime.fromisoformat(logical) if logical else None
    return SimpleNamespace(logical_date=moment, run_after=datetime.fromisoformat(after))


@pytest.mark.parametrize(
    ("settings", "dag_run", "form", "night"),
    [
        ({}, run(logical="2026-03-10T02:00:00+00:00"), {}, "2026-03-09"),
        ({"night_lag_days": 0}, run(logical="2026-03-10T02:00:00+00:00"), {}, "2026-03-10"),
        # 23:30 UTC is already the next day in Berlin, and still the day before in New York at 02:00 UTC.
        ({"timezone": "Europe/Berlin"}, run(logical="2026-03-09T23:30:00+00:00"), {}, "2026-03-09"),
        ({"timezone": "America/New_York"}, run(logical="2026-03-10T02:00:00+00:00"), {}, "2026-03-08"),
        # By hand: Airflow gives no logical date.
        ({}, run(after="2026-03-10T15:00:00+00:00"), {}, "2026-03-09"),
        ({}, run(logical="2026-03-10T02:00:00+00:00"), {"night": "2026-01-31"}, "2026-01-31"),
        ({}, run(logical="2026-03-10T02:00:00+00:00"), {"night": None}, "2026-03-09"),
    ],
)
def test_the_night_of_a_run(settings, dag_run, form, night):
    from nightglass_airflow.runs import night_of

    collection = Collection(name="cells", images="/data/{night}", **settings)

    assert night_of(collection, dag_run, form) == night


def test_waiting_ends_at_the_deadline_with_one_clear_error():
    from nightglass_airflow.runs import check_deadline

    collection = Collection(name="cells", images="/data/{night}", ready={"deadline_hours": 2})
    now = datetime.now(UTC)

    check_deadline(collection, run(after=(now - timedelta(hours=1, minutes=59)).isoformat()), "2026-03-09", "no marker")
    late = run(after=(now - timedelta(hours=2)).isoformat())
    with pytest.raises(errors.FolderIncompleteError, match=r"cells 2026-03-09: .*within 2 hours .*, got: no marker"):
        check_deadline(collection, late, "2026-03-09", "no marker")


def test_the_template_holds_every_key_with_its_default():
    raw = yaml.safe_load((COLLECTIONS / "template.yaml.example").read_text())
    default = Collection(name="template", images=raw["images"])

    assert Collection.model_validate(raw) == default
    assert keys_of(raw) == keys_of(default.model_dump(mode="json"))


def keys_of(settings: dict, prefix: str = "") -> set[str]:
    found = set()
    for key, value in settings.items():
        found |= {prefix + key} | (keys_of(value, f"{prefix}{key}.") if isinstance(value, dict) else set())
    return found


def test_the_demos_collection_lies_in_nightglass_home(monkeypatch, tmp_path):
    monkeypatch.setenv("NIGHTGLASS_HOME", str(tmp_path))

    collection = read_collection(COLLECTIONS / "solar-cells.yaml")

    assert collection.night_url("2026-03-02") == f"{tmp_path}/demo/images/solar-cells/2026-03-02"
