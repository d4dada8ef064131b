"""Backups without a server, and from one kind of database to the other."""

import json
import os
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from nightglass.collections import Collection
from nightglass.errors import ConfigurationError, InputError, ModelError
from nightglass.maintenance.backup import write_backup
from nightglass.maintenance.backup_folder import BackupFolder, new_name
from nightglass.maintenance.backup_records import BackedUpFile
from nightglass.maintenance.restore import restore_backup
from nightglass.promotion import appoint_first, promote
from nightglass.records import Assessment
from nightglass.registry import Registry
from nightglass.settings import Settings
from nightglass.storage import open_folder
from nightglass.store import NightRow, PromotionEvent, Store

pytestmark = pytest.mark.integration
MakeAssessment = Callable[..., Assessment]
Run = Callable[..., subprocess.CompletedProcess[str]]
NAME = "nightglass-cells"
CELLS = Collection(name="cells", images="/data/{night}")


def settings_of(home: Path, sql_dir: Path, database_url: str = "") -> Settings:
    home.mkdir(exist_ok=True)
    return Settings(home=home, sql_dir=sql_dir, database_url=database_url).resolved()


def known(settings: Settings) -> tuple[list[NightRow], list[PromotionEvent]]:
    with Store.connect(settings.database_url, settings.sql_dir) as store:
        store.migrate()
        return store.list_nights(), store.promotions_of_model(NAME)


@pytest.fixture(scope="module")
def lived_in(tmp_path_factory: pytest.TempPathFactory, sql_dir: Path, make_assessment: MakeAssessment) -> Settings:
    """A home with two versions, a promotion, two nights and their runs."""
    folder = tmp_path_factory.mktemp("lived_in")
    settings = settings_of(folder / "home", sql_dir)
    (folder / "detector").mkdir()
    (folder / "detector/bank.bin").write_bytes(bytes(range(256)) * 100)
    registry = Registry.open(settings)
    for place in range(2):
        version = registry.register_detector(
            folder / "detector", name=NAME, params={"seed": place}, metrics={"auroc": 0.9}, tags={"data_version": "x"}
        )
        appoint_first(CELLS, version, settings, by="ana")
    promote(CELLS, "2", settings, by="ana", reason="it's <b>better</b>; DROP TABLE nights")
    with Store.connect(settings.database_url, settings.sql_dir) as store:
        for night in ("2026-03-14", "2026-03-15"):
            store.publish_night(make_assessment(night), f"{night}/report.html", datetime.now(UTC))
            registry.log_night(make_assessment(night), [folder / "detector/bank.bin"])
    return settings


