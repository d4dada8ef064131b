"""Detectors that this process has loaded: few of them, each loaded once, and few images at a time."""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from itertools import count
from threading import BoundedSemaphore, Lock
from typing import TYPE_CHECKING, TypeVar

from starlette.exceptions import HTTPException

from nightglass.champion_log import entry_key
from nightglass.collections import Collection
from nightglass.settings import Settings
from nightglass.store import PromotionEvent, Store

if TYPE_CHECKING:
    from nightglass.detector.backends import Backend
    from nightglass.detector.detector import Detector

T = TypeVar("T")
#: Requests that may wait for a thread, and for a detector to load; as many of the server's own threads sleep then.
MOST_WAITING = 8
_RETRY_SECONDS = "2"
_MOST_GATE_SECONDS = 20.0
#: Of 100,000,000 pixels with colours and transparency one takes 800 MB to decode, of this many 200 MB.
_LARGE_PIXELS = 25_000_000
_large = Lock()


@dataclass(frozen=True)
class LoadedModel:
    """A version of a registered model with its network, ready for several threads; ``number`` counts the loads."""

    name: str
    version: str
    entry: str
    detector: "Detector"
    backend: "Backend"
    number: int = field(default_factory=count().__next__)


class Line:
    """A line of at most ``places`` requests; whoever comes then is sent away instead of keeping a thread waiting."""

    def __init__(self, places: int) -> None:
        self._places = BoundedSemaphore(places)

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place for the block.

        Raises:
            HTTPException: 503 with Retry-After: there is none.
        """
        if not self._places.acquire(blocking=False):
            message = "expected fewer images at once: as many as may wait are waiting; try again in some seconds"
            raise HTTPException(503, message, headers={"Retry-After": _RETRY_SECONDS})
        try:
            yield
        finally:
            self._places.release()


class Gate:
    """Lets few requests at once hold a file's bytes and decode them; others wait in a line, and not for long.

    Args:
        at_once: How many are let in.
        waiting: How many may wait; as many of the server's own threads sleep then.
    """

    def __init__(self, at_once: int, waiting: int) -> None:
        self._line = Line(at_once + waiting)
        self._places = BoundedSemaphore(at_once)

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place for the block.

        Raises:
            HTTPException: 503 with Retry-After: too many are waiting, or those inside take too long.
        """
        with self._line.place():
            if not self._places.acquire(timeout=_MOST_GATE_SECONDS):
                message = "expected images to be read sooner; try again in some seconds"
                raise HTTPException(503, message, headers={"Retry-After": _RETRY_SECONDS})
            try:
                yield
            finally:
                self._places.release()


@contextmanager
def large_alone(pixels: int) -> Iterator[None]:
    """Let the block decode an image of so many pixels; of large ones one at a time, as they fill the memory."""
    with _large if pixels > _LARGE_PIXELS else nullcontext():
        yield


class Workers:
    """The threads that compute for the pages; no library starts more below them.

    Args:
        count: How many compute at once.
    """

    def __init__(self, count: int) -> None:
        from nightglass.engine.threads import start_workers
        from nightglass.images.decoding import let_limits_decide

        let_limits_decide()
        self.count = count
        self._pool: ThreadPoolExecutor = start_workers(count, "look")
        self._line = Line(count + MOST_WAITING)

    def run(self, work: Callable[[], T]) -> T:
        """Return what ``work`` returns in one of the threads.

        Raises:
            HTTPException: 503 with Retry-After: too many are waiting.
        """
        with self._line.place():
            return self._pool.submit(work).result()


class KeptModels:
    """The champions that were asked for last, at most ``NIGHTGLASS_KEPT_MODELS``; safe to use from several threads."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str], LoadedModel] = OrderedDict()
        self._lock = Lock()
        self._loading = Lock()
        self._line = Line(1 + MOST_WAITING)
        self._workers: Workers | None = None

    def __len__(self) -> int:
        return len(self._kept)

    def workers(self, settings: Settings) -> Workers:
        """Return the threads that all models compute in."""
        with self._lock:
            if self._workers is None:
                self._workers = Workers(settings.predict_workers)
            return self._workers

    def find(self, collection: Collection, champion: PromotionEvent, settings: Settings, store: Store) -> LoadedModel:
        """Return the model of the promotion log's newest entry, loading it where it is not the one that is kept.

        Raises:
            HTTPException: 503 with Retry-After: too many wait for a model to load.
            NightglassError: The registry does not answer, or does not have the version.
        """
        # Collections may share a model and name other devices for it.
        key = (champion.model_name, collection.scoring.device)
        if found := self._find_kept(key, champion):
            return found
        with self._line.place(), self._loading:
            if found := self._find_kept(key, champion):  # another request loaded it meanwhile
                return found
            with self._lock:
                # Before the next one comes, so that no more than that many are in memory at any time.
                self._kept.pop(key, None)
                while len(self._kept) >= settings.kept_models:
                    self._kept.popitem(last=False)
            loaded = _load(collection, champion, settings, store)
            with self._lock:
                self._kept[key] = loaded
            return loaded

    def _find_kept(self, key: tuple[str, str], champion: PromotionEvent) -> LoadedModel | None:
        with self._lock:
            found = self._kept.get(key)
            # Where an image was deleted from a detector, its files of before are gone.
            is_current = found is not None and found.detector.network_path.exists()
            if found is None or found.entry != entry_key(champion) or not is_current:
                return None
            self._kept.move_to_end(key)
            return found


def _load(collection: Collection, champion: PromotionEvent, settings: Settings, store: Store) -> LoadedModel:
    # Heavy imports: the registry brings MLflow, the detector OpenVINO or torch.
    from nightglass.champions import Champions
    from nightglass.models import find_model, open_registry
    from nightglass.records import ModelRef

    Champions(collection, open_registry(settings), store).check_registered(champion)
    found = find_model(ModelRef(name=champion.model_name, version=champion.version).uri, settings)
    backend = found.detector.open_backend(settings.predict_workers, collection.scoring.device, at_once=1)
    return LoadedModel(champion.model_name, champion.version, entry_key(champion), found.detector, backend)
