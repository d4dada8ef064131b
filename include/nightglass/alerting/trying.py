"""Trying addresses without an incident."""

from collections.abc import Sequence

from nightglass.alerting.delivery import attempt
from nightglass.alerting.wording import about_test
from nightglass.errors import StorageError
from nightglass.settings import Settings


def try_addresses(collection: str, urls: Sequence[str], settings: Settings) -> int:
    """Send a message about nothing to every address; return how many they are.

    Raises:
        StorageError: One of them was not told; which, by its place and scheme.
    """
    failures = attempt(urls, about_test(collection, settings))
    if failures:
        raise StorageError("; ".join(failures))
    return len(urls)
