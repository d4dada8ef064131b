"""Nights that have less than they had: images deleted on request, files removed as too old."""

from datetime import UTC, datetime

import pytest

from nightglass.maintenance.deletion_records import DeletionRequest
from tests.unit.pages.published import publish
from tests.unit.pages.published_nights import panels
from tests.unit.pages.published_nights import publish as publish_images
from tests.unit.similar.scored_nights import unit

NOW = datetime(2026, 9, 1, tzinfo=UTC)
NIGHT = "/collections/cells/nights/2026-07-24"


@pytest.fixture
def remove(store):
    """Note that something of a night was removed."""

    def note(kind, night="2026-07-24"):
        with store:
            store.upkeep.note_removal("cells", night, kind, 30, NOW)

    return note


def test_a_night_without_pictures_says_so_in_the_place_of_each(ana, home, store, remove):
    folder = publish(home, store, lambda rank: f"cell {rank}.png", count=2)
    assert ana.get(NIGHT).text.count('class="photo"') == 2
    for picture in (folder / "anomaly_maps").iterdir():
        picture.unlink()
    remove("pictures")
    text = ana.get(NIGHT).text
    assert 'class="photo"' not in text
    assert "/pictures/" not in text
    assert text.count("The pictures of this night were removed after 30 days.") == 3  # above, and twice below
    assert "cell 2.png" in text


def test_a_night_says_how_many_images_were_deleted_since(ana, home, store):
    publish(home, store, lambda rank: f"cell {rank}.png", count=2)
    request = DeletionRequest(
        collection="cells", digest="a" * 64, is_original_deleted=False, by="ana", reason="asked", asked_at="2026-09-01"
    )
    with store:
        store.upkeep.deletions.begin(request)
        store.upkeep.deletions.note_night(request, "2026-07-24", 1, 1)
        store.upkeep.deletions.note_night(request, "2026-07-24", 5, 5)  # a second look counts for nothing
    assert "1 image was deleted on request since; the numbers are those that were decided on." in ana.get(NIGHT).text


def test_a_search_leaves_out_a_night_without_embeddings_and_says_why(ana, settings, store, remove):
    _, contents = publish_images(settings, store, panels(1), [unit(1)])
    publish_images(settings, store, panels(2), [unit(2, near=unit(1))], day="2026-07-23")
    sha256 = contents["line-1/panel 1.png"]
    assert "panel 2" in ana.get(f"{NIGHT}/images/{sha256}/similar").text
    (settings.home / "nights/cells/2026-07-23/embeddings.faiss").unlink()
    remove("embeddings", "2026-07-23")
    text = ana.get(f"{NIGHT}/images/{sha256}/similar").text
    assert "panel 2" not in text
    assert "its embeddings were removed as too old" in text


def test_an_image_of_a_night_without_embeddings_is_shown_but_not_searched_for(ana, settings, store, remove):
    _, contents = publish_images(settings, store, panels(1), [unit(1)])
    sha256 = contents["line-1/panel 1.png"]
    (settings.home / "nights/cells/2026-07-24/embeddings.faiss").unlink()
    remove("embeddings")
    assert ana.get(f"{NIGHT}/images/{sha256}").status_code == 200
    answer = ana.get(f"{NIGHT}/images/{sha256}/similar")
    assert (answer.status_code, "The embeddings of this night were removed after 30 days." in answer.text) == (
        404,
        True,
    )


def test_images_of_a_night_without_scores_are_gone_and_say_so(ana, settings, store, remove):
    _, contents = publish_images(settings, store, panels(1), [unit(1)])
    folder = settings.home / "nights/cells/2026-07-24"
    for name in ("scores.parquet", "embeddings.faiss"):
        (folder / name).unlink()
    remove("scores")
    told = "The scores of this night were removed after 30 days."
    for path in (f"{NIGHT}/images/{contents['line-1/panel 1.png']}", "/api/collections/cells/nights/2026-07-24/scores"):
        answer = ana.get(path)
        assert (answer.status_code, told in answer.text) == (404, True), path
    assert told in ana.get(NIGHT).text


def test_a_search_counts_a_night_that_lost_an_image_as_it_is(ana, settings, store):
    _, contents = publish_images(settings, store, panels(1, 2), [unit(1), unit(2, near=unit(1))])
    request = DeletionRequest(
        collection="cells", digest="a" * 64, is_original_deleted=False, by="ana", reason="asked", asked_at="2026-09-01"
    )
    with store:
        store.upkeep.deletions.begin(request)
        store.upkeep.deletions.note_night(request, "2026-07-24", 1, 1)
    # One row too many for what is noted: the night is in work, and is not searched half done.
    sha256 = contents["line-1/panel 1.png"]
    assert ana.get(f"{NIGHT}/images/{sha256}/similar").status_code == 409
