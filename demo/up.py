"""`make up`: Airflow's UI with these DAGs on this machine, until Ctrl-C."""

import os
import sys
import time

from airflow_processes import USER, AirflowError, exit_on_signals, is_free, running_airflow
from nightglass.collections import find_collection_files, read_collection
from nightglass.errors import ConfigurationError, NightglassError
from nightglass.settings import Settings, read_settings

POOL_SLOTS = 1


def find_pools(settings: Settings) -> set[str]:
    """Return the pools that the collections name; a broken file says so in its DAG, not here."""
    pools = set()
    for file in find_collection_files(settings.collections_dir):
        try:
            pools.add(read_collection(file).scoring.pool)
        except ConfigurationError:
            continue
    return pools


def main() -> None:
    """Start Airflow, make the pools, print the login and wait."""
    settings = read_settings()
    port = int(os.environ.get("PORT", "8080"))
    if not is_free(port):
        raise AirflowError(f"expected port {port} to be free, got one in use; choose another: make up PORT=8081")
    print("Starting Airflow ...", flush=True)
    with running_airflow(settings.home / "airflow", port) as airflow:
        for pool in sorted(find_pools(settings)):
            airflow.make_pool(pool, POOL_SLOTS)
        print(f"\n  Airflow   {airflow.url}\n  Login     {USER} / {airflow.password}\n  Logs      {airflow.home}\n")
        print("Ctrl-C stops it. DAGs are paused until you switch them on.")
        print("One machine needs no triggerer: Airflow's home page shows it in red.", flush=True)
        while True:
            airflow.check_alive()
            time.sleep(1)


if __name__ == "__main__":
    exit_on_signals()
    try:
        main()
    except KeyboardInterrupt:
        print("\nStopped; nothing is left running")
    except (AirflowError, NightglassError, OSError, ValueError) as error:
        sys.exit(f"up: {error}")
