"""The search page: the right images of collections that one may read, and a clear word on everything else."""

import re
import shutil

import pytest
from fastapi.testclient import TestClient

from nightglass.collections import read_collection
from nightglass.detector.files import load_detector
from nightglass.engine.score import ScoreJob, score_folder
from nightglass.pages.app import create_app
from nightglass.promotion import appoint_first
from nightglass.registry import Registry
from nightglass.settings import Settings
from nightglass.storage import open_folder
from nightglass.store import Store
from tests.conftest import draw_panel, png_with_size
from tests.unit.pages.conftest import People
from tests.unit.pages.published_nights import encode, panels, publish
from tests.unit.similar.scored_nights import sha, unit

DAYS = [f"2026-07-{day}" for day in range(20, 25)]
PICK = {"collection": "cells", "night": "2026-07-24"}


@pytest.fixture
def nights(settings, store):
    """Five nights of three panels each; that of the last night's first is like the second of the third night."""
    made = {}
    for number, day in enumerate(DAYS):
        files = panels(*range(10 * number, 10 * number + 3))
        vectors = [unit((number, place)) for place in range(3)]
        if day == "2026-07-22":
            vectors[1] = unit(5, near=unit((4, 0)), noise=0.2)
        publish(settings, store, files, vectors, day=day)
        made[day] = list(files.values())
    return made


def results(text):
    """The night and content of each result, in order."""
    return re.findall(r'class="picture" href="/collections/(\w+)/nights/([\d-]+)/images/([0-9a-f]{64})"', text)


def test_an_image_of_a_night_finds_what_is_like_it(ana, nights):
    own = sha(nights["2026-07-24"][0])
    text = ana.get("/search", params=PICK | {"sha256": own}).text
    found = results(text)
    assert found[0] == ("cells", "2026-07-22", sha(nights["2026-07-22"][1]))
    assert own not in {sha256 for _, _, sha256 in found}
    assert len(found) == 14
    assert "14 similar images among 15 of 5 nights" in text
    assert "0.98" in text


def test_the_period_bounds_the_nights(ana, nights):
    picked = PICK | {"sha256": sha(nights["2026-07-24"][0])}
    found = results(ana.get("/search", params=picked | {"from": "2026-07-21", "to": "2026-07-22"}).text)
    assert {night for _, night, _ in found} == {"2026-07-21", "2026-07-22"}
    empty = ana.get("/search", params=picked | {"from": "", "to": ""})  # as a form sends it
    assert len(results(empty.text)) == 14
    assert "No night could be searched" in ana.get("/search", params=picked | {"to": "2020-01-01"}).text


def test_beside_an_image_the_same_is_shown_as_a_piece(ana, nights):
    own = sha(nights["2026-07-24"][0])
    text = ana.get(f"/collections/cells/nights/2026-07-24/images/{own}/similar").text
    assert "<html" not in text
    assert results(text)[0] == ("cells", "2026-07-22", sha(nights["2026-07-22"][1]))


def test_nights_in_work_are_left_out_and_told(ana, nights, settings):
    (settings.home / "nights/cells/2026-07-22/summary.json").unlink()
    shutil.rmtree(settings.home / "nights/cells/2026-07-21")
    text = ana.get("/search", params=PICK | {"sha256": sha(nights["2026-07-24"][0])}).text
    assert "2 nights were left out" in text
    assert {night for _, night, _ in results(text)} == {"2026-07-20", "2026-07-23", "2026-07-24"}


def test_nights_of_a_version_that_nobody_knows_are_not_compared(ana, nights, settings, store):
    publish(settings, store, panels(91), [unit((4, 0))], day="2026-07-19", version="3")
    text = ana.get("/search", params=PICK | {"sha256": sha(nights["2026-07-24"][0])}).text
    assert "2026-07-19" not in {night for _, night, _ in results(text)}
    assert "version 3 had the same network" in text


def test_nights_of_another_version_with_the_same_network_are_approximate(ana, nights, settings, store, model):
    for version in ("8", "9"):
        shutil.copytree(model, settings.home / "models/nightglass-cells" / version / "copy")
    publish(settings, store, panels(91), [unit((4, 0))], day="2026-07-19", version="9")
    picked = PICK | {"sha256": sha(nights["2026-07-24"][0])}
    text = ana.get("/search", params=picked).text
    assert results(text)[0][1] == "2026-07-19"
    assert ", version 9" in text
    assert "similarity is then approximate" in text
    assert "approximate" not in ana.get("/search", params=picked | {"from": "2026-07-20"}).text


