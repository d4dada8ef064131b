"""``nightglass plan`` as a user runs it: measured on this machine, and from the table."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration
Run = Callable[..., subprocess.CompletedProcess[str]]


def test_this_machine_is_measured(nightglass: Run, tmp_path: Path) -> None:
    environment = {"NIGHTGLASS_HOME": str(tmp_path), "NIGHTGLASS_CURRENCY": "EUR", "TMPDIR": str(tmp_path)}
    asked = ("plan", "--images", 1_000_000, "--megapixels", 0.1, "--workers", 8, "--price-per-hour", 0.5, "--json")
    done = nightglass(*asked, env=environment)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["costs"]["source"] == "measured"
    assert "drawn JPEGs on this machine" in result["costs"]["told"]
    assert (result["shards"], result["rounds"], result["currency"]) == (256, 32, "EUR")
    assert 0 < result["costs"]["shard_seconds"] < 1
    assert result["cost"] == pytest.approx(result["compute_seconds"] / 3600 * 0.5, rel=1e-3)
    assert result["read_requests"] == 2_001_000
    assert not list(tmp_path.iterdir())  # nothing is left


def test_the_table_answers_at_once_and_in_words(nightglass: Run) -> None:
    asked = ("plan", "--images", 1_000_000, "--megapixels", 12, "--workers", 8, "--source", "table")
    done = nightglass(*asked)
    assert done.returncode == 0, done.stderr
    lines = dict(line.split("  ", 1) for line in done.stdout.splitlines() if "  " in line)
    assert lines["tasks"].strip().startswith("256 shards of 3,907 images, 8 at once with 2 cores each")
    assert lines["cost"].strip() == "set --price-per-hour or NIGHTGLASS_PRICE_PER_HOUR"
    assert lines["limited by"].strip()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--images", 0), "--images"),
        (("--images", 5), "--megapixels: expected how large the images are"),
        (("--images", 5, "--megapixels", 1, "--workers", 0), "--workers"),
        (("--images", 5, "--megapixels", "nan"), "--megapixels"),
        (("--images", 5, "--megapixels", 1, "--device", "cuda", "--source", "table"), "--device cuda"),
        (("--images", 5, "--megapixels", 1, "--collection", "nobody"), "--collection"),
    ],
)
def test_wrong_questions_get_one_clear_line(nightglass: Run, arguments: tuple[object, ...], told: str) -> None:
    done = nightglass("plan", *arguments)
    assert done.returncode != 0
    assert done.stdout == ""
    assert done.stderr.startswith("nightglass: ")
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1
