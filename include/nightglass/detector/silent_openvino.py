"""OpenVINO without its reports: a program that looks at customers' images sends nothing anywhere."""

import sys
from typing import Any


def import_openvino() -> Any:  # noqa: ANN401  OpenVINO has no types
    """Import OpenVINO so that neither it nor nncf reports to Google Analytics, as both would when they are imported.

    They go without the package that sends the reports where it cannot be imported; there is no variable for it.
    """
    if "openvino" not in sys.modules:
        sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # how Python marks "not to be imported"
    import openvino

    return openvino