def test_only_what_one_may_read(ana, nights, settings, store):
    files = panels(70)
    publish(settings, store, files, [unit(0)], collection="lids")
    lid = {"collection": "lids", "night": "2026-07-24", "sha256": sha(*files.values())}
    assert ana.get("/search", params=lid).status_code == 200
    ana.headers["X-Test-User"] = "olu"  # reads cells only
    assert "lids" not in ana.get("/search").text
    for params in (lid, {"collections": "lids"}, {"collections": ["cells", "lids"]}, {"collections": "nothing"}):
        answer = ana.get("/search", params=params)
        assert answer.status_code == 403, params
    answer = ana.post("/search?collections=lids", content=b"x", headers={"Content-Type": "image/png"})
    assert answer.status_code == 403
    ana.headers["X-Test-User"] = "eve"
    assert "no collection yet that you may read" in ana.get("/search").text


@pytest.mark.parametrize(
    "params",
    [
        {"collections": "<script>alert(1)</script>"}, {"collections": ["cells"] * 6}, {"from": "2026-13-01"},
        {"from": "<script>alert(1)</script>"}, PICK | {"sha256": "..%2f"},
        {"collection": "../", "night": "2026-07-24", "sha256": "0" * 64},
    ],
)  # fmt: skip
def test_senseless_questions_are_refused(ana, nights, params):
    answer = ana.get("/search", params=params)
    assert answer.status_code in {403, 422}
    assert "<script>alert" not in answer.text


@pytest.fixture(scope="module")
def looked_at(model, tmp_path_factory):
    """A home where `cells` has a champion that scored a real night of twelve panels, and `lids` has none; its app."""
    folder = tmp_path_factory.mktemp("looked_at")
    (folder / "collections").mkdir()
    for name in ("cells", "lids"):
        (folder / f"collections/{name}.yaml").write_text("images: '/none/{night}'\nschedule: null\n")
    settings = Settings(home=folder / "home", collections_dir=folder / "collections").resolved()
    store = Store.connect(settings.database_url, settings.sql_dir)
    store.migrate()
    cells = read_collection(settings.collections_dir / "cells.yaml")
    version = Registry.open(settings).register_detector(model, name=cells.model_name, params={}, metrics={}, tags={})
    appoint_first(cells, version, settings, by="olu")
    files = panels(*range(500, 512))
    images, _ = publish(settings, store, files, [unit(seed) for seed in range(12)], version=version)
    out = settings.home / "nights/cells/2026-07-24"
    published = (out / "assessment.json").read_bytes()
    shutil.rmtree(out)
    job = ScoreJob(open_folder(images), open_folder(out), load_detector(model), "models:/x", cells, workers=1, top_k=2)
    score_folder(job, lambda *_: None)
    (out / "assessment.json").write_bytes(published)
    return settings, store, files, create_app(People().authenticate, lambda _: None)


@pytest.fixture
def uploads(looked_at, monkeypatch):
    """Ana, in front of it; ``files`` are the night's images."""
    settings, _, files, app = looked_at
    monkeypatch.setenv("NIGHTGLASS_HOME", str(settings.home))
    monkeypatch.setenv("NIGHTGLASS_COLLECTIONS_DIR", str(settings.collections_dir))
    client = TestClient(app, headers={"Accept": "text/html", "X-Test-User": "ana"})
    client.files = files
    return client


def send(client, data, query="collections=cells", **headers):
    sent = {"Content-Type": "image/png", "Accept": "application/json", "X-Nightglass": "1"} | headers
    return client.post(f"/search?{query}", content=data, headers=sent)


def test_an_upload_finds_itself_and_its_like(uploads):
    for path in ("line-1/panel 503.png", "line-1/panel 511.png"):
        answer = send(uploads, uploads.files[path])
        assert answer.status_code == 200, answer.text
        assert results(answer.text)[0][2] == sha(uploads.files[path])
        assert "1.000" in answer.text or "0.999" in answer.text


