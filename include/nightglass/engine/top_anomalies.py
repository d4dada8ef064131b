"""The second pass over the top-k: pictures, anomaly maps and nearest good neighbours."""

import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from nightglass.collections import Scoring
from nightglass.detector.backends import Backend, Embedded
from nightglass.detector.detector import Detector
from nightglass.engine.merge import RankedImage
from nightglass.images.decoding import decode_picture, decode_rgb, let_limits_decide
from nightglass.images.quarantine import QuarantinedError
from nightglass.images.reading import ImageRow, check_unchanged, limits_of, read_image
from nightglass.records import NeighborImage, TopAnomaly
from nightglass.storage import Folder

MAPS_FOLDER = "anomaly_maps"
_SHOWN_SIDE = 768  # longest side of a stored picture, pixels
_SMOOTHED_SIDE, _SMOOTHING = (
    224,
    4.0,
)  # PatchCore's Gaussian: its sigma at an input of so many pixels (Roth et al. 2022)
_MAP_UNIT = 128  # grey level of 1.0: as unusual as good images hardly ever get


@dataclass(frozen=True)
class AnomalyExplainer:
    """Writes picture, map and neighbours of ranked images into a score folder."""

    images: Folder
    out: Folder
    detector: Detector
    backend: Backend
    options: Scoring

    def explain(self, ranked: list[RankedImage], rows: dict[str, ImageRow], workers: int) -> list[TopAnomaly]:
        """Explain the top-k, highest first.

        Args:
            ranked: The images.
            rows: The manifest's row of each ranked path.
            workers: Threads; the backend was opened for as many.
        """
        let_limits_decide()
        # Half of them wait for the disk at any time.
        with ThreadPoolExecutor(2 * workers, thread_name_prefix="explain") as pool:
            return list(pool.map(lambda at: self._explain_one(at[0], at[1], rows[at[1].path]), enumerate(ranked, 1)))

    def _explain_one(self, rank: int, image: RankedImage, row: ImageRow) -> TopAnomaly:
        stem = f"{MAPS_FOLDER}/{rank:04d}"
        try:
            neighbors = self._write_pictures(row, stem)
        except QuarantinedError:
            # Gone or changed since it was scored: its score stands, and the report shows an empty frame.
            neighbors = []
        return TopAnomaly(
            rank=rank,
            path=image.path,
            sha256=image.sha256,
            image_score=image.image_score,
            is_anomalous=image.is_anomalous,
            image=f"{stem}.image.jpg",
            anomaly_map=f"{stem}.map.png",
            neighbors=neighbors,
        )

    def _write_pictures(self, row: ImageRow, stem: str) -> list[NeighborImage]:
        data = read_image(self.images, row.name_on_disk, self.options.max_file_bytes)
        check_unchanged(data, row)
        limits = limits_of(self.options)
        shown = decode_picture(data, row.name_on_disk, limits, _SHOWN_SIDE)
        pixels = decode_rgb(data, row.name_on_disk, limits, self.detector.options.backbone.image_size)
        embedded = self.backend.embed(pixels[None])
        anomaly_map = upsample_map(self.detector.patch_bank.anomaly_map(embedded.patches[0]), shown.size)
        self.out.write_bytes(f"{stem}.image.jpg", _encode(shown, "JPEG"))
        grey = np.clip(anomaly_map * _MAP_UNIT, 0, 255).astype(np.uint8)
        self.out.write_bytes(f"{stem}.map.png", _encode(Image.fromarray(grey), "PNG"))
        return self._write_neighbors(embedded, stem)

    def _write_neighbors(self, embedded: Embedded, stem: str) -> list[NeighborImage]:
        scores = self.detector.score(embedded)
        neighbors = []
        near = zip(scores.nearest_rows[0].tolist(), scores.nearest_distances[0].tolist(), strict=True)
        for number, (bank_row, distance) in enumerate(near, start=1):
            name = f"{stem}.neighbor-{number}.jpg"
            self.out.write_bytes(name, self.detector.bank_images["thumbnail"][bank_row].as_py())
            path = self.detector.bank_paths[bank_row]
            neighbors.append(NeighborImage(path=path, distance=distance, thumbnail=name))
        return neighbors


def upsample_map(anomaly_map: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """Bring a map ``(h, w)`` to an image of ``size`` (width, height) pixels, smoothed."""
    # Smoothed at about the network's input size, as PatchCore does it: at the size of a photograph it takes seconds.
    input_like = Image.fromarray(anomaly_map).resize((_SMOOTHED_SIDE, _SMOOTHED_SIDE), Image.Resampling.BILINEAR)
    smooth = gaussian_filter(np.asarray(input_like), sigma=_SMOOTHING)
    return np.asarray(Image.fromarray(smooth).resize(size, Image.Resampling.BILINEAR), dtype=np.float32)


def make_thumbnail(pixels: NDArray[np.uint8], width: int, height: int, side: int) -> bytes:
    """Encode network-sized ``pixels (S, S, 3)`` as a JPEG with the proportions of the original image."""
    scale = side / max(width, height)
    shape = (max(1, round(width * scale)), max(1, round(height * scale)))
    return _encode(Image.fromarray(pixels).resize(shape, Image.Resampling.BILINEAR), "JPEG")


def _encode(image: Image.Image, image_format: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, image_format, **({"quality": 88} if image_format == "JPEG" else {}))
    return buffer.getvalue()
