from datetime import timedelta
from pathlib import Path
from typing import get_args

import pytest

from nightglass.collection_alerts import AlertKind
from nightglass.collections import Collection, read_collection
from nightglass.errors import ConfigurationError

OLD_DEFAULT = ("retrain", "hold", "failure")


def read(tmp_path: Path, alerts: str, schedule: str = '"0 2 * * *"') -> Collection:
    file = tmp_path / "cells.yaml"
    file.write_text(f"images: /data/{{night}}\nschedule: {schedule}\nalerts: {{{alerts}}}\n")
    return read_collection(file)


@pytest.mark.parametrize(
    ("about", "told"),
    [
        (OLD_DEFAULT, "retrain hold failure validation deadline service approval refused promotion"),
        (("hold",), "hold validation"),
        (("refused", "rollback"), "refused rollback"),
        (("watch",), "watch"),
        ((), ""),
    ],
)
def test_the_wide_words_cover_what_came_after_them(tmp_path: Path, about: tuple[str, ...], told: str) -> None:
    alerts = read(tmp_path, f"about: [{', '.join(about)}]").alerts
    kinds = get_args(AlertKind)
    assert {kind for kind in kinds if alerts.tells(kind)} == set(told.split())


def test_without_a_word_everything_is_told_but_watch(tmp_path: Path) -> None:
    alerts = read(tmp_path, "").alerts
    assert alerts.tells("rollback")
    assert alerts.tells("deadline")
    assert not alerts.tells("watch")
    assert alerts.publish_within("0 2 * * *") is None


@pytest.mark.parametrize(
    ("alerts", "schedule", "hours"),
    [
        ("publish_hours: 4.5", '"0 2 * * *"', 4.5),
        ("publish_hours: 4", '"*/30 * * * *"', 4),
        ("publish_hours: 4", "null", 4),
        ('publish_by: "06:30"', '"0 2 * * *"', 4.5),
        ("publish_by: 06:30", '"0 2 * * 1-5"', 4.5),
        ("publish_by: 10:30", '"30 2 * * *"', 8),  # YAML 1.1 makes 630 of it
        ('publish_by: "01:00"', '"0 22 * * *"', 3),
        ('publish_by: "02:00"', '"0 2 * * *"', 24),
        ('publish_by: "06:00"', '"@daily"', 6),
    ],
)
def test_by_when_a_night_has_to_be_published(tmp_path: Path, alerts: str, schedule: str, hours: float) -> None:
    found = read(tmp_path, alerts, schedule)
    assert found.alerts.publish_within(found.schedule) == timedelta(hours=hours)


@pytest.mark.parametrize(
    ("alerts", "schedule", "message"),
    [
        ('publish_by: "06:30", publish_hours: 3', '"0 2 * * *"', "expected one of them, got both"),
        ('publish_by: "06:30"', '"0 */6 * * *"', r"expected a schedule at one time of the day .* got '0 \*/6"),
        ('publish_by: "06:30"', "null", "got None; publish_hours takes any"),
        ("publish_by: 6.30", '"0 2 * * *"', "alerts.publish_by"),
        ("publish_by: 24:00", '"0 2 * * *"', "alerts.publish_by"),
        ('publish_by: "6:30 am"', '"0 2 * * *"', "alerts.publish_by"),
        ("publish_hours: 0", '"0 2 * * *"', "alerts.publish_hours"),
        ("repeat_hours: -1", '"0 2 * * *"', "alerts.repeat_hours"),
        ("about: [everything]", '"0 2 * * *"', "alerts.about.0"),
    ],
)
def test_what_cannot_be_is_one_clear_line(tmp_path: Path, alerts: str, schedule: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        read(tmp_path, alerts, schedule)
    assert "\n" not in str(caught.value)
