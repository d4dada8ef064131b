"""The second pass over the top-k: pictures, anomaly maps and nearest good neighbours."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from nightglass.collections import Scoring
from nightglass.detector.backends import Backend, patches_of
from nightglass.detector.detector import Detector
from nightglass.engine.merge import RankedImage
from nightglass.images.decoding import decode_rgb, let_limits_decide
from nightglass.images.reading import ImageRow, limits_of, read_image
from nightglass.records import NeighborImage, TopAnomaly
from nightglass.storage import Folder

MAPS_FOLDER = "anomaly_maps"
_SHOWN_SIDE = 768  # longest side of a stored picture, pixels
_SMOOTHING = 4 / 224  # sigma of PatchCore's Gaussian, as a share of the network input (Roth et al. 2022)
_MAP_UNIT = 128  # grey level of 1.0: as unusual as good images ever get


def describe_top_anomalies(
    ranked: list[RankedImage],
    rows: dict[str, ImageRow],
    images: Folder,
    out: Folder,
    detector: Detector,
    backend: Backend,
    options: Scoring,
) -> list[TopAnomaly]:
    """Write picture, map and neighbours of each ranked image into ``out`` and return their description.

    Args:
        ranked: The top-k, highest first.
        rows: The manifest's row of each ranked path.
        images: The night's folder.
        out: The score folder.
        detector: What scored them.
        backend: Its network.
        options: Reading limits.
    """
    let_limits_decide()
    out.remove(MAPS_FOLDER)
    size = detector.options.backbone.image_size
    found: list[TopAnomaly] = []
    for rank, image in enumerate(ranked, start=1):
        row = rows[image.path]
        data = read_image(images, row.name_on_disk, options.max_file_bytes)
        shown = Image.fromarray(decode_rgb(data, row.name_on_disk, limits_of(options), None))
        shown.thumbnail((_SHOWN_SIDE, _SHOWN_SIDE), Image.Resampling.LANCZOS)
        pixels = decode_rgb(data, row.name_on_disk, limits_of(options), size)
        embedded = backend.embed(pixels[None], patches=True)
        anomaly_map = upsample_map(detector.patch_bank.anomaly_map(patches_of(embedded, 0)), shown.size)
        stem = f"{MAPS_FOLDER}/{rank:04d}"
        out.write_bytes(f"{stem}.image.jpg", _encode(shown, "JPEG"))
        grey = np.clip(anomaly_map * _MAP_UNIT, 0, 255).astype(np.uint8)
        out.write_bytes(f"{stem}.map.png", _encode(Image.fromarray(grey), "PNG"))
        found.append(
            TopAnomaly(
                rank=rank,
                path=image.path,
                sha256=image.sha256,
                image_score=image.image_score,
                is_anomalous=image.is_anomalous,
                image=f"{stem}.image.jpg",
                anomaly_map=f"{stem}.map.png",
                neighbors=_describe_neighbors(embedded.embedding, detector, out, stem),
            )
        )
    return found


def upsample_map(anomaly_map: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """Bring a map ``(h, w)`` to an image of ``size`` (width, height) pixels, smoothed."""
    width, height = size
    large = Image.fromarray(anomaly_map).resize((width, height), Image.Resampling.BILINEAR)
    smooth = gaussian_filter(np.asarray(large), sigma=(_SMOOTHING * height, _SMOOTHING * width))
    return np.asarray(smooth, dtype=np.float32)


def _describe_neighbors(
    embedding: NDArray[np.float32], detector: Detector, out: Folder, stem: str
) -> list[NeighborImage]:
    scores = detector.score(embedding)
    neighbors = []
    for number, (bank_row, distance) in enumerate(
        zip(scores.nearest_rows[0], scores.nearest_distances[0], strict=True), start=1
    ):
        name = f"{stem}.neighbor-{number}.jpg"
        out.write_bytes(name, detector.bank_images["thumbnail"][int(bank_row)].as_py())
        neighbors.append(
            NeighborImage(path=detector.bank_paths[int(bank_row)], distance=float(distance), thumbnail=name)
        )
    return neighbors


def make_thumbnail(pixels: NDArray[np.uint8], width: int, height: int, side: int) -> bytes:
    """Encode network-sized ``pixels (S, S, 3)`` as a JPEG with the proportions of the original image."""
    scale = side / max(width, height)
    shape = (max(1, round(width * scale)), max(1, round(height * scale)))
    return _encode(Image.fromarray(pixels).resize(shape, Image.Resampling.BILINEAR), "JPEG")


def _encode(image: Image.Image, image_format: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, image_format, **({"quality": 88} if image_format == "JPEG" else {}))
    return buffer.getvalue()
