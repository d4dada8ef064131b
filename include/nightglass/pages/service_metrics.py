"""What the nights rest on, as Prometheus metrics: whether each service answers, and how full the disks are."""

import logging
import shutil
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from threading import Lock

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from nightglass.settings import Settings
from nightglass.storage import open_folder
from nightglass.store import Store

_log = logging.getLogger(__name__)
_PATIENCE_SECONDS = 5.0


class Services:
    """Asks the services whether they answer; one that hangs is asked again only when it has let go."""

    def __init__(self) -> None:
        self._asked: dict[str, Future[None]] = {}
        self._lock = Lock()
        self._pool = ThreadPoolExecutor(4, thread_name_prefix="service")

    def ask(self, questions: Mapping[str, Callable[[], object]]) -> dict[str, bool]:
        """Return which services answered in time.

        Args:
            questions: What to call for each service, by its name; an error is no answer.
        """
        with self._lock:
            asked = {name: self._ask_again(name, question) for name, question in questions.items()}
        wait(asked.values(), _PATIENCE_SECONDS)
        return {name: _has_answered(name, future) for name, future in asked.items()}

    def _ask_again(self, name: str, question: Callable[[], object]) -> Future[None]:
        before = self._asked.get(name)
        if before is None or before.done():
            before = self._asked[name] = self._pool.submit(lambda: (question(), None)[1])
        return before


def _has_answered(name: str, future: Future[None]) -> bool:
    if not future.done():
        _log.warning("%s: expected an answer within %g s, got none", name, _PATIENCE_SECONDS)
        return False
    if error := future.exception():
        _log.warning("%s: expected an answer, got %s", name, error)
    return error is None


class ServiceMetrics(Collector):
    """The services and disks as a scrape finds them.

    Args:
        services: Who asks them.
        settings: Where they are.
        store: The results.
    """

    def __init__(self, services: Services, settings: Settings, store: Store) -> None:
        self._services, self._settings, self._store = services, settings, store

    def collect(self) -> Iterator[Metric]:
        """Yield a 1 or 0 for each service, and of each local disk its size and what is free of it."""
        settings = self._settings
        up = GaugeMetricFamily("nightglass_service_up", "Whether the service answers", labels=["service"])
        questions = {
            "results": lambda: self._store.list_nights(limit=1),
            "nights": lambda: open_folder(settings.nights_url).exists(),
            "mlflow": lambda: _ask_mlflow(settings.tracking_url),
        }
        for name, answered in self._services.ask(questions).items():
            up.add_metric([name], float(answered))
        yield up
        free = GaugeMetricFamily("nightglass_disk_free_bytes", "Free space of the disk", labels=["place"])
        size = GaugeMetricFamily("nightglass_disk_size_bytes", "Size of the disk", labels=["place"])
        for place, path in _local_places(settings).items():
            usage = shutil.disk_usage(path)
            free.add_metric([place], usage.free)
            size.add_metric([place], usage.total)
        yield from (free, size)


def _ask_mlflow(url: str) -> None:
    if not url.startswith(("http://", "https://")):
        return  # a file: what is wrong with it shows when a model is read
    with urllib.request.urlopen(f"{url}/health", timeout=_PATIENCE_SECONDS) as answer:  # noqa: S310  checked above
        answer.read()


def _local_places(settings: Settings) -> dict[str, Path]:
    """Return the folders of this machine whose disks fill up; one that is not made yet is left out."""
    places = {"home": settings.home}
    nights = open_folder(settings.nights_url)
    if nights.is_local:
        places["nights"] = Path(nights.root)
    return {name: path for name, path in places.items() if path.is_dir()}
