"""The promotion log and the alias disagree, or one of them names what is not there."""

import logging
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from mlflow import MlflowClient

from nightglass.collections import Collection
from nightglass.errors import ModelError, StorageError
from nightglass.promotion import appoint_first, promote, reconcile_champion, roll_back
from nightglass.records import ModelRef
from nightglass.settings import Settings
from nightglass.store import ChampionChange, PromotionEvent, Store

pytestmark = pytest.mark.integration

NAME = "nightglass-cells"
AddVersions = Callable[[int], None]


def change_log(settings: Settings, version: str, at: datetime | None = None) -> list[PromotionEvent]:
    """Write an entry without moving the alias."""
    change = ChampionChange(collection="cells", event="promoted", version=version, by="ana", reason="gates", run="r")
    with Store.connect(settings.database_url, settings.sql_dir) as store:
        store.migrate()
        return store.change_champion(NAME, lambda _: change, at or datetime.now(UTC))


def read_log(settings: Settings) -> list[tuple[str, str | None, str]]:
    """Version, previous version and person of every entry, oldest first."""
    with Store.connect(settings.database_url, settings.sql_dir) as store:
        store.migrate()
        return [(e.version, e.previous_version, e.by) for e in reversed(store.promotions_of_model(NAME))]


def alias(client: MlflowClient) -> str | None:
    version = client.get_registered_model(NAME).aliases.get("champion")
    return None if version is None else str(version)


def test_a_collection_without_models_has_no_champion(
    collection: Collection, settings: Settings, client: MlflowClient, add_versions: AddVersions
) -> None:
    assert reconcile_champion(collection, settings) is None
    add_versions(1)
    assert reconcile_champion(collection, settings) is None
    assert (read_log(settings), alias(client)) == ([], None)
    with pytest.raises(ModelError, match="expected a champion before the present one, got only none"):
        roll_back(collection, None, settings, by="ana", reason="worse")


def test_the_alias_follows_the_log(
    collection: Collection, settings: Settings, client: MlflowClient, add_versions: AddVersions
) -> None:
    add_versions(2)
    promote(collection, "1", settings, by="ana", reason="first")
    change_log(settings, "2")
    assert alias(client) == "1"
    assert reconcile_champion(collection, settings) == ModelRef(name=NAME, version="2")
    assert alias(client) == "2"
    client.delete_registered_model_alias(NAME, "champion")
    assert reconcile_champion(collection, settings) == ModelRef(name=NAME, version="2")
    assert alias(client) == "2"
    assert read_log(settings) == [("1", None, "ana"), ("2", "1", "ana")]


