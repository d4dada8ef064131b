"""How well nights are decided: false retrains in a year, and nights until a change is caught.

``python -m benchmarks.decisions`` draws nights (`benchmarks.decisions_world`) and judges them one after the other by
the code that judges real ones (`benchmarks.decisions_years`). ``--quick`` makes a tenth of the runs; ``--replay``
instead lets real images arrive, see `benchmarks.decisions_replay`.
"""

import argparse
import os
from typing import Any

from benchmarks import decisions_replay, decisions_scenarios
from benchmarks.common import run_main, table, write_results

_QUICK = 0.1


def main() -> int:
    """Run the benchmark, print its tables, write the results; 1 when a limit is not kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the runs, to try it")
    parser.add_argument("--replay", action="store_true", help="nights of real cells instead: mono, then poly")
    options = parser.parse_args()
    if options.replay:
        replay = decisions_replay.measure()
        print(table(replay["nights"], decisions_replay.COLUMNS))
        write_results("decisions", replay, variant="replay")
        return 0
    # One thread a process: the processes share the cores, and the small classifiers gain nothing from more.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    results = decisions_scenarios.measure(_QUICK if options.quick else 1.0)
    for title, columns in decisions_scenarios.TABLES.items():
        print(f"\n{title}\n\n{table(results[title], columns)}")
    print("\n" + "\n".join(f"{'kept' if is_kept else 'NOT KEPT'}: {limit}" for limit, is_kept in _kept(results)))
    write_results("decisions", results, is_trial=options.quick)
    return 0 if all(is_kept for _, is_kept in _kept(results)) else 1


def _kept(results: dict[str, Any]) -> list[tuple[str, bool]]:
    return list(results["kept"].items())


if __name__ == "__main__":
    run_main(main)
