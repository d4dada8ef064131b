"""Real cells through every step of a night: a champion that knows mono cells only, then poly cells arrive.

ELPV's good mono cells are drawn (seed 0) for the champion and for nights of 50, each with two defects; from the sixth
night on more and more of the good cells are poly. No cell is used twice.
"""

import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import bench_home, run_measured
from benchmarks.data import Cell, link_into, read_cells

NAME = "arriving"
#: Of each night's good cells, how many are poly.
POLY = (0, 0, 0, 0, 0, 5, 12, 25, 50)
GOOD, DEFECTS = 50, 2
COLUMNS = {
    "night": "night",
    "poly": "poly cells",
    "scored": "scored",
    "anomalous": "anomalous",
    "decision": "decision",
    "sentence": "why",
}


def draw_nights(cells: Sequence[Cell]) -> tuple[list[Cell], list[list[Cell]]]:
    """Return the champion's training cells and the cells of every night."""
    order = np.random.default_rng(0).permutation(len(cells))
    shuffled = [cells[i] for i in order]

    def take(label: str, cell_type: str, count: int) -> list[Cell]:
        found = [cell for cell in shuffled if (cell.label, cell.cell_type) == (label, cell_type)][:count]
        for cell in found:
            shuffled.remove(cell)
        return found

    nights = [
        take("normal", "mono", GOOD - poly) + take("normal", "poly", poly) + take("defect", "mono", DEFECTS)
        for poly in POLY
    ]
    return take("normal", "mono", len(cells)), nights


def measure() -> dict[str, Any]:
    """Fit the champion, run every night through the steps of its DAG, and return what was decided."""
    train, nights = draw_nights(read_cells())
    with tempfile.TemporaryDirectory(prefix="replay-", dir=bench_home()) as folder:
        root = Path(folder)
        collection_file = root / f"{NAME}.yaml"
        collection_file.write_text(f"images: {root}/images/{{night}}\nready: {{quiet_minutes: 0}}\n", encoding="utf-8")
        os.environ["NIGHTGLASS_HOME"] = str(root / "home")
        link_into(root / "good", [cell.file for cell in train])
        arguments = ["--images", root / "good", "--out", root / "model", "--collection", collection_file, "--register"]
        run_measured([sys.executable, "-c", "from nightglass.cli import main; main()", "fit", *arguments])
        rows = []
        for number, cells in enumerate(nights):
            night = f"2026-01-{number + 1:02}"
            link_into(root / "images" / night, [cell.file for cell in cells])
            rows.append({"night": number + 1, "poly": POLY[number], **_run_night(collection_file, night)})
            print(f"{night}: {rows[-1]['sentence']}", file=sys.stderr)
    return {"training_images": len(train), "nights": rows}


def _run_night(collection_file: Path, night: str) -> dict[str, Any]:
    from nightglass.engine.results import ASSESSMENT_NAME
    from nightglass.night import flow
    from nightglass.records import Assessment
    from nightglass.storage import open_folder

    plan = flow.list_night(str(collection_file), night)
    for shard in flow.validate_night(plan):
        flow.score_night_shard(plan, shard)
    flow.assess_night(plan)
    flow.publish_night(plan)
    found = Assessment.model_validate_json(open_folder(plan.folder_url).read_bytes(ASSESSMENT_NAME))
    return {
        "scored": found.scored,
        "anomalous": found.anomalous,
        "decision": str(found.decision.verb),
        "sentence": found.decision.sentence,
        "reasons": [reason.model_dump(mode="json") for reason in found.decision.reasons],
    }
