"""How well nightglass detects: on ELPV's solar cells, with and without labels, or on a folder of one's own.

``python -m benchmarks.quality`` runs the ELPV protocol, see `benchmarks.quality_elpv`;
``python -m benchmarks.quality --folder DIR`` takes a folder with ``good/``, ``bad/`` and, where defects are marked,
``masks/``, see `benchmarks.quality_folder`. Every figure comes from `nightglass fit` and `nightglass score`.
"""

import argparse
from pathlib import Path

from benchmarks import quality_elpv, quality_folder
from benchmarks.common import run_main, write_results

_SEEDS = 5


def main() -> None:
    """Run the benchmark and print its tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=_SEEDS)
    parser.add_argument("--labels", type=int, nargs="*", default=[1, 10, 50, 200], help="labelled defects on ELPV")
    parser.add_argument("--folder", type=Path, help="good/ bad/ [masks/] instead of ELPV")
    parser.add_argument("--train", type=int, default=30, help="good images of --folder to fit on")
    parser.add_argument("--collection", type=Path, help="detector settings, as a collection's file")
    options = parser.parse_args()
    is_trial = options.seeds < _SEEDS
    names = [path.resolve().stem for path in (options.folder, options.collection) if path]
    if options.folder:
        results = quality_folder.measure(options.folder, options.train, options.seeds, options.collection)
        print(quality_folder.show(results))
    else:
        results = quality_elpv.measure(options.labels, options.seeds, options.collection)
        print(quality_elpv.show(results))
        is_trial = is_trial or not options.labels
    write_results("quality", results, variant="-".join(names), is_trial=is_trial)


if __name__ == "__main__":
    run_main(main)
