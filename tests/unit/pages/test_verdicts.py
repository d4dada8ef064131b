"""Verdicts on the page of a night: on many images at once, taken back, and where people differ or write together."""

from datetime import UTC, datetime

import pytest

from nightglass.retraining.verdicts import NewVerdict, VerdictsInEffect
from tests.unit.pages.published import cut_into_slices, list_images, publish

NIGHT = "/collections/cells/nights/2026-07-24"


@pytest.fixture
def night(home, settings, store):
    """A night of 1,007 images, two cameras; the first two of the four top anomalies are of the left one."""
    cut_into_slices(settings)
    folder = publish(home, store, lambda rank: f"{'left' if rank < 3 else 'right'}/{rank}.png")
    list_images(folder, [f"left/{number}.png" for number in range(7)] + [f"right/{n}.png" for n in range(1000)])
    return folder


@pytest.fixture
def send(ana):
    """Write as the page does."""

    def post(what, **body):
        sent = {"X-Nightglass": "1", "Accept": "application/json"}
        return ana.post(f"{NIGHT}/verdicts{what}", json=body, headers=sent)

    return post


@pytest.fixture
def say(send):
    """Give a verdict on an image."""
    return lambda rank, verdict: send("", rank=rank, verdict=verdict, sha256=f"{rank:064x}")


@pytest.fixture
def ben(store):
    """Ben says something elsewhere, with the command line."""

    def add(rank, verdict, **changes):
        given = NewVerdict(
            night="2026-07-24", scope="image", path=f"{rank}.png", sha256=f"{rank:064x}", verdict=verdict, by="ben",
            source="cli", **changes,
        )  # fmt: skip
        with store:
            store.add_verdicts("cells", [given], datetime.now(UTC))

    return add


def in_effect(store):
    with store:
        return [(v.scope, v.verdict, v.by) for v in VerdictsInEffect(store.verdicts("cells")).all()]


def words(answer):
    assert answer.status_code == 200, answer.text
    return {told["rank"]: told["verdict"] for told in answer.json()["said"]}


def test_undo_brings_back_what_was_before_step_by_step(night, send, say, store):
    say(1, "defect")
    say(2, "normal")
    undo = say(2, "unsure").json()["undo"]
    assert undo["text"] == "unsure on image 2"
    first = send("/undo", entry=undo["entry"])
    assert words(first)[2] == "normal"
    assert first.json()["taken_back"] == "unsure on image 2"
    second = send("/undo", entry=first.json()["undo"]["entry"])
    assert words(second) == {1: "defect", 2: "none", 3: "none", 4: "none"}
    third = send("/undo", entry=second.json()["undo"]["entry"])
    assert third.json()["undo"] is None
    assert in_effect(store) == []
    with store:  # all that was said is still there, with when it was taken back
        assert [(v.verdict, v.withdrawn_at is None) for v in store.verdicts("cells")] == [
            ("defect", False), ("normal", False), ("unsure", False)
        ]  # fmt: skip


def test_what_was_taken_back_can_be_said_again(night, send, say, store):
    undo = say(1, "defect").json()["undo"]
    send("/undo", entry=undo["entry"])
    assert words(say(1, "defect")) == {1: "defect"}
    assert in_effect(store) == [("image", "defect", "ana")]


def test_undo_brings_back_the_word_of_another_with_their_name(night, ana, send, say, ben, store):
    ben(3, "normal")
    undo = say(3, "defect").json()["undo"]
    answer = send("/undo", entry=undo["entry"])
    assert words(answer)[3] == "normal"
    assert in_effect(store) == [("image", "normal", "ben")]
    assert "ben" in ana.get(NIGHT).text


def test_nothing_is_undone_where_somebody_spoke_after(night, ana, send, say, ben, store):
    undo = say(3, "defect").json()["undo"]
    ben(3, "normal")
    answer = send("/undo", entry=undo["entry"])
    assert answer.status_code == 409
    assert "ben said normal" in answer.json()["error"]
    assert in_effect(store) == [("image", "normal", "ben")]
    say(1, "unsure")
    assert "unsure on image 1" in ana.get(NIGHT).text  # the page offers what still counts


