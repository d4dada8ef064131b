"""What nights cost, in the results database."""

from collections.abc import Mapping

from sqlalchemy import TextClause

from nightglass.night.cost import NightCost
from nightglass.store.database import Database
from nightglass.store.rows import storable


class Costs:
    """The compute time of published nights, with the price that was set when they were published."""

    def __init__(self, database: Database, queries: Mapping[str, TextClause]) -> None:
        self._database, self._queries = database, queries

    def publish(self, collection: str, night: str, cost: NightCost) -> bool:
        """Note what a published night cost, once: scored again with the same result, it keeps what it cost first.

        Returns:
            False when it was noted before: then no row changes.
        """
        key = {"collection": collection, "night": night}
        with self._database.writing() as connection:
            if connection.execute(self._queries["find_cost"], key).first() is not None:
                return False
            connection.execute(self._queries["insert_cost"], storable(key | cost.model_dump()))
        return True

    def find(self, collection: str, night: str) -> NightCost | None:
        """Return what a night cost; None where nobody measured it."""
        with self._database.reading() as connection:
            row = connection.execute(
                self._queries["find_cost"], {"collection": collection, "night": night}
            ).mappings().first()  # fmt: skip
        return NightCost.model_validate(dict(row)) if row else None
