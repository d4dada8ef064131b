"""Verdicts a page at a time, on both databases."""

from datetime import UTC, datetime, timedelta

from nightglass.retraining.verdicts import NewVerdict
from nightglass.store import Store, format_time

NOW, HOUR = datetime(2026, 3, 16, 8, tzinfo=UTC), timedelta(hours=1)


def test_verdicts_since_a_moment_are_those_given_or_taken_back_then(store: Store) -> None:
    for hour in range(4):
        given = NewVerdict(
            night="2026-03-14",
            scope="image",
            path=f"{hour}.png",
            sha256=f"{hour}" * 64,
            verdict="defect",
            by="ana",
            note="",
            source="page",
        )
        store.add_verdicts("cells", [given], NOW + hour * HOUR)
    first = store.verdicts("cells")[0].entry
    store.verdict_log.withdraw("cells", first, "ana", "page", NOW + 5 * HOUR, night="2026-03-14")

    def paths(hours: int, after: int = 0, limit: int = 10) -> list[str | None]:
        since = format_time(NOW + hours * HOUR)
        return [one.path for one in store.listings.verdicts("cells", since=since, after=after, limit=limit)]

    assert paths(3) == ["0.png", "3.png"]
    assert paths(0) == ["0.png", "1.png", "2.png", "3.png"]
    assert paths(3, limit=1) == ["0.png"]
    assert paths(3, after=first) == ["3.png"]
    assert paths(6) == []
