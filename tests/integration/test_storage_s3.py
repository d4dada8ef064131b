"""Folders on a real S3 store."""

import pytest

from nightglass.images.quarantine import QuarantinedError
from nightglass.images.reading import read_image
from nightglass.storage import open_folder


def test_names_that_look_like_patterns_concern_only_themselves(s3_server) -> None:
    bucket = s3_server.make_bucket()
    options = s3_server.storage_options
    for name in ("night1", "night2", "night[12]"):
        open_folder(f"s3://{bucket}/out/{name}", options).write_bytes("summary.json", b"{}")
    open_folder(f"s3://{bucket}/out/night[12]", options).remove("summary.json")
    open_folder(f"s3://{bucket}/out/n*", options).remove("summary.json")
    assert open_folder(f"s3://{bucket}/out/night1", options).exists("summary.json")
    assert open_folder(f"s3://{bucket}/out/night2", options).exists("summary.json")
    assert not s3_server.file_system().exists(f"{bucket}/out/night[12]/summary.json")


@pytest.mark.parametrize(("size", "limit", "read"), [(0, 10, 0), (9, 10, 9), (10, 10, 10), (5_000, 10, 10)])
def test_no_more_than_the_start_of_an_object_is_read(s3_server, size, limit, read) -> None:
    folder = open_folder(f"s3://{s3_server.make_bucket()}/images", s3_server.storage_options)
    folder.write_bytes("a.png", b"x" * size)
    assert folder.read_start("a.png", limit) == b"x" * read


def test_an_empty_and_a_too_large_object_are_quarantined_and_the_others_read(s3_server) -> None:
    folder = open_folder(f"s3://{s3_server.make_bucket()}/images", s3_server.storage_options)
    for name, size in (("empty.png", 0), ("fits.png", 100), ("large.png", 101)):
        folder.write_bytes(name, b"x" * size)
    reasons = {}
    for name in ("empty.png", "fits.png", "large.png", "gone.png"):
        try:
            reasons[name] = len(read_image(folder, name, 100))
        except QuarantinedError as error:
            reasons[name] = error.reason
    assert reasons == {"empty.png": 0, "fits.png": 100, "large.png": "too_large_file", "gone.png": "unreadable"}
