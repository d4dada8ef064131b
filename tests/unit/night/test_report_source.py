"""The report of what `nightglass score` alone writes, and of folders that are no score folder."""

import json
import re

import pyarrow as pa
import pytest

from nightglass.errors import InputError
from nightglass.night.report import build_page, render_report
from nightglass.storage import open_folder

ANOMALY = {"rank": 1, "path": "a.png", "sha256": "0", "image_score": 3.9, "is_anomalous": True, "image": "maps/1.jpg",
           "anomaly_map": "maps/1.png", "neighbors": []}  # fmt: skip
SUMMARY = {"images": 43, "ignored": 1, "scored": 40, "quarantined": 3, "anomalous": 2, "seconds": 1.5, "top_k": 1,
           "image_threshold": 3.8, "false_alarm_rate": 0.01, "model": "panels", "images_url": "/data"}  # fmt: skip


@pytest.fixture
def scored(tmp_path):
    """What `nightglass score` writes: no assessment, no validation."""
    (tmp_path / "top_anomalies.json").write_text(json.dumps({"top_anomalies": [ANOMALY], "top_k": 1}))
    (tmp_path / "summary.json").write_text(json.dumps(SUMMARY))
    out = open_folder(tmp_path)
    out.write_table("scores.parquet", pa.table({"image_score": [0.1 * i for i in range(40)]}))
    rows = {
        "path": ["a.png", "b.png", "c.png"],
        "reason": ["empty_file", "truncated", "truncated"],
        "detail": ["0 bytes", "cut", None],
    }
    out.write_table("quarantine.parquet", pa.table(rows))
    return tmp_path


def test_a_folder_without_an_assessment_leaves_the_judgement_out(scored):
    html = render_report(open_folder(scored))
    assert re.findall(r"<h2[^>]*>(.*?)</h2>", html) == [
        "Key numbers", "Top anomalies", "Image scores", "Quarantine", "Provenance",
    ]  # fmt: skip
    assert '<h1 id="decision">2 of 40 images are anomalous</h1>' in html
    assert 'class="badge' not in html
    page = build_page(open_folder(scored))
    assert page.verb is None
    assert page.quarantine.groups == [("The image ends too early", 2), ("The file is empty", 1)]
    assert dict(page.provenance)["Model"] == "panels"


def test_a_folder_in_which_nothing_was_scored_has_no_histogram(scored):
    open_folder(scored).write_table("scores.parquet", pa.table({"image_score": pa.array([], pa.float64())}))
    (scored / "summary.json").write_text(json.dumps(SUMMARY | {"scored": 0, "anomalous": 0}))
    page = build_page(open_folder(scored))
    assert page.histogram is None
    assert page.sentence == "0 of 0 images are anomalous"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("summary.json", None, "expected a score folder with summary.json or assessment.json"),
        ("summary.json", "{", "summary.json: expected JSON"),
        ("summary.json", '{"images": "many"}', "summary.json: images: Input should be a valid integer"),
        ("summary.json", "[1]", "summary.json: Input should be a valid dictionary"),
        ("assessment.json", '{"night": 1}', "assessment.json: collection: Field required"),
        ("top_anomalies.json", None, "top_anomalies.json: expected to exist"),
        ("quarantine.parquet", None, "quarantine.parquet: expected to exist"),
        ("scores.parquet", "no Parquet", "scores.parquet: expected a Parquet file"),
    ],
)
def test_what_is_no_score_folder_gives_one_clear_line(scored, name, content, message):
    (scored / name).unlink(missing_ok=True)
    if content is not None:
        (scored / name).write_text(content)
    with pytest.raises(InputError, match=message) as caught:
        render_report(open_folder(scored))
    assert "\n" not in str(caught.value)
