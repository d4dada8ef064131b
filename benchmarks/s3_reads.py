"""What reading an image from S3 costs: by the short way of `nightglass.s3_store`, and by s3fs.

``python -m benchmarks.s3_reads [--objects 1000 --kilobytes 20]``. One SeaweedFS, of the stack's compose file, on the
same machine, so its own work is in the wall time; the processor time is that of the reading process alone. Both ways
take turns within a round, with as many threads as a night reads with.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from deploy.native import StackError, running_stack

from benchmarks.common import BenchmarkError, bench_home, run_main, table, write_results
from demo.airflow_processes import exit_on_signals
from nightglass.storage import Folder, open_folder

_OBJECTS, _KILOBYTES, _ROUNDS, _THREADS = 1000, 20, 3, 16
_MAX_BYTES = 64 << 20
_FOLDER = "s3://nightglass/benchmark-reads"
_COLUMNS = {"way": "way", "cpu_ms": "CPU ms an object", "wall_ms": "wall ms an object"}


def measure(read: Callable[[str], bytes], names: list[str]) -> dict[str, float]:
    """Read all objects and return milliseconds an object."""
    began, cpu = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(_THREADS) as pool:
        sizes = [len(data) for data in pool.map(read, names)]
    if min(sizes) != max(sizes):
        raise BenchmarkError(f"expected objects of one size, got {min(sizes)} to {max(sizes)} bytes")
    count = len(names) / 1000
    return {"cpu_ms": (time.process_time() - cpu) / count, "wall_ms": (time.perf_counter() - began) / count}


def measure_ways(folder: Folder, names: list[str]) -> list[dict[str, Any]]:
    """Return each way's median over the rounds; the first reading of each, which connects, does not count."""
    ways: dict[str, Callable[[str], bytes]] = {
        "short way": lambda name: folder.read_start(name, _MAX_BYTES),
        "s3fs": lambda name: bytes(folder.fs.cat_file(folder.path(name), start=0, end=_MAX_BYTES)),
    }
    for read in ways.values():
        measure(read, names[: 4 * _THREADS])
    rounds = [{way: measure(read, names) for way, read in ways.items()} for _ in range(_ROUNDS)]
    return [
        {"way": way} | {key: statistics.median(found[way][key] for found in rounds) for key in ("cpu_ms", "wall_ms")}
        for way in ways
    ]


def main() -> int:
    """Start the store, write the objects, and read them both ways."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=int, default=_OBJECTS)
    parser.add_argument("--kilobytes", type=int, default=_KILOBYTES, help="size of each")
    arguments = parser.parse_args()
    names = [f"{number:06d}.png" for number in range(arguments.objects)]
    try:
        with running_stack(bench_home() / "reads", services=["seaweedfs"]) as stack:
            seen = stack.environment
            options = {
                "key": seen["AWS_ACCESS_KEY_ID"],
                "secret": seen["AWS_SECRET_ACCESS_KEY"],
                "endpoint_url": stack.s3_endpoint,
            }
            folder = open_folder(_FOLDER, options)
            if not folder.fs.exists("nightglass"):
                folder.fs.mkdir("nightglass")
            size = arguments.kilobytes * 1000
            folder.fs.pipe({folder.path(name): os.urandom(size) for name in names})
            rows = measure_ways(folder, names)
    except StackError as error:
        raise BenchmarkError(str(error)) from error
    print(table(rows, _COLUMNS))
    is_trial = (arguments.objects, arguments.kilobytes) != (_OBJECTS, _KILOBYTES)
    write_results("s3-reads", {"objects": len(names), "bytes": size, "ways": rows}, is_trial=is_trial)
    return 0


if __name__ == "__main__":
    exit_on_signals()
    run_main(main)