def test_the_same_verdict_is_taken_back_once(night, send, say):
    undo = say(1, "defect").json()["undo"]
    assert send("/undo", entry=undo["entry"]).status_code == 200
    answer = send("/undo", entry=undo["entry"])
    assert answer.status_code == 409
    assert "taken back" in answer.json()["error"]


def test_nobody_takes_back_what_another_said(night, send, ben, store):
    ben(1, "defect")
    with store:
        (verdict,) = store.verdicts("cells")
    assert send("/undo", entry=verdict.entry).status_code == 404
    assert send("/undo", entry=10**9).status_code == 404
    assert send("/undo", entry=0).status_code == 422
    assert in_effect(store) == [("image", "defect", "ben")]


def test_the_page_offers_to_undo_the_readers_own_words_alone(night, ana, say, ben):
    say(1, "defect")
    ben(2, "normal")
    assert "Undo <span>defect on image 1</span>" in ana.get(NIGHT).text


@pytest.mark.parametrize(("name", "images", "changed"), [("camera=left", 7, {1, 2}), (None, 1007, {1, 2, 3, 4})])
def test_a_word_on_many_says_how_many_and_holds_for_them(night, ana, send, store, name, images, changed):
    query = {"slice": name} if name else {}
    counted = ana.get(f"{NIGHT}/verdicts/coverage", params=query).json()
    assert counted == {"images": images}
    answer = send("/bulk", slice=name, verdict="normal", note=" new supplier ", images=images, seen=0)
    assert {rank for rank, word in words(answer).items() if word == "normal"} == changed
    with store:
        (verdict,) = store.verdicts("cells")
    assert (verdict.scope, verdict.slice, verdict.by, verdict.note, verdict.source) == (
        "slice" if name else "night", name, "ana", "new supplier", "page"
    )  # fmt: skip
    text = ana.get(NIGHT).text
    assert text.count('data-verdict="normal"') == len(changed)
    assert "new supplier" in text
    assert send("/undo", entry=answer.json()["undo"]["entry"]).json()["bulk"].strip() == ""
    assert in_effect(store) == []


def test_a_word_on_an_image_counts_more_than_one_on_many(night, send, say):
    say(1, "defect")
    assert words(send("/bulk", verdict="normal", note="all fine", images=1007, seen=0))[1] == "defect"


def test_a_word_on_many_is_refused_where_somebody_spoke_meanwhile(night, ana, send, ben, store):
    ben(1, "normal")
    with store:
        seen = store.verdict_log.last_entry()
    assert f'data-seen="{seen}"' in ana.get(NIGHT).text
    ben(2, "normal")
    body = {"verdict": "defect", "note": "broken lamp", "images": 1007}
    answer = send("/bulk", **body, seen=seen)
    assert answer.status_code == 409
    assert "1 verdict was given or taken back by ben" in answer.json()["error"]
    assert ("night", "defect", "ana") not in in_effect(store)
    assert send("/bulk", **body, seen=seen + 1).status_code == 200


def test_what_somebody_took_back_meanwhile_is_told_too(night, send, store, ben):
    ben(1, "normal")
    with store:
        (verdict,) = store.verdicts("cells")
        store.verdict_log.withdraw("cells", verdict.entry, "ben", "cli", datetime.now(UTC), night="2026-07-24")
    body = {"verdict": "defect", "note": "broken lamp", "images": 1007}
    assert send("/bulk", **body, seen=verdict.entry).status_code == 409
    assert send("/bulk", **body, seen=verdict.entry + 1).status_code == 200


