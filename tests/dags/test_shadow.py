"""What a shadow adds to the nightly and the retraining DAG of a collection whose file asks for one."""

import logging
from datetime import timedelta
from types import SimpleNamespace

import pytest

from nightglass.errors import AccessDeniedError
from nightglass.night.plan import NightPlan
from nightglass.records import ModelRef
from nightglass.retraining.plan import Request, RetrainPlan

SHADOWING = "images: /data/{night}\nretraining: {shadow: {nights: 2, max_days: 10}}"
NIGHT = ["list_images", "validate_images", "score_shard", "assess_night", "publish_night"]
JUDGED = ["take_snapshot", "fit_challenger", "evaluate_models", "judge_challenger", "choose_next"]


@pytest.fixture
def shadowing(parse, write_collections):
    folder = write_collections(cells=f"{SHADOWING}\nready: {{poll_seconds: 20}}")
    return parse(folder).dags["retrain_cells"]


def test_a_shadow_is_one_step_more_before_a_person_is_asked(shadowing):
    order = [task.task_id for task in shadowing.topological_sort()]
    assert order == [*JUDGED, "shadow_challenger", "choose_after_shadow", "approve", "promote_challenger", "conclude"]
    ends = {"approve", "promote_challenger", "conclude"}
    # A branch skips only what directly follows it: a refused challenger must not come to the promotion by the shadow.
    assert shadowing.get_task("choose_next").downstream_task_ids == {"shadow_challenger", *ends}
    assert shadowing.get_task("choose_after_shadow").upstream_task_ids == {"shadow_challenger"}
    assert shadowing.get_task("choose_after_shadow").downstream_task_ids == ends
    assert "fit_challenger" in shadowing.get_task("shadow_challenger").upstream_task_ids
    approve = shadowing.get_task("approve")
    assert "shadow_challenger" in approve.subject
    assert "shadow_challenger" in approve.body
    assert {task.task_id for task in shadowing.tasks if not task.doc_md} == set()


def test_waiting_for_the_shadow_holds_no_worker_and_ends_after_its_days(shadowing):
    sensor = shadowing.get_task("shadow_challenger")
    assert (sensor.mode, sensor.poke_interval) == ("reschedule", 200)
    assert sensor.timeout > timedelta(days=10).total_seconds()
    assert sensor.execution_timeout <= timedelta(hours=1)
    assert sensor.retry_policy
    assert sensor.pool == "default_pool"


def retrain_plan(folder) -> dict:
    return RetrainPlan(
        collection="cells", collection_file=str(folder / "cells.yaml"),
        request=Request(run="manual__1", requested_by="olu", reason="new lamp"), folder_url="x",
        champion=ModelRef(name="nightglass-cells", version="1"), champion_fingerprint="f", data_version="d",
        started_at="2026-03-06T06:00:00.000000Z", challenger=ModelRef(name="nightglass-cells", version="2"),
        challenger_fingerprint="g",
    ).model_dump()  # fmt: skip


def test_a_look_that_fails_ends_no_shadow(parse, write_collections, monkeypatch, tmp_path, caplog):
    """A month of looks: a database that is down, a file that is half saved, and then one that goes well."""
    folder = write_collections(cells=SHADOWING)
    sensor = parse(folder).dags["retrain_cells"].get_task("shadow_challenger")
    assert sensor.retries >= 50
    monkeypatch.setenv("NIGHTGLASS_HOME", str(tmp_path))
    caplog.set_level(logging.WARNING)

    def look():
        caplog.clear()
        return sensor.python_callable(retrain_plan(folder)).is_done, [record.getMessage() for record in caplog.records]

    monkeypatch.setenv("NIGHTGLASS_DATABASE_URL", "postgresql://nobody:secret@127.0.0.1:1/nowhere")
    is_done, (line,) = look()
    assert not is_done
    assert line.startswith("cells: this look failed, the shadow goes on: postgresql")
    assert "secret" not in line
    monkeypatch.setenv("NIGHTGLASS_DATABASE_URL", f"sqlite:///{tmp_path}/nightglass.db")
    (folder / "cells.yaml").write_text("images: /data/{night}\nretraining: {shadow: {nights: many}}")
    is_done, (line,) = look()
    assert not is_done
    assert "cells.yaml: retraining.shadow.nights" in line
    write_collections(cells=SHADOWING)
    assert look() == (False, [])


