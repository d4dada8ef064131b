"""The second pass over the top-k: pictures, anomaly maps and nearest good neighbours."""

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter
from threadpoolctl import threadpool_limits

from nightglass.collections import Scoring
from nightglass.detector.backends import Backend
from nightglass.detector.detector import Detector
from nightglass.engine.merge import RankedImage
from nightglass.engine.threads import start_workers
from nightglass.images.decoding import decode_picture, decode_rgb, let_limits_decide
from nightglass.images.quarantine import QuarantinedError
from nightglass.images.reading import ImageRow, check_unchanged, limits_of, read_image
from nightglass.records import NeighborImage, TopAnomaly
from nightglass.storage import Folder

MAPS_FOLDER = "anomaly_maps"
_BATCH = 8
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
            workers: Threads that the backend was opened for.
        """
        let_limits_decide()
        numbered = list(enumerate(ranked, 1))
        # Half of the threads wait for the disk at any time.
        threads = 2 * workers
        size = max(1, min(_BATCH, -(-len(ranked) // threads)))
        batches = [numbered[start : start + size] for start in range(0, len(numbered), size)]
        with threadpool_limits(1, "blas"), start_workers(threads, "explain") as pool:
            explained = pool.map(lambda batch: self._explain(batch, rows), batches)
            return [image for batch in explained for image in batch]

    def _explain(self, batch: list[tuple[int, RankedImage]], rows: dict[str, ImageRow]) -> list[TopAnomaly]:
        seen = {rank: found for rank, image in batch if (found := self._decode(rows[image.path])) is not None}
        neighbors: dict[int, list[NeighborImage]] = {}
        if seen:
            embedded = self.backend.embed(np.stack([pixels for _, pixels in seen.values()]))
            scores = self.detector.score(embedded)
            maps = self.detector.patch_bank.anomaly_maps(embedded.patches)
            for at, (rank, (shown, _)) in enumerate(seen.items()):
                self._write_pictures(_stem(rank), shown, maps[at])
                neighbors[rank] = self._write_neighbors(
                    _stem(rank), scores.nearest_rows[at], scores.nearest_distances[at]
                )
        return [
            TopAnomaly(
                rank=rank,
                path=image.path,
                sha256=image.sha256,
                image_score=image.image_score,
                is_anomalous=image.is_anomalous,
                image=f"{_stem(rank)}.image.jpg",
                anomaly_map=f"{_stem(rank)}.map.png",
                neighbors=neighbors.get(rank, []),
            )
            for rank, image in batch
        ]

    def _decode(self, row: ImageRow) -> tuple[Image.Image, NDArray[np.uint8]] | None:
        """Return the picture to show and the network's pixels.

        None for an image that is gone or changed since it was scored: its score stands, and the report shows an empty
        frame.
        """
        limits = limits_of(self.options)
        try:
            data = read_image(self.images, row.name_on_disk, self.options.max_file_bytes)
            check_unchanged(data, row)
            shown = decode_picture(data, row.name_on_disk, limits, _SHOWN_SIDE)
            return shown, decode_rgb(data, row.name_on_disk, limits, self.detector.options.backbone.image_size)
        except QuarantinedError:
            return None

    def _write_pictures(self, stem: str, shown: Image.Image, anomaly_map: NDArray[np.float32]) -> None:
        self.out.write_bytes(f"{stem}.image.jpg", _encode(shown, "JPEG"))
        grey = np.clip(upsample_map(anomaly_map, shown.size) * _MAP_UNIT, 0, 255).astype(np.uint8)
        self.out.write_bytes(f"{stem}.map.png", _encode(Image.fromarray(grey), "PNG"))

    def _write_neighbors(
        self, stem: str, bank_rows: NDArray[np.int64], distances: NDArray[np.float32]
    ) -> list[NeighborImage]:
        neighbors = []
        for number, (row, distance) in enumerate(zip(bank_rows.tolist(), distances.tolist(), strict=True), start=1):
            name = f"{stem}.neighbor-{number}.jpg"
            self.out.write_bytes(name, self.detector.bank_images["thumbnail"][row].as_py())
            neighbors.append(NeighborImage(path=self.detector.bank_paths[row], distance=distance, thumbnail=name))
        return neighbors


def _stem(rank: int) -> str:
    return f"{MAPS_FOLDER}/{rank:04d}"


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
    # A map is smooth: the fastest compression takes a quarter of the default's time for half as many bytes again.
    image.save(buffer, image_format, **({"quality": 88} if image_format == "JPEG" else {"compress_level": 1}))
    return buffer.getvalue()
