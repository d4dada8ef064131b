"""From where a run by hand may take images; who may start one would else see what all workers can read."""

import pytest

from nightglass.collections import Collection
from nightglass.errors import InputError
from nightglass.night.elsewhere import check_allowed
from nightglass.night.plan import NightPlace
from nightglass.settings import Settings
from nightglass.storage import open_folder


def check(url, images="/data/cells/{night}", images_from="own"):
    collection = Collection(name="cells", images=images)
    check_allowed(open_folder(url, {"key": "x", "secret": "y"} if url.startswith("s3") else None), collection,
                  Settings(images_from=images_from))  # fmt: skip


@pytest.mark.parametrize(
    "url", ["/etc", "file:///etc", "s3://other/cells/x", "/", "/home/me/pictures", "/data/cells/../other"]
)
def test_anywhere_is_allowed_where_nobody_said_otherwise(url):
    check(url, images_from="any")


@pytest.mark.parametrize(
    ("url", "images"),
    [
        ("/data/cells/2026-03-02", "/data/cells/{night}"),
        ("/data/cells/again/2026-03-02", "/data/cells/{night}/left"),
        ("file:///data/cells/x", "/data/cells/{night}"),
        ("s3://bucket/cells/x", "s3://bucket/cells/{night}"),
        ("s3://bucket/cells/x", "s3://bucket/cells/night-{night}"),
    ],
)
def test_what_lies_beside_the_collections_own_nights_is_allowed(url, images):
    check(url, images)


@pytest.mark.parametrize(
    ("url", "images"),
    [
        ("/data/other/2026-03-02", "/data/cells/{night}"),
        ("/data/cells-of-others/2026-03-02", "/data/cells/{night}"),
        ("/data/cells/../other/2026-03-02", "/data/cells/{night}"),
        ("file:///data/cells/%2e%2e/other", "/data/cells/{night}"),
        ("/data", "/data/cells/{night}"),
        ("/etc", "/{night}"),
        ("/etc", "{night}"),
        ("s3://bucket/cells/../other", "s3://bucket/cells/{night}"),
        ("s3://bucket/cells-of-others/x", "s3://bucket/cells/{night}"),
        ("s3://other/cells/x", "s3://bucket/cells/{night}"),
        ("/data/cells/x", "s3://data/cells/{night}"),
        ("s3://data/cells/x", "/data/cells/{night}"),
    ],
)
def test_everything_else_is_refused(url, images):
    with pytest.raises(InputError, match="expected a folder beside the nights of cells"):
        check(url, images)


def test_a_link_that_leads_out_is_followed_before_it_is_judged(tmp_path):
    (tmp_path / "own").mkdir()
    (tmp_path / "secret").mkdir()
    (tmp_path / "own" / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(InputError):
        check(str(tmp_path / "own" / "link"), f"{tmp_path}/own/{{night}}")


def test_more_folders_and_prefixes_can_be_allowed():
    allowed = "own /archive s3://old/cells"
    for url in ("/archive/2020", "s3://old/cells/x", "/data/cells/x"):
        check(url, images_from=allowed)
    for url in ("/archives", "s3://old/cellars/x", "s3://old"):
        with pytest.raises(InputError):
            check(url, images_from=allowed)


def test_a_night_is_opened_only_where_it_may_be(tmp_path, monkeypatch):
    file = tmp_path / "cells.yaml"
    file.write_text(f"images: {tmp_path}/cells/{{night}}\n")
    monkeypatch.setenv("NIGHTGLASS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NIGHTGLASS_IMAGES_FROM", "own")
    for url in (None, f"{tmp_path}/cells/2026-03-02", f"{tmp_path}/cells/other"):
        NightPlace.open(str(file), "2026-03-02", url, None)
    with pytest.raises(InputError, match="NIGHTGLASS_IMAGES_FROM"):
        NightPlace.open(str(file), "2026-03-02", "file:///etc", None)
