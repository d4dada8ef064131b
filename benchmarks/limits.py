"""What the cores allow: decoding alone and the network alone, each with as many threads as the command uses.

``python -m benchmarks.limits --images DIR --model MODEL_DIR`` prints seconds per image as JSON. A run that reads,
decodes and embeds cannot be faster than cores / (decode + forward CPU seconds); with the network on a GPU not faster
than the slower of the two, since they overlap.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from nightglass.collections import Collection, default_collection, read_collection
from nightglass.engine.stage_times import count_workers
from nightglass.images.decoding import decode_rgb, let_limits_decide
from nightglass.images.manifest import build_manifest
from nightglass.images.reading import ImageRow, limits_of, read_image
from nightglass.models import find_model
from nightglass.settings import read_settings
from nightglass.storage import open_folder

Task = TypeVar("Task")
Done = TypeVar("Done")


def measure_limits(images: Path, model: Path, collection: Collection) -> dict[str, float | int | str]:
    """Decode every image of a folder, then run the network on all of them; return CPU and wall seconds per image."""
    workers, options, folder = count_workers(), collection.scoring, open_folder(str(images))
    detector = find_model(str(model), read_settings()).detector
    size = detector.options.backbone.image_size
    backend = detector.open_backend(workers, options.device)
    rows = build_manifest(folder, collection.suffixes, options, workers=workers).image_rows()
    batches = [rows[start : start + options.batch_size] for start in range(0, len(rows), options.batch_size)]

    def decode(batch: list[ImageRow]) -> NDArray[np.uint8]:
        pixels = np.empty((len(batch), size, size, 3), np.uint8)
        for number, row in enumerate(batch):
            data = read_image(folder, row.name_on_disk, options.max_file_bytes)
            pixels[number] = decode_rgb(data, row.name_on_disk, limits_of(options), size)
        return pixels

    def forward(pixels: NDArray[np.uint8]) -> None:
        backend.embed(pixels)

    let_limits_decide()
    with ThreadPoolExecutor(workers) as pool:
        decoded, decode_cpu, decode_wall = _timed(pool, decode, batches)
        # The first call of every thread allocates; later ones show what an image costs.
        _timed(pool, forward, decoded[: 4 * workers])
        _, forward_cpu, forward_wall = _timed(pool, forward, decoded)
    return {
        "images": len(rows),
        "workers": workers,
        "backend": backend.name,
        "decode_cpu_seconds": decode_cpu / len(rows),
        "decode_wall_seconds": decode_wall / len(rows),
        "forward_cpu_seconds": forward_cpu / len(rows),
        "forward_wall_seconds": forward_wall / len(rows),
    }


def limit_images_per_second(told: dict[str, float]) -> float:
    """Return the images per second that nothing which decodes and embeds on these cores can pass."""
    if "cuda" in str(told["backend"]):
        return 1 / max(told["decode_cpu_seconds"] / told["workers"], told["forward_wall_seconds"])
    return told["workers"] / (told["decode_cpu_seconds"] + told["forward_cpu_seconds"])


def _timed(
    pool: ThreadPoolExecutor, work: Callable[[Task], Done], tasks: Sequence[Task]
) -> tuple[list[Done], float, float]:
    """Return what ``work`` gave, and the CPU and wall seconds of this process meanwhile."""
    cpu, wall = time.process_time(), time.perf_counter()
    done = list(pool.map(work, tasks))
    return done, time.process_time() - cpu, time.perf_counter() - wall


def main() -> None:
    """Measure once and print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--collection", type=Path)
    options = parser.parse_args()
    collection = read_collection(options.collection) if options.collection else default_collection()
    print(json.dumps(measure_limits(options.images, options.model, collection)))


if __name__ == "__main__":
    main()
