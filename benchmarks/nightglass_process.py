"""The ``nightglass`` command as a benchmark runs it: ``python -m benchmarks.nightglass_process score …``.

Imports what the command needs, runs the command, and prints the seconds of the command alone on a last line of JSON,
so that its interpreter and imports can be told from its work as they can with the peers.
"""

import importlib
import json
import sys
import time

from nightglass.cli import main

#: What each command imports anyway.
_LIBRARIES = ("openvino", "pandas", "pyarrow.dataset", "simplejpeg", "nightglass.models")
_IMPORTS = {
    "score": (*_LIBRARIES, "nightglass.engine.score"),
    "fit": (*_LIBRARIES, "timm", "nightglass.engine.fit"),
}


def run() -> int:
    """Run the command line and return its exit code."""
    if sys.argv[1] == "fit":
        from nightglass.detector.torchvision_cpu import allow_torchvision_without_cuda

        allow_torchvision_without_cuda()
    for name in _IMPORTS[sys.argv[1]]:
        importlib.import_module(name)
    start, cpu = time.perf_counter(), time.process_time()
    try:
        main()
    except SystemExit as ended:
        if ended.code:
            return int(ended.code)
    print(json.dumps({"run_seconds": time.perf_counter() - start, "run_cpu_seconds": time.process_time() - cpu}))
    return 0


if __name__ == "__main__":
    sys.exit(run())
