"""fastdup over a folder: its own model, k-NN and statistics.

``python -m benchmarks.peers.fastdup_run --images DIR``
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import fastdup


def main() -> None:
    """Run fastdup on every image and print the seconds of its ``run``."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=Path, required=True)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        start = time.perf_counter()
        run = fastdup.create(work_dir=work, input_dir=str(options.images))
        run.run(overwrite=True, print_summary=False)
        seconds = time.perf_counter() - start
        images = len(run.annotations())
    print(json.dumps({"images": images, "run_seconds": seconds}))


if __name__ == "__main__":
    main()
