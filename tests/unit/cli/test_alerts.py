import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    folder = tmp_path / "collections"
    folder.mkdir()
    (folder / "cells.yaml").write_text("images: /data/{night}\n")
    return {"NIGHTGLASS_COLLECTIONS_DIR": str(folder), "NIGHTGLASS_HOME": str(tmp_path / "home")}


def test_the_addresses_of_the_environment_are_tried(nightglass: Run, webhook: Any, environment: dict[str, str]) -> None:
    webhook.messages.clear()
    urls = {"NIGHTGLASS_ALERT_URLS": f"{webhook.url} {webhook.url}/second"}

    done = nightglass("alerts", "test", "--collection", "cells", "--json", env=environment | urls)

    assert (done.returncode, json.loads(done.stdout)) == (0, {"told": 2}), done.stderr
    assert webhook.about("cells: a test") == ["Nightglass: cells: a test"] * 2
    assert not Path(environment["NIGHTGLASS_HOME"]).exists()


@pytest.mark.parametrize(
    ("urls", "options", "expected"),
    [
        ("", [], "NIGHTGLASS_ALERT_URLS: expected Apprise addresses, got none"),
        ("json://s3cr3t@127.0.0.1:9", [], "alert 1 of 1 (json://***) was not delivered"),
        ("s3cr3t", [], "alert 1 of 1 (***) was not delivered: expected an Apprise URL"),
        ("json://s3cr3t@127.0.0.1:9", ["--collection", "none"], "expected a YAML file, or a collection of"),
    ],
)
def test_what_is_wrong_is_one_line_without_the_address(
    nightglass: Run, environment: dict[str, str], urls: str, options: list[str], expected: str
) -> None:
    done = nightglass("alerts", "test", *options, env=environment | {"NIGHTGLASS_ALERT_URLS": urls})

    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert expected in line
    assert "s3cr3t" not in done.stdout + done.stderr
