"""Which network scored a night: only vectors of one network can be compared."""

from collections.abc import Hashable
from contextlib import suppress
from threading import Lock
from typing import NamedTuple

from cachetools import LRUCache, TTLCache

from nightglass.detector.files import Description, read_description
from nightglass.errors import ModelError
from nightglass.records import ModelRef
from nightglass.settings import Settings
from nightglass.tracking import Tracking
from nightglass.version_details import fetch_description, has_begun

_WEIGHTS = "backbone.safetensors"
_KEPT, _KEPT_SECONDS = 1024, 600  # what the registry does not have is asked for again after some minutes
_known: "TTLCache[Hashable, tuple[Network | None]]" = TTLCache(_KEPT, _KEPT_SECONDS)
_asking: LRUCache[Hashable, Lock] = LRUCache(_KEPT)
_lock = Lock()


class Network(NamedTuple):
    """A network and what of it becomes the embedding; ``weights`` is their sha256."""

    weights: str
    image_size: int
    stages: tuple[int, ...]


def find_network(ref: ModelRef, settings: Settings) -> Network | None:
    """Return the network of a registered version; None where its detector is not there any more.

    The local copy of the detector says it, else two small files of the registry's. Whoever asks for the same version
    meanwhile waits for the same answer, and nobody else.

    Raises:
        StorageError: MLflow, or the store with the detectors, does not answer.
    """
    key = (settings.home, settings.tracking_url, ref)
    with _lock:
        asking = _asking.setdefault(key, Lock())
    with asking:
        with _lock:
            known = _known.get(key)
        if known is None:
            known = (_find(ref, settings),)
            with _lock:
                _known[key] = known
        return known[0]


def _find(ref: ModelRef, settings: Settings) -> Network | None:
    copies = sorted((settings.home / "models" / ref.name / ref.version).glob("[!.]*/detector.json"))
    if len(copies) == 1:
        with suppress(ModelError):  # a damaged copy
            return _network_of(read_description(copies[0].parent))
    # Two copies are of two registries: the one in use says which is meant.
    if not has_begun(settings.tracking_url):
        return None
    description = fetch_description(ref, Tracking(settings.tracking_url, settings.home / "mlartifacts"))
    return None if description is None else _network_of(description)


def _network_of(description: Description) -> Network:
    backbone = description.options.backbone
    return Network(description.files[_WEIGHTS], backbone.image_size, backbone.stages)
