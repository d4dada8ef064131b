"""One database of a backup and the one that it is restored into."""

from dataclasses import dataclass

from nightglass.errors import ConfigurationError, InputError
from nightglass.maintenance.backed_up import RESULTS_VERSION, TRACKING_VERSION
from nightglass.maintenance.backup_folder import BackupFolder
from nightglass.maintenance.backup_records import BackedUpDatabase
from nightglass.store.database import Database
from nightglass.store.dump import Change, TableFacts, count_rows, load_database, measure_database, measure_dump

#: The tables' own version, and what an MLflow server notes of what it is doing at the moment.
SKIPPED = frozenset({RESULTS_VERSION, TRACKING_VERSION, "scheduler_leases", "job_locks", "jobs"})
#: What MLflow makes in a new database: its own workspace, and one experiment named Default.
REPLACED = frozenset({"workspaces", "experiments"})
_NEW_ROWS = 1


@dataclass(frozen=True)
class RestoredDatabase:
    """``change`` is applied to every text on its way; ``what`` is what people call the database."""

    what: str
    database: Database
    backed_up: BackedUpDatabase
    change: Change
    backups: BackupFolder

    def check_content(self) -> None:
        """Raise InputError when the backup's rows are missing or damaged."""
        with self.backups.content(self.backed_up.sha256):
            pass

    def is_there(self) -> bool:
        """Tell whether the database holds the backup already; else it is empty.

        Raises:
            InputError: It holds something else.
        """
        rows = {table: count for table, count in count_rows(self.database).items() if table not in SKIPPED}
        if not any(count > (_NEW_ROWS if table in REPLACED else 0) for table, count in rows.items()):
            return False
        if not (others := self._differences()):
            return True
        full = next(table for table in sorted(rows) if rows[table] > (_NEW_ROWS if table in REPLACED else 0))
        raise InputError(
            f"{self.database.where}: expected an empty database to restore {self.what} into, got {rows[full]} rows in "
            f"{full}, and other rows than the backup's in {others[0]}"
        )

    def load(self) -> None:
        """Load the rows, and compare what is there then with the backup.

        Raises:
            InputError: It is not the same.
        """
        with self.backups.content(self.backed_up.sha256) as path:
            load_database(self.database, path, skipped=SKIPPED, replaced=REPLACED, change=self.change)
        if others := self._differences():
            raise InputError(
                f"{self.database.where}: expected the rows of the backup, got others in {', '.join(others)}"
            )

    def check_version(self, found: str) -> None:
        """Raise ConfigurationError when the tables of ``found``'s version are not those of the backup."""
        if found != self.backed_up.version:
            raise ConfigurationError(
                f"{self.database.where}: expected {self.what} of schema version {self.backed_up.version}, which the "
                f"backup has, got {found}: restore with the versions that the backup's manifest names, update then"
            )

    def _differences(self) -> list[str]:
        """Return the tables whose rows are not those of the backup."""
        with self.backups.content(self.backed_up.sha256) as path:
            wanted = measure_dump(path, self.change)
        there, none = measure_database(self.database), TableFacts(rows=0, digest=f"{0:064x}")
        return [
            table
            for table in sorted(wanted.keys() | there.keys())
            if table not in SKIPPED and wanted.get(table, none) != there.get(table, none)
        ]
