"""The MLflow runs that nights were logged as; :meth:`nightglass.registry.Registry.log_night` logs them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from nightglass.errors import StorageError
from nightglass.registry import EXPERIMENT
from nightglass.settings import Settings
from nightglass.tracking import Tracking

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run


def find_night_run(settings: Settings, collection: str, night: str) -> tuple[str, str] | None:
    """Return the ids of the experiment and of the run of a night; None where it was not logged.

    Args:
        settings: Where MLflow is.
        collection: Whose night.
        night: ``YYYY-MM-DD``.

    Raises:
        StorageError: MLflow does not answer.
    """
    with Tracking(settings.tracking_url, settings.home / "mlartifacts").session() as client:
        experiment = client.get_experiment_by_name(f"{EXPERIMENT}/{collection}")
        if experiment is None:
            return None
        found = client.search_runs([experiment.experiment_id], f"tags.night = '{night}'", max_results=1)
        return (str(experiment.experiment_id), str(found[0].info.run_id)) if found else None


def the_run_of(client: "MlflowClient", experiment: str, night: str) -> "Run":
    """Return the one run of a night, which is begun where there is none.

    Two workers may begin one at the same moment: both then see both, and keep the same one. A run that was taken from
    its writer refuses what that one still logs; tried again, it logs to the run that was kept.

    Args:
        client: An open session's.
        experiment: The id of the collection's experiment.
        night: ``YYYY-MM-DD``.
    """
    wanted = f"tags.night = '{night}'"
    if not client.search_runs([experiment], wanted, max_results=1):
        # With its tag at once: a run that died before it had one would never be found again.
        client.create_run(experiment, run_name=night, tags={"night": night})
    found = sorted(client.search_runs([experiment], wanted), key=lambda run: (run.info.start_time, run.info.run_id))
    for doubled in found[1:]:
        client.delete_run(doubled.info.run_id)
    return found[0]


@contextmanager
def keeping_run(client: "MlflowClient", run_id: str) -> Iterator[None]:
    """Log to a run inside the block.

    Raises:
        StorageError: Another worker kept another run of the night, and this one is gone: logging again finds that one.
    """
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        if client.get_run(run_id).info.lifecycle_stage == "active":
            raise
        raise StorageError(f"run {run_id}: expected to be the one run of its night, another worker has one") from error
