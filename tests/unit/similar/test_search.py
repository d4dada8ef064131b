"""The images of many nights that are like one: the right ones, of nights whose results belong together."""

import shutil
import threading

import faiss
import numpy as np
import pytest

from nightglass.detector.night_space import DIMENSIONS, new_index
from nightglass.similar.night import UnfinishedNightError
from nightglass.similar.search import Asked, find_similar
from nightglass.similar.shelf import Shelf
from nightglass.similar.vectors import read_vector
from tests.unit.similar.scored_nights import scored_night, sha, unit, write_scores

DAYS = [f"2026-07-{day}" for day in range(20, 25)]
ROOM = 10**6


@pytest.fixture
def vectors():
    """The vectors of seven images a night."""
    return {day: np.stack([unit((number, place)) for place in range(7)]) for number, day in enumerate(DAYS)}


@pytest.fixture
def nights(tmp_path, vectors):
    """Five nights, newest first."""
    made = []
    for day in reversed(DAYS):
        images = {f"{place}.png": sha(f"{day} {place}") for place in range(7)}
        made.append(scored_night(write_scores(tmp_path / day, images, vectors[day]), 7, day))
    return made


def ask(nights, vector):
    return [Asked(night, vector[None, :], is_exact=True) for night in nights]


def test_the_most_similar_of_all_nights_come_in_order(nights, vectors):
    wanted = unit(99, near=vectors["2026-07-22"][4])
    found = find_similar(ask(nights, wanted), Shelf(ROOM), 6)
    every = {(day, f"{place}.png"): float(wanted @ vectors[day][place]) for day in DAYS for place in range(7)}
    best = sorted(every, key=every.__getitem__, reverse=True)[:6]
    assert [(image.night.night, image.path) for image in found.similar] == best
    assert best[0] == ("2026-07-22", "4.png")
    for image, key in zip(found.similar, best, strict=True):
        assert image.similarity == pytest.approx(every[key], abs=2e-3)  # half precision
    assert (found.nights, found.images, found.left_out) == (5, 35, [])


def test_copies_of_one_content_count_as_one_and_that_of_the_question_not_at_all(tmp_path):
    same, own = unit(1), unit(2, near=unit(1))
    nights = []
    for day in DAYS:
        images = {"own.png": sha("own"), "a.png": sha("same"), "b.png": sha("same"), "c.png": sha(day)}
        night = write_scores(tmp_path / day, images, [own, same, same, unit(3)])
        nights.insert(0, scored_night(night, 4, day))
    found = find_similar(ask(nights, own), Shelf(ROOM), 10, apart_from=sha("own"))
    assert [image.sha256 for image in found.similar] == [sha("same"), *[sha(day) for day in reversed(DAYS)]]
    assert (found.similar[0].night.night, found.similar[0].also_on) == (DAYS[-1], DAYS[-2::-1])


def test_the_vector_of_a_row_is_that_of_the_index(nights, vectors):
    for place in (0, 3, 6):
        vector = read_vector(nights[1], place, nights[1].stamp())
        assert vector.shape == (1, DIMENSIONS)
        np.testing.assert_allclose(vector[0], vectors[DAYS[-2]][place], atol=1e-3)


def test_a_night_that_was_scored_again_meanwhile_gives_no_vector(nights, tmp_path):
    before = nights[1].stamp()
    (tmp_path / DAYS[-2] / "summary.json").write_text("another one")
    with pytest.raises(UnfinishedNightError, match="scored again meanwhile"):
        read_vector(nights[1], 3, before)


def test_nights_that_do_not_belong_together_are_left_out_and_told(nights, vectors, tmp_path):
    shelf = Shelf(ROOM)
    assert find_similar(ask(nights, vectors[DAYS[0]][0]), shelf, 3).nights == 5  # all are in memory now
    (tmp_path / DAYS[0] / "summary.json").unlink()  # in work
    shutil.rmtree(tmp_path / DAYS[1])  # removed
    other = new_index()
    other.add(np.stack([unit(place) for place in range(6)]))
    faiss.write_index(other, str(tmp_path / DAYS[2] / "embeddings.faiss"))  # of other scores
    (tmp_path / DAYS[2] / "summary.json").write_text("new")
    (tmp_path / DAYS[3] / "scores.parquet").write_bytes(b"PAR1 half of it")
    found = find_similar(ask(nights, vectors[DAYS[4]][2]), shelf, 3)
    assert (found.nights, {image.night.night for image in found.similar}) == (1, {DAYS[4]})
    told = {one.night: one.reason for one in found.left_out}
    assert set(told) == set(DAYS[:4])
    assert "scored again" in told[DAYS[0]]
    assert "removed" in told[DAYS[1]]
    assert "is not that of the night's 7" in told[DAYS[2]]
    assert "damaged" in told[DAYS[3]]


@pytest.mark.parametrize("claim", [7 * 10**12, -1, 6, 8])
def test_an_index_that_claims_more_than_it_has_is_not_given_to_faiss(nights, tmp_path, claim):
    file = tmp_path / DAYS[4] / "embeddings.faiss"
    data = bytearray(file.read_bytes())
    data[8:16] = claim.to_bytes(8, "little", signed=True)
    file.write_bytes(data)
    found = find_similar(ask(nights[:1], unit(0)), Shelf(ROOM), 3)
    assert (len(found.similar), len(found.left_out)) == (0, 1)


@pytest.mark.parametrize("cut", [0, 10, 100, 1000, -1])
def test_a_cut_index_is_told(nights, tmp_path, cut):
    file = tmp_path / DAYS[4] / "embeddings.faiss"
    file.write_bytes(file.read_bytes()[:cut])
    found = find_similar(ask(nights[:1], unit(0)), Shelf(ROOM), 3)
    assert (len(found.similar), len(found.left_out)) == (0, 1)


