"""The log of alerts on both databases: who tells, once, and what belongs together."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import create_engine, text

from nightglass.alerting.delivery import SECONDS
from nightglass.settings import Settings
from nightglass.store import NewAlert, Store

pytestmark = pytest.mark.integration

NOW = datetime(2026, 3, 3, 2, 10, tzinfo=UTC)
DAY, HOUR, MINUTE = timedelta(hours=24), timedelta(hours=1), timedelta(minutes=1)


def alert(key: str = "decision/cells/2026-03-02", **changes: str) -> NewAlert:
    fields = {
        "audience": "people",
        "alert_key": key,
        "kind": key.partition("/")[0],
        "collection": "cells",
        "night": "2026-03-02",
        "title": "Nightglass: cells 2026-03-02: retrain",
        "sentence": "The rate doubled.\0",
        "cause_sha256": "",
        "content_sha256": "1",
    }
    return NewAlert(**(fields | changes))


def claim(store: Store, new: NewAlert, now: datetime = NOW):
    return store.alert_log.claim(new, now, repeat=DAY, together=HOUR)


def test_the_same_is_told_once_until_its_time_has_passed(store: Store) -> None:
    assert claim(store, alert()).is_due
    store.alert_log.confirm(alert(), NOW, by_itself=True)
    assert not claim(store, alert(), NOW + MINUTE).is_due
    assert not claim(store, alert(), NOW + DAY - MINUTE).is_due
    assert claim(store, alert(), NOW + DAY).is_due
    assert claim(store, alert(audience="others"), NOW).is_due


def test_another_content_is_told_at_once(store: Store) -> None:
    claim(store, alert())
    store.alert_log.confirm(alert(), NOW, by_itself=True)
    assert claim(store, alert(content_sha256="2"), NOW + MINUTE).is_due
    store.alert_log.confirm(alert(), NOW + MINUTE, by_itself=True)
    assert claim(store, alert(), NOW + 2 * MINUTE).is_due


def test_what_nobody_heard_is_told_the_next_time(store: Store) -> None:
    claim(store, alert())
    store.alert_log.release("people", alert().alert_key)
    assert claim(store, alert(), NOW + MINUTE).is_due


def test_news_that_nobody_heard_are_told_the_next_time(store: Store) -> None:
    claim(store, alert())
    store.alert_log.confirm(alert(), NOW, by_itself=True)
    news = alert(content_sha256="2")
    assert claim(store, news, NOW + MINUTE).is_due
    store.alert_log.release("people", news.alert_key)
    assert claim(store, news, NOW + 2 * MINUTE).is_due
    # The process that told it died before it could say so.
    assert claim(store, news, NOW + 3 * MINUTE).is_due


def test_two_contents_at_once_are_both_told(store: Store) -> None:
    first, second = alert(), alert(content_sha256="2")
    assert claim(store, first).is_due
    assert claim(store, second).is_due
    store.alert_log.confirm(first, NOW, by_itself=True)
    store.alert_log.release("people", second.alert_key)
    assert claim(store, second, NOW + MINUTE).is_due


def test_a_process_that_died_while_it_told_holds_up_no_task_that_is_tried_again(store: Store) -> None:
    assert claim(store, alert()).is_due
    assert not claim(store, alert(), NOW + timedelta(seconds=SECONDS)).is_due
    assert claim(store, alert(), NOW + timedelta(seconds=Settings().retry_seconds)).is_due


def test_of_many_processes_at_once_one_tells(store: Store) -> None:
    told, start = [], threading.Barrier(6)

    def tell() -> None:
        start.wait()
        told.append(claim(store, alert()).is_due)

    threads = [threading.Thread(target=tell) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(told) == [False] * 5 + [True]


def test_what_one_cause_has_struck_is_known_together_for_a_while(store: Store) -> None:
    def strike(name: str, now: datetime, cause: str = "c", audience: str = "people"):
        new = alert(f"failure/{name}", collection=name, cause_sha256=cause, audience=audience)
        return [collection for collection, _ in claim(store, new, now).struck]

    assert strike("a", NOW) == ["a"]
    assert strike("b", NOW + MINUTE) == ["a", "b"]
    assert strike("b", NOW + 2 * MINUTE) == ["a", "b"]
    assert strike("x", NOW + 2 * MINUTE, cause="other") == ["x"]
    assert strike("y", NOW + 2 * MINUTE, audience="others") == ["y"]
    assert strike("c", NOW + HOUR + 2 * MINUTE) == ["b", "c"]
    assert claim(store, alert(), NOW).struck == ()


def test_whether_people_know_of_the_others_of_a_cause_is_known(store: Store) -> None:
    def strike(name: str, now: datetime):
        found = claim(store, alert(f"failure/{name}", collection=name, cause_sha256="c"), now)
        return found.others, found.is_telling, found.has_untold

    assert strike("a", NOW) == ((), False, False)
    assert strike("b", NOW) == (("failure/a",), True, False)
    store.alert_log.release("people", "failure/a")
    store.alert_log.release("people", "failure/b")
    both = ("failure/a", "failure/b")
    assert strike("c", NOW + MINUTE) == (both, False, True)
    told = alert("failure/c", cause_sha256="c")
    store.alert_log.confirm(told, NOW + MINUTE, by_itself=True, others=both)
    assert strike("d", NOW + MINUTE) == ((*both, "failure/c"), False, False)


def test_a_trouble_ends_once_and_begins_anew(store: Store) -> None:
    trouble = alert("service/MLflow")
    log = store.alert_log
    claim(store, trouble)
    assert log.open_troubles("people") == []  # nobody knows of it yet
    log.confirm(trouble, NOW, by_itself=True)
    claim(store, trouble, NOW + MINUTE)
    (known,) = log.open_troubles("people")
    assert (known.alert_key, known.collection, known.happened) == ("service/MLflow", "cells", 2)
    assert known.last_at > known.first_at
    assert log.open_troubles("others") == []

    assert log.claim_end("people", "service/MLflow", NOW + HOUR)
    assert not log.claim_end("people", "service/MLflow", NOW + HOUR)
    assert log.claim_end("people", "service/MLflow", NOW + HOUR + MINUTE)  # whoever told it died
    log.end_trouble("people", "service/MLflow", NOW + HOUR + MINUTE)
    assert not log.claim_end("people", "service/MLflow", NOW + 2 * HOUR)
    assert log.open_troubles("people") == []
    # It comes back within the day: that is another trouble, not the same one again.
    assert claim(store, trouble, NOW + 2 * HOUR).is_due
    log.confirm(trouble, NOW + 2 * HOUR, by_itself=True)
    (again,) = log.open_troubles("people")
    assert (again.happened, again.first_at > known.last_at) == (1, True)


def test_people_can_ask_what_was_told(store: Store, database_url: str) -> None:
    claim(store, alert())
    store.alert_log.confirm(alert(), NOW, by_itself=True)
    claim(store, alert(), NOW + MINUTE)
    engine = create_engine(database_url)
    with engine.connect() as connection:
        (row,) = connection.execute(text("SELECT * FROM alerts")).mappings()
    engine.dispose()
    assert {name: row[name] for name in ("collection", "night", "kind", "happened", "told", "audience")} == {
        "collection": "cells",
        "night": "2026-03-02",
        "kind": "decision",
        "happened": 2,
        "told": 1,
        "audience": "people",
    }
    assert row["title"] == "Nightglass: cells 2026-03-02: retrain"
    assert row["sentence"] == "The rate doubled.\\x00"
    assert row["told_at"] == row["first_at"] < row["last_at"]
