"""The backfill DAGs as Airflow sees them: their wiring and their form."""

from datetime import timedelta

import pytest

SOUND = "images: /data/{night}\nscoring: {pool: two_at_once, queue: gpu}"


@pytest.fixture
def dag(parse, write_collections):
    return parse(write_collections(cells=SOUND)).dags["backfill_cells"]


def test_a_broken_file_takes_no_backfill_down(parse, write_collections):
    bag = parse(write_collections(cells=SOUND, wrong="imges: x", twice=SOUND + "\nname: cells"))

    assert bag.import_errors == {}
    assert [dag_id for dag_id in bag.dags if dag_id.startswith("backfill_")] == ["backfill_cells"]


def test_it_is_documented_and_runs_only_by_hand_one_at_a_time(dag):
    for word in ("Purpose", "Inputs", "Outputs", "Idempotent"):
        assert word in dag.doc_md
    assert {task.task_id for task in dag.tasks if not task.doc_md} == set()
    assert not dag.timetable.can_be_scheduled
    assert dag.max_active_runs == 1
    for task in dag.tasks:
        assert task.retry_policy, task.task_id
        assert task.execution_timeout, task.task_id


def test_lanes_are_mapped_in_the_pool_of_the_collection(dag):
    assert [task.task_id for task in dag.topological_sort()] == ["plan_nights", "score_nights", "compare_nights"]
    scoring = dag.get_task("score_nights")
    assert (scoring.is_mapped, scoring.pool, scoring.queue) == (True, "two_at_once", "gpu")
    assert scoring.execution_timeout <= timedelta(hours=12)
    assert dag.get_task("plan_nights").pool == dag.get_task("compare_nights").pool == "default_pool"
    assert dag.get_task("compare_nights").upstream_task_ids == {"plan_nights", "score_nights"}


def test_the_form_needs_a_range_and_a_version(dag):
    from airflow.sdk.exceptions import ParamValidationError

    with pytest.raises(ParamValidationError):
        dag.params.validate()
    for name in dag.params:
        assert {"title", "section", "description_md"} <= set(dag.params.get_param(name).schema), name
    for name, value in (("since", "2026-03-01"), ("until", "2026-03-31"), ("version", "12"), ("version", "champion")):
        assert dag.params.get_param(name).resolve(value) == value
    assert dag.params["parallel"] == 1
    assert dag.params.get_param("parallel").resolve(16) == 16


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("since", ""),
        ("since", None),
        ("since", "yesterday"),
        ("until", "2026-02-30"),
        ("version", "0"),
        ("version", "two"),
        ("version", "1; DROP TABLE nights"),
        ("version", 2),
        ("parallel", 0),
        ("parallel", 17),
        ("parallel", "2"),
    ],
)
def test_the_form_refuses_wrong_values(dag, name, value):
    from airflow.sdk.exceptions import ParamValidationError

    with pytest.raises(ParamValidationError):
        dag.params.get_param(name).resolve(value)


def test_what_the_form_gives_is_what_the_task_takes(dag):
    """The task passes the form on by name."""
    import inspect

    from nightglass.backfill.lanes import plan_lanes

    keywords = set(inspect.signature(plan_lanes).parameters) - {"collection_file", "storage_options"}
    assert set(dag.params) == keywords
