"""The maintenance DAG as Airflow sees it, and what its tasks do in a home of their own."""

from types import SimpleNamespace

import pytest

COLLECTION = "images: /data/{night}\nretention: {pictures_days: 10, embeddings_days: 5}\n"
FORM = {"collection": "all", "tidy": True, "compact": True, "back_up": True, "dry_run": False}


@pytest.fixture
def files(write_collections):
    return write_collections(cells=COLLECTION, lids=COLLECTION, wrong="imges: x")


@pytest.fixture
def dag(parse, files, tmp_path, monkeypatch):
    monkeypatch.setenv("NIGHTGLASS_HOME", str(tmp_path / "home"))
    return parse(files).dags["nightglass_maintenance"]


def run(dag, task_id, *arguments):
    return dag.task_dict[task_id].python_callable(*arguments)


def test_it_runs_every_day_in_this_order(dag):
    order = ["find_collections", "tidy_collection", "compact_databases", "back_up"]
    assert [task.task_id for task in dag.topological_sort()] == order
    assert dag.timetable.can_be_scheduled
    assert (dag.max_active_runs, dag.catchup) == (1, False)
    for word in ("Purpose", "Inputs", "Outputs", "Idempotent"):
        assert word in dag.doc_md
    for task in dag.tasks:
        assert task.doc_md, task.task_id
        assert task.retry_policy, task.task_id
        assert task.execution_timeout, task.task_id


def test_the_form_says_what_runs(dag, files):
    assert {name: dag.params[name] for name in dag.params} == FORM
    assert dag.params.get_param("collection").schema["enum"] == ["all", "cells", "lids"]
    known = [str(files / "cells.yaml"), str(files / "lids.yaml")]
    assert run(dag, "find_collections", known, FORM) == known
    assert run(dag, "find_collections", known, FORM | {"collection": "lids"}) == known[1:]
    assert run(dag, "find_collections", known, FORM | {"tidy": False}) == []


@pytest.mark.parametrize(("running", "idle"), [((), True), (("nightly_cells",), False), (("backfill_cells",), False)])
def test_a_collection_is_idle_while_nobody_writes_its_nights(dag, running, idle):
    from nightglass.collections import default_collection
    from nightglass_airflow.maintenance import idleness

    ti = SimpleNamespace(get_dr_count=lambda dag_id, states: int(dag_id in running and states == ["running"]))
    assert idleness(ti, default_collection("cells"))() is idle


def test_a_collection_without_nights_is_tidy_and_the_context_names_it(dag, files, monkeypatch):
    context = {"ti": SimpleNamespace(get_dr_count=lambda **_: 0)}
    body = dag.task_dict["tidy_collection"].python_callable
    monkeypatch.setitem(body.__globals__, "get_current_context", lambda: context)
    tidied = body(str(files / "cells.yaml"), FORM)
    assert context["collection_name"] == "cells"
    assert (tidied["removed"], tidied["kept"], tidied["deletions"]) == (0, 0, 0)


def test_what_the_form_leaves_out_is_skipped(dag):
    from airflow.sdk.exceptions import AirflowSkipException

    with pytest.raises(AirflowSkipException):
        run(dag, "compact_databases", FORM | {"compact": False})
    for left_out in ({"back_up": False}, {"dry_run": True}, {}):  # and nothing says where backups go
        with pytest.raises(AirflowSkipException):
            run(dag, "back_up", FORM | left_out)


def test_a_backup_lands_where_the_settings_say(dag, tmp_path, monkeypatch):
    monkeypatch.setenv("NIGHTGLASS_BACKUP_URL", str(tmp_path / "backups"))
    written = run(dag, "back_up", FORM)
    assert (tmp_path / "backups" / written["name"] / "manifest.json").is_file()
    assert run(dag, "compact_databases", FORM)["databases"] == ["results", "mlflow"]
