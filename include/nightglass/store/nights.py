"""Single nights, as the analyst's pages show them: one statement each, however many nights there are."""

from collections.abc import Iterable
from itertools import groupby

from sqlalchemy import RowMapping

from nightglass.records import NightSummary, Record, Verb
from nightglass.store.database import Database
from nightglass.store.rows import NightRow
from nightglass.store.verdicts import Queries


class NightImage(Record):
    """One of a night's top anomalies, as verdicts need it."""

    rank: int
    path: str
    sha256: str


class NightMeasures(Record):
    """A night's anomaly rate and its largest PSI, each with what was usual when it was judged."""

    night: str
    decision: Verb
    anomaly_rate: float | None
    baseline_anomaly_rate: float | None
    psi: float | None
    baseline_psi: float | None


class Nights:
    """The published nights."""

    def __init__(self, database: Database, queries: Queries) -> None:
        self._database, self._queries = database, queries

    def find(self, collection: str, night: str) -> NightRow | None:
        """Return a published night; None where there is none."""
        rows = self._fetch("find_night", collection=collection, night=night)
        return NightRow.model_validate(dict(rows[0])) if rows else None

    def beside(self, collection: str, night: str) -> tuple[str | None, str | None]:
        """Return the published nights before and after one; None where there is none."""
        (row,) = self._fetch("nights_beside", collection=collection, night=night)
        return row["before"], row["after"]

    def images(self, collection: str, night: str) -> list[NightImage]:
        """Return the top anomalies of a night, the highest first; none where the night is not published."""
        rows = self._fetch("night_images", collection=collection, night=night)
        return [NightImage.model_validate(dict(row)) for row in rows]

    def measures(self, collection: str, limit: int) -> list[NightMeasures]:
        """Return what the last nights measured and what was usual then, oldest first."""
        rows = self._fetch("night_measures", collection=collection, limit=limit)
        return [NightMeasures.model_validate(dict(row)) for row in rows]

    def _fetch(self, query: str, **parameters: str | int) -> list[RowMapping]:
        with self._database.reading() as connection:
            return list(connection.execute(self._queries[query], parameters).mappings())


def summaries_of(rows: Iterable[RowMapping]) -> list[NightSummary]:
    """Fold rows of night and statistic, which come night by night, into one summary a night."""
    summaries = []
    for _, group in groupby(rows, key=lambda row: row["night"]):
        of_night = list(group)
        fields = {name: value for name, value in of_night[0].items() if name not in {"statistic", "psi"}}
        psi = {row["statistic"]: row["psi"] for row in of_night if row["psi"] is not None}
        summaries.append(NightSummary.model_validate({**fields, "statistic_psi": psi}))
    return summaries