def test_a_look_that_a_person_must_help_fails(parse, write_collections, monkeypatch, tmp_path):
    folder = write_collections(cells=SHADOWING)
    sensor = parse(folder).dags["retrain_cells"].get_task("shadow_challenger")
    monkeypatch.setenv("NIGHTGLASS_HOME", str(tmp_path))
    monkeypatch.setenv("NIGHTGLASS_DATABASE_URL", f"sqlite:///{folder}")
    with pytest.raises(AccessDeniedError):
        sensor.python_callable(retrain_plan(folder))


@pytest.mark.parametrize(
    ("judged", "task"),
    [("shadow", "shadow_challenger"), ("promote", "promote_challenger"), ("conclude", "conclude")],
)
def test_both_branches_follow_what_was_judged(shadowing, judged, task):
    assert shadowing.get_task("choose_next").python_callable({"next": judged}) == task
    assert task in shadowing.get_task("choose_next").downstream_task_ids


def test_a_challenger_may_shadow_a_night_that_is_published(parse, write_collections):
    dag = parse(write_collections(cells=f"{SHADOWING}\nscoring: {{pool: two_at_once}}")).dags["nightly_cells"]

    assert [task.task_id for task in dag.topological_sort()] == [*NIGHT, "shadow_night"]
    task = dag.get_task("shadow_night")
    assert task.upstream_task_ids == {"list_images", "publish_night"}
    assert (task.pool, task.downstream_task_ids) == ("two_at_once", set())
    assert timedelta() < task.execution_timeout <= timedelta(hours=3)
    assert task.doc_md
    assert task.retry_policy
    # The next night's run waits for it.
    assert (dag.max_active_runs, task.retries) == (1, 1)


def test_a_night_that_nobody_shadows_skips_it(parse, write_collections, monkeypatch, tmp_path):
    from airflow.sdk.exceptions import AirflowSkipException

    monkeypatch.setenv("NIGHTGLASS_HOME", str(tmp_path))
    folder = write_collections(cells=f"images: {tmp_path}/{{night}}\nretraining: {{shadow: {{nights: 2}}}}")
    task = parse(folder).dags["nightly_cells"].get_task("shadow_night")
    plan = NightPlan(
        collection="cells", collection_file=str(folder / "cells.yaml"), night="2026-03-06", images_url="x",
        folder_url="x", model=ModelRef(name="nightglass-cells", version="1"), model_fingerprint="f", score_key="k",
        data_version="d", images=1, ignored=0, shards=1, top_k=1, rescore=False,
    )  # fmt: skip
    with pytest.raises(AirflowSkipException, match="no challenger shadows the champion"):
        task.python_callable(plan.model_dump())


@pytest.mark.parametrize(("challenger", "asked"), [(None, 1), ("2", 0)])
def test_a_night_asks_for_no_other_model_while_one_shadows(parse, write_collections, caplog, challenger, asked):
    parse(write_collections(cells=SHADOWING))
    from nightglass_airflow.retraining import RETRAIN_DECISION, request_retraining, retrain_requests

    added = []
    plan = {"collection": "cells", "night": "2026-03-06", "model": {"name": "nightglass-cells", "version": "1"}}
    published = {"decision": "retrain", "reasons": ["rate doubled"], "challenger": challenger}
    events = {RETRAIN_DECISION: SimpleNamespace(add=lambda asset, extra: added.append((asset.name, extra["night"])))}
    caplog.set_level(logging.INFO)
    request_retraining(plan, published, {retrain_requests("cells"): []}, events)
    assert added == [("retrain_requests_cells", "2026-03-06")] * asked
    withheld = "cells 2026-03-06: no new model is asked for, challenger 2 shadows the champion already"
    assert (withheld in caplog.messages) == bool(challenger)
