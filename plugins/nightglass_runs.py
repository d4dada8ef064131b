"""What Airflow knows of the runs of the nightly DAGs; loaded with the first page."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

from airflow.models.dagrun import DagRun
from airflow.utils.session import create_session
from sqlalchemy import Row, Select, select

from nightglass.pages.runs import NIGHTLY, AirflowRun


class AirflowRuns:
    """The runs in Airflow's database.

    Args:
        airflow_path: The path that Airflow serves its UI below, without a slash at its end.
    """

    def __init__(self, airflow_path: str) -> None:
        self._airflow_path = airflow_path

    def find(self, collection: str, run_id: str) -> AirflowRun | None:
        """Return a run; None where there is none of that name."""
        found = self._read(collection, _runs_of(collection).where(DagRun.run_id == run_id))
        return found[0] if found else None

    def recent(self, collection: str, limit: int) -> Sequence[AirflowRun]:
        """Return the last runs, newest first."""
        return self._read(collection, _runs_of(collection).order_by(DagRun.run_after.desc()).limit(limit))

    def _read(self, collection: str, query: Select[Any]) -> list[AirflowRun]:
        with create_session() as session:
            return [self._tell(collection, row) for row in session.execute(query)]

    def _tell(self, collection: str, row: Row[Any]) -> AirflowRun:
        run_id, state, logical_date, run_after, conf = row
        moment: datetime = logical_date or run_after
        night = conf.get("night") if isinstance(conf, dict) else None
        path = f"{self._airflow_path}/dags/{NIGHTLY}{collection}/runs/{quote(run_id, safe='')}"
        return AirflowRun(run_id, str(state), moment, str(night) if night else None, path)


def _runs_of(collection: str) -> Select[Any]:
    columns = (DagRun.run_id, DagRun.state, DagRun.logical_date, DagRun.run_after, DagRun.conf)
    return select(*columns).where(DagRun.dag_id == f"{NIGHTLY}{collection}")
