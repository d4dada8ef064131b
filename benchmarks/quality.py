"""How well nightglass detects: on ELPV's solar cells, with and without labels, or on a folder of one's own.

``python -m benchmarks.quality`` runs the ELPV protocol, see `benchmarks.quality_elpv`;
``python -m benchmarks.quality --folder DIR`` takes a folder with ``good/``, ``bad/`` and, where defects are marked,
``masks/``, see `benchmarks.quality_folder`. Every figure comes from `nightglass fit` and `nightglass score`.
"""

import argparse
from pathlib import Path

from benchmarks import quality_elpv, quality_folder
from benchmarks.common import write_results


def main() -> None:
    """Run the benchmark and print its tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--labels", type=int, nargs="*", default=[1, 10, 50, 200], help="labelled defects on ELPV")
    parser.add_argument("--folder", type=Path, help="good/ bad/ [masks/] instead of ELPV")
    parser.add_argument("--train", type=int, default=30, help="good images of --folder to fit on")
    parser.add_argument("--collection", type=Path, help="detector settings, as a collection's file")
    options = parser.parse_args()
    if options.folder:
        results = quality_folder.measure(options.folder, options.train, options.seeds, options.collection)
        print(quality_folder.show(results))
        write_results("quality", results, variant=options.folder.resolve().name)
    else:
        results = quality_elpv.measure(options.labels, options.seeds, options.collection)
        print(quality_elpv.show(results))
        write_results("quality", results)


if __name__ == "__main__":
    main()
