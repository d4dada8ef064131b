"""The list of what the stack is made of: complete, pinned, the same twice."""

import json
import re
from pathlib import Path

import pytest
from deploy import sbom

REPOSITORY = Path(__file__).resolve().parents[3]


def test_every_package_and_image_is_listed_with_its_version() -> None:
    listed = sbom.build_sbom(REPOSITORY)
    assert (listed["bomFormat"], listed["specVersion"]) == ("CycloneDX", "1.6")
    components = {component["purl"]: component for component in listed["components"]}
    assert len(components) == len(listed["components"])
    pinned = [
        line
        for name in ("requirements.txt", "requirements-stack.txt")
        for line in (REPOSITORY / name).read_text().splitlines()
        if line and not line.startswith(("#", "-r"))
    ]
    packages = [component for component in listed["components"] if component["type"] == "library"]
    assert len(packages) == len(pinned) > 200
    airflow = re.search(r"^apache-airflow==(\S+)$", (REPOSITORY / "requirements.txt").read_text(), re.MULTILINE)
    assert airflow
    assert components[f"pkg:pypi/apache-airflow@{airflow[1]}"]["licenses"][0]["license"]["name"]
    images = {component["name"] for component in listed["components"] if component["type"] == "container"}
    assert {"postgres", "redis", "chrislusf/seaweedfs", "grafana/grafana", "python"} <= images
    assert all(component["version"] not in {"", "latest"} for component in listed["components"])
    assert sbom.build_sbom(REPOSITORY) == listed


def test_a_line_that_is_no_pin_is_named(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("# made\nnumpy==2.0.0\nPillow_x[extra]==1.0 ; python_version > '3'\n")
    (tmp_path / "requirements-stack.txt").write_text("-r requirements.txt\nredis>=5\n")
    with pytest.raises(ValueError, match=r"requirements-stack.txt, line 2: expected name==version, got 'redis>=5'"):
        sbom.read_pins(tmp_path)
    (tmp_path / "requirements-stack.txt").write_text("")
    assert sbom.read_pins(tmp_path) == {"numpy": "2.0.0", "pillow-x": "1.0"}


def test_it_is_written_where_make_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    for name in ("requirements.txt", "requirements-stack.txt", "docker-compose.yaml", "Dockerfile"):
        (tmp_path / name).write_text((REPOSITORY / name).read_text())
    monkeypatch.setattr(sbom, "REPOSITORY", tmp_path)
    assert sbom.main() == 0
    assert json.loads((tmp_path / "build" / "sbom.json").read_text())["components"]
    assert re.fullmatch(r"Wrote build/sbom.json: \d+ packages and \d+ container images\n", capsys.readouterr().out)
    (tmp_path / "requirements.txt").write_text("numpy")
    assert sbom.main() == 1
    assert capsys.readouterr().err.count("\n") == 1
