"""One image at a time with the champion: the same scores as a night's, clear refusals, one load, bounded waiting."""

import base64
import io
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient
from PIL import Image
from starlette.exceptions import HTTPException

from nightglass.collections import read_collection
from nightglass.images import decoding
from nightglass.pages import kept_models
from nightglass.pages.app import create_app
from nightglass.pages.kept_models import Line, Workers
from nightglass.promotion import appoint_first, promote
from nightglass.registry import Registry
from nightglass.settings import Settings
from tests.conftest import draw_panel, png_with_size, write_panels
from tests.unit.pages.conftest import People

PREDICT = "/api/collections/cells/predict"
MOST_BYTES = 25 * 1024 * 1024


@pytest.fixture(scope="module")
def registered(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with collections and a home, in whose registry `cells` has a champion and a second version."""
    folder = tmp_path_factory.mktemp("registered")
    (folder / "collections").mkdir()
    for name in ("cells", "lids"):
        (folder / f"collections/{name}.yaml").write_text("images: '{night}'\nschedule: null\n")
    settings = Settings(home=folder / "home").resolved()
    cells = read_collection(folder / "collections/cells.yaml")
    registry = Registry.open(settings)
    for _ in range(2):
        version = registry.register_detector(model, name=cells.model_name, params={}, metrics={}, tags={})
        appoint_first(cells, version, settings, by="olu")
    return folder


@pytest.fixture
def client(registered: Path, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    """Ana, who reads both collections, in a process that has loaded nothing yet."""
    monkeypatch.setenv("NIGHTGLASS_HOME", str(registered / "home"))
    monkeypatch.setenv("NIGHTGLASS_COLLECTIONS_DIR", str(registered / "collections"))
    return TestClient(create_app(People().authenticate, lambda _: None), headers={"X-Test-User": "ana"})


def encode(picture: Image.Image, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind)
    return buffer.getvalue()


def send(client: TestClient, data: bytes, kind: str = "image/png", **headers: str):
    return client.post(PREDICT, content=data, headers={"Content-Type": kind, **headers})


def test_an_image_gets_the_score_and_map_that_a_night_gives_it(client, model, tmp_path, nightglass):
    images = write_panels(tmp_path / "images", range(700, 712), defects=3)
    done = nightglass("score", "--images", images, "--model", model, "--out", tmp_path / "out", "--top-k", 1)
    assert done.returncode == 0, done.stderr
    rows = {row["path"]: row for row in pq.ParquetFile(tmp_path / "out/scores.parquet").read().to_pylist()}
    assert len(rows) == 12
    for path, row in rows.items():
        told = send(client, (images / path).read_bytes()).json()
        # A batch of one adds up in another order than a batch of twelve.
        assert told["image_score"] == pytest.approx(row["image_score"], abs=1e-5)
        assert (told["is_anomalous"], told["sha256"]) == (row["is_anomalous"], row["sha256"])
        assert told["neighbors"][0]["path"] == row["nearest_path"]
        assert told["neighbors"][0]["distance"] == pytest.approx(row["nearest_distance"], abs=1e-5)
        assert told["anomaly_map"] is None
    (top,) = json.loads((tmp_path / "out/top_anomalies.json").read_text())["top_anomalies"]
    mapped = client.post(
        f"{PREDICT}?map=1", content=(images / top["path"]).read_bytes(), headers={"Content-Type": "image/png"}
    )
    grey = np.asarray(Image.open(io.BytesIO(base64.b64decode(mapped.json()["anomaly_map"]))))
    stored = np.asarray(Image.open(tmp_path / "out" / top["anomaly_map"]))
    assert grey.shape == stored.shape
    assert np.abs(grey.astype(int) - stored).max() <= 1
    assert grey.max() > 128


def test_what_is_told_of_an_image(client):
    told = send(client, encode(draw_panel(900).resize((160, 120)), "JPEG"), "application/octet-stream").json()
    assert (told["width"], told["height"]) == (160, 120)
    assert (told["collection"], told["model_name"], told["model_version"]) == ("cells", "nightglass-cells", "1")
    assert told["is_anomalous"] == (told["image_score"] >= told["image_threshold"])
    assert len(told["neighbors"]) == 3
    counted = client.get("/metrics").text
    assert 'nightglass_predict_requests_total{collection="cells",outcome="scored"} 1.0' in counted
    assert 'nightglass_predict_seconds_count{collection="cells"} 1.0' in counted


SVG = b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"", "empty_file"),
        (SVG, "not_an_image"),
        (b"<!doctype html><script>alert(1)</script>", "not_an_image"),
        (b"%PDF-1.7", "not_an_image"),
        (encode(draw_panel(1))[:2000], "truncated"),
        (png_with_size(60_000, 60_000), "too_many_pixels"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not_an_image"),
    ],
)
def test_what_a_night_would_quarantine_is_refused_in_one_line(client, data, word):
    answer = send(client, data)
    assert answer.status_code == 422, answer.text
    assert list(answer.json()) == ["error"]
    assert word in answer.json()["error"]
    assert "\n" not in answer.json()["error"]
    assert "<" not in answer.json()["error"]


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded"]
)
def test_what_another_sites_page_could_send_is_no_image(client, kind):
    """Without asking the browser's leave a page can send these types to another site, and no others."""
    assert send(client, encode(draw_panel(1)), kind).status_code == 415


def test_rights_come_before_the_body(client):
    for user, status in (("olu", 200), ("eve", 403), (None, 401)):
        client.headers.pop("X-Test-User", None)
        headers = {"X-Test-User": user} if user else {}
        assert send(client, encode(draw_panel(1)), **headers).status_code == status, user
        too_large = send(client, b"x" * (MOST_BYTES + 1), **headers).status_code
        assert too_large == (413 if status == 200 else status), user


def test_a_collection_without_a_champion_says_so(client):
    answer = client.post("/api/collections/lids/predict", content=b"x", headers={"Content-Type": "image/png"})
    assert answer.status_code == 409
    assert "expected a champion" in answer.json()["error"]


def count_loads(monkeypatch):
    loads, load = [], kept_models._load

    def counting(*arguments):
        loads.append(arguments[1].version)
        return load(*arguments)

    monkeypatch.setattr(kept_models, "_load", counting)
    return loads


def test_many_requests_at_once_load_the_champion_once_and_the_next_champion_when_it_is_promoted(
    client, registered, monkeypatch
):
    loads = count_loads(monkeypatch)
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda seed: send(client, encode(draw_panel(seed))), range(6)))
    assert [answer.status_code for answer in answers] == [200] * 6
    assert loads == ["1"]
    settings = Settings().resolved()
    cells = read_collection(registered / "collections/cells.yaml")
    promote(cells, "2", settings, by="ana", reason="better")
    assert send(client, encode(draw_panel(1))).json()["model_version"] == "2"
    assert send(client, encode(draw_panel(2))).json()["model_version"] == "2"
    assert loads == ["1", "2"]
    promote(cells, "1", settings, by="ana", reason="worse")
    assert send(client, encode(draw_panel(1))).json()["model_version"] == "1"
    assert len(client.app.state.kept_models) == 1


