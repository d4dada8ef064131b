"""The page of an image of a night that is scored again: nothing old stands beside anything new."""

import json
import re
from datetime import UTC, datetime

from nightglass.records import Assessment
from tests.conftest import draw_panel
from tests.unit.night.test_report import make_anomalies
from tests.unit.pages.published_nights import encode, panels, publish
from tests.unit.pages.test_image import address, publish_one
from tests.unit.similar.scored_nights import sha, unit, write_scores


def score_again(settings, contents, **changes):
    """Leave a night's folder as it is when another version scored the same images, before anything is published."""
    folder = settings.home / "nights/cells/2026-07-24"
    write_scores(folder, contents, [unit(seed + 50) for seed in range(len(contents))], [50.0] * len(contents))
    known = json.loads((folder / "assessment.json").read_text())
    (folder / "assessment.json").unlink()
    return folder, known | {"model_version": "9"} | changes


PARTS = ((), ("picture",), ("thumbnail",), ("map",), ("neighbors",), ("similar",))


def test_a_night_that_is_scored_again_shows_nothing_of_either_until_it_is_published(ana, settings, store):
    files = panels(1, 2, 3, 4)
    _, contents = publish(settings, store, files, [unit(seed) for seed in range(4)])
    data = files["line-1/panel 1.png"]
    folder, assessed = score_again(settings, contents)
    sent = {"X-Nightglass": "1", "Accept": "application/json"}

    def check_in_work():
        answers = [ana.get(address(data, *part)) for part in PARTS]
        answers.append(ana.post(address(data, "verdict"), json={"verdict": "defect"}, headers=sent))
        assert [answer.status_code for answer in answers] == [409] * 7
        assert all("being scored again" in answer.text for answer in answers)

    check_in_work()
    (folder / "assessment.json").write_text(json.dumps(assessed))
    check_in_work()  # its rows are still the old ones
    with store:
        store.publish_night(Assessment.model_validate(assessed), "report.html", datetime.now(UTC))
    assert "50" in ana.get(address(data)).text
    assert ana.post(address(data, "verdict"), json={"verdict": "defect"}, headers=sent).status_code == 200


def test_what_the_browser_keeps_has_another_address_when_the_night_was_scored_again(ana, settings, store):
    data = encode(draw_panel(1))
    top = [
        anomaly.model_copy(update={"sha256": sha(data), "path": "a.png"})
        for anomaly in make_anomalies(settings.home / "nights/cells/2026-07-24", 1)
    ]

    def addresses():
        text = ana.get(address(data)).text
        return {part: re.search(rf'src="([^"]*/{part}\?[^"]+)"', text)[1] for part in ("picture", "map")}

    publish_one(settings, store, data, top=top)
    before = addresses()
    publish_one(settings, store, data, top=top, version="9")
    after = addresses()
    assert all(before[part] != after[part] for part in before)
    assert ana.get(after["map"]).headers["Content-Type"] == "image/webp"


def test_a_night_that_was_stopped_before_scoring_shows_no_older_scores(ana, settings, store):
    files = panels(1, 2, 3, 4)
    publish(settings, store, files, [unit(seed) for seed in range(4)])
    folder = settings.home / "nights/cells/2026-07-24"
    known = json.loads((folder / "assessment.json").read_text()) | {"scored": 0}
    (folder / "assessment.json").write_text(json.dumps(known))
    with store:
        store.publish_night(Assessment.model_validate(known), "report.html", datetime.now(UTC))
    answer = ana.get(address(files["line-1/panel 1.png"]))
    assert answer.status_code == 404
    assert "expected a scored image" in answer.text