@pytest.fixture(scope="module")
def backups(lived_in: Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("backups")
    write_backup(lived_in, open_folder(folder))
    return folder


def test_a_home_is_restored_at_another_place(
    lived_in: Settings, backups: Path, tmp_path: Path, sql_dir: Path, nightglass: Run
) -> None:
    new = settings_of(tmp_path / "new", sql_dir)
    done = nightglass("restore", "--from", backups, "--json", env={"NIGHTGLASS_HOME": str(new.home)})
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["champions"] == {NAME: "2"}
    assert known(new) == known(lived_in)
    assert Registry.open(new).list_versions(NAME, 9) == Registry.open(lived_in).list_versions(NAME, 9)
    # From the new place: MLflow's rows name the place of every file.
    (lived_in.home / "mlartifacts").rename(lived_in.home / "away")
    try:
        found = Registry.open(new).download(f"models:/{NAME}@champion", tmp_path / "cache")
    finally:
        (lived_in.home / "away").rename(lived_in.home / "mlartifacts")
    assert (found / "bank.bin").read_bytes() == bytes(range(256)) * 100
    told = nightglass("restore", "--from", backups, env={"NIGHTGLASS_HOME": str(new.home)})
    assert told.stdout.count("there already") == 2


def test_results_in_sqlite_are_restored_into_postgresql(
    lived_in: Settings, backups: Path, tmp_path: Path, sql_dir: Path, postgres_url: str
) -> None:
    new = settings_of(tmp_path / "new", sql_dir, postgres_url)
    assert restore_backup(new, open_folder(backups), None).new_results is True
    assert known(new) == known(lived_in)
    assert restore_backup(new, open_folder(backups), None).new_results is False


def test_what_is_there_is_never_overwritten(
    backups: Path, tmp_path: Path, sql_dir: Path, make_assessment: MakeAssessment
) -> None:
    new = settings_of(tmp_path / "new", sql_dir)
    with Store.connect(new.database_url, sql_dir) as store:
        store.migrate()
        store.publish_night(make_assessment("2026-01-01"), "report.html", datetime.now(UTC))
    with pytest.raises(InputError, match="expected an empty database to restore the results into, got"):
        restore_backup(new, open_folder(backups), None)
    assert [row.night for row in known(new)[0]] == ["2026-01-01"]
    assert not (new.home / "mlartifacts").exists()


@pytest.mark.parametrize("kind", ["results", "file"])
def test_a_damaged_backup_is_told_and_nothing_is_half_restored(
    lived_in: Settings, tmp_path: Path, sql_dir: Path, kind: str
) -> None:
    folder = tmp_path / "backups"
    write_backup(lived_in, open_folder(folder))
    backup = BackupFolder(open_folder(folder)).read(None)
    sha256 = backup.results.sha256 if kind == "results" else backup.files[0].sha256
    (folder / "files" / sha256[:2] / sha256).write_bytes(b"something else")
    new = settings_of(tmp_path / "new", sql_dir)
    with pytest.raises(InputError, match=r"expected the content with this sha256, got .*: it is damaged"):
        restore_backup(new, open_folder(folder), None)
    assert known(new) == ([], [])


def test_a_damaged_manifest_stops_no_later_backup(
    lived_in: Settings, tmp_path: Path, sql_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "backups"
    damaged = new_name(datetime.now(UTC) - timedelta(days=1))
    (folder / write_backup(lived_in, open_folder(folder)).name).rename(folder / damaged)
    (folder / damaged / "manifest.json").write_text('{"cut off')
    (folder / "files/ab").mkdir(exist_ok=True)
    (folder / "files/ab/of-the-damaged-one").write_bytes(b"x")
    contents = set(folder.glob("files/*/*"))
    for content in contents:
        os.utime(content, (0, 0))
    told = f"{damaged}/manifest.json: expected the manifest of a backup, got"
    with caplog.at_level("WARNING", logger="nightglass"), pytest.raises(InputError, match=told):
        write_backup(lived_in, open_folder(folder), keep_days=30)
    assert "every file is read again" in caplog.text
    assert set(folder.glob("files/*/*")) >= contents
    home = settings_of(tmp_path / "new", sql_dir)
    assert restore_backup(home, open_folder(folder), None).new_results is True
    assert known(home) == known(lived_in)


def test_a_backup_of_a_later_schema_is_refused(backups: Path, tmp_path: Path, sql_dir: Path) -> None:
    manifest = next(backups.glob("*/manifest.json"))
    text = manifest.read_text()
    later = json.loads(text)
    later["results"]["version"] = "9999"
    manifest.write_text(json.dumps(later))
    try:
        with pytest.raises(ConfigurationError, match=r"expected a backup of schema version .* got 9999"):
            restore_backup(settings_of(tmp_path / "new", sql_dir), open_folder(backups), None)
    finally:
        manifest.write_text(text)


def test_a_backup_without_the_champion_is_none(lived_in: Settings, tmp_path: Path, sql_dir: Path) -> None:
    started_afresh = Settings(
        home=tmp_path,
        sql_dir=sql_dir,
        database_url=lived_in.database_url,
        tracking_url=f"sqlite:///{tmp_path}/mlflow.db",
    ).resolved()
    with pytest.raises(ModelError, match=f"{NAME}: expected version 2, which the promotion log says is production"):
        write_backup(started_afresh, open_folder(tmp_path / "backups"))
    assert BackupFolder(open_folder(tmp_path / "backups")).names() == []


def test_old_backups_go_and_what_only_they_had(lived_in: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    write_backup(lived_in, open_folder(folder))
    (first,) = BackupFolder(open_folder(folder)).names()
    now = datetime.now(UTC)
    old = new_name(now - timedelta(days=40))
    (folder / first).rename(folder / old)
    manifest = json.loads((folder / old / "manifest.json").read_text())
    (folder / old / "manifest.json").write_text(json.dumps(manifest | {"name": old}))
    assert BackupFolder(open_folder(folder)).remove_old(30, now) == []  # it is the newest
    written = write_backup(lived_in, open_folder(folder), keep_days=30)
    assert written.removed == [old]
    assert restore_names(folder) == [written.name]
    assert BackupFolder(open_folder(folder)).read(None).contents.keys() <= {
        path.name for path in (folder / "files").rglob("*") if path.is_file()
    }


def test_what_a_backup_that_ended_meanwhile_has_stays(
    lived_in: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = BackupFolder(open_folder(tmp_path))
    now = datetime.now(UTC)
    newest = write_backup(lived_in, open_folder(tmp_path)).name
    backup, content = folder.read(newest), tmp_path / "files/ab" / ("ab" * 32)
    content.parent.mkdir(exist_ok=True)
    content.write_bytes(b"of the old backup, and of one that is just being written")
    past = (now - timedelta(days=40)).timestamp()
    os.utime(content, (past, past))
    extra = BackedUpFile(path="extra", sha256=content.name, size_bytes=content.stat().st_size, stamp="")
    old, meanwhile = new_name(now - timedelta(days=40)), new_name(now - timedelta(days=1))
    for name in (old, meanwhile):
        folder.finish(backup.model_copy(update={"name": name, "files": [*backup.files, extra]}))
    listed = iter([[old, newest]])
    names = folder.names
    monkeypatch.setattr(folder, "names", lambda: next(listed, None) or names())
    assert folder.remove_old(30, now) == [old]
    assert content.exists()


def restore_names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != "files")


def test_a_server_needs_to_say_where_its_database_and_files_are(tmp_path: Path, sql_dir: Path) -> None:
    server = Settings(home=tmp_path, sql_dir=sql_dir, tracking_url="http://127.0.0.1:1").resolved()
    with pytest.raises(
        ConfigurationError, match="NIGHTGLASS_TRACKING_DATABASE_URL and NIGHTGLASS_TRACKING_ARTIFACTS_URL"
    ):
        write_backup(server, open_folder(tmp_path / "backups"))
