import os
import shutil
import threading
from pathlib import Path

import pytest

from nightglass.errors import InputError
from nightglass.images.listing import list_images
from nightglass.images.quarantine import QuarantineReason
from nightglass.storage import open_folder

SUFFIXES = (".jpg", ".png")


def write(path: Path, content: bytes = b"x") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def test_only_the_pattern_counts_and_the_rest_is_ignored(tmp_path: Path) -> None:
    for name in ("b.PNG", "a.jpg", "sub/c.Jpg", "notes.txt", ".hidden.jpg", ".cache/d.jpg", "Thumbs.db"):
        write(tmp_path / name)
    listing = list_images(open_folder(tmp_path), SUFFIXES)
    assert [image.path for image in listing.images] == ["a.jpg", "b.PNG", "sub/c.Jpg"]
    assert listing.ignored == 4


def test_links_are_never_followed_out_of_the_folder(tmp_path: Path) -> None:
    inside, outside = tmp_path / "images", tmp_path / "secrets"
    write(inside / "real.jpg")
    write(outside / "key.jpg")
    (inside / "out.jpg").symlink_to(outside / "key.jpg")
    (inside / "in.jpg").symlink_to("real.jpg")
    (inside / "gone.jpg").symlink_to("nothing.jpg")
    (inside / "loop.jpg").symlink_to("loop.jpg")
    (inside / "folder").symlink_to(outside)
    found = {image.path: image.reason for image in list_images(open_folder(inside), SUFFIXES).images}
    assert found == {
        "real.jpg": None,
        "in.jpg": None,
        "out.jpg": QuarantineReason.LINK_OUTSIDE_FOLDER,
        "gone.jpg": QuarantineReason.UNREADABLE,
        "loop.jpg": QuarantineReason.UNREADABLE,
    }


def test_a_pipe_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (image,) = list_images(open_folder(tmp_path), SUFFIXES).images
    assert image.reason is QuarantineReason.NOT_A_FILE


def test_a_name_that_is_no_utf8_is_listed_and_can_be_opened(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.jpg")).write_bytes(b"x")
    (image,) = list_images(open_folder(tmp_path), SUFFIXES).images
    assert image.path == "caf\\xe9.jpg"
    assert (tmp_path / image.name_on_disk).read_bytes() == b"x"


def test_an_escaped_name_is_never_taken_for_a_plain_one(tmp_path: Path) -> None:
    write(tmp_path / "caf\\xe9.jpg", b"plain")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.jpg")).write_bytes(b"raw")
    images = list_images(open_folder(tmp_path), SUFFIXES).images
    assert len({image.path for image in images}) == 2
    assert {(tmp_path / image.name_on_disk).read_bytes() for image in images} == {b"plain", b"raw"}


def test_files_that_come_and_go_meanwhile_do_not_stop_it(tmp_path: Path) -> None:
    for number in range(200):
        write(tmp_path / f"{number}.jpg")
    stop = threading.Event()

    def churn() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            write(tmp_path / f"sub{number % 5}/{number}.jpg")
            (tmp_path / f"sub{number % 5}/{number}.jpg").rename(tmp_path / f"moved{number}.jpg")
            (tmp_path / f"moved{number}.jpg").unlink()
            shutil.rmtree(tmp_path / f"sub{number % 5}", ignore_errors=True)

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        for _ in range(40):
            names = {image.path for image in list_images(open_folder(tmp_path), SUFFIXES).images}
            assert {f"{number}.jpg" for number in range(200)} <= names
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize("name", ["<script>alert(1)</script>.jpg", "a'; DROP TABLE nights;--.jpg", "new\nline.jpg"])
def test_hostile_names_are_plain_names(tmp_path: Path, name: str) -> None:
    write(tmp_path / name.replace("/", "_"))
    assert [image.path for image in list_images(open_folder(tmp_path), SUFFIXES).images] == [name.replace("/", "_")]


def test_a_missing_folder_and_a_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a folder of images, got nothing there"):
        list_images(open_folder(tmp_path / "nothing"), SUFFIXES)
    write(tmp_path / "file.jpg")
    with pytest.raises(InputError, match="got a file"):
        list_images(open_folder(tmp_path / "file.jpg"), SUFFIXES)
