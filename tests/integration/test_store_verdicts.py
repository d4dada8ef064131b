from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import IntegrityError

from nightglass.errors import InputError
from nightglass.records import Assessment
from nightglass.retraining.verdicts import NewVerdict, VerdictsInEffect
from nightglass.store import Store, VerdictChangedError

pytestmark = pytest.mark.integration

NIGHT, OTHER = "2026-03-14", "2026-03-15"
NOW = datetime(2026, 3, 16, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)


def new(on: str = "a", verdict: str = "defect", by: str = "ana", **changes: Any) -> NewVerdict:
    """A verdict on an image's content ``on``, on a slice ``name=value``, or on the night for an empty ``on``."""
    subject: dict[str, Any] = {"scope": "night"}
    if "=" in on:
        subject = {"scope": "slice", "slice": on}
    elif on:
        subject = {"scope": "image", "path": f"line-1/{on}.jpg", "sha256": on * 64}
    fields = {"night": NIGHT, "verdict": verdict, "by": by, "source": "cli"} | subject
    return NewVerdict.model_validate(fields | changes)


def add(store: Store, *verdicts: NewVerdict, now: datetime = NOW) -> int:
    return store.add_verdicts("cells", verdicts, now)


def read(database_url: str, sql: str) -> list[tuple[Any, ...]]:
    engine = create_engine(database_url)
    with engine.connect() as connection:
        rows = [tuple(row) for row in connection.execute(text(sql))]
    engine.dispose()
    return rows


def test_verdicts_come_back_in_order_with_all_they_say(store: Store) -> None:
    assert add(store, new("b", note="scratch"), new("camera=left", "normal", night=OTHER), new("", "unsure")) == 3
    assert store.add_verdicts("other", [new("c")], NOW) == 1
    first, second, third = store.verdicts("cells")
    assert first.model_dump() == new("b", note="scratch").model_dump() | {
        "entry": 1,
        "at": "2026-03-16T08:00:00.000000Z",
        "withdrawn_at": None,
    }
    assert (second.slice, second.night, second.path, second.sha256) == ("camera=left", OTHER, None, None)
    assert (third.scope, third.verdict, third.entry) == ("night", "unsure", 3)
    assert [verdict.entry for verdict in store.verdicts("cells", nights=[NIGHT, "2026-01-01"])] == [1, 3]
    assert store.verdicts("cells", nights=[]) == []
    assert store.verdicts("none") == []
    assert add(store) == 0


@pytest.mark.parametrize("on", ["a", "camera=left", ""])
def test_the_same_verdict_again_changes_nothing(store: Store, on: str) -> None:
    assert add(store, new(on, note="why"))
    assert not add(store, new(on, note="why"), new(on), new(on, night=NIGHT), now=NOW + HOUR)
    assert add(store, new(on, note="another reason"), now=NOW + HOUR) == 1
    assert add(store, new(on, by="ben"), now=NOW + HOUR) == 1
    assert add(store, new(on), now=NOW + HOUR) == 1  # not Ana's latest word that counts, but the latest of all
    assert add(store, new(on, "normal"), new(on, "defect"), new(on, "defect"), now=NOW + HOUR) == 2
    assert [verdict.by for verdict in store.verdicts("cells")] == ["ana", "ana", "ben", "ana", "ana", "ana"]


def test_an_image_is_its_content_and_a_slice_is_of_its_night(store: Store) -> None:
    assert add(store, new("a"), new("a", night=OTHER, path="copy.jpg")) == 1
    assert add(store, new("camera=left"), new("camera=left", night=OTHER), new(""), new("", night=OTHER)) == 4


def test_an_imported_history_is_imported_once(store: Store) -> None:
    history = [
        new("a", "defect", at=NOW - 3 * HOUR),
        new("a", "normal", "ben", at=NOW - 2 * HOUR),
        new("a", "defect", at=NOW - HOUR),
        new("b", "defect", at=NOW - HOUR),
        new("b", "normal", "ben", at=NOW - HOUR),  # at the same moment: the later line counts
    ]
    assert add(store, *history) == 5
    assert add(store, *history) == 0
    in_effect = VerdictsInEffect(store.verdicts("cells"))
    assert [(v.sha256, v.verdict) for v in in_effect.all()] == [("a" * 64, "defect"), ("b" * 64, "normal")]


def test_lines_of_a_file_may_be_in_any_order_of_time(store: Store) -> None:
    lines = [new("a", "defect", at=NOW - HOUR), new("a", "normal", at=NOW - 3 * HOUR), new("a", "normal", at=NOW)]
    assert add(store, *lines) == 3
    assert [verdict.verdict for verdict in VerdictsInEffect(store.verdicts("cells")).all()] == ["normal"]


def test_an_older_verdict_that_is_recorded_later_does_not_win(store: Store, database_url: str) -> None:
    add(store, new("a", "normal"))
    assert add(store, new("a", "defect", "ben", at=NOW - HOUR), now=NOW + HOUR) == 1
    assert read(database_url, 'SELECT verdict, "by" FROM verdicts') == [("normal", "ana")]


