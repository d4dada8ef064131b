"""Restore a backup into an empty stack: MLflow's files, MLflow's rows, the results, and then a look at all of it.

What was killed goes on when it is run again: what is there already, as the backup has it, is left as it is. Anything
else that is there is a reason to refuse.
"""

import shutil
import tempfile
from pathlib import Path

from nightglass.champion_log import entry_key
from nightglass.errors import InputError, ModelError
from nightglass.maintenance.backed_up import TRACKING_VERSION, BackedUp
from nightglass.maintenance.backup_folder import BackupFolder, copy_and_hash
from nightglass.maintenance.backup_records import BackedUpFile, Backup, Restored
from nightglass.maintenance.listing import list_files
from nightglass.maintenance.restored_database import RestoredDatabase
from nightglass.registry import Registry
from nightglass.settings import Settings
from nightglass.storage import Folder
from nightglass.store import Store
from nightglass.store.dump import read_rows
from nightglass.store.restoring import migrate_to


def restore_backup(settings: Settings, source: Folder, name: str | None) -> Restored:
    """Put a backup in the place of nothing, and check that it is all there.

    Args:
        settings: Where results and MLflow are to be; both are empty, or hold just this backup.
        source: The folder of all backups.
        name: Which one; None: the newest.

    Raises:
        InputError: There is no such backup, it is damaged, or something else is there already.
        ConfigurationError: It is of a later version, or of another one of MLflow.
        ModelError: What the promotion log says is production is not in MLflow afterwards.
        StorageError: A database or a store does not answer.
    """
    sources, backups = BackedUp.open(settings), BackupFolder(source)
    backup = backups.read(name)
    results, tracking = _open_databases(backup, backups, sources)
    # Everything is looked at before anything is written.
    for dump in (results, tracking):
        dump.check_content()
    has_results, has_tracking = results.is_there(), tracking.is_there()
    missing = _find_missing(backup, sources.artifacts)
    _copy_files(missing, backups, sources.artifacts)
    with sources.mlflow_alone():
        if not has_tracking:
            tracking.load()
    if not has_results:
        results.load()
    _follow_log(settings, backup)
    return Restored(
        url=source.url,
        name=backup.name,
        results_rows=backup.results.rows,
        tracking_rows=backup.tracking.rows,
        files=len(backup.files),
        new_results=not has_results,
        new_tracking=not has_tracking,
        new_files=len(missing),
        champions=backup.champions,
    )


def _open_databases(
    backup: Backup, backups: BackupFolder, sources: BackedUp
) -> tuple[RestoredDatabase, RestoredDatabase]:
    """Open both databases, with the tables of the backup's versions."""
    results = RestoredDatabase("the results", sources.results, backup.results, lambda text: text, backups)
    migrate_to(sources.results, sources.settings.sql_dir, int(backup.results.version))
    before, now = backup.files_url, sources.files_uri

    def relocate(text: str) -> str:
        # Without a server MLflow's rows name the place of each file.
        return f"{now}{text.removeprefix(before)}" if now and text.startswith(f"{before}/") else text

    tracking = RestoredDatabase("MLflow's database", sources.tracking, backup.tracking, relocate, backups)
    sources.prepare_tracking()
    versions = read_rows(sources.tracking, TRACKING_VERSION)
    tracking.check_version(" ".join(str(row["version_num"]) for row in versions))
    return results, tracking


def _find_missing(backup: Backup, artifacts: Folder) -> list[BackedUpFile]:
    """Return the files that are not there yet.

    Raises:
        InputError: One is there with another content.
    """
    there = {file.path: file.size_bytes for file in list_files(artifacts)}
    missing = []
    with tempfile.TemporaryDirectory(prefix="nightglass-") as work:
        for file in backup.files:
            if file.path not in there:
                missing.append(file)
            elif copy_and_hash(artifacts, file.path, Path(work) / "file")[0] != file.sha256:
                where = f"{artifacts.url}/{file.path}"
                raise InputError(f"{where}: expected nothing there, or what the backup has, got another content")
    return missing


def _copy_files(files: list[BackedUpFile], backups: BackupFolder, artifacts: Folder) -> None:
    for file in files:
        with backups.content(file.sha256) as content, artifacts.writing(file.path) as local:
            shutil.copyfile(content, local)


def _follow_log(settings: Settings, backup: Backup) -> None:
    """Check that MLflow has what was production, and let the alias follow the promotion log.

    Raises:
        ModelError: It does not.
    """
    registry = Registry.open(settings)
    with Store.connect(settings.database_url, settings.sql_dir) as store:
        store.migrate()
        for name, version in backup.champions.items():
            newest = store.promotions_of_model(name)[0]
            if newest.version != version:
                raise ModelError(f"{name}: expected the champion {version} as in the backup, got {newest.version}")
            registry.find_version(name, version)
            if registry.read_champion(name).version != version:
                registry.set_champion(name, version, entry=entry_key(newest))
