"""The page of a night, on a night with hostile names: what it shows, what it hands out, what it records."""

import hashlib
import io
import json
import logging
import re
import sqlite3
from datetime import UTC, datetime

import pytest
from PIL import Image

from nightglass.retraining.verdicts import NewVerdict
from tests.unit.night.test_report import HOSTILE, make_anomalies, make_assessment

NIGHT = "/collections/cells/nights/2026-07-24"
NAME = f"cell_{{}}{HOSTILE.replace('{', '{{').replace('}', '}}')}"


@pytest.fixture
def night(home, store):
    """A published night with three anomalies, whose pictures lie in its folder."""
    folder = home / "nights/cells/2026-07-24"
    anomalies = make_anomalies(folder, 3, name=NAME)
    anomalies = [image.model_copy(update={"sha256": f"{image.rank:064x}"}) for image in anomalies]
    assessment = make_assessment(anomalies, drift=make_assessment([]).drift)
    (folder / "assessment.json").write_text(assessment.model_dump_json())
    with store:
        store.publish_night(assessment, "report.html", datetime.now(UTC))
    return folder


@pytest.fixture
def say(ana):
    """Give a verdict as the page does."""

    def give(rank=1, verdict="defect", headers=None, **more):
        more = {"sha256": f"{rank:064x}"} | more
        sent = {"X-Nightglass": "1", "Accept": "application/json"} | (headers or {})
        return ana.post(f"{NIGHT}/verdicts", json={"rank": rank, "verdict": verdict, **more}, headers=sent)

    return give


def test_names_from_folders_are_text_and_nothing_else(ana, night):
    text = ana.get(NIGHT).text
    assert "<script>alert" not in text
    assert "onerror='x'" not in text
    assert text.count("<script") == text.count('<script defer src="/static/') > 0
    assert "\\u202e" in text
    assert "secret" not in text


def test_a_verdict_is_kept_with_who_and_when_and_shown(ana, night, say, store):
    told = say(2, "normal")
    assert told.status_code == 200, told.text
    (said,) = told.json()["said"]
    assert (said["verdict"], said["by"], said["rank"]) == ("normal", "ana", 2)
    with store:
        (verdict,) = store.verdicts("cells")
    assert (verdict.sha256, verdict.night, verdict.source) == (f"{2:064x}", "2026-07-24", "page")
    text = ana.get(NIGHT).text
    assert text.count('data-verdict="none"') == 2
    assert text.count('data-verdict="normal"') == 1
    assert "What analysts said of the top anomalies" in text
    assert say(2, "defect").json()["said"][0]["verdict"] == "defect"  # the last one counts
    with store:
        assert [verdict.verdict for verdict in store.verdicts("cells")] == ["normal", "defect"]


def test_a_word_on_the_whole_night_is_shown_as_such(ana, night, store):
    with store:
        whole = NewVerdict(night="2026-07-24", scope="night", verdict="normal", by="<b>olu</b>", source="cli")
        store.add_verdicts("cells", [whole], datetime.now(UTC))
    text = ana.get(NIGHT).text
    assert text.count("&lt;b&gt;olu&lt;/b&gt;") == 4  # on each image, and above them
    assert "on the whole night" in text


@pytest.mark.parametrize(
    ("user", "headers", "body", "status"),
    [
        ("olu", {}, {}, 403),  # reads only
        ("eve", {}, {}, 403),
        ("ana", {"X-Nightglass": ""}, {}, 403),
        ("ana", {"Sec-Fetch-Site": "cross-site"}, {}, 403),
        ("ana", {"Sec-Fetch-Site": "same-site"}, {}, 403),
        ("ana", {"Sec-Fetch-Site": "same-origin"}, {}, 200),
        ("ana", {}, {"rank": 9}, 404),
        ("ana", {}, {"rank": 0}, 422),
        ("ana", {}, {"rank": 2**63}, 422),
        ("ana", {}, {"sha256": "0" * 64}, 409),  # the night was scored again since
        ("ana", {}, {"note": "x" * 20_000}, 413),
        ("ana", {}, {"verdict": "<script>"}, 422),
        ("ana", {}, {"by": "olu"}, 422),
        ("ana", {}, {"note": "x" * 1001}, 422),
    ],
)
def test_only_whoever_may_writes_and_only_what_makes_sense(ana, night, say, store, user, headers, body, status):
    ana.headers["X-Test-User"] = user
    answer = say(headers=headers, **body)
    assert answer.status_code == status, answer.text
    with store:
        assert len(store.verdicts("cells")) == (status == 200)
    if status != 200:
        assert set(answer.json()) == {"error"}


def test_a_reader_sees_that_they_may_only_read(ana, night):
    ana.headers["X-Test-User"] = "olu"
    text = ana.get(NIGHT).text
    assert "verdicts need the right to start" in text
    assert text.count(" disabled>") == 9
    ana.headers["X-Test-User"] = "eve"
    assert ana.get(NIGHT).status_code == 403


