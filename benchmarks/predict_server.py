"""The pages without Airflow, for measurements: whoever asks may do everything; only on 127.0.0.1."""

import os

import uvicorn

from nightglass.pages.app import create_app

COLLECTION = "cells"
PORT_VARIABLE = "NIGHTGLASS_BENCH_PORT"


class Anybody:
    """Whoever asks; the benchmark's own process is the only one that does."""

    user_name = "benchmark"

    def may_read(self, collection: str) -> bool:
        """Tell that they may see the collection of the benchmark."""
        return collection == COLLECTION

    def may_change(self, collection: str) -> bool:
        """Tell that they may change it."""
        return collection == COLLECTION

    def may_start(self, dag_id: str) -> bool:
        """Tell that there is no DAG to start."""
        return not dag_id


def main() -> None:
    """Serve until the process is ended."""
    app = create_app(Anybody, lambda _: None)
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ[PORT_VARIABLE]), log_level="warning")


if __name__ == "__main__":
    main()
