"""What a backup says of itself: its manifest, which is written last."""

from nightglass.records import Record
from nightglass.store.dump import TableFacts

FORMAT_VERSION = 1


class BackedUpDatabase(Record):
    """A database's rows as one file of the backup; ``version`` is its schema's."""

    sha256: str
    size_bytes: int
    version: str
    tables: dict[str, TableFacts]

    @property
    def rows(self) -> int:
        """Rows of all tables."""
        return sum(table.rows for table in self.tables.values())


class BackedUpFile(Record):
    """A file of MLflow's, by its path below all of them; ``stamp`` is what it looked like in the store."""

    path: str
    sha256: str
    size_bytes: int
    stamp: str


class Backup(Record):
    """One backup: the results, MLflow's database as it was just after, and MLflow's files as they were after that.

    ``champions`` are the versions that the promotion log of the backup says are production, by model; MLflow had each
    of them when the backup ended. ``files_url`` is where MLflow's files lay, without credentials.
    """

    format_version: int = FORMAT_VERSION
    name: str
    at: str
    nightglass_version: str
    mlflow_version: str
    results: BackedUpDatabase
    tracking: BackedUpDatabase
    files_url: str
    files: list[BackedUpFile]
    champions: dict[str, str]

    @property
    def contents(self) -> dict[str, int]:
        """The sizes of all its files by their sha256, bytes."""
        sizes = {file.sha256: file.size_bytes for file in self.files}
        return sizes | {dump.sha256: dump.size_bytes for dump in (self.results, self.tracking)}


class Written(Record):
    """What writing a backup came to; ``new_bytes`` were not in an earlier one, ``removed`` are backups too old."""

    url: str
    name: str
    results_rows: int
    tracking_rows: int
    files: int
    size_bytes: int
    new_bytes: int
    champions: dict[str, str]
    removed: list[str]


class Restored(Record):
    """What restoring came to; False where exactly this was there already."""

    url: str
    name: str
    results_rows: int
    tracking_rows: int
    files: int
    new_results: bool
    new_tracking: bool
    new_files: int
    champions: dict[str, str]
