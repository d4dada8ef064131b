"""A plain timm loop over a folder: Pillow, timm's own transforms, a DataLoader with worker processes, eager torch.

It only embeds: no listing with checksums, no search, no scores, nothing written.
``python -m benchmarks.peers.timm_loop --images DIR [--bf16]``
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks.peers.packaged import load_packaged_backbone

BATCH_SIZE = 32


class ImagesDataset:
    """The images of a folder, transformed for the network."""

    def __init__(self, files: list[Path], transform: Any) -> None:
        self._files = files
        self._transform = transform

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, number: int) -> Any:
        with Image.open(self._files[number]) as image:
            return self._transform(image.convert("RGB"))


def main() -> None:
    """Embed every image of the folder and print the seconds from after the imports to the last embedding."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--workers", type=int, required=True)
    parser.add_argument("--bf16", action="store_true", help="bf16 autocast, channels last")
    options = parser.parse_args()
    network = load_packaged_backbone()  # also imports timm and torchvision, which is not timed
    import torch
    from timm.data import create_transform, resolve_data_config
    from torch.utils.data import DataLoader

    device = "cuda" if torch.cuda.is_available() else "cpu"
    start = time.perf_counter()
    network.reset_classifier(0)
    memory_format = torch.channels_last if options.bf16 else torch.contiguous_format
    network = network.to(device, memory_format=memory_format)
    transform = create_transform(**resolve_data_config({}, model=network))
    files = sorted(path for path in options.images.rglob("*") if path.is_file())
    images: Any = ImagesDataset(files, transform)
    loader: Any = DataLoader(images, batch_size=BATCH_SIZE, num_workers=options.workers)
    done = 0
    with torch.inference_mode(), torch.autocast(device, torch.bfloat16, enabled=options.bf16):
        for batch in loader:
            done += len(network(batch.to(device, memory_format=memory_format)).float().cpu())
    print(json.dumps({"images": done, "run_seconds": time.perf_counter() - start, "device": device}))


if __name__ == "__main__":
    main()
