"""Named queries: every ``sql/queries/*.sql`` file, cut at its ``-- name:`` lines."""

import re
from pathlib import Path

from sqlalchemy import TextClause, text

from nightglass.errors import ConfigurationError

_NAME = re.compile(r"^-- name: *(\w+) *$", re.MULTILINE)
_COMMENT = re.compile(r"^\s*--.*$", re.MULTILINE)


def load_queries(sql_dir: Path) -> dict[str, TextClause]:
    """Return every named query below ``sql_dir/queries``; ``:name`` in it is a bound parameter.

    Raises:
        ConfigurationError: There are no queries, or two of the same name.
    """
    folder = sql_dir / "queries"
    queries: dict[str, TextClause] = {}
    for path in sorted(folder.glob("*.sql")):
        _, *parts = _NAME.split(path.read_text(encoding="utf-8"))
        for name, body in zip(parts[::2], parts[1::2], strict=True):
            if name in queries:
                raise ConfigurationError(f"{path}: expected every query name once, got '{name}' again")
            # A colon in a comment would count as a parameter.
            queries[name] = text(_COMMENT.sub("", body).strip().removesuffix(";"))
    if not queries:
        raise ConfigurationError(f"{folder}: expected .sql files with named queries, got none")
    return queries