def test_pictures_are_encoded_anew_and_nothing_else_is_handed_out(ana, night):
    image = ana.get(f"{NIGHT}/pictures/0001.image.jpg")
    overlay = ana.get(f"{NIGHT}/pictures/0001.map.png")
    assert (image.status_code, image.headers["Content-Type"]) == (200, "image/jpeg")
    assert (overlay.status_code, overlay.headers["Content-Type"]) == (200, "image/webp")
    (night / "anomaly_maps/0002.image.jpg").write_text("<svg onload=alert(1)>")
    (night / "anomaly_maps/0003.image.jpg").unlink()
    Image.new("L", (8000, 8000)).save(night / "anomaly_maps/0001.neighbor-1.jpg")
    for name in (
        "0002.image.jpg", "0003.image.jpg", "0001.neighbor-1.jpg", "assessment.json", "..%2fassessment.json",
        "%2e%2e/assessment.json", "0001.image.jpg%00", "0001.IMAGE.jpg", "0001.image.jpg/",
    ):  # fmt: skip
        answer = ana.get(f"{NIGHT}/pictures/{name}", follow_redirects=False)
        assert answer.status_code in {307, 404}, name
        assert "onload" not in answer.text, name


def test_a_picture_is_encoded_once_and_anew_when_its_file_changes(ana, night):
    first = ana.get(f"{NIGHT}/pictures/0001.image.jpg")
    again = ana.get(f"{NIGHT}/pictures/0001.image.jpg", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    Image.new("RGB", (50, 40)).save(night / "anomaly_maps/0001.image.jpg")
    changed = ana.get(f"{NIGHT}/pictures/0001.image.jpg", headers={"If-None-Match": first.headers["ETag"]})
    assert changed.status_code == 200
    assert Image.open(io.BytesIO(changed.content)).size == (50, 40)


@pytest.mark.parametrize("night_name", ["2026-07-23", "2026-13-01", "..", "2026-07-24'--"])
def test_a_night_that_is_none_is_told(ana, night, night_name):
    answer = ana.get(f"/collections/cells/nights/{night_name}")
    assert answer.status_code in {404, 422}
    assert "Traceback" not in answer.text


def test_the_page_is_that_of_the_files_as_they_are_now(ana, night, store):
    assert "The rate has doubled." in ana.get(NIGHT).text
    changed = make_assessment(make_anomalies(night, 1, name="only_{}.png"))
    decision = changed.decision.model_copy(update={"sentence": "Retrain: scored once more."})
    changed = changed.model_copy(update={"decision": decision})
    (night / "assessment.json").write_text(changed.model_dump_json())
    before = ana.get(NIGHT)
    assert before.status_code == 409  # assessed, but its rows are the old ones
    assert "being scored again" in before.text
    with store:
        store.publish_night(changed, "report.html", datetime.now(UTC))
    text = ana.get(NIGHT).text
    assert "Scored once more." in text
    assert "The rate has doubled." not in text


def test_a_night_that_is_being_scored_again_says_so(ana, night):
    (night / "assessment.json").rename(night / "summary.json")
    answer = ana.get(NIGHT)
    assert answer.status_code == 409
    assert "being scored again" in answer.text


def test_damaged_files_are_told_without_where_they_lie(ana, night, home, caplog):
    with caplog.at_level(logging.ERROR, logger="nightglass"):
        (night / "assessment.json").write_text('{"a": 1}')
        answer = ana.get(NIGHT)
    assert answer.status_code == 503
    assert "cells 2026-07-24: the night&#39;s results are damaged" in answer.text
    assert str(home) not in answer.text
    assert f"{night}/assessment.json" in caplog.text


def test_what_an_older_nightglass_published_is_not_taken_for_unpublished(ana, night, settings):
    """Its assessment has fewer fields, and so has the digest that was published of it."""
    told = json.loads((night / "assessment.json").read_text())
    for near in (near for image in told["top_anomalies"] for near in image["neighbors"]):
        del near["thumbnail"]
    (night / "assessment.json").write_text(json.dumps(told))
    assert ana.get(NIGHT).status_code == 409
    digest = hashlib.sha256(json.dumps(told, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    with sqlite3.connect(settings.home / "nightglass.db") as database:
        database.execute("UPDATE night_results SET result_sha256 = ?", (digest,))
    database.close()
    assert ana.get(NIGHT).status_code == 200


def test_pictures_have_other_addresses_when_the_night_was_scored_again(ana, night, store):
    def shown():
        return set(re.findall(r"pictures/0001\.(?:image\.jpg|map\.png)\?\w+", ana.get(NIGHT).text))

    before = shown()
    assert len(before) == 2
    anomalies = [
        image.model_copy(update={"sha256": f"{image.rank:064x}"}) for image in make_anomalies(night, 3, name=NAME)
    ]
    again = make_assessment(anomalies, model_version="9", drift=make_assessment([]).drift)
    (night / "assessment.json").write_text(again.model_dump_json())
    with store:
        store.publish_night(again, "report.html", datetime.now(UTC))
    assert len(shown()) == 2
    assert not shown() & before


def test_what_is_wrong_with_the_server_is_in_its_log_alone(ana, night, monkeypatch, caplog):
    monkeypatch.setenv("NIGHTGLASS_DATABASE_URL", "postgresql://nobody:hush@127.0.0.1:1/none")
    with caplog.at_level(logging.ERROR, logger="nightglass"):
        answer = ana.get(NIGHT)
    assert answer.status_code == 503
    assert "127.0.0.1" not in answer.text
    assert "127.0.0.1" in caplog.text
    assert "hush" not in caplog.text


def test_neighbouring_nights_are_linked(ana, night, store):
    with store:
        for day in ("2026-07-23", "2026-07-26"):
            other = make_assessment([]).model_copy(update={"night": day})
            store.publish_night(other, "report.html", datetime.now(UTC))
    text = ana.get(NIGHT).text
    assert 'rel="prev" href="/collections/cells/nights/2026-07-23"' in text
    assert 'rel="next" href="/collections/cells/nights/2026-07-26"' in text
