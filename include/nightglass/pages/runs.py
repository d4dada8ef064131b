"""The runs of Airflow behind the nights: which night a run is about, and a run's tab in Airflow's UI."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from starlette.exceptions import HTTPException

from nightglass.collections import Collection
from nightglass.night.naming import name_night
from nightglass.pages.places import find_collection, open_store
from nightglass.pages.rendering import render
from nightglass.pages.rights import ReadableCollection
from nightglass.settings import read_settings

router = APIRouter()
NIGHTLY = "nightly_"


@dataclass(frozen=True)
class AirflowRun:
    """One run of a nightly DAG; ``night`` is what its form said, and ``url`` its address in Airflow's UI."""

    run_id: str
    state: str
    moment: datetime  # the logical date, or when it was due where it has none
    night: str | None
    url: str


class Runs(Protocol):
    """What Airflow knows of the runs of a collection's nightly DAG."""

    def find(self, collection: str, run_id: str) -> AirflowRun | None:
        """Return a run; None where there is none of that name."""
        ...

    def recent(self, collection: str, limit: int) -> Sequence[AirflowRun]:
        """Return the last runs, newest first."""
        ...


class NoRuns:
    """Without an Airflow no run is known."""

    def find(self, collection: str, run_id: str) -> AirflowRun | None:  # noqa: ARG002
        """Return None."""
        return None

    def recent(self, collection: str, limit: int) -> Sequence[AirflowRun]:  # noqa: ARG002
        """Return none."""
        return ()


def night_of_run(collection: Collection, run: AirflowRun) -> str:
    """Return the night that a run is about, as its form says it or as the DAG itself finds it."""
    return name_night(collection, run.night, run.moment)


def runs_of_nights(collection: Collection, runs: Runs, limit: int) -> dict[str, AirflowRun]:
    """Return the newest run of each night among the last ``limit`` runs."""
    newest: dict[str, AirflowRun] = {}
    for run in runs.recent(collection.name, limit):
        newest.setdefault(night_of_run(collection, run), run)
    return newest


def runs_of(request: Request) -> Runs:
    """Return what the app knows of Airflow's runs."""
    runs: Runs = request.app.state.runs
    return runs


@router.get("/dags/{dag_id}/runs/{run_id}")
def show_dag_run(request: Request, dag_id: str, run_id: str) -> Response:
    """Lead from the tab of a DAG run to its night; a run of another DAG has none."""
    root = request.scope.get("root_path", "")
    if not dag_id.startswith(NIGHTLY):
        return render(request, "run.html", status=404, dag_id=dag_id, collection=None, night=None, run=None)
    collection = dag_id.removeprefix(NIGHTLY)
    return RedirectResponse(f"{root}/collections/{quote(collection, safe='')}/runs/{quote(run_id, safe='')}", 303)


@router.get("/collections/{collection}/runs/{run_id}")
def show_run(request: Request, collection: ReadableCollection, run_id: str) -> Response:
    """Lead from a run of a nightly DAG to its night, or say why there is none yet.

    Raises:
        HTTPException: 404: there is no such run.
    """
    settings = read_settings()
    known = find_collection(collection, settings)
    run = runs_of(request).find(collection, run_id)
    if run is None:
        raise HTTPException(404, f"expected a run of {NIGHTLY}{collection}, got {run_id[:100]!r}")
    night = _read_date(night_of_run(known, run))
    with open_store(settings) as store:
        is_published = night is not None and store.nights.find(collection, night) is not None
    if not is_published:
        dag_id = f"{NIGHTLY}{collection}"
        return render(request, "run.html", status=404, dag_id=dag_id, collection=collection, night=night, run=run)
    root = request.scope.get("root_path", "")
    return RedirectResponse(f"{root}/collections/{collection}/nights/{night}", 303)


def _read_date(text: str) -> str | None:
    """Return a date as it is written in addresses; None for what a form may hold besides."""
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        return None
