"""Kill a scoring process at random moments and let it finish: nothing is lost, nothing is done twice."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import write_panels

KILLS = 10
SHARD_SIZE = 25


def start(images: Path, model: Path, out: Path, collection: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", "from nightglass.cli import main; main()", "score", "--images", images]
    command += ["--model", model, "--out", out, "--collection", collection]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)


def finished_shards(out: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in out.glob(".shards/*/[0-9]*.parquet")}


@pytest.mark.integration
def test_ten_kills_give_the_scores_of_an_undisturbed_run(model: Path, tmp_path: Path) -> None:
    images = write_panels(tmp_path / "images", range(3000, 3600), defects=20)
    collection = tmp_path / "line.yaml"
    collection.write_text(f"images: unused\nschedule: null\nscoring: {{shard_size: {SHARD_SIZE}}}\n")
    whole = start(images, model, tmp_path / "whole", collection)
    assert whole.wait(timeout=200) == 0, whole.stderr.read().decode() if whole.stderr else ""

    out, moments = tmp_path / "out", random.Random(20261121)
    kills = 0
    while kills < KILLS:
        before = finished_shards(out)
        process = start(images, model, out, collection)
        # Two shards more than before, so that the kills are spread over the run and not over the start-up.
        wanted = min(len(before) + moments.randint(0, 2), 600 // SHARD_SIZE)
        while len(finished_shards(out)) < wanted and process.poll() is None:
            time.sleep(0.01)
        time.sleep(moments.uniform(0, 0.4))
        os.killpg(process.pid, signal.SIGKILL)
        if process.wait() == 0:
            break
        kills += 1
        after = finished_shards(out)
        # Finished shards are neither lost nor written again: at most the one in work is redone.
        assert before.items() <= after.items()
    assert kills == KILLS, "the run ended before it was killed ten times: give it more images"

    last = start(images, model, out, collection)
    assert last.wait(timeout=200) == 0
    for name in ("scores.parquet", "quarantine.parquet", "embeddings.faiss", "top_anomalies.json"):
        assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    assert not list(out.rglob(".writing-*"))
    assert not (out / ".shards").exists()
