"""An image of an object store is read with one request, and no more of it than is allowed."""

import errno

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from nightglass.errors import StorageError
from nightglass.images.quarantine import QuarantinedError, QuarantineReason
from nightglass.images.reading import read_image
from nightglass.storage import Folder, Folders, open_folder


class Bucket(MemoryFileSystem):
    """An object store that counts, and answers about ranges as S3 does: of an empty object it has none."""

    store = {}  # noqa: RUF012  its own, as the class above has one for all
    cachable = False

    def __init__(self):
        super().__init__()
        self.sent = []

    def cat_file(self, path, start=None, end=None, **options):
        data = super().cat_file(path, start, end, **options)
        self.sent.append(len(data))
        if path.endswith("odd.png") or (end is not None and self.info(path)["size"] == 0):
            raise OSError(errno.EINVAL, "The requested range is not satisfiable")
        return data


@pytest.fixture
def bucket():
    """With objects of 0, 99, 100, 101 and 5,000 bytes."""
    fs = Bucket()
    fs.store.clear()
    for size in (0, 99, 100, 101, 5000):
        fs.pipe_file(f"/images/{size}.png", b"x" * size)
    return fs


@pytest.mark.parametrize("size", [99, 100])
def test_what_is_small_enough_is_read_whole_with_one_request(bucket, size):
    folder = Folder(bucket, "/images", "memory://images")
    assert read_image(folder, f"{size}.png", 100) == b"x" * size
    assert read_image(Folders((folder,)), f"0/{size}.png", 100) == b"x" * size
    assert bucket.sent == [size, size]


@pytest.mark.parametrize("size", [101, 5000])
def test_of_what_is_larger_one_byte_more_is_read(bucket, size):
    with pytest.raises(QuarantinedError) as refused:
        read_image(Folder(bucket, "/images", "memory://images"), f"{size}.png", 100)
    assert refused.value.reason is QuarantineReason.TOO_LARGE_FILE
    assert bucket.sent == [101]


def test_an_empty_object_is_empty_and_another_refusal_is_told(bucket):
    folder = Folder(bucket, "/images", "memory://images")
    assert read_image(folder, "0.png", 100) == b""
    bucket.pipe_file("/images/odd.png", b"x")
    with pytest.raises(StorageError, match="not satisfiable"):
        read_image(folder, "odd.png", 100)


@pytest.mark.parametrize(
    ("number", "kind"),
    [(errno.EIO, QuarantinedError), (errno.ESTALE, StorageError), (errno.ENOTCONN, StorageError)],
)
def test_a_file_server_that_is_away_is_no_fault_of_the_image(tmp_path, monkeypatch, number, kind):
    (tmp_path / "a.png").write_bytes(b"x")

    def fail(*_):
        raise OSError(number, "the file system's own words")

    monkeypatch.setattr("nightglass.images.reading.os.read", fail)
    with pytest.raises(kind):
        read_image(open_folder(tmp_path), "a.png", 10)
