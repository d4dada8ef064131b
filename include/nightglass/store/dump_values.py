"""Values of a database's columns as JSON, and back."""

import base64
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal

from nightglass.errors import InputError


def as_json(value: object) -> object:
    """Return what JSON can hold of a value; what is no text or number of JSON's own is named by its kind."""
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, bytes | memoryview):
        return {"bytes": base64.b64encode(bytes(value)).decode("ascii")}
    if isinstance(value, datetime):
        return {"datetime": value.isoformat()}
    if isinstance(value, date):
        return {"date": value.isoformat()}
    if isinstance(value, Decimal):
        return {"decimal": str(value)}
    if isinstance(value, dict | list):
        return {"json": value}
    raise TypeError(f"expected a value of a database, got {type(value).__name__}")


def as_value(stored: object) -> object:
    """Return the value that `as_json` made this of.

    Raises:
        InputError: It made it of nothing.
    """
    if not isinstance(stored, dict):
        return stored
    ((kind, text),) = stored.items()
    if kind == "json":
        return text
    readers: dict[str, Callable[[str], object]] = {
        "bytes": base64.b64decode, "datetime": datetime.fromisoformat, "date": date.fromisoformat, "decimal": Decimal
    }  # fmt: skip
    if kind not in readers:
        raise InputError(f"expected a value of a backup, got the kind {kind!r}")
    return readers[kind](text)
