"""Part of a collection's file: who is told of what, and by when a night has to be published."""

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from nightglass.collection_parts import Section

AlertKind = Literal[
    "retrain",
    "hold",
    "watch",
    "failure",
    "rollback",
    "validation",
    "deadline",
    "service",
    "approval",
    "refused",
    "promotion",
]
#: The wide words are older than what they cover.
_PART_OF = {
    "validation": "hold",
    "deadline": "failure",
    "service": "failure",
    "approval": "retrain",
    "refused": "retrain",
    "promotion": "retrain",
}
_DAY = 24 * 60
_NAMED_SCHEDULES = {"@daily": "0 0 * * *", "@midnight": "0 0 * * *"}


def _undo_sexagesimal(value: Any) -> Any:  # noqa: ANN401 - whatever the file holds
    # YAML 1.1 reads 10:30 without quotes as 630.
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return f"{value // 60:02}:{value % 60:02}" if is_number and 0 <= value < _DAY else value


TimeOfDay = Annotated[
    str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$"), BeforeValidator(_undo_sexagesimal)
]


class Alerts(Section):
    """Who is told of what; the addresses themselves are secrets and stay out of this file."""

    connection: str | None = Field(None, description="Airflow connection whose URI or extra.urls is an Apprise URL")
    about: tuple[AlertKind, ...] = Field(
        ("retrain", "hold", "failure", "rollback"),
        description="retrain covers approval, refused and promotion; hold: validation; failure: deadline and service",
    )
    repeat_hours: float = Field(24, ge=0, le=8760, description="the same is told again after this long at the earliest")
    publish_by: TimeOfDay | None = Field(
        None, description="time of day in `timezone`, HH:MM: a night that is not published then is told"
    )
    publish_hours: float | None = Field(None, gt=0, le=168, description="the same in hours after the run was due")

    @model_validator(mode="after")
    def _check_one_deadline(self) -> "Alerts":
        if self.publish_by is not None and self.publish_hours is not None:
            raise ValueError("publish_by and publish_hours: expected one of them, got both")
        return self

    def tells(self, kind: str) -> bool:
        """Tell whether people want to hear of this kind of matter."""
        return kind in self.about or _PART_OF.get(kind) in self.about

    def publish_within(self, schedule: str | None) -> timedelta | None:
        """Return how long after a run was due its night has to be published; None where nobody said.

        Raises:
            ValueError: ``publish_by`` is set and the schedule is not at one time of the day.
        """
        if self.publish_hours is not None:
            return timedelta(hours=self.publish_hours)
        if self.publish_by is None:
            return None
        minutes = (_minutes_of(self.publish_by) - _due_at(schedule)) % _DAY
        return timedelta(minutes=minutes or _DAY)


def _minutes_of(time_of_day: str) -> int:
    hours, _, minutes = time_of_day.partition(":")
    return int(hours) * 60 + int(minutes)


def _due_at(schedule: str | None) -> int:
    fields = _NAMED_SCHEDULES.get(schedule or "", schedule or "").split()
    if len(fields) != 5 or not (fields[0].isdecimal() and fields[1].isdecimal()):
        raise ValueError(
            f"alerts.publish_by: expected a schedule at one time of the day such as '0 2 * * *', got {schedule!r}; "
            "publish_hours takes any"
        )
    return int(fields[1]) * 60 + int(fields[0])
