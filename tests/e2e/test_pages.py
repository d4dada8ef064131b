"""The pages inside a real Airflow: who gets in, and what they find."""

import httpx
import pytest

from nightglass.settings import Settings
from nightglass.store import Store
from tests.conftest import write_panels

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
NAME, NIGHT = "paged", "2026-03-02"
COLLECTION = """
images: {images}/paged/{{night}}
schedule: null
ready: {{quiet_minutes: 0}}
detector: {{precision: auto, patch_bank_size: 2000, backbone: {{image_size: 96}}}}
scoring: {{top_k: 3}}
"""


@pytest.fixture(scope="module")
def night(site, airflow, nightglass, run_night) -> str:
    """A published night of a collection of its own."""
    (site.collections / f"{NAME}.yaml").write_text(COLLECTION.format(images=site.images))
    good = write_panels(site.images / "paged-good", range(40))
    out = ("--out", site.home / "paged", "--collection", site.collections / f"{NAME}.yaml", "--register")
    fitted = nightglass("fit", "--images", good, *out, env={"NIGHTGLASS_HOME": str(site.home)})
    assert fitted.returncode == 0, fitted.stderr
    airflow.wait_for_dag(f"nightly_{NAME}")
    write_panels(site.images / NAME / NIGHT, range(100, 130), defects=3)
    assert run_night(NAME, NIGHT)[0] == "success"
    return f"/collections/{NAME}/nights/{NIGHT}"


@pytest.fixture
def browser(airflow):
    """A browser on the pages that nobody is signed in with."""
    with httpx.Client(base_url=f"{airflow.url}/nightglass", headers={"Accept": "text/html"}, timeout=60) as client:
        yield client


def test_nobody_gets_in_without_a_login(browser, night):
    for path in ("/", night, f"{night}/pictures/0001.image.jpg", "/static/pages.css"):
        assert browser.get(path).status_code == 401, path
    assert browser.post(f"{night}/verdicts", json={"rank": 1, "verdict": "defect"}).status_code == 401


def test_a_verdict_of_a_page_is_in_the_database_with_its_giver(airflow, browser, night, site):
    browser.headers["Authorization"] = airflow.client.headers["Authorization"]
    assert NAME in browser.get("/").text
    page = browser.get(night).text
    assert 'data-verdict="none"' in page
    assert f'src="/nightglass{night}/pictures/0001.image.jpg?' in page
    picture = browser.get(f"{night}/pictures/0001.image.jpg")
    assert (picture.status_code, picture.headers["Content-Type"]) == (200, "image/jpeg")

    settings = Settings(home=site.home).resolved()
    with Store.connect(settings.database_url, settings.sql_dir) as store:
        image = store.nights.images(NAME, NIGHT)[0]
    body = {"rank": 1, "sha256": image.sha256, "verdict": "defect"}
    refused = browser.post(f"{night}/verdicts", json=body)
    said = browser.post(f"{night}/verdicts", json=body, headers={"X-Nightglass": "1"})

    assert refused.status_code == 403
    assert said.status_code == 200, said.text
    with Store.connect(settings.database_url, settings.sql_dir) as store:
        (verdict,) = store.verdicts(NAME)
    assert (verdict.verdict, verdict.by, verdict.source, verdict.night) == ("defect", "admin", "page", NIGHT)
    assert 'data-verdict="defect"' in browser.get(night).text


def test_airflow_shows_the_pages_in_its_navigation(airflow):
    plugins = airflow.request("GET", "/plugins")["plugins"]
    (views,) = [plugin["external_views"] for plugin in plugins if plugin["name"] == "nightglass"]
    assert [(view["destination"], view["href"]) for view in views] == [
        ("nav", "/nightglass/"),
        ("dag_run", "/nightglass/dags/{DAG_ID}/runs/{RUN_ID}"),
    ]
