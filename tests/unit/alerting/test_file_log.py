import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from nightglass.alerting.file_log import FileLog
from nightglass.store import NewAlert, Trouble

NOW = datetime.now(UTC)
DAY = timedelta(hours=24)


def alert(key: str = "service/the database", content: str = "1", audience: str = "people") -> NewAlert:
    return NewAlert(
        audience=audience,
        alert_key=key,
        kind=key.partition("/")[0],
        collection="cells",
        night="2026-03-02",
        title="t",
        sentence="s",
        cause_sha256="",
        content_sha256=content,
    )


@pytest.fixture
def log(tmp_path: Path) -> FileLog:
    return FileLog(tmp_path / "alerts")


def test_each_content_is_told_once_in_a_day(log: FileLog) -> None:
    assert log.claim(alert(), NOW, DAY)
    assert not log.claim(alert(), NOW, DAY)
    assert log.claim(alert(audience="others"), NOW, DAY)
    assert log.claim(alert(content="2"), NOW, DAY)
    assert not log.claim(alert(content="2"), NOW + DAY / 2, DAY)
    assert log.claim(alert(content="2"), NOW + DAY, DAY)


def test_what_nobody_heard_is_told_the_next_time(log: FileLog) -> None:
    assert log.claim(alert(), NOW, DAY)
    log.release(alert())
    assert log.claim(alert(), NOW, DAY)


def is_over(trouble: Trouble) -> bool:
    return trouble.alert_key == "service/the database"


def test_taking_returns_what_is_over_and_forgets_all_of_the_audience_but_open_troubles(
    log: FileLog, tmp_path: Path
) -> None:
    for each in (alert(), alert(), alert("failure/x"), alert("service/S3"), alert(audience="others")):
        log.claim(each, NOW, DAY)
    (trouble,) = log.take("people", is_over)
    assert (trouble.alert_key, trouble.collection, trouble.happened) == ("service/the database", "cells", 2)
    assert log.take("people", is_over) == []
    log.put_back("people", trouble)
    assert log.take("people", is_over) == [trouble]
    assert [each.alert_key for each in log.take("people", lambda _: True)] == ["service/S3"]
    assert len(log.take("others", is_over)) == 1
    assert not (tmp_path / "alerts" / "alerts.json").exists()


def test_nothing_is_written_to_ask(log: FileLog, tmp_path: Path) -> None:
    assert log.take("people", is_over) == []
    assert list(tmp_path.iterdir()) == []


def test_old_entries_and_a_damaged_file_are_let_go(log: FileLog, tmp_path: Path) -> None:
    log.claim(alert("failure/old"), NOW - timedelta(days=8), DAY)
    log.claim(alert(), NOW, DAY)
    file = tmp_path / "alerts" / "alerts.json"
    assert [entry["alert_key"] for entry in json.loads(file.read_text()).values()] == ["service/the database"]
    file.write_text("{half")
    assert log.claim(alert(), NOW, DAY)