def test_what_is_said_last_wins_whatever_the_clock_says(store: Store, database_url: str) -> None:
    add(store, new("a", "normal"))
    add(store, new("a", "defect", "ben"), now=NOW - HOUR)
    add(store, new("a", "normal"), now=NOW - HOUR)
    assert read(database_url, 'SELECT verdict, "by", "at" FROM verdicts') == [
        ("normal", "ana", "2026-03-16T08:00:00.000002Z")
    ]


def test_the_view_shows_what_is_in_effect_newest_first(store: Store, database_url: str) -> None:
    add(store, new("a", "normal"), new("b"), new("camera=left", "normal"), new(""))
    add(store, new("a", "defect", "ben", night=OTHER, note='it\'s "bad"'), new("", "normal"), now=NOW + HOUR)
    store.add_verdicts("other", [new("a", "unsure")], NOW)
    view = read(database_url, "SELECT entry FROM verdicts WHERE collection = 'cells'")
    in_effect = VerdictsInEffect(store.verdicts("cells"))
    assert [entry for (entry,) in view] == [6, 5, 3, 2] == [verdict.entry for verdict in reversed(in_effect.all())]
    assert read(database_url, "SELECT scope, night, slice, path, note FROM verdicts WHERE entry IN (3, 5)") == [
        ("image", OTHER, None, "line-1/a.jpg", 'it\'s "bad"'),
        ("slice", NIGHT, "camera=left", None, ""),
    ]
    engine = create_engine(database_url)
    with engine.connect() as connection:
        columns = list(connection.execute(text("SELECT * FROM verdicts")).keys())
    engine.dispose()
    assert " ".join(columns) == "collection night scope path slice verdict at by note source sha256 entry"


def test_the_database_and_the_code_call_a_subject_the_same(store: Store, database_url: str) -> None:
    verdicts = [new("a"), new("camera=left"), new("")]
    add(store, *verdicts)
    found = read(database_url, "SELECT subject FROM verdict_log ORDER BY entry")
    assert [subject for (subject,) in found] == [verdict.subject for verdict in verdicts]


def test_hostile_text_comes_back_as_it_was(store: Store) -> None:
    hostile = "'); DROP TABLE verdict_log; -- :bound %s \u202e😀\n.jpg"
    add(store, new("a", path=hostile, by=hostile, note=hostile))
    (verdict,) = store.verdicts("cells")
    assert (verdict.path, verdict.by, verdict.note) == (hostile, hostile, hostile)
    assert not add(store, new("a", path=hostile, by=hostile, note=hostile))
    add(store, new("b", path="a\0b"))
    assert store.verdicts("cells")[-1].path == "a\\x00b"
    assert not add(store, new("b", path="a\0b"))


def test_nobody_says_nothing(store: Store) -> None:
    with pytest.raises(InputError, match="expected who gives the verdict"):
        add(store, new("a"), new("b", by=" "))
    assert store.verdicts("cells") == []


@pytest.mark.parametrize(
    "changes",
    [
        {"sha256": None},
        {"path": None},
        {"sha256": "abc"},
        {"slice": "camera=left"},
        {"scope": "slice"},
        {"scope": "night"},
        {"night": "tonight"},
        {"scope": "slice", "path": None, "sha256": None, "slice": ""},
    ],
)
def test_a_row_that_makes_no_sense_is_refused_with_all_others(store: Store, changes: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError):
        add(store, new("b"), new("a", **changes))
    assert store.verdicts("cells") == []


def test_writers_at_once_lose_nothing_and_repeat_nothing(store: Store, database_url: str, sql_dir: Path) -> None:
    contents = "0123456789abcdef"

    def add_all(by: str) -> list[int]:
        with Store.connect(database_url, sql_dir) as own:
            shared = [add(own, new(on, "normal", by="both", at=NOW - HOUR)) for on in contents]
            return [*shared, add(own, *(new(on, by=by) for on in contents))]

    with ThreadPoolExecutor(4) as pool:
        outcomes = [call.result() for call in [pool.submit(add_all, f"analyst {n}") for n in range(4)]]
    by_content = list(zip(*outcomes, strict=True))
    assert [sum(added) for added in by_content] == [1] * 16 + [64]
    verdicts = store.verdicts("cells")
    assert [verdict.entry for verdict in verdicts] == list(range(1, 81))
    assert len(VerdictsInEffect(verdicts)) == 16


def take_back(store: Store, entry: int, by: str = "ana", source: str = "cli", night: str = NIGHT) -> None:
    store.verdict_log.withdraw("cells", entry, by, source, NOW + HOUR, night=night)


def test_what_was_taken_back_is_as_if_it_had_not_been_said(store: Store, database_url: str) -> None:
    add(store, new("a", "normal", "ben"), new("a", "defect"), new("", "unsure"))
    take_back(store, 2)
    take_back(store, 3)
    assert read(database_url, 'SELECT verdict, "by" FROM verdicts') == [("normal", "ben")]
    assert [v.verdict for v in VerdictsInEffect(store.verdicts("cells")).all()] == ["normal"]
    told = [v.withdrawn_at for v in store.verdicts("cells", nights=[NIGHT])]
    assert told == [None, "2026-03-16T09:00:00.000000Z", "2026-03-16T09:00:00.000000Z"]
    assert [v.entry for v in store.verdict_log.history("cells", ["a" * 64])] == [1, 2]


