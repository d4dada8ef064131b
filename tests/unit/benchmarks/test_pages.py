"""The benchmark of the pages: its limits, and that what it draws is what the pages expect."""

import pyarrow as pa
import pytest
from benchmarks.pages import PAGES, check
from benchmarks.pages_home import spread


def row(page="night", p95_ms=120.0, limit_ms=300, peak_rss_mb=400.0):
    return {"page": page, "p95_ms": p95_ms, "limit_ms": limit_ms, "peak_rss_mb": peak_rss_mb}


@pytest.mark.parametrize(
    ("rows", "kept"),
    [
        ([row()], [True, True]),
        ([row(p95_ms=300.0)], [False, True]),
        ([row(peak_rss_mb=2000.0)], [True, False]),
        ([row(), row("any", p95_ms=900.0, limit_ms=None)], [True, True]),
        ([row(), row("search", p95_ms=900.0, limit_ms=1000)], [True, True, True]),
    ],
)
def test_every_limit_can_be_missed(rows, kept):
    assert list(check(rows).values()) == kept


def test_every_page_is_named_once():
    names = [page.name for page in PAGES]
    assert len(set(names)) == len(names)


def test_a_spread_manifest_keeps_the_real_images_and_its_order():
    listed = pa.table(
        {
            "path": [f"camera-{n:04d}/{n:08d}.png" for n in range(4)],
            "raw_path": [f"camera-{n:04d}/{n:08d}.png".encode() for n in range(4)],
            "sha256": [f"real-{n}" for n in range(4)],
            "width": [10, 20, 30, 40],
        }
    )
    whole = spread(listed, 12)
    paths = whole["path"].to_pylist()
    assert paths == sorted(paths)
    assert len(set(paths)) == len(set(whole["sha256"].to_pylist())) == 12
    real = whole.take([0, 3, 6, 9])
    assert real["path"].to_pylist() == listed["path"].to_pylist()
    assert real["sha256"].to_pylist() == listed["sha256"].to_pylist()
    assert whole["width"].to_pylist() == [10] * 3 + [20] * 3 + [30] * 3 + [40] * 3
