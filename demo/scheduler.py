"""Airflow's scheduler, which has imported already what the tasks import.

LocalExecutor forks every task from the scheduler. A task of a small night works for less than a second, and would
import for several. A change of the package is seen by what is started after it, as with the other components.
"""

import sys

from nightglass.detector.silent_openvino import import_openvino
from nightglass.detector.torchvision_cpu import allow_torchvision_without_cuda


def import_libraries() -> None:
    """Import the libraries that take long; nothing of them computes here, so that a fork finds no threads at work."""
    import_openvino()
    allow_torchvision_without_cuda()
    # ruff: noqa: F401, PLC0415
    import faiss
    import great_expectations.expectations
    import matplotlib.backends.backend_agg
    import matplotlib.figure
    import mlflow.pyfunc
    import mlflow.store.tracking.sqlalchemy_store
    import scipy.stats
    import sklearn.linear_model
    import sklearn.metrics
    import timm

    import nightglass.night.flow
    import nightglass.retraining.flow


if __name__ == "__main__":
    import_libraries()
    from airflow.__main__ import main

    sys.argv[1:1] = ["scheduler"]
    main()
