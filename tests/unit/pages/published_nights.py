"""Published nights with their images on disk, for the pages that look at single images."""

import io
import json
from datetime import UTC, datetime

from PIL import Image

from tests.conftest import draw_panel
from tests.unit.night.test_report import make_assessment
from tests.unit.similar.scored_nights import sha, write_scores


def encode(picture, kind="PNG", **options) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def panels(*seeds) -> dict[str, bytes]:
    return {f"line-1/panel {seed}.png": encode(draw_panel(seed)) for seed in seeds}


def jpeg_with_exif(tags, exif_tags=None, gps=None, size=(300, 200)) -> bytes:
    picture, exif = Image.new("RGB", size, (90, 120, 150)), Image.Exif()
    for tag, value in tags.items():
        exif[tag] = value
    for part, values in ((0x8769, exif_tags), (0x8825, gps)):
        for tag, value in (values or {}).items():
            exif.get_ifd(part)[tag] = value
    return encode(picture, "JPEG", exif=exif)


def publish(settings, store, files, vectors, *, day="2026-07-24", collection="cells", version="8", top=(), scores=None):
    """Write the images, the score folder and the rows of a night; return where the images are, and their sha256.

    ``top`` are the anomalies that the scoring explained.
    """
    images = settings.home.parent / "images" / collection / day
    for path, data in files.items():
        (images / path).parent.mkdir(parents=True, exist_ok=True)
        (images / path).write_bytes(data)
    contents = {path: sha(data) for path, data in files.items()}
    folder = settings.home / "nights" / collection / day
    write_scores(folder, contents, vectors, scores)
    listed = {"top_anomalies": [anomaly.model_dump(mode="json") for anomaly in top]}
    (folder / "top_anomalies.json").write_text(json.dumps(listed))
    assessment = make_assessment(list(top), drift=make_assessment([]).drift).model_copy(
        update={
            "collection": collection, "night": day, "images_url": str(images), "scored": len(files),
            "model_name": f"nightglass-{collection}", "model_version": version,
        }
    )  # fmt: skip
    (folder / "assessment.json").write_text(assessment.model_dump_json())
    with store:
        store.publish_night(assessment, "report.html", datetime.now(UTC))
    return images, contents
