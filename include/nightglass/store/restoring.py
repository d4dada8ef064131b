"""An empty results database of an earlier version of the schema, for rows of that version."""

from pathlib import Path

from nightglass.errors import ConfigurationError
from nightglass.store.database import Database
from nightglass.store.migrations import apply_migrations, find_migrations
from nightglass.store.queries import load_queries


def migrate_to(database: Database, sql_dir: Path, version: int) -> None:
    """Bring the tables to ``version`` of the schema; those of a later one stay as they are.

    Raises:
        ConfigurationError: This code does not know the version yet.
    """
    newest = len(find_migrations(sql_dir))
    if not 1 <= version <= newest:
        raise ConfigurationError(
            f"{database.where}: expected a backup of schema version {newest} or older, got {version}: update Nightglass"
        )
    database.check()
    apply_migrations(database, load_queries(sql_dir), sql_dir, up_to=version)