def test_a_collection_without_champion_is_left_out_or_told(uploads):
    data = uploads.files["line-1/panel 503.png"]
    both = send(uploads, data, "collections=cells&collections=lids")
    assert both.status_code == 200
    assert "expected a champion" in both.text
    alone = send(uploads, data, "collections=lids")
    assert alone.status_code == 409
    assert send(uploads, data, "").status_code == 422


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (png_with_size(60_000, 60_000), "too_many_pixels"),
        (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "not_an_image"),
        (b"<html><script>alert(1)</script>", "not_an_image"),
        (encode(draw_panel(1))[:900], "truncated"),
        (b"", "empty_file"),
    ],
)
def test_hostile_uploads_are_refused_in_one_line(uploads, data, reason):
    answer = send(uploads, data)
    assert answer.status_code == 422
    assert set(answer.json()) == {"error"}
    assert reason in answer.json()["error"]
    assert "<script" not in answer.text


def test_an_upload_that_is_too_large_is_refused(uploads):
    assert send(uploads, b"x" * (25 * 1024 * 1024 + 1)).status_code == 413


def test_a_map_is_computed_for_an_image_that_is_none_of_the_top(uploads):
    rest = [path for path, data in uploads.files.items()
            if "rank" not in uploads.get(f"/collections/cells/nights/2026-07-24/images/{sha(data)}").text]  # fmt: skip
    assert len(rest) == 10
    page = f"/collections/cells/nights/2026-07-24/images/{sha(uploads.files[rest[0]])}"
    assert "Computed now by version 1" in uploads.get(page).text
    overlay = uploads.get(f"{page}/map")
    assert (overlay.status_code, overlay.headers["Content-Type"]) == (200, "image/webp")
    near = uploads.get(f"{page}/neighbors")
    assert near.text.count("data:image/jpeg;base64,") == 3


def test_a_map_of_another_version_is_refused_and_says_which_scored_the_night(uploads, looked_at):
    settings, store, *_ = looked_at
    data = encode(draw_panel(900))
    publish(settings, store, {"old.png": data}, [unit(0)], day="2026-07-01", version="77")
    page = f"/collections/cells/nights/2026-07-01/images/{sha(data)}"
    answer = uploads.get(f"{page}/map", headers={"Accept": "application/json"})
    assert answer.status_code == 409
    assert "version 77 of nightglass-cells scored this night" in answer.json()["error"]
    assert "version 77, which scored this night, is no longer the champion" in uploads.get(page).text


def test_an_image_is_looked_for_in_another_collection_by_that_one_s_champion(uploads, looked_at):
    settings, store, *_ = looked_at
    data = uploads.files["line-1/panel 507.png"]
    publish(settings, store, {"lid.png": data}, [unit(0)], collection="lids", day="2026-07-02")
    picked = {"collection": "lids", "night": "2026-07-02", "sha256": sha(data), "collections": ["lids", "cells"]}
    found = results(uploads.get("/search", params=picked).text)
    assert {name for name, _, _ in found} == {"cells"}
    assert sha(data) not in {sha256 for _, _, sha256 in found}  # what is like it, not itself
    shutil.rmtree(settings.home.parent / "images/lids")
    text = uploads.get("/search", params=picked).text
    assert "own file is needed for this" in text


def test_an_mlflow_that_does_not_answer_is_told_and_logged_once(ana, nights, settings, store, monkeypatch, caplog):
    monkeypatch.setenv("NIGHTGLASS_TRACKING_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    for day, version in (("2026-07-18", "3"), ("2026-07-19", "4")):
        publish(settings, store, panels(91), [unit((4, 0))], day=day, version=version)
    with caplog.at_level("WARNING", logger="nightglass"):
        text = ana.get("/search", params=PICK | {"sha256": sha(nights["2026-07-24"][0])}).text
    assert text.count("MLflow does not answer") == 2
    assert "it is not there any more" not in text
    assert {night for _, night, _ in results(text)} == set(DAYS)
    assert len([one for one in caplog.records if one.name == "nightglass.pages.comparing"]) == 1


def test_a_night_that_is_scored_but_not_published_again_is_left_out(ana, nights, settings):
    (settings.home / "nights/cells/2026-07-22/assessment.json").unlink()
    text = ana.get("/search", params=PICK | {"sha256": sha(nights["2026-07-24"][0])}).text
    assert {night for _, night, _ in results(text)} == set(DAYS) - {"2026-07-22"}
    assert "it is being scored again" in text
