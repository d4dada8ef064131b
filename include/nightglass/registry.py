"""The registered detectors, their champion, and one MLflow run a night.

With :mod:`nightglass.tracking` the only code that talks to MLflow.
"""

import math
import time
import warnings
from collections.abc import Mapping, Sequence
from hashlib import sha256
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import TYPE_CHECKING, Self

from nightglass.errors import InputError
from nightglass.fetching import fetch_detector
from nightglass.records import Assessment, ModelRef
from nightglass.registered_models import (
    CHAMPION,
    LOG_ENTRY,
    SEAL,
    ChampionAlias,
    RegisteredVersion,
    find_version,
    list_versions,
    read_champion,
    resolve,
)
from nightglass.settings import Settings
from nightglass.storage import explaining
from nightglass.store import result_sha256
from nightglass.tracking import Tracking

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

EXPERIMENT = "nightglass"
_RECENT_VERSIONS = 100  # among which one with certain tags is looked for


class Registry:
    """The registered detectors and the runs of one MLflow.

    Every method may raise :class:`StorageError` when MLflow does not answer.

    Args:
        tracking_url: ``sqlite:///FILE`` or the http(s) address of an MLflow server.
        artifacts_dir: Where files go when there is no server, which would keep them itself.
    """

    def __init__(self, tracking_url: str, artifacts_dir: Path) -> None:
        self._tracking = Tracking(tracking_url, artifacts_dir)

    @classmethod
    def open(cls, settings: Settings) -> Self:
        """Return the registry of the settings."""
        return cls(settings.tracking_url, settings.home / "mlartifacts")

    def register_detector(
        self,
        folder: Path,
        *,
        name: str,
        params: Mapping[str, object],
        metrics: Mapping[str, float],
        tags: Mapping[str, str],
        steps: Sequence[Mapping[str, float]] = (),
        loader_module: str = "nightglass.detector.pyfunc",
    ) -> str:
        """Log a detector's folder as it is, without pickles, and register it as the next version of ``name``.

        Args:
            folder: The detector as it was saved.
            name: The registered model.
            params: How it was fitted.
            metrics: What was measured; NaN is left out.
            tags: Put on the run and on the version.
            steps: What was measured at each step of the fit, from step 0 on.
            loader_module: Module whose ``_load_pyfunc(data_path)`` loads the folder for ``mlflow.pyfunc``.

        Returns:
            The version.

        Raises:
            InputError: There is no such folder.
        """
        if not folder.is_dir():
            raise InputError(f"{folder}: expected the folder of a detector, got none")
        with self._tracking.session() as client:
            import mlflow

            with (
                mlflow.start_run(
                    experiment_id=self._tracking.experiment(client, EXPERIMENT), run_name=name, tags=dict(tags)
                ),
                warnings.catch_warnings(),
            ):
                # The signature is given, so that no example is needed and nothing is inferred.
                warnings.filterwarnings("ignore", message=".*input example was not provided")
                mlflow.log_params(dict(params))
                mlflow.log_metrics({key: value for key, value in metrics.items() if not math.isnan(value)})
                for step, measured in enumerate(steps):
                    mlflow.log_metrics(dict(measured), step=step)
                logged = mlflow.pyfunc.log_model(
                    name="detector",
                    loader_module=loader_module,
                    data_path=str(folder),
                    pip_requirements=[f"nightglass=={installed_version('nightglass')}"],
                    signature=_signature(),
                )
                return str(mlflow.register_model(logged.model_uri, name, tags=dict(tags)).version)

    def set_champion(self, name: str, version: str, *, entry: str | None = None) -> None:
        """Point the alias ``champion`` to a version; see :mod:`nightglass.promotion` for making one the champion.

        Args:
            name: The registered model.
            version: The version.
            entry: The promotion log's entry that says so; noted last, so that a crash before it is seen.

        Raises:
            ModelError: There is no such version.
        """
        with self._tracking.session() as client:
            find_version(client, name, version)
            client.set_registered_model_alias(name, CHAMPION, version)
            if entry is not None:
                client.set_registered_model_tag(name, LOG_ENTRY, entry)

    def get_champion(self, name: str) -> str | None:
        """Return the version that the alias ``champion`` points to, None where it points nowhere."""
        return self.read_champion(name).version

    def read_champion(self, name: str) -> ChampionAlias:
        """Return where the alias ``champion`` points to, and the log's entry that it was moved for."""
        with self._tracking.session() as client:
            return read_champion(client, name)

    def find_version(self, name: str, version: str) -> RegisteredVersion:
        """Return a version, without its metrics.

        Raises:
            ModelError: There is no such version.
        """
        with self._tracking.session() as client:
            return find_version(client, name, version)

    def list_versions(self, name: str, limit: int) -> list[RegisteredVersion]:
        """Return the newest versions of a model, newest first; none where there is no such model."""
        with self._tracking.session() as client:
            return list_versions(client, name, limit)

    def find_tagged(self, name: str, tags: Mapping[str, str]) -> str | None:
        """Return the newest version of a model that has all of ``tags``, None where there is none."""
        with self._tracking.session() as client:
            for version in list_versions(client, name, _RECENT_VERSIONS):
                if tags.items() <= version.tags.items():
                    return version.version
        return None

    def annotate_version(
        self, ref: ModelRef, *, tags: Mapping[str, str], description: str, files: Sequence[Path]
    ) -> None:
        """Put tags and a description (Markdown) on a version, and keep small files with the run that fitted it.

        Raises:
            ModelError: There is no such version.
        """
        with self._tracking.session() as client:
            find_version(client, ref.name, ref.version)
            for name, value in tags.items():
                client.set_model_version_tag(ref.name, ref.version, name, value)
            client.update_model_version(ref.name, ref.version, description)
            run_id = client.get_model_version(ref.name, ref.version).run_id
            for file in files if run_id else ():
                client.log_artifact(run_id, str(file))

    def resolve(self, model_uri: str) -> ModelRef:
        """Return the version that ``models:/NAME@ALIAS`` or ``models:/NAME/3`` means now.

        Raises:
            ModelError: The address has another form, or there is no such model, alias or version.
        """
        with self._tracking.session() as client:
            return resolve(client, model_uri)

    def download(self, model_uri: str, cache_dir: Path) -> Path:
        """Return the local folder of a registered detector, which is fetched once and then kept.

        It lies below ``cache_dir/NAME/VERSION`` and appears whole or not at all, so that callers may share it.

        Raises:
            ModelError: There is no such model, it holds no detector, or another one than was registered.
        """
        with self._tracking.session() as client:
            ref = resolve(client, model_uri)
            found = client.get_model_version(ref.name, ref.version)
        source, seal = found.source or "", found.tags.get(SEAL)
        # The registry may be started afresh while the cache stays: version 1 is then another detector.
        target = cache_dir / ref.name / ref.version / sha256(source.encode()).hexdigest()[:12]
        if not target.exists():
            with explaining(str(target)):
                target.parent.mkdir(parents=True, exist_ok=True)
                fetch_detector(self._tracking, ref, target, seal)
        return target

    def log_night(self, assessment: Assessment, artifacts: Sequence[Path] = ()) -> str:
        """Log a night as one run of the experiment ``nightglass/COLLECTION``; a re-run updates the same run.

        Args:
            assessment: The night.
            artifacts: Small local files that are kept with the run.

        Returns:
            The run's id.
        """
        with self._tracking.session() as client:
            from mlflow.entities import Metric, RunTag

            from nightglass.night_runs import keeping_run, the_run_of

            experiment = self._tracking.experiment(client, f"{EXPERIMENT}/{assessment.collection}")
            tags = _night_tags(assessment)
            run = the_run_of(client, experiment, assessment.night)
            run_id = str(run.info.run_id)
            if run.data.tags.get("result_sha256") == tags["result_sha256"]:
                return run_id
            with keeping_run(client, run_id):
                # MLflow takes no metric back: one that the night no longer has becomes NaN.
                metrics = dict.fromkeys(run.data.metrics, math.nan) | _night_metrics(assessment)
                now = time.time_ns() // 1_000_000
                client.log_batch(run_id, metrics=[Metric(name, value, now, 0) for name, value in metrics.items()])
                for file in artifacts:
                    client.log_artifact(run_id, str(file))
                client.log_batch(run_id, tags=[RunTag(name, value) for name, value in tags.items()])
                client.set_terminated(run_id)
            return run_id


