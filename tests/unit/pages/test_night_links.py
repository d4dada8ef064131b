"""Where the runs behind a night are: what MLflow knows, and the address that people open."""

import shutil

import pytest
from filelock import FileLock

from nightglass.pages.night_links import run_address
from nightglass.registry import Registry
from tests.unit.night.test_report import make_assessment
from tests.unit.pages.published import publish

PATH = "/collections/cells/nights/2026-07-24/mlflow"


@pytest.fixture
def night(home, store, empty_mlflow):
    """A published night, and an MLflow that is empty as yet."""
    folder = publish(home, store, lambda rank: f"{rank}.png")
    shutil.copy(empty_mlflow, home / "mlflow.db")
    return folder


def test_the_run_of_a_night_is_found_and_told(ana, night, settings):
    missing = ana.get(PATH)
    assert missing.status_code == 404
    assert "expected a run in MLflow" in missing.text
    run = Registry.open(settings).log_night(make_assessment([]))
    text = ana.get(PATH).text
    assert run in text
    assert "MLflow has no server here" in text
    assert f'href="{PATH}"' in ana.get("/collections/cells/nights/2026-07-24").text


def test_whoever_writes_to_mlflow_keeps_nobody_waiting(ana, night, home, settings, monkeypatch):
    run = Registry.open(settings).log_night(make_assessment([]))
    monkeypatch.setattr("nightglass.pages.night_links._SECONDS", 0.2)
    with FileLock(home / "mlflow.db.lock"):
        late = ana.get(PATH)
        assert (late.status_code, late.headers["Retry-After"]) == (503, "5")
        assert "MLflow has not answered yet" in late.text
    monkeypatch.setattr("nightglass.pages.night_links._SECONDS", 60.0)
    assert run in ana.get(PATH).text


def test_only_published_nights_of_ones_own_are_asked_for(ana, night):
    assert ana.get(PATH.replace("-24", "-23")).status_code == 404
    ana.headers["X-Test-User"] = "eve"
    assert ana.get(PATH).status_code == 403


@pytest.mark.parametrize(
    ("tracking_url", "address"),
    [
        ("sqlite:////x/mlflow.db", None),
        ("https://mlflow.plant/", "https://mlflow.plant/#/experiments/3/runs/ab"),
        ("http://user:secret@mlflow.plant:5000/base", "http://mlflow.plant:5000/base/#/experiments/3/runs/ab"),
    ],
)
def test_a_server_has_an_address_which_holds_no_password(settings, tracking_url, address):
    assert run_address(settings.model_copy(update={"tracking_url": tracking_url}), "3", "ab") == address
