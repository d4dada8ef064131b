"""Images found and compared in nights on S3, by the same code as in local ones."""

import hashlib

import numpy as np
import pytest

from nightglass.images.originals import read_original
from nightglass.images.quarantine import QuarantinedError
from nightglass.similar.contents import find_image
from nightglass.similar.night import ScoredNight, UnfinishedNightError
from nightglass.similar.search import Asked, find_similar
from nightglass.similar.shelf import Shelf
from nightglass.similar.vectors import read_vector
from nightglass.storage import open_folder
from tests.unit.similar.scored_nights import sha, unit, write_scores

pytestmark = pytest.mark.integration
DAYS = ["2026-07-20", "2026-07-21", "2026-07-22"]


@pytest.fixture
def nights(s3_server, tmp_path):
    """Three nights of seven images in a bucket, newest first."""
    bucket, fs = s3_server.make_bucket(), s3_server.file_system()
    made = []
    for number, day in enumerate(DAYS):
        images = {f"{place}.png": sha(f"{day} {place}") for place in range(7)}
        folder = write_scores(tmp_path / day, images, [unit((number, place)) for place in range(7)])
        fs.put(str(folder), f"{bucket}/nights/cells/{day}", recursive=True)
        place = open_folder(f"s3://{bucket}/nights/cells/{day}", s3_server.storage_options)
        made.insert(0, ScoredNight("cells", day, "nightglass-cells", "8", 7, place))
    return made


def test_images_and_their_like_are_found(nights):
    shelf = Shelf(10**6)
    found = find_image(nights[1], sha("2026-07-21 4"), shelf)
    assert (found.row, found.scores["path"]) == (4, "4.png")
    vector = read_vector(nights[1], found.row, found.stamp)
    np.testing.assert_allclose(vector[0], unit((1, 4)), atol=1e-3)
    for _ in range(2):  # from the store, then from memory
        told = find_similar([Asked(night, vector, is_exact=True) for night in nights], shelf, 5)
        assert (told.nights, told.images, told.left_out) == (3, 21, [])
        assert (told.similar[0].night.night, told.similar[0].path) == ("2026-07-21", "4.png")


def test_a_night_that_is_taken_away_or_scored_again_is_left_out(nights, s3_server):
    shelf, vector = Shelf(10**6), unit(0)[None, :]
    asked = [Asked(night, vector, is_exact=True) for night in nights]
    assert find_similar(asked, shelf, 5).nights == 3
    before = nights[0].stamp()
    nights[1].folder.remove()
    nights[0].folder.write_bytes("summary.json", b'{"scored": 7, "again": true}')
    nights[0].folder.remove("embeddings.faiss")
    told = find_similar(asked, shelf, 5)
    assert (told.nights, {one.night for one in told.left_out}) == (1, {"2026-07-21", "2026-07-22"})
    with pytest.raises(UnfinishedNightError):
        nights[0].check_stamp(before)


def test_an_original_on_s3_is_read_by_its_key_and_checked(s3_server):
    bucket = s3_server.make_bucket()
    images = open_folder(f"s3://{bucket}/images", s3_server.storage_options)
    names = ("a.png", "[b]*?.png")
    for name in names:
        images.write_bytes(name, name.encode())
        assert read_original(images, name, hashlib.sha256(name.encode()).hexdigest(), 100) == name.encode()
    for name, content in (("a.png", "x"), ("gone.png", "x"), ("../images/a.png", "a.png")):
        with pytest.raises(QuarantinedError):
            read_original(images, name, sha(content), 100)
