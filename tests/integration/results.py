"""What a home's database holds."""

import sqlite3
from pathlib import Path


def every_row(home: Path) -> dict[str, list[tuple[object, ...]]]:
    with sqlite3.connect(home / "nightglass.db") as database:
        names = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: sorted(database.execute(f"SELECT * FROM {name}"), key=repr) for name in names}


def query(home: Path, sql: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(home / "nightglass.db") as database:
        return database.execute(sql).fetchall()
