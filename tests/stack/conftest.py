"""The whole stack of docker-compose.yaml, started once: PostgreSQL, Redis, S3, MLflow, Airflow, two Celery workers."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from deploy.native import Stack, running_stack

from tests.stack.site import COLLECTION, QUICK, TEXT, Site


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the first test the time that the stack needs to start beside other work."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(900))


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("stack")
    collections = folder / "collections"
    collections.mkdir()
    (collections / f"{COLLECTION}.yaml").write_text(TEXT)
    # Of most tests no StatsD listens, which must disturb nobody; test_metrics.py has one.
    metrics = {"STATSD_ON": "True", "AIRFLOW__SCHEDULER__TI_METRICS_INTERVAL": "1"}
    environment = {"NIGHTGLASS_COLLECTIONS_DIR": str(collections), "SCORING_SLOTS": "2", **metrics, **QUICK}
    with running_stack(folder / "home", environment=environment) as running:
        yield running


@pytest.fixture(scope="session")
def site(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The stack with a registered champion and its collection's DAG switched on."""
    site = Site(stack, tmp_path_factory.mktemp("site"))
    site.fit_champion()
    stack.airflow.wait_for_dag(f"nightly_{COLLECTION}")
    return site