def test_no_more_models_are_kept_than_the_setting_says(client, registered, monkeypatch):
    monkeypatch.setenv("NIGHTGLASS_KEPT_MODELS", "1")
    (registered / "collections/twin.yaml").write_text(
        "images: '{night}'\nschedule: null\nmodel: nightglass-cells\nscoring: {device: cpu}\n"
    )
    try:
        loads = count_loads(monkeypatch)
        for collection in ("cells", "twin", "cells"):
            people = People(readers={"ana": {"cells", "twin"}})
            own = TestClient(create_app(people.authenticate, lambda _: None), headers={"X-Test-User": "ana"})
            own.app.state.kept_models = client.app.state.kept_models
            answer = own.post(
                f"/api/collections/{collection}/predict",
                content=encode(draw_panel(1)),
                headers={"Content-Type": "image/png"},
            )
            assert answer.status_code == 200, answer.text
            assert len(client.app.state.kept_models) == 1
        assert len(loads) == 3
    finally:
        (registered / "collections/twin.yaml").unlink()


def test_whoever_comes_when_the_line_is_full_is_sent_away_and_others_after_that_are_not():
    workers, go = Workers(1), threading.Event()
    with ThreadPoolExecutor(20) as pool:
        waiting = [pool.submit(workers.run, go.wait) for _ in range(1 + kept_models.MOST_WAITING)]
        try:
            while workers._line._places._value:  # until all of them are in the line
                time.sleep(0.01)
            with pytest.raises(HTTPException) as refused:
                workers.run(lambda: None)
        finally:
            go.set()
        assert all(future.result() for future in waiting)
    assert refused.value.status_code == 503
    assert int(refused.value.headers["Retry-After"]) > 0
    assert workers.run(lambda: 7) == 7


def test_an_error_gives_its_place_back():
    workers = Workers(1)
    for _ in range(3 * kept_models.MOST_WAITING):
        with pytest.raises(ZeroDivisionError):
            workers.run(lambda: 1 / 0)
    line = Line(1)
    with pytest.raises(ZeroDivisionError), line.place():
        raise ZeroDivisionError
    with line.place():
        pass


def test_a_full_line_answers_with_when_to_come_again(client, monkeypatch):
    monkeypatch.setattr(kept_models, "MOST_WAITING", -1)  # a line of one place, taken below
    client.app.state.kept_models.workers(Settings(predict_workers=2).resolved())
    with client.app.state.kept_models._workers._line.place():
        answer = send(client, encode(draw_panel(1)))
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "2"
    assert "try again" in answer.json()["error"]


def test_an_image_is_decoded_once_for_its_score_and_its_map(client, monkeypatch):
    decoded, decode = [], decoding._decode
    monkeypatch.setattr(decoding, "_decode", lambda *arguments: decoded.append(1) or decode(*arguments))
    answer = client.post(f"{PREDICT}?map=1", content=encode(draw_panel(3)), headers={"Content-Type": "image/png"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["anomaly_map"]
    assert decoded == [1]