def test_ones_own_words_do_not_stand_in_the_way(night, send, say):
    say(1, "defect")
    assert send("/bulk", verdict="normal", note="fine", images=1007, seen=0).status_code == 200


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"images": 1006}, 409),  # they confirmed another number
        ({"slice": "camera=up", "images": 7}, 404),
        ({"slice": "camera=left", "images": 1007}, 409),
        ({"slice": "", "images": 1007}, 422),
        ({"note": " "}, 422),
        ({"note": "x" * 1001}, 422),
        ({"verdict": "fine"}, 422),
        ({"seen": 2**63}, 422),
        ({"by": "ben"}, 422),
    ],
)
def test_a_word_on_many_is_kept_only_where_it_makes_sense(night, send, store, body, status):
    whole = {"verdict": "normal", "note": "why", "images": 1007, "seen": 0} | body
    answer = send("/bulk", **whole)
    assert answer.status_code == status, answer.text
    assert set(answer.json()) == {"error"}
    assert in_effect(store) == []


@pytest.mark.parametrize("what", ["/undo", "/bulk"])
def test_whoever_only_reads_writes_nothing(night, ana, send, say, what):
    say(1, "defect")
    ana.headers["X-Test-User"] = "olu"
    body = {"entry": 1} if what == "/undo" else {"verdict": "normal", "note": "why", "images": 1007, "seen": 9}
    assert send(what, **body).status_code == 403
    assert "open-bulk" not in ana.get(NIGHT).text
    ana.headers["X-Test-User"] = "eve"
    assert ana.get(f"{NIGHT}/verdicts/coverage").status_code == 403


def test_people_who_differ_are_shown(night, ana, say, ben):
    ben(1, "normal")
    ben(2, "defect")
    answer = say(1, "defect").json()["said"][0]
    assert answer["disputed"]
    say(2, "defect")
    text = ana.get(NIGHT).text
    assert "ben said <strong>normal</strong>" in text
    assert text.count(" data-disputed") == 1  # of the second image both say the same


def test_copies_of_an_image_change_together(home, store, send):
    publish(home, store, lambda rank: f"{rank}.png", count=3, content=lambda rank: min(rank, 2))
    assert words(send("", rank=3, verdict="defect", sha256=f"{2:064x}")) == {2: "defect", 3: "defect"}


def test_what_is_no_night_is_told(ana, store, send):
    assert send("/undo", entry=1).status_code == 404
    assert ana.get("/collections/cells/nights/2026-07-23/verdicts/coverage").status_code == 404


def test_undo_takes_back_only_what_was_said_on_this_page(home, store, night, send, say, ana):
    publish(home, store, lambda rank: f"{rank}.png", night="2026-07-25", content=lambda rank: rank + 50)
    entry = say(1, "defect").json()["undo"]["entry"]
    sent = {"X-Nightglass": "1", "Accept": "application/json"}
    other = f"{NIGHT[:-2]}25/verdicts/undo"
    assert ana.post(other, json={"entry": entry}, headers=sent).status_code == 404
    with store:
        cli = NewVerdict(night="2026-07-24", scope="night", verdict="normal", by="ana", source="cli")
        store.add_verdicts("cells", [cli], datetime.now(UTC))
    assert send("/undo", entry=entry + 1).status_code == 404
    assert {("image", "defect", "ana"), ("night", "normal", "ana")} <= set(in_effect(store))
    assert send("/undo", entry=entry).status_code == 200


def test_nothing_is_said_of_a_night_that_is_being_scored_again(night, send, say, store):
    entry = say(1, "defect").json()["undo"]["entry"]
    assessed = night / "assessment.json"
    published = assessed.read_text()
    for now in (published.replace("0001.image.jpg", "0002.image.jpg"), None):  # assessed, not published; then neither
        if now is None:
            assessed.unlink()
        else:
            assert now != published
            assessed.write_text(now)
        answer = say(2, "defect")
        assert answer.status_code == 409
        assert "being scored again" in answer.json()["error"]
        assert send("/bulk", verdict="normal", note="fine", images=1007, seen=entry).status_code == 409
    assert in_effect(store) == [("image", "defect", "ana")]
    assert send("/undo", entry=entry).status_code == 200
    assessed.write_text(published)
    assert say(2, "defect").status_code == 200
