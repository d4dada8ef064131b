"""Metrics for Prometheus: for those who bring the token, and for those who are signed in."""

import hmac
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import Scope

from nightglass.pages.night_metrics import NightMetrics
from nightglass.pages.places import open_night, open_store, read_all
from nightglass.pages.rights import RightsDep
from nightglass.pages.runs import runs_of
from nightglass.pages.service_metrics import ServiceMetrics
from nightglass.settings import read_settings

_BUCKETS = (0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0)


class Predictions:
    """What this process answered to ``predict`` since it started; it goes with the process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "nightglass_predict_requests",
            "Images that predict was asked about: scored, refused (no image, no champion), failed",
            ["collection", "outcome"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "nightglass_predict_seconds",
            "From the whole image to the answer, waiting and loading counted in",
            ["collection"],
            buckets=_BUCKETS,
            registry=self._registry,
        )

    def show(self, may_read: Callable[[str], bool]) -> bytes:
        """Return what is counted of the collections that the reader may see."""
        shown = CollectorRegistry()
        shown.register(_Readable(self._registry, cache(may_read)))
        return generate_latest(shown)

    @contextmanager
    def measure(self, collection: str) -> Iterator[None]:
        """Count the block by how it ends, and the seconds of one that ends well."""
        start = time.perf_counter()
        outcome = "failed"
        try:
            yield
            outcome = "scored"
            self._seconds.labels(collection).observe(time.perf_counter() - start)
        except HTTPException as error:
            outcome = "refused" if error.status_code < 500 else outcome
            raise
        finally:
            self._requests.labels(collection, outcome).inc()


class _Readable(Collector):
    """The samples of a registry whose collection somebody may read."""

    def __init__(self, registry: CollectorRegistry, may_read: Callable[[str], bool]) -> None:
        self._registry, self._may_read = registry, may_read

    def collect(self) -> Iterator[Metric]:
        """Yield them; a registry makes its metrics anew whenever it is asked."""
        for metric in self._registry.collect():
            metric.samples = [sample for sample in metric.samples if self._may_read(sample.labels["collection"])]
            yield metric


class _TokenRoute(APIRoute):
    """A route that is there only for requests with the metrics' token; the next one asks all others for rights."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Tell whether this route answers the request."""
        match, child = super().matches(scope)
        return (match, child) if match is not Match.NONE and _has_token(scope) else (Match.NONE, {})


token_router = APIRouter(route_class=_TokenRoute)
router = APIRouter()


@token_router.get("/metrics", include_in_schema=False)
def show_to_token(request: Request) -> Response:
    """Return the metrics of every collection, and of what all of them rest on, to whoever has the token."""
    return _answer(request, lambda _: True, with_services=True)


@router.get("/metrics", include_in_schema=False)
def show_metrics(request: Request, rights: RightsDep) -> Response:
    """Return the metrics of every collection that the reader may see."""
    return _answer(request, rights.may_read)


def _answer(request: Request, may_read: Callable[[str], bool], *, with_services: bool = False) -> Response:
    settings = read_settings()
    collections, broken = read_all(settings)
    seen = [collection for name, collection in collections.items() if may_read(name)]
    predictions: Predictions = request.app.state.predictions
    nights = CollectorRegistry()
    with open_store(settings) as store:
        nights.register(
            NightMetrics(
                seen,
                {name for name, _ in broken if may_read(name)},
                store,
                runs_of(request),
                lambda collection, night: open_night(request, collection, night, settings),
                datetime.now(UTC),
            )
        )
        if with_services:
            nights.register(ServiceMetrics(request.app.state.services, settings, store))
        text = generate_latest(nights)
    return Response(text + predictions.show(may_read), media_type=CONTENT_TYPE_LATEST)


def _has_token(scope: Scope) -> bool:
    """Compare the request's Bearer token with the setting's, in a time that tells nothing of it."""
    token = read_settings().metrics_token
    brought = next((value for name, value in scope["headers"] if name.lower() == b"authorization"), b"")
    return token is not None and hmac.compare_digest(brought, b"Bearer " + token.get_secret_value().encode())
