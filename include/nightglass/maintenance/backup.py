"""Back up results and MLflow, so that both agree about what was production."""

import logging
import tempfile
from datetime import UTC, datetime
from importlib.metadata import version as installed_version
from pathlib import Path

from nightglass import __version__
from nightglass.errors import InputError, ModelError
from nightglass.maintenance.backed_up import RESULTS_VERSION, TRACKING_VERSION, BackedUp
from nightglass.maintenance.backup_folder import BackupFolder, copy_and_hash, hash_file, new_name
from nightglass.maintenance.backup_records import BackedUpDatabase, BackedUpFile, Backup, Written
from nightglass.maintenance.listing import list_files
from nightglass.settings import Settings
from nightglass.storage import Folder, open_folder
from nightglass.store import format_time
from nightglass.store.dump import TableFacts, dump_database, read_small_table

_log = logging.getLogger(__name__)


def write_backup(settings: Settings, target: Folder, *, keep_days: int | None = None) -> Written:
    """Write one backup beside the earlier ones; contents that they have are not written again.

    The results come first, then MLflow's database, then its files: a version is registered before the promotion log
    names it, and its files are there before it is registered, so that whatever the results name is in the rest.

    Args:
        settings: Where results and MLflow are.
        target: The folder of all backups.
        keep_days: Remove backups that are older; None: none.

    Raises:
        StorageError: A database or a store does not answer.
        ModelError: MLflow does not have what the promotion log says is production.
        ConfigurationError: Nothing says where an MLflow server's database and files are.
        InputError: The backup is written, but the manifest of another one is damaged: contents of old ones stay.
    """
    now, sources, backups = datetime.now(UTC), BackedUp.open(settings), BackupFolder(target)
    there = backups.contents()
    sources.prepare()
    backup = _keep_all(sources, backups, there, now)
    backups.finish(backup)
    return Written(
        url=target.url,
        name=backup.name,
        results_rows=backup.results.rows,
        tracking_rows=backup.tracking.rows,
        files=len(backup.files),
        size_bytes=sum(backup.contents.values()),
        new_bytes=sum(size for sha, size in backup.contents.items() if sha not in there),
        champions=backup.champions,
        removed=[] if keep_days is None else backups.remove_old(keep_days, now),
    )


def write_nightly_backup(settings: Settings) -> Written:
    """Write a backup where the settings say, and remove those that they say are too old; see `write_backup`."""
    return write_backup(settings, open_folder(settings.backup_url), keep_days=settings.backup_keep_days)


def _keep_all(sources: BackedUp, backups: BackupFolder, there: dict[str, int], now: datetime) -> Backup:
    """Keep what is not ``there`` yet, and return the manifest of the whole."""
    keeper = _Keeper(backups, there)
    with tempfile.TemporaryDirectory(prefix="nightglass-") as work:
        rows, runs = Path(work) / "results", Path(work) / "tracking"
        results = keeper.keep_dump(rows, dump_database(sources.results, rows), RESULTS_VERSION)
        with sources.mlflow_alone():  # not for the upload: others wait meanwhile
            tables = dump_database(sources.tracking, runs)
        tracking = keeper.keep_dump(runs, tables, TRACKING_VERSION)
        champions = _find_champions(rows, runs)
    return Backup(
        name=new_name(now),
        at=format_time(now),
        nightglass_version=__version__,
        mlflow_version=installed_version("mlflow"),
        results=results,
        tracking=tracking,
        files_url=sources.files_uri or sources.artifacts.url,
        files=keeper.keep_files(sources.artifacts, _read_last(backups)),
        champions=champions,
    )


def _read_last(backups: BackupFolder) -> Backup | None:
    """Return the newest backup; None where there is none to go by, and then every file is read again."""
    if not backups.names():
        return None
    try:
        return backups.read(None)
    except InputError as error:
        _log.warning("every file is read again: %s", error)
        return None


class _Keeper:
    """Keeps contents that are not there yet.

    Args:
        backups: Where.
        there: Sizes of the contents there were when the backup began.
    """

    def __init__(self, backups: BackupFolder, there: dict[str, int]) -> None:
        self._backups, self._there = backups, dict(there)

    def keep_dump(self, path: Path, tables: dict[str, TableFacts], version_table: str) -> BackedUpDatabase:
        """Keep what a database was dumped to."""
        versions = [str(next(iter(row.values()))) for row in read_small_table(path, version_table)]
        if version_table == RESULTS_VERSION:
            versions = [str(row["version"]) for row in read_small_table(path, version_table)][-1:]
        sha256, size = hash_file(path)
        self._keep(path, sha256, size)
        return BackedUpDatabase(sha256=sha256, size_bytes=size, version=" ".join(versions), tables=tables)

    def keep_files(self, source: Folder, last: Backup | None) -> list[BackedUpFile]:
        """Keep every file below ``source``; one that looks as it did in the last backup is not read again."""
        same_place = last is not None and last.files_url in {source.url, f"file://{source.root}"}
        known = {file.path: file for file in last.files} if last is not None and same_place else {}
        kept = []
        with tempfile.TemporaryDirectory(prefix="nightglass-") as work:
            local = Path(work) / "file"
            for file in list_files(source):
                before = known.get(file.path)
                if before and before.stamp == file.stamp and self._there.get(before.sha256) == before.size_bytes:
                    kept.append(before)
                    continue
                sha256, size = copy_and_hash(source, file.path, local)
                self._keep(local, sha256, size)
                kept.append(BackedUpFile(path=file.path, sha256=sha256, size_bytes=size, stamp=file.stamp))
        return kept

    def _keep(self, local: Path, sha256: str, size: int) -> None:
        if self._there.get(sha256) != size:
            self._backups.add(local, sha256)
            self._there[sha256] = size


def _find_champions(rows: Path, runs: Path) -> dict[str, str]:
    """Return the champion of each model by the promotion log; MLflow's rows must have it.

    Raises:
        ModelError: They do not.
    """
    log = sorted(read_small_table(rows, "promotion_log"), key=lambda row: int(row["entry"]))
    champions = {str(row["model_name"]): str(row["version"]) for row in log}
    registered = {(str(row["name"]), str(row["version"])) for row in read_small_table(runs, "model_versions")}
    for name, version in champions.items():
        if (name, version) not in registered:
            said = f"{name}: expected version {version}, which the promotion log says is production"
            raise ModelError(f"{said}, among MLflow's versions, got none: a backup of this would be of no use")
    return champions
