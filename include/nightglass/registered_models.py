"""What is asked about registered models: a version, the alias ``champion``, what there is at all."""

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from nightglass.errors import ModelError
from nightglass.records import ModelRef, Record
from nightglass.store import format_time
from nightglass.tracking import MISSING

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion, RegisteredModel

CHAMPION = "champion"
#: Tag of a registered model: the entry of the promotion log that the alias was last moved for.
LOG_ENTRY = "nightglass.champion_entry"
#: Tag of a version: the sha256 that its ``detector.json`` had when it was registered.
SEAL = "detector_sha256"
_MODEL_URI = re.compile(r"models:/(?P<name>[^/@:.][^/@:]*)(?:@(?P<alias>[^/@:]+)|/(?P<version>\d+))")
_VERSION = re.compile(r"[1-9][0-9]{0,8}")


class ChampionAlias(Record):
    """Where the alias ``champion`` points to, and the log's entry that it was last moved for."""

    version: str | None
    entry: str | None


class RegisteredVersion(Record):
    """One version of a registered model; ``metrics`` are those of the run that fitted it, where they were asked for."""

    name: str
    version: str
    created_at: str
    aliases: list[str]
    tags: dict[str, str]
    metrics: dict[str, float]


def resolve(client: "MlflowClient", model_uri: str) -> ModelRef:
    """Return the version that ``models:/NAME@ALIAS`` or ``models:/NAME/3`` means now.

    Raises:
        ModelError: The address has another form, or there is no such model, alias or version.
    """
    match = _MODEL_URI.fullmatch(model_uri)
    if match is None:
        raise ModelError(f"expected models:/NAME@{CHAMPION} or models:/NAME/VERSION, got {model_uri!r}")
    if match["version"]:
        return ModelRef(name=match["name"], version=find_version(client, match["name"], match["version"]).version)
    found = _find_model(client, match["name"])
    version = found.aliases.get(match["alias"]) if found else None
    if version is None:
        raise ModelError(f"{model_uri}: expected a registered model with this alias, got none; {_known(client)}")
    return ModelRef(name=match["name"], version=str(version))


def find_version(client: "MlflowClient", name: str, version: str) -> RegisteredVersion:
    """Return a version, without its metrics.

    Raises:
        ModelError: There is no such version.
    """
    from mlflow.exceptions import MlflowException

    if not _VERSION.fullmatch(version):
        raise ModelError(f"{name}: expected the number of a version, got {version!r}")
    try:
        return _describe(client.get_model_version(name, version))
    except MlflowException as error:
        if error.error_code not in MISSING:
            raise
        message = f"models:/{name}/{version}: expected a registered version, got none; {_known(client)}"
        raise ModelError(message) from error


def read_champion(client: "MlflowClient", name: str) -> ChampionAlias:
    """Return where the alias points to; nowhere where there is no such model."""
    found = _find_model(client, name)
    if found is None:
        return ChampionAlias(version=None, entry=None)
    version = found.aliases.get(CHAMPION)
    return ChampionAlias(version=None if version is None else str(version), entry=found.tags.get(LOG_ENTRY))


def list_versions(client: "MlflowClient", name: str, limit: int) -> list[RegisteredVersion]:
    """Return the newest versions of a model with the metrics of their runs, newest first."""
    if _find_model(client, name) is None:
        return []
    # A search leaves the aliases out.
    return [
        _with_metrics(client, client.get_model_version(name, each.version))
        for each in search_versions(client, name, limit)
    ]


def search_versions(client: "MlflowClient", name: str, limit: int) -> list[RegisteredVersion]:
    """Return the newest versions of a model, newest first, without aliases and metrics: with one question."""
    quote = '"' if "'" in name else "'"
    found = client.search_model_versions(
        f"name = {quote}{name}{quote}", max_results=limit, order_by=["version_number DESC"]
    )
    return [_describe(each) for each in found]


def _with_metrics(client: "MlflowClient", found: "ModelVersion") -> RegisteredVersion:
    from mlflow.exceptions import MlflowException

    described = _describe(found)
    try:
        metrics = dict(client.get_run(found.run_id).data.metrics) if found.run_id else {}
    except MlflowException as error:
        if error.error_code not in MISSING:
            raise
        metrics = {}  # its run was deleted for good; the version works without
    return described.model_copy(update={"metrics": metrics})


def _describe(found: "ModelVersion") -> RegisteredVersion:
    return RegisteredVersion(
        name=found.name,
        version=str(found.version),
        created_at=format_time(datetime.fromtimestamp(found.creation_timestamp / 1000, UTC)),
        aliases=sorted(map(str, found.aliases)),
        tags=dict(found.tags),
        metrics={},
    )


def _find_model(client: "MlflowClient", name: str) -> "RegisteredModel | None":
    from mlflow.exceptions import MlflowException

    try:
        return client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code not in MISSING:
            raise
        return None


def _known(client: "MlflowClient") -> str:
    """Say which models there are, with their aliases."""
    names = [
        f"{model.name} ({', '.join(f'@{alias}' for alias in sorted(model.aliases)) or 'no alias'})"
        for model in client.search_registered_models(max_results=20)
    ]
    return f"registered: {', '.join(names)}" if names else "no model is registered yet"
