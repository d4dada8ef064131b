"""The demo's parts: the cells go where its README says, and `make up` leaves nothing behind."""

import csv
import hashlib
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from datetime import datetime
from pathlib import Path

import psutil
import pytest

from nightglass.collections import read_collection
from nightglass.images.slices import slices_of

REPOSITORY = Path(__file__).resolve().parents[2]
DEMO = REPOSITORY / "demo"
#: Cells in all folders.
COUNT = 824


@pytest.fixture(scope="module")
def laid_out(tmp_path_factory) -> Path:
    """The demo's images, laid out twice: the second time finds them."""
    images = tmp_path_factory.mktemp("demo") / "images"
    script = "import sys; from pathlib import Path; from layout import lay_out; lay_out(Path(sys.argv[1]))"
    for _ in range(2):
        subprocess.run([sys.executable, "-c", script, images], cwd=DEMO, check=True)
    return images


def test_the_cells_go_where_the_readme_says(laid_out):
    with (laid_out / "layout.csv").open() as file:
        rows = list(csv.DictReader(file))
    counts = Counter((row["folder"], row["label"], row["cell_type"]) for row in rows)
    kinds = [("normal", "mono"), ("normal", "poly"), ("defect", "mono"), ("defect", "poly")]
    table = re.findall(r"^\| `(\S+)`[^|]*\| (\d+) \| (\d+) \| (\d+) \| (\d+) \| \d+ \|$", *readme(), re.MULTILINE)

    assert [name for name, *_ in table] == ["training", "2026-03-02", "2026-03-06", "2026-03-07"]
    for name, *numbers in table:
        assert [counts[name, *kind] for kind in kinds] == [int(number) for number in numbers], name
    for night in ("2026-03-03", "2026-03-04", "2026-03-05"):
        assert [counts[night, *kind] for kind in kinds] == [counts["2026-03-02", *kind] for kind in kinds]
    assert sum(counts.values()) == COUNT


def readme() -> list[str]:
    return [(DEMO / "README.md").read_text()]


def test_no_cell_is_in_two_folders(laid_out):
    images = [path for path in laid_out.rglob("*.png") if not path.name.startswith("damaged")]

    assert len(images) == COUNT
    assert len({path.name for path in images}) == COUNT
    assert len({hashlib.sha256(path.read_bytes()).digest() for path in images}) == COUNT


def test_a_cells_folder_is_its_type_and_the_collection_makes_that_a_slice(laid_out):
    """The files are those of the layout, no more and no fewer, and the times those of the night's evening."""
    collection = read_collection(REPOSITORY / "include" / "collections" / "solar-cells.yaml")
    with (laid_out / "layout.csv").open() as file:
        rows = list(csv.DictReader(file))
    listed = {f"{row['folder']}/{row['path']}" for row in rows}
    found = {path.relative_to(laid_out).as_posix() for path in laid_out.rglob("*.png")}

    assert {path for path in found if "damaged" not in path} == listed
    assert all(slices_of(row["path"], collection.slices) == (f"cell_type={row['cell_type']}",) for row in rows)
    for night in ("2026-03-02", "2026-03-06", "2026-03-07"):
        times = sorted(
            (laid_out / row["folder"] / row["path"]).stat().st_mtime for row in rows if row["folder"] == night
        )
        start = datetime.fromisoformat(f"{night}T18:00+00:00").timestamp()
        assert times == [start + 10 * place for place in range(len(times))]


def test_the_same_cells_every_time(laid_out):
    """The decisions in the README rest on exactly these cells."""
    digest = hashlib.sha256((laid_out / "layout.csv").read_bytes()).hexdigest()

    assert digest == "b0d8095b5dde09f65d309aa4606966ded667716c8e30ac5c97246bd0a82c1598"


def test_the_damaged_files_are_quarantined_and_nothing_else(laid_out, nightglass, model, tmp_path):
    import pyarrow.parquet as pq

    done = nightglass("score", "--images", laid_out / "2026-03-06", "--model", model, "--out", tmp_path / "scores")

    assert done.returncode == 0, done.stderr
    quarantine = pq.read_table(tmp_path / "scores" / "quarantine.parquet").to_pylist()
    reasons = {row["path"]: row["reason"] for row in quarantine}
    night = laid_out / "2026-03-06"
    assert set(reasons) == {path.relative_to(night).as_posix() for path in night.rglob("damaged-*")}
    assert len(reasons) == 8
    assert reasons["damaged-enormous.png"] == "too_many_pixels"
    assert pq.read_metadata(tmp_path / "scores" / "scores.parquet").num_rows == 210


@pytest.mark.e2e
def test_up_serves_on_this_machine_only_and_leaves_nothing_running(tmp_path, free_port):
    """Ctrl-C and a polite kill both end every process, the tasks' workers included."""
    environment = os.environ | {"NIGHTGLASS_HOME": str(tmp_path), "PORT": str(free_port)}
    with subprocess.Popen(
        [sys.executable, DEMO / "up.py"], env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as up:
        lines = iter(up.stdout.readline, "")
        login = next(line for line in lines if "Login" in line)
        children = psutil.Process(up.pid).children(recursive=True)
        listening = {
            connection.laddr.ip
            for child in children
            for connection in child.net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN
        }
        up.send_signal(signal.SIGINT)
        rest = "".join(lines)

    assert re.search(r"admin / \S{8,}", login)
    assert len(children) >= 5
    assert listening == {"127.0.0.1"}
    assert "nothing is left running" in rest
    assert up.returncode == 0
    assert [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE] == []


def test_up_says_so_when_its_port_is_taken(tmp_path, webhook):
    port = webhook.url.rpartition(":")[2]

    done = subprocess.run(
        [sys.executable, DEMO / "up.py"],
        env=os.environ | {"NIGHTGLASS_HOME": str(tmp_path), "PORT": port},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode != 0
    assert (
        done.stderr.strip() == f"up: expected port {port} to be free, got one in use; choose another: make up PORT=8081"
    )
    assert not (tmp_path / "airflow").exists()
