"""Where the runs behind a night are: that of Airflow, and that of MLflow."""

from dataclasses import dataclass
from datetime import date
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from starlette.exceptions import HTTPException

from nightglass.collections import Collection
from nightglass.night_runs import find_night_run
from nightglass.pages.asking import ask_mlflow
from nightglass.pages.places import open_store
from nightglass.pages.rendering import render
from nightglass.pages.rights import ReadableCollection
from nightglass.pages.runs import AirflowRun, Runs, runs_of_nights
from nightglass.registry import EXPERIMENT
from nightglass.settings import Settings, read_settings

router = APIRouter(prefix="/collections/{collection}/nights/{night}")
_RECENT_RUNS = 200
#: The first question of a process imports MLflow.
_SECONDS = 6.0


@dataclass(frozen=True)
class NightLinks:
    """The Airflow run that scored a night last, None where it is not known, and how its MLflow run is named."""

    airflow: AirflowRun | None
    experiment: str
    run_name: str


def build_links(collection: Collection, night: str, runs: Runs) -> NightLinks:
    """Return where the runs of a night are."""
    return NightLinks(
        airflow=runs_of_nights(collection, runs, _RECENT_RUNS).get(night),
        experiment=f"{EXPERIMENT}/{collection.name}",
        run_name=night,
    )


@router.get("/mlflow", response_class=HTMLResponse)
def show_mlflow_run(request: Request, collection: ReadableCollection, night: date) -> HTMLResponse:
    """Ask MLflow for the run of a night and show its address; a page of its own, as MLflow may be slow or down.

    Raises:
        HTTPException: 404: there is no such night, or MLflow has no run of it; 503 with Retry-After: it has not
            answered yet.
    """
    settings, name = read_settings(), night.isoformat()
    with open_store(settings) as store:
        if store.nights.find(collection, name) is None:
            raise HTTPException(404, f"{collection}: expected a published night, got {name}")
    about = f"run of {collection} {name}"
    try:
        found = ask_mlflow(about, settings, lambda: find_night_run(settings, collection, name), _SECONDS)
    except TimeoutError:
        message = "MLflow has not answered yet: load the page again in a moment"
        raise HTTPException(503, message, headers={"Retry-After": "5"}) from None
    if found is None:
        raise HTTPException(404, f"{collection} {name}: expected a run in MLflow, got none: it may have been deleted")
    experiment, run = found
    return render(
        request,
        "night_mlflow.html",
        collection=collection,
        night=name,
        experiment=f"{EXPERIMENT}/{collection}",
        run=run,
        url=run_address(settings, experiment, run),
        tracking_url=settings.tracking_url,
    )


def run_address(settings: Settings, experiment: str, run: str) -> str | None:
    """Return the address of a run in MLflow's UI; None where there is no server that has one."""
    tracking = urlsplit(settings.tracking_url)
    if tracking.scheme not in {"http", "https"}:
        return None
    server = tracking._replace(netloc=tracking.netloc.rpartition("@")[2], query="", fragment="")  # without a password
    return f"{server.geturl().rstrip('/')}/#/experiments/{experiment}/runs/{run}"
