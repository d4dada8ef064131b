"""A champion, the same images of one night on S3, and nights of them that are disturbed in their middle."""

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from nightglass.night import flow
from nightglass.night.plan import NightPlan
from nightglass.settings import read_settings
from nightglass.storage import Folder, open_folder
from tests.conftest import write_panels
from tests.faults.comparison import Left
from tests.faults.s3_proxy import S3Proxy

NIGHT = "2026-03-02"
COLLECTION = """
images: s3://{bucket}/images/{{night}}
schedule: null
model: nightglass-line
detector: {{precision: auto}}
ready: {{quiet_minutes: 0}}
scoring: {{shard_size: 20, batch_size: 4, top_k: 4}}
decision: {{expected_anomaly_rate: 0.02, min_images: 20}}
alerts: {{about: [retrain, watch, hold]}}
retraining: {{automatic: false}}
"""


@dataclass
class Line:
    """One collection; all of them get the same images."""

    name: str
    file: Path
    options: dict[str, Any] = field(repr=False)
    alert_urls: tuple[str, ...] = ()

    def list_images(self, **options: Any) -> NightPlan:
        return flow.list_night(str(self.file), NIGHT, storage_options=self.options, **options)

    def validate(self, plan: NightPlan) -> list[int]:
        return flow.validate_night(plan, storage_options=self.options, alert_urls=self.alert_urls)

    def score(self, plan: NightPlan, shard: int) -> None:
        flow.score_night_shard(plan, shard, storage_options=self.options)

    def assess(self, plan: NightPlan) -> None:
        flow.assess_night(plan, storage_options=self.options)

    def publish(self, plan: NightPlan) -> dict[str, object]:
        return flow.publish_night(plan, storage_options=self.options, alert_urls=self.alert_urls)

    def run(self, **options: Any) -> None:
        """A whole night."""
        plan = self.list_images(**options)
        for shard in self.validate(plan):
            self.score(plan, shard)
        self.assess(plan)
        self.publish(plan)

    def through(self, endpoint: str, **config: Any) -> "Line":
        """The same collection, as a worker sees it whose way to the store leads through ``endpoint``."""
        options = self.options | {"client_kwargs": {"endpoint_url": endpoint}}
        return Line(self.name, self.file, options | ({"config_kwargs": config} if config else {}), self.alert_urls)

    @property
    def folder(self) -> Folder:
        return open_folder(f"{read_settings().nights_url}/{self.name}/{NIGHT}", self.options)

    def left(self) -> Left:
        return Left.read(self.folder, read_settings().database_url, self.name, NIGHT)


@pytest.fixture(scope="session")
def fault_home(
    nightglass: Callable[..., subprocess.CompletedProcess[str]],
    good_images: Path,
    s3_server: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, str]:
    """A home with a champion, and a bucket with the images of a night of 60 panels, 12 of them defect."""
    home, bucket = tmp_path_factory.mktemp("faults"), s3_server.make_bucket("faults")
    (home / "line.yaml").write_text(COLLECTION.format(bucket=bucket))
    done = nightglass(
        "fit", "--images", good_images, "--out", home / "detector", "--collection", home / "line.yaml", "--register",
        env={"NIGHTGLASS_HOME": str(home)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    images = write_panels(home / "images", range(4000, 4059), defects=12)
    (images / "broken.png").write_bytes(b"no picture")
    s3_server.file_system().put(str(images), f"{bucket}/images/{NIGHT}", recursive=True)
    return home, bucket


@pytest.fixture
def make_line(fault_home: tuple[Path, str], s3_server: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Line]:
    """Make a collection of its own of those images."""
    home, bucket = fault_home
    monkeypatch.setenv("NIGHTGLASS_HOME", str(home))
    monkeypatch.setenv("NIGHTGLASS_NIGHTS_URL", f"s3://{bucket}/nights")

    def make(name: str, alert_urls: tuple[str, ...] = ()) -> Line:
        (home / f"{name}.yaml").write_text(COLLECTION.format(bucket=bucket))
        return Line(name, home / f"{name}.yaml", s3_server.storage_options, alert_urls)

    return make


@pytest.fixture
def undisturbed(make_line: Callable[..., Line], fault_home: tuple[Path, str]) -> Left:
    """What a night leaves that nothing happened to."""
    calm = make_line("calm")
    if not calm.folder.exists("report.html"):
        calm.run()
    return calm.left()


@pytest.fixture
def proxy(s3_server: Any) -> Iterator[S3Proxy]:
    """A way to the store on which the weather can be made bad."""
    with S3Proxy(s3_server.endpoint) as proxy:
        yield proxy
