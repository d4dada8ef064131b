"""Two nights that a browser looks at: defects, hostile names and EXIF data, and two versions that were champion."""

from pathlib import Path

from PIL import ExifTags, Image

from nightglass.settings import Settings
from tests.conftest import draw_panel, write_panels
from tests.e2e.retraining_loop import Loop

NAME, FIRST, NIGHT = "browsed", "2026-03-02", "2026-03-03"
COLLECTION = """
images: {images}/browsed/{{night}}
schedule: null
slices: "^(?P<line>left|right)/"
ready: {{quiet_minutes: 0, poll_seconds: 10}}
detector: {{precision: auto, patch_bank_size: 2000, backbone: {{image_size: 96}}}}
scoring: {{top_k: 8}}
validation: {{min_images: 20}}
"""
HOSTILE = (
    '"><img src=x onerror="window.pwned = 1">.jpg',
    "'); window.pwned = 1; ('.jpg",
    "x..\\..\\%2e%2e%2fetc\u202egpj.\u0007exe.jpg",
)


def publish_nights(site, airflow, nightglass, run_night) -> Loop:
    """Two published nights with defects in them, and two versions that were champion."""
    loop = Loop(NAME, airflow, Settings(home=site.home).resolved(), site.collections / f"{NAME}.yaml")
    loop.file.write_text(COLLECTION.format(images=site.images))
    for version in ("1", "2"):
        good = write_panels(site.images / f"browsed-good-{version}", range(60 * int(version)))
        out = ("--out", site.home / f"browsed-{version}", "--collection", loop.file, "--register")
        _succeed(nightglass("fit", "--images", good, *out, env=_home(site)))
    promote = ("models", "promote", "--collection", loop.file, "--version", "2", "--reason", "more images")
    for kind in ("nightly", "retrain", "rollback"):
        airflow.wait_for_dag(f"{kind}_{NAME}")
    for night, first in ((FIRST, 200), (NIGHT, 300)):
        write_panels(site.images / NAME / night / "left", range(first, first + 20), defects=2)
        write_panels(site.images / NAME / night / "right", range(first + 50, first + 70), defects=2)
        if night == NIGHT:
            draw_hostile(site.images / NAME / night / "right")
        assert run_night(NAME, night)[0] == "success"
        if night == FIRST:
            _succeed(nightglass(*promote, env=_home(site)))
    return loop


def draw_hostile(folder: Path) -> None:
    """Defects whose names and EXIF a page must show and never run."""
    script = "<script>window.pwned = 1</script>"
    exif = Image.Exif()
    exif[ExifTags.Base.Make], exif[ExifTags.Base.Model] = script, f'"><img src=x onerror="window.pwned = 1">{script}'
    for seed, name in enumerate(HOSTILE, 900):
        draw_panel(seed, is_defect=True).save(folder / name, exif=exif)


def _home(site) -> dict[str, str]:
    return {"NIGHTGLASS_HOME": str(site.home)}


def _succeed(done) -> None:
    assert done.returncode == 0, done.stderr
