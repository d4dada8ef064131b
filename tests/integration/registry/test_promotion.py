"""Who is champion: the promotion log and MLflow's alias, in every order in which things may happen."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from mlflow import MlflowClient
from sqlalchemy import Engine, event

from nightglass.collections import Collection
from nightglass.errors import InputError, ModelError
from nightglass.promotion import Promotion, promote, reconcile_champion, roll_back
from nightglass.records import ModelRef
from nightglass.settings import Settings
from nightglass.store import ChampionChange, PromotionEvent, Store

pytestmark = pytest.mark.integration

NAME = "nightglass-cells"
AddVersions = Callable[[int], None]


def read_log(settings: Settings) -> list[PromotionEvent]:
    with Store.connect(settings.database_url, settings.sql_dir) as store:
        store.migrate()
        return store.promotions_of_model(NAME)


def steps(settings: Settings) -> str:
    """The log, oldest first, as words such as ``1 2 <1``."""
    return " ".join(("<" if e.event == "rolled_back" else "") + e.version for e in reversed(read_log(settings)))


def alias(client: MlflowClient) -> str | None:
    version = client.get_registered_model(NAME).aliases.get("champion")
    return None if version is None else str(version)


@pytest.fixture
def make_champion(collection: Collection, settings: Settings) -> Callable[..., Promotion]:
    def make(version: str, **changes: str | None) -> Promotion:
        given = {"by": "ana", "reason": "all gates met"} | changes
        return promote(collection, version, settings, **given)  # type: ignore[arg-type]

    return make


Make = Callable[..., Promotion]


def test_a_promotion_is_one_entry_and_the_alias(
    settings: Settings, client: MlflowClient, add_versions: AddVersions, make_champion: Make
) -> None:
    add_versions(2)
    make_champion("1")
    done = make_champion("2", run="retrain-1", instead_of="1")
    assert done.is_new
    assert done.champion == ModelRef(name=NAME, version="2")
    assert (done.entry.previous_version, done.entry.by, done.entry.run) == ("1", "ana", "retrain-1")
    assert (steps(settings), alias(client)) == ("1 2", "2")


def test_the_same_again_is_nothing_new(
    settings: Settings, client: MlflowClient, add_versions: AddVersions, make_champion: Make
) -> None:
    add_versions(3)
    make_champion("1")
    first = make_champion("2", run="retrain-1")
    assert make_champion("2", run="retrain-1").entry == first.entry
    assert not make_champion("2", reason="another one", run="by-hand").is_new
    make_champion("3", run="retrain-2")
    # The first run's task is tried again after the other's promotion.
    late = make_champion("2", run="retrain-1")
    assert (late.is_new, late.entry.entry, late.champion.version) == (False, first.entry.entry, "3")
    assert (steps(settings), alias(client)) == ("1 2 3", "3")


def test_a_proof_against_a_former_champion_promotes_nothing(
    settings: Settings, client: MlflowClient, add_versions: AddVersions, make_champion: Make
) -> None:
    add_versions(3)
    make_champion("1")
    make_champion("2", run="retrain-1", instead_of="1")
    with pytest.raises(ModelError, match="expected champion 1, which 3 was compared with, got 2"):
        make_champion("3", run="retrain-2", instead_of="1")
    assert make_champion("2", run="retrain-1", instead_of="1").champion.version == "2"
    assert (steps(settings), alias(client)) == ("1 2", "2")


@pytest.mark.parametrize("version", ["7", "0", "one", "", "1; DROP TABLE promotion_log", "01", "\u0661"])
def test_an_unknown_version_is_not_logged(
    collection: Collection, settings: Settings, add_versions: AddVersions, make_champion: Make, version: str
) -> None:
    add_versions(2)
    make_champion("2")
    with pytest.raises(ModelError, match="expected"):
        make_champion(version)
    with pytest.raises(ModelError, match=r"expected a version that was champion before \(2\)"):
        roll_back(collection, version, settings, by="ana", reason="worse")
    assert steps(settings) == "2"


def test_nobody_or_no_reason_changes_nothing(
    collection: Collection, settings: Settings, add_versions: AddVersions, make_champion: Make
) -> None:
    add_versions(2)
    make_champion("1")
    for changes in ({"by": " "}, {"reason": "\n"}):
        with pytest.raises(InputError, match="expected who changes the champion and why"):
            make_champion("2", **changes)
    assert steps(settings) == "1"


def test_rolling_back_goes_to_what_was_replaced(
    collection: Collection, settings: Settings, client: MlflowClient, add_versions: AddVersions, make_champion: Make
) -> None:
    add_versions(4)
    for version in "123":
        make_champion(version)
    first = roll_back(collection, None, settings, by="olu", reason="false alarms", run="rollback-1")
    assert (first.entry.event, first.entry.version, first.entry.previous_version) == ("rolled_back", "2", "3")
    again = roll_back(collection, None, settings, by="olu", reason="false alarms", run="rollback-1")
    assert (again.is_new, again.champion.version) == (False, "2")
    assert roll_back(collection, None, settings, by="olu", reason="still").champion.version == "1"
    with pytest.raises(ModelError, match="expected a champion before the present one, got only 1 since"):
        roll_back(collection, None, settings, by="olu", reason="further")
    assert roll_back(collection, "3", settings, by="olu", reason="it was the camera").champion.version == "3"
    assert not roll_back(collection, "3", settings, by="olu", reason="it was the camera").is_new
    with pytest.raises(ModelError, match=r"champion before \(1, 2, 3\), got '4'; .* is promoted, not rolled back to"):
        roll_back(collection, "4", settings, by="olu", reason="try it")
    assert (steps(settings), alias(client)) == ("1 2 3 <2 <1 <3", "3")


def test_a_champion_that_is_gone_is_not_rolled_back_to(
    collection: Collection, settings: Settings, client: MlflowClient, add_versions: AddVersions, make_champion: Make
) -> None:
    add_versions(3)
    for version in "123":
        make_champion(version)
    client.delete_model_version(NAME, "2")
    with pytest.raises(ModelError, match=r"log made 2 the champion at .*, but models:/nightglass-cells/2: expected a"):
        roll_back(collection, None, settings, by="olu", reason="worse")
    assert roll_back(collection, "1", settings, by="olu", reason="worse").champion.version == "1"
    assert (steps(settings), alias(client)) == ("1 2 3 <1", "1")


def test_a_champion_that_changes_while_it_is_rolled_back_stays(
    collection: Collection, settings: Settings, client: MlflowClient, add_versions: AddVersions, make_champion: Make
) -> None:
    add_versions(3)
    make_champion("1")
    make_champion("2")
    change = ChampionChange(collection="cells", event="promoted", version="3", by="bo", reason="gates", run="r")
    waiting = [change]

    def promote_another(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if waiting and statement == "BEGIN IMMEDIATE" and len(read_log(settings)) == 2:
            found = waiting.pop()
            with Store.connect(settings.database_url, settings.sql_dir) as store:
                store.change_champion(NAME, lambda _: found, datetime.now(UTC))

    event.listen(Engine, "before_cursor_execute", promote_another)
    try:
        with pytest.raises(ModelError, match="expected champion 2, which was to be rolled back, got 3"):
            roll_back(collection, None, settings, by="olu", reason="worse")
    finally:
        event.remove(Engine, "before_cursor_execute", promote_another)
    assert steps(settings) == "1 2 3"
    assert reconcile_champion(collection, settings) == ModelRef(name=NAME, version="3")
    assert alias(client) == "3"