def test_what_does_not_fit_into_memory_is_left_out_the_oldest_first(nights, vectors):
    shelf = Shelf(3 * 7 * 256)
    found = find_similar(ask(nights, vectors[DAYS[0]][0]), shelf, 3)
    assert found.nights == 3
    assert [one.night for one in found.left_out] == [DAYS[1], DAYS[0]]
    assert "no room" in found.left_out[0].reason
    assert shelf.kept_bytes <= shelf.max_bytes


def test_nights_that_are_scored_again_while_many_search_never_give_a_wrong_image(nights, vectors, tmp_path):
    """What a search returns is of one set of results: the vector of its image is as similar as it says."""
    shelf, ends, errors = Shelf(2 * 7 * 256), threading.Event(), []
    known = {sha(f"{day} {place}"): vectors[day][place] for day in DAYS for place in range(7)}
    known |= {sha(f"again {day} {place}"): unit((9, place)) for day in DAYS for place in range(7)}
    wanted = unit(7)

    def search():
        while not ends.is_set():
            found = find_similar(ask(nights[:2], wanted), shelf, 14).similar
            errors.extend(one for one in found if abs(float(known[one.sha256] @ wanted) - one.similarity) > 5e-3)

    threads = [threading.Thread(target=search) for _ in range(3)]
    for thread in threads:
        thread.start()
    for round_number in range(12):
        day = DAYS[-1]
        folder = tmp_path / day
        (folder / "summary.json").unlink()
        if round_number % 2:
            write_scores(folder, {f"{place}.png": sha(f"{day} {place}") for place in range(7)}, vectors[day])
        else:
            again = np.stack([unit((9, place)) for place in range(7)])
            write_scores(folder, {f"{place}.png": sha(f"again {day} {place}") for place in range(7)}, again)
    ends.set()
    for thread in threads:
        thread.join()
    assert errors == []


@pytest.mark.parametrize("top_k", [1, 12])
def test_one_content_on_many_nights_hides_nothing(tmp_path, top_k):
    nights = []
    for number in range(30):
        images = {"own.png": sha("own"), "other.png": sha(f"other {number}")}
        vectors = [unit(1), unit(1000 + number, near=unit(1), noise=0.1 + 0.03 * number)]
        nights.append(
            scored_night(write_scores(tmp_path / str(number), images, vectors), 2, f"2026-06-{number + 1:02}")
        )
    found = find_similar(ask(nights, unit(1)), Shelf(ROOM), top_k, apart_from=sha("own"))
    best = sorted(
        range(30), key=lambda number: -float(unit(1) @ unit(1000 + number, near=unit(1), noise=0.1 + 0.03 * number))
    )
    assert [image.sha256 for image in found.similar] == [sha(f"other {number}") for number in best[:top_k]]
    assert (found.nights, found.left_out) == (30, [])


def test_many_copies_in_one_night_hide_nothing(tmp_path, nights, vectors):
    """Of three contents the night has 100 copies each; what lies behind them comes before the other nights' images."""
    images = {f"{place}.png": sha(f"copy {place % 3}") for place in range(300)}
    images |= {f"rest {place}.png": sha(f"rest {place}") for place in range(5)}
    copies = [unit((70, place), near=unit(99), noise=0.05 + 0.05 * place) for place in range(3)] * 100
    rest = [unit((80, place), near=unit(99), noise=0.3 + 0.1 * place) for place in range(5)]
    night = scored_night(write_scores(tmp_path / "copies", images, copies + rest), 305, "2026-06-01")
    found = find_similar(ask([*nights, night], unit(99)), Shelf(ROOM), 8, apart_from=sha("copy 1"))
    expected = [place for place in range(3) if place != 1]
    expected.sort(key=lambda place: -float(unit(99) @ copies[place]))
    behind = sorted(range(5), key=lambda place: -float(unit(99) @ rest[place]))
    wanted = [sha(f"copy {place}") for place in expected] + [sha(f"rest {place}") for place in behind]
    assert [image.sha256 for image in found.similar][:7] == wanted
    assert len(found.similar) == 8
    assert found.similar[7].night.night != "2026-06-01"
    assert found.left_out == []


def test_what_is_not_published_is_left_out_and_told(nights, vectors):
    def is_settled(night):
        return night.night != DAYS[3]

    found = find_similar(ask(nights, vectors[DAYS[3]][0]), Shelf(ROOM), 30, is_settled=is_settled)
    assert {image.night.night for image in found.similar} == set(DAYS) - {DAYS[3]}
    assert [(one.night, one.reason) for one in found.left_out] == [(DAYS[3], "it is being scored again")]


def test_a_night_that_is_scored_again_between_two_looks_is_left_out(tmp_path):
    images = {f"{place}.png": sha("own") for place in range(9)} | {"b.png": sha("b")}
    folder = write_scores(tmp_path / "night", images, [unit(1)] * 9 + [unit(2)])
    looks = []

    def is_settled(_):
        looks.append(1)
        if len(looks) == 2:  # its first rows were read by then
            write_scores(folder, dict(reversed(images.items())), [unit(2)] + [unit(1)] * 9)
            (folder / "summary.json").write_text("another one")
        return True

    found = find_similar(
        ask([scored_night(folder, 10)], unit(1)), Shelf(ROOM), 2, apart_from=sha("own"), is_settled=is_settled
    )
    assert (found.similar, [one.reason for one in found.left_out]) == ([], ["it was scored again meanwhile"])