def _signature() -> "ModelSignature":
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema

    return ModelSignature(
        inputs=Schema([ColSpec(DataType.binary, "image")]),
        outputs=Schema(
            [
                ColSpec(DataType.double, "image_score"),
                ColSpec(DataType.boolean, "is_anomalous"),
                ColSpec(DataType.string, "reason", required=False),
            ]
        ),
    )


def _night_metrics(assessment: Assessment) -> dict[str, float]:
    counts = ("images", "scored", "quarantined", "anomalous", "ignored")
    metrics = {name: float(getattr(assessment, name)) for name in counts}
    if assessment.scored:
        metrics["anomaly_rate"] = assessment.anomaly_rate
    metrics |= {f"psi_{statistic.name}": statistic.psi for statistic in assessment.drift.statistics}
    if assessment.drift.embedding is not None:
        metrics["separability"] = assessment.drift.embedding.separability
    return metrics


def _night_tags(assessment: Assessment) -> dict[str, str]:
    return {
        "collection": assessment.collection,
        "night": assessment.night,
        "decision": assessment.decision.verb.value,
        "model_name": assessment.model_name,
        "model_version": assessment.model_version,
        "data_version": assessment.data_version,
        # Last: it says that everything before it was written.
        "result_sha256": result_sha256(assessment),
    }
