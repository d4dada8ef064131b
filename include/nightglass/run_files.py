"""Files of the MLflow runs that nights were logged as; with :mod:`nightglass.registry` all that talks to MLflow."""

import tempfile
from pathlib import Path

from nightglass.night_runs import find_night_run
from nightglass.settings import Settings
from nightglass.tracking import Tracking


def renew_file(settings: Settings, collection: str, night: str, name: str, data: bytes) -> bool:
    """Put a file in the place of the one that a night's run has; False where the night has no run.

    Raises:
        StorageError: MLflow does not answer.
    """
    found = find_night_run(settings, collection, night)
    if found is None:
        return False
    with (
        tempfile.TemporaryDirectory(prefix="nightglass-") as work,
        Tracking(settings.tracking_url, settings.home / "mlartifacts").session() as client,
    ):
        local = Path(work) / name
        local.write_bytes(data)
        client.log_artifact(found[1], str(local))
    return True