def test_entries_of_words_and_of_withdrawals_are_counted_together(store: Store) -> None:
    add(store, new("a"), new("b"))
    take_back(store, 1)
    assert store.verdict_log.last_entry() == 3
    add(store, new("a"), now=NOW + HOUR)
    assert [v.entry for v in store.verdicts("cells")] == [1, 2, 4]


def test_a_file_does_not_bring_back_what_was_taken_back(store: Store) -> None:
    said = new("a", "defect", at=NOW - HOUR)
    add(store, said)
    take_back(store, 1)
    assert add(store, said) == 0
    assert add(store, new("a", "defect"), now=NOW + HOUR) == 1  # but a person may say it anew


def test_only_what_is_in_effect_is_taken_back_and_only_by_who_said_it(store: Store) -> None:
    add(store, new("a"), new("b"))
    add(store, new("a", "normal", "ben"), now=NOW + HOUR)
    with pytest.raises(VerdictChangedError, match="ben said normal at"):
        take_back(store, 1)
    for entry, by in ((2, "ben"), (9, "ana")):
        with pytest.raises(InputError, match="expected a verdict of"):
            take_back(store, entry, by)
    with pytest.raises(InputError, match="expected a verdict of"):
        store.verdict_log.withdraw("other", 2, "ana", "cli", NOW, night=NIGHT)
    for elsewhere in ({"night": OTHER}, {"source": "page"}):
        with pytest.raises(InputError, match="expected a verdict of"):
            take_back(store, 2, **elsewhere)
    take_back(store, 2)
    with pytest.raises(VerdictChangedError, match="taken back"):
        take_back(store, 2)
    assert [v.withdrawn_at is None for v in store.verdicts("cells")] == [True, False, True]


def test_the_last_word_of_each_person_is_read_and_little_else(store: Store) -> None:
    add(store, new("a"), new("a", "normal"), new("a", "unsure", "ben"), new("b"), new("camera=left"))
    store.add_verdicts("other", [new("a")], NOW)
    log = store.verdict_log
    said = [(v.by, v.verdict) for v in log.last_words("cells", ["a" * 64, f"{NIGHT} camera=left", "none"])]
    assert said == [("ana", "normal"), ("ben", "unsure"), ("ana", "defect")]
    assert log.last_words("cells", []) == []
    many = [f"{number:064x}" for number in range(2500)]  # more than a statement takes
    assert len(log.last_words("cells", [*many, "a" * 64])) == 2


def test_what_the_last_nights_showed_is_read_with_one_statement(
    store: Store, make_assessment: Callable[..., Assessment]
) -> None:
    for night in ("2026-03-12", "2026-03-13", NIGHT):
        shown = make_assessment(night, top_k=1).top_anomalies[0].model_copy(update={"sha256": night[-1] * 64})
        store.publish_night(make_assessment(night, top_anomalies=[shown]), "report.html", NOW)
    add(store, new("2", night=OTHER), new("3"), new("4"), new("f"), new("", night="2026-03-12"), new("camera=left"))
    add(store, new("", "normal", night=OTHER))  # a night that is not published
    found = store.verdict_log.last_words_of_nights("cells", OTHER, 2)
    assert [v.subject for v in found] == ["3" * 64, "4" * 64, f"{NIGHT} camera=left"]
    found = store.verdict_log.last_words_of_nights("cells", NIGHT, 9)
    assert [v.subject for v in found] == ["2" * 64, "3" * 64, "2026-03-12"]


def test_a_word_on_many_is_refused_where_others_spoke_after(store: Store) -> None:
    add(store, new("a", by="ben"))
    log, bulk = store.verdict_log, new("", "normal")
    add(store, new("b", by="ben", night=OTHER), new("c"))  # another night; and her own
    with pytest.raises(VerdictChangedError, match="1 verdict was given or taken back by ben"):
        log.add_unless_changed("cells", bulk, NOW, seen=0)
    assert log.add_unless_changed("cells", bulk, NOW, seen=1) == 1
    take_back(store, 1, "ben")
    with pytest.raises(VerdictChangedError, match="ben"):
        log.add_unless_changed("cells", new("", "defect"), NOW, seen=4)
    assert log.add_unless_changed("cells", new("", "defect"), NOW, seen=5) == 1


def test_the_last_standing_word_is_the_persons_and_still_counts(store: Store) -> None:
    def last() -> int | None:
        found = store.verdict_log.last_standing("cells", NIGHT, "ana", "page")
        return found and found.entry

    assert last() is None
    page = {"source": "page"}
    add(store, new("a", **page), new("b", **page), new("c"), new("d", by="ben", **page), new("e", night=OTHER, **page))
    assert last() == 2
    add(store, new("b", "normal", "ben"), now=NOW + HOUR)
    assert last() == 1
    take_back(store, 1, source="page")
    assert last() is None
    store.verdict_log.withdraw("cells", 6, "ben", "cli", NOW, night=NIGHT)
    assert last() == 2
