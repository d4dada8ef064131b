"""Run a command and write what it needed into a JSON file: ``launcher.py REPORT COMMAND [ARGUMENT …]``.

Started with ``-I -S``, so that it imports next to nothing and the command's peak memory is its own.
"""

import json
import os
import sys
import time
from pathlib import Path


def main() -> int:
    """Run the command, report, and return its exit code."""
    report, *command = sys.argv[1:]
    start = time.perf_counter()
    pid = os.posix_spawnp(command[0], command, dict(os.environ))
    _, status, usage = os.wait4(pid, 0)
    seconds = time.perf_counter() - start
    needed = {
        "seconds": seconds,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_rss_bytes": usage.ru_maxrss * 1024,  # Linux counts in KiB
    }
    Path(report).write_text(json.dumps(needed), encoding="utf-8")
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main())
