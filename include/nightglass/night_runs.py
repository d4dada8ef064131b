"""The MLflow runs that nights were logged as; :meth:`nightglass.registry.Registry.log_night` logs them."""

from nightglass.registry import EXPERIMENT
from nightglass.settings import Settings
from nightglass.tracking import Tracking


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
