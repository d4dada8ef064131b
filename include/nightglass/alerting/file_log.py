"""The log of alerts for when the database, which keeps it, is the trouble itself: one small file."""

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from filelock import FileLock

from nightglass.store import NewAlert, Trouble, format_time

_SECONDS = 5
_NAME = "alerts.json"
Entries = dict[str, dict[str, Any]]


class FileLog:
    """What people were told while the database did not answer; each machine has its own.

    Args:
        folder: Where the file is; made when something is written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def claim(self, alert: NewAlert, now: datetime, repeat: timedelta) -> bool:
        """Record that an alert's matter happened, and say whether this process has to tell it."""
        with self._changing() as entries:
            known = entries.get(_key(alert.audience, alert.alert_key))
            if known is None or known["content_sha256"] != alert.content_sha256:
                entry = alert.model_dump() | {"first_at": format_time(now), "told_at": None, "happened": 0}
                known = entries[_key(alert.audience, alert.alert_key)] = entry
            known["last_at"] = format_time(now)
            known["happened"] += 1
            is_due = known["told_at"] is None or now - datetime.fromisoformat(known["told_at"]) >= repeat
            if is_due:
                known["told_at"] = format_time(now)
            return is_due

    def release(self, alert: NewAlert) -> None:
        """Record that nobody could be told."""
        with self._changing() as entries:
            if known := entries.get(_key(alert.audience, alert.alert_key)):
                known["told_at"] = None

    def take(self, audience: str, is_over: Callable[[Trouble], bool]) -> list[Trouble]:
        """Return the troubles that an audience was told of and that are over; forget all it was told but the others."""
        if not (self._folder / _NAME).exists():
            return []
        ended = []
        with self._changing() as entries:
            for key in [key for key, entry in entries.items() if entry["audience"] == audience]:
                trouble = _as_trouble(entries[key])
                if trouble is None or is_over(trouble):
                    entries.pop(key)
                    ended += [trouble] if trouble else []
        return ended

    def put_back(self, audience: str, trouble: Trouble) -> None:
        """Remember a trouble whose end nobody could be told of."""
        known = {"audience": audience, "kind": "service", "content_sha256": "", "told_at": trouble.last_at}
        with self._changing() as entries:
            entries.setdefault(_key(audience, trouble.alert_key), known | asdict(trouble))

    @contextmanager
    def _changing(self) -> Iterator[Entries]:
        self._folder.mkdir(parents=True, exist_ok=True)
        file = self._folder / _NAME
        with FileLock(f"{file}.lock", timeout=_SECONDS):
            entries = _read(file)
            yield entries
            if not entries:
                file.unlink(missing_ok=True)
                return
            handle, temporary = tempfile.mkstemp(prefix=".writing-", dir=self._folder)
            with os.fdopen(handle, "w", encoding="utf-8") as written:
                json.dump(entries, written)
            Path(temporary).replace(file)


def _read(file: Path) -> Entries:
    try:
        entries: Entries = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):  # half a file, after a power cut, costs at most an alert told twice
        return {}
    week_ago = format_time(datetime.now(UTC) - timedelta(days=7))
    return {key: entry for key, entry in entries.items() if entry["last_at"] >= week_ago}


def _as_trouble(entry: dict[str, Any]) -> Trouble | None:
    if entry["kind"] != "service" or not entry["told_at"]:
        return None
    return Trouble(**{name: entry[name] for name in Trouble.__dataclass_fields__})


def _key(audience: str, alert_key: str) -> str:
    return f"{audience}\n{alert_key}"
