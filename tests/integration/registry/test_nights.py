import math
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from nightglass.errors import StorageError
from nightglass.night_runs import keeping_run
from nightglass.records import Assessment, DriftReport
from nightglass.registry import Registry

pytestmark = pytest.mark.integration

MakeAssessment = Callable[..., Assessment]


def test_a_night_is_one_run_however_often_it_is_logged(
    registry: Registry, make_assessment: MakeAssessment, tmp_path: Path
) -> None:
    note = tmp_path / "assessment.json"
    note.write_text("{}")
    run_id = registry.log_night(make_assessment(), [note])
    assert registry.log_night(make_assessment(), [note]) == run_id
    changed = make_assessment(anomalous=7, drift=DriftReport(statistics=[], embedding=None))
    assert registry.log_night(changed, [note]) == run_id
    other = registry.log_night(make_assessment("2026-03-15"), [note])

    client = MlflowClient()
    experiment = client.get_experiment_by_name("nightglass/cells")
    assert experiment is not None
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert {name: run.info.run_id for name, run in runs.items()} == {"2026-03-14": run_id, "2026-03-15": other}
    night = runs["2026-03-14"]
    assert night.info.status == "FINISHED"
    assert night.data.metrics["anomalous"] == 7
    assert math.isnan(night.data.metrics["psi_brightness"])
    assert runs["2026-03-15"].data.metrics["psi_brightness"] == 0.04
    assert night.data.tags.items() >= {"decision": "ok", "model_version": "3", "night": "2026-03-14"}.items()
    assert [file.path for file in client.list_artifacts(run_id)] == ["assessment.json"]
    history = client.get_metric_history(run_id, "anomalous")
    assert [metric.value for metric in history] == [4, 7]


def test_a_night_of_an_experiment_that_was_deleted_is_logged(
    registry: Registry, make_assessment: MakeAssessment
) -> None:
    registry.log_night(make_assessment())
    experiment = MlflowClient().get_experiment_by_name("nightglass/cells")
    assert experiment is not None
    MlflowClient().delete_experiment(experiment.experiment_id)
    registry.log_night(make_assessment("2026-03-15"))


def runs(name: str = "nightglass/cells") -> list[Run]:
    experiment = MlflowClient().get_experiment_by_name(name)
    assert experiment is not None
    return list(MlflowClient().search_runs([experiment.experiment_id]))


def test_runs_that_two_workers_began_at_once_become_one(registry: Registry, make_assessment: MakeAssessment) -> None:
    registry.log_night(make_assessment("2026-03-15"))
    experiment = runs()[0].info.experiment_id
    begun = [
        MlflowClient().create_run(experiment, start_time=start, tags={"night": "2026-03-14"}) for start in (2000, 1000)
    ]
    assert registry.log_night(make_assessment()) == begun[1].info.run_id
    assert len(runs()) == 2
    assert registry.log_night(make_assessment()) == begun[1].info.run_id


def test_a_worker_whose_run_was_given_up_for_anothers_logs_to_that_one(
    registry: Registry, make_assessment: MakeAssessment
) -> None:
    run_id = registry.log_night(make_assessment())
    MlflowClient().delete_run(run_id)
    with pytest.raises(StorageError, match="another worker has one") as caught, keeping_run(MlflowClient(), run_id):
        MlflowClient().log_metric(run_id, "images", 1)
    assert caught.value.can_heal
    kept = registry.log_night(make_assessment())
    assert kept != run_id
    assert [run.info.run_id for run in runs()] == [kept]
