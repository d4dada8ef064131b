from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from nightglass.collections import Collection
from nightglass.night.again import find_last_night
from nightglass.records import Assessment
from nightglass.settings import Settings
from nightglass.store import Store

pytestmark = pytest.mark.integration


def test_the_last_night_is_found_with_its_folder(
    make_assessment: Callable[..., Assessment], tmp_path: Path, sql_dir: Path
) -> None:
    settings = Settings(home=tmp_path, sql_dir=sql_dir).resolved()
    collection = Collection(name="cells", images="/data/{night}")
    assert find_last_night(collection, settings) is None
    with Store.connect(settings.database_url, settings.sql_dir) as store:
        for night, name in (("2026-03-15", "cells"), ("2026-03-14", "cells"), ("2026-03-16", "other")):
            assessment = make_assessment(night, collection=name, images_url=f"s3://else/{night}")
            store.publish_night(assessment, "report.html", datetime.now(UTC))
    assert find_last_night(collection, settings) == {
        "night": "2026-03-15",
        "images_url": "s3://else/2026-03-15",
        "rescore": True,
    }
