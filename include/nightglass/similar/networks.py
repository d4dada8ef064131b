"""Which network scored a night: only vectors of one network can be compared."""

from collections.abc import Hashable
from threading import Lock
from typing import NamedTuple

from cachetools import TTLCache

from nightglass.detector.files import Description, read_description
from nightglass.errors import NightglassError
from nightglass.records import ModelRef
from nightglass.settings import Settings

_WEIGHTS = "backbone.safetensors"
_KEPT, _KEPT_SECONDS = 1024, 600  # a registry that did not answer is asked again after some minutes
_known: TTLCache[Hashable, "Network | None"] = TTLCache(_KEPT, _KEPT_SECONDS)
_lock = Lock()


class Network(NamedTuple):
    """A network and what of it becomes the embedding; ``weights`` is their sha256."""

    weights: str
    image_size: int
    stages: tuple[int, ...]


def find_network(ref: ModelRef, settings: Settings) -> Network | None:
    """Return the network of a registered version; None where nobody can tell.

    The local copy of the detector says it; one that is not there is fetched from the registry and kept.
    """
    key = (settings.home, settings.tracking_url, ref)
    with _lock:
        if key not in _known:
            _known[key] = _find(ref, settings)
        return _known[key]


def _find(ref: ModelRef, settings: Settings) -> Network | None:
    copies = sorted((settings.home / "models" / ref.name / ref.version).glob("[!.]*/detector.json"))
    try:
        if len(copies) == 1:
            return _network_of(read_description(copies[0].parent))
        # Two copies are of two registries: the one in use says which is meant.
        from nightglass.models import open_registry

        return _network_of(read_description(open_registry(settings).download(ref.uri, settings.home / "models")))
    except NightglassError:
        return None


def _network_of(description: Description) -> Network:
    backbone = description.options.backbone
    return Network(description.files[_WEIGHTS], backbone.image_size, backbone.stages)