def test_who_moves_the_alias_late_moves_it_on(
    collection: Collection,
    settings: Settings,
    client: MlflowClient,
    add_versions: AddVersions,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    add_versions(3)
    promote(collection, "1", settings, by="ana", reason="first")
    move, others = MlflowClient.set_registered_model_alias, ["3"]

    def move_late(self: MlflowClient, name: str, alias: str, version: str) -> None:
        if others:  # another process is through with all of its promotion just before
            change_log(settings, others[0])
            move(self, name, alias, others.pop())
        move(self, name, alias, version)

    monkeypatch.setattr(MlflowClient, "set_registered_model_alias", move_late)
    assert promote(collection, "2", settings, by="ana", reason="gates").champion.version == "3"
    assert read_log(settings) == [("1", None, "ana"), ("2", "1", "ana"), ("3", "2", "ana")]
    assert alias(client) == "3"


def test_a_champion_from_before_the_log_is_its_first_entry(
    collection: Collection, settings: Settings, client: MlflowClient, add_versions: AddVersions
) -> None:
    add_versions(3)
    client.set_registered_model_alias(NAME, "champion", "2")
    assert reconcile_champion(collection, settings) == ModelRef(name=NAME, version="2")
    assert reconcile_champion(collection, settings) == ModelRef(name=NAME, version="2")
    assert read_log(settings) == [("2", None, "nightglass")]


def test_a_promotion_can_be_what_begins_the_log(
    collection: Collection, settings: Settings, client: MlflowClient, add_versions: AddVersions
) -> None:
    add_versions(2)
    client.set_registered_model_alias(NAME, "champion", "1")
    assert promote(collection, "2", settings, by="ana", reason="gates").entry.previous_version == "1"
    assert roll_back(collection, None, settings, by="ana", reason="worse").champion.version == "1"
    assert read_log(settings) == [("1", None, "nightglass"), ("2", "1", "ana"), ("1", "2", "ana")]
    assert alias(client) == "1"


@pytest.mark.parametrize("act", ["reconcile", "promote"])
def test_an_alias_that_was_moved_by_hand_is_told(
    collection: Collection,
    settings: Settings,
    client: MlflowClient,
    add_versions: AddVersions,
    caplog: pytest.LogCaptureFixture,
    act: str,
) -> None:
    add_versions(3)
    promote(collection, "1", settings, by="ana", reason="first")
    client.set_registered_model_alias(NAME, "champion", "3")
    with caplog.at_level(logging.WARNING, "nightglass"):
        if act == "promote":
            promote(collection, "2", settings, by="ana", reason="gates")
        else:
            reconcile_champion(collection, settings)
    (line,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert line.startswith(f"{NAME}: the alias champion was moved by hand to 3 ")
    assert "has 1 (promoted by ana at 20" in line
    assert alias(client) == ("2" if act == "promote" else "1")
    caplog.clear()
    reconcile_champion(collection, settings)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_an_interrupted_promotion_is_no_hand(
    collection: Collection,
    settings: Settings,
    add_versions: AddVersions,
    caplog: pytest.LogCaptureFixture,
) -> None:
    add_versions(2)
    promote(collection, "1", settings, by="ana", reason="first")
    change_log(settings, "2")
    reconcile_champion(collection, settings)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_an_alias_to_a_version_that_is_gone_is_an_error_until_someone_promotes(
    collection: Collection, settings: Settings, client: MlflowClient, add_versions: AddVersions
) -> None:
    add_versions(2)
    client.set_registered_model_alias(NAME, "champion", "2")
    # MLflow takes the alias away with its version; other registries, and people with SQL, do not.
    with sqlite3.connect(settings.home / "mlflow.db") as connection:
        connection.execute("DELETE FROM model_version_tags WHERE version = 2")
        connection.execute("DELETE FROM model_versions WHERE version = 2")
    connection.close()
    with pytest.raises(ModelError, match=f"models:/{NAME}/2: expected a registered version, got none"):
        reconcile_champion(collection, settings)
    assert promote(collection, "1", settings, by="ana", reason="the other is lost").is_new
    assert read_log(settings) == [("1", None, "ana")]
    assert alias(client) == "1"


def test_a_champion_that_is_gone_is_an_error_until_someone_promotes(
    collection: Collection, settings: Settings, client: MlflowClient, add_versions: AddVersions
) -> None:
    add_versions(2)
    promote(collection, "2", settings, by="ana", reason="first")
    client.delete_model_version(NAME, "2")
    with pytest.raises(ModelError, match=r"made 2 the champion at .*, got none; .* models promote --collection cells"):
        reconcile_champion(collection, settings)
    add_versions(1)
    assert not appoint_first(collection, "3", settings, by="ana")
    promote(collection, "1", settings, by="ana", reason="2 was deleted")
    assert alias(client) == "1"


def test_a_registry_that_was_started_afresh_is_not_taken_for_the_old_one(
    collection: Collection, settings: Settings, client: MlflowClient, add_versions: AddVersions
) -> None:
    change_log(settings, "1", datetime.now(UTC) - timedelta(days=9))
    change_log(settings, "2", datetime.now(UTC) - timedelta(days=8))
    add_versions(1)
    assert appoint_first(collection, "1", settings, by="ana")
    assert read_log(settings)[-1] == ("1", "2", "ana")
    assert alias(client) == "1"


def test_another_version_of_the_same_number_is_not_the_champion(
    collection: Collection, settings: Settings, client: MlflowClient, add_versions: AddVersions
) -> None:
    change_log(settings, "2", datetime.now(UTC) - timedelta(days=8))
    add_versions(3)
    with pytest.raises(ModelError, match=r"MLflow's version 2 was registered later, at .*: it is another one"):
        reconcile_champion(collection, settings)
    assert not appoint_first(collection, "3", settings, by="ana")
    assert alias(client) is None


def test_only_the_first_version_is_appointed(
    collection: Collection, settings: Settings, client: MlflowClient, add_versions: AddVersions
) -> None:
    add_versions(1)
    assert appoint_first(collection, "1", settings, by="ana")
    add_versions(1)
    assert not appoint_first(collection, "2", settings, by="ana")
    assert read_log(settings) == [("1", None, "ana")]
    assert alias(client) == "1"


def test_mlflow_that_fails_between_log_and_alias(
    collection: Collection, settings: Settings, client: MlflowClient, add_versions: AddVersions
) -> None:
    add_versions(2)
    promote(collection, "1", settings, by="ana", reason="first")
    refuse = (
        "CREATE TRIGGER refuse BEFORE {} ON registered_model_aliases BEGIN SELECT RAISE(ABORT, 'disk I/O error'); END"
    )
    with sqlite3.connect(settings.home / "mlflow.db") as connection:
        connection.execute(refuse.format("UPDATE"))
    connection.close()
    for _ in range(2):
        with pytest.raises(StorageError, match=r"log has 2 as champion, MLflow's alias follows.*disk I/O") as caught:
            promote(collection, "2", settings, by="ana", reason="gates", run="r2")
        assert caught.value.can_heal
        assert "\n" not in str(caught.value)
    assert alias(client) == "1"
    with sqlite3.connect(settings.home / "mlflow.db") as connection:
        connection.execute("DROP TRIGGER refuse")
    connection.close()
    assert not promote(collection, "2", settings, by="ana", reason="gates", run="r2").is_new
    assert alias(client) == "2"
    assert read_log(settings) == [("1", None, "ana"), ("2", "1", "ana")]


def test_mlflow_that_is_down_promotes_nothing(
    collection: Collection, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    down = settings.model_copy(update={"tracking_url": "http://127.0.0.1:1"})
    with pytest.raises(StorageError, match="MLflow does not answer"):
        promote(collection, "2", down, by="ana", reason="gates", run="r2")
    assert read_log(settings) == []
