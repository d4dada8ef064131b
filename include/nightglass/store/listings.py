"""What programs read of the results a page at a time: nights and verdicts."""

from collections.abc import Mapping

from sqlalchemy import RowMapping, TextClause

from nightglass.retraining.verdicts import Verdict
from nightglass.store.database import Database
from nightglass.store.rows import NightRow


class Listings:
    """Bounded reads of one results database."""

    def __init__(self, database: Database, queries: Mapping[str, TextClause]) -> None:
        self._database = database
        self._queries = queries

    def nights(self, collection: str, *, before: str | None, limit: int) -> list[NightRow]:
        """Return at most ``limit`` nights before a date, or the last ones, newest first."""
        rows = self._fetch("page_of_nights", collection=collection, before=before, limit=limit)
        return [NightRow.model_validate(dict(row)) for row in rows]

    def verdicts(self, collection: str, *, since: str | None, after: int, limit: int) -> list[Verdict]:
        """Return at most ``limit`` verdicts in the order in which they were recorded, with those taken back.

        Args:
            collection: Whose verdicts.
            since: Only those given or taken back at this moment or later, as :func:`format_time` writes it.
            after: Only those recorded after this entry.
            limit: How many.
        """
        asked: dict[str, str | int] = {"collection": collection, "after": after, "limit": limit}
        if since is None:
            rows = self._fetch("page_of_verdicts", **asked)
        else:
            rows = self._fetch("page_of_verdicts_since", since=since, **asked)
        return [Verdict.model_validate(dict(row)) for row in rows]

    def _fetch(self, query: str, **parameters: str | int | None) -> list[RowMapping]:
        with self._database.reading() as connection:
            return list(connection.execute(self._queries[query], parameters).mappings())
