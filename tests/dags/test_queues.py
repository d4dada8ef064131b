"""Which Celery queue each task goes to: what runs the network goes where the collection's file says."""

import pytest

from nightglass.collections import read_collection
from nightglass.errors import ConfigurationError

#: Of each DAG, the tasks that fit a detector or score with one.
NETWORK = {
    "nightly_cells": {"score_shard", "shadow_night"},
    "retrain_cells": {"fit_challenger", "evaluate_models"},
    "backfill_cells": {"score_nights"},
}
TEXT = """
    images: /data/{night}
    scoring: {queue: gpu, device: cuda, pool: gpu_slots}
    retraining: {shadow: {nights: 2}}
"""


@pytest.mark.parametrize("dag_id", NETWORK)
def test_the_tasks_with_the_network_go_to_the_collections_queue(parse, write_collections, dag_id):
    tasks = parse(write_collections(cells=TEXT)).dags[dag_id].tasks

    assert {task.task_id for task in tasks if task.queue == "gpu"} == NETWORK[dag_id]
    assert {task.task_id for task in tasks if task.pool == "gpu_slots"} == NETWORK[dag_id]


def test_rolling_back_needs_no_gpu(parse, write_collections):
    tasks = parse(write_collections(cells=TEXT)).dags["rollback_cells"].tasks

    assert "gpu" not in {task.queue for task in tasks}


@pytest.mark.parametrize("queue", ["", "gpu,cpu", "a b"])
def test_a_queue_is_one_name(write_collections, queue):
    folder = write_collections(cells=f"images: /data/{{night}}\nscoring: {{queue: '{queue}'}}")

    with pytest.raises(ConfigurationError, match=r"scoring\.queue"):
        read_collection(folder / "cells.yaml")
