"""Grafana's dashboards: nothing in them that Grafana's own model does not know, and a layout that holds.

Grafana itself is not there to load them, but its model of a dashboard is: written again by it, nothing may be lost.
"""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models import stat, timeseries

REPOSITORY = Path(__file__).resolve().parents[3]
GRAFANA = REPOSITORY / "deploy" / "grafana"
DASHBOARDS = sorted((GRAFANA / "dashboards").glob("*.json"))
OPTIONS = {"stat": stat.Options, "timeseries": timeseries.Options}
COLUMNS = 24
UNITS = {"none", "s", "percentunit", "reqps"}

dashboards = pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def lost(written: Any, known: Any, where: str = "") -> Iterator[str]:
    """Name what is in ``written`` and not, or otherwise, in ``known``."""
    if isinstance(written, dict) and isinstance(known, dict):
        for key, value in written.items():
            yield from lost(value, known[key], f"{where}.{key}") if key in known else [f"{where}.{key}"]
    elif isinstance(written, list) and isinstance(known, list) and len(written) == len(known):
        for place, pair in enumerate(zip(written, known, strict=True)):
            yield from lost(*pair, f"{where}[{place}]")
    elif written != known:
        yield f"{where}: {written!r} became {known!r}"


def through(kind: Any, data: Any) -> Any:
    return json.loads(json.dumps(kind.from_json(data), cls=JSONEncoder))


@dashboards
def test_grafanas_model_knows_everything_in_it(path: Path) -> None:
    register_default_plugins()
    written = read(path)
    assert list(lost(written, through(model.Dashboard, written))) == []
    for panel in written["panels"]:
        options = panel.get("options", {})
        assert list(lost(options, through(OPTIONS[panel["type"]], options))) == [], panel["title"]


def test_the_check_sees_what_grafana_does_not_know() -> None:
    written = read(DASHBOARDS[0])
    written["panels"][0]["gridpos"] = written["panels"][0].pop("gridPos")
    assert list(lost(written, through(model.Dashboard, written))) == [".panels[0].gridpos"]


@dashboards
def test_panels_lie_beside_each_other(path: Path) -> None:
    panels = read(path)["panels"]
    assert len({panel["id"] for panel in panels}) == len({panel["title"] for panel in panels}) == len(panels)
    places: dict[tuple[int, int], str] = {}
    for panel in panels:
        grid = panel["gridPos"]
        assert grid["x"] + grid["w"] <= COLUMNS, panel["title"]
        across, down = range(grid["x"], grid["x"] + grid["w"]), range(grid["y"], grid["y"] + grid["h"])
        for place in itertools.product(across, down):
            assert places.setdefault(place, panel["title"]) == panel["title"], (place, panel["title"])


@dashboards
def test_panels_answer_a_question_of_the_collections_that_were_chosen(path: Path) -> None:
    written = read(path)
    [variable] = written["templating"]["list"]
    assert written["title"].endswith("?")
    for panel in written["panels"]:
        assert "?" in panel["description"], panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
        for target in panel["targets"]:
            assert target["instant"] != target["range"]
            of_all = any(name in target["expr"] for name in ("airflow_", "nightglass_service_up", "nightglass_disk"))
            ours = "nightglass_" in target["expr"] and not of_all
            assert (f'collection=~"${variable["name"]}"' in target["expr"]) == ours, panel["title"]


def test_provisioning_agrees() -> None:
    provisioning = GRAFANA / "provisioning"
    parse = [yaml.safe_load((provisioning / name).read_text(encoding="utf-8")) for name in (
        "datasources/prometheus.yaml", "dashboards/nightglass.yaml"
    )]  # fmt: skip
    [source], [provider] = parse[0]["datasources"], parse[1]["providers"]
    services = yaml.safe_load((REPOSITORY / "docker-compose.yaml").read_text(encoding="utf-8"))["services"]
    mounted = [volume.split(":")[1] for volume in services["grafana"]["volumes"]]
    assert provider["options"]["path"] in mounted
    assert source["url"] == "http://prometheus:9090"
    assert len({read(path)["uid"] for path in DASHBOARDS}) == len(DASHBOARDS)
    for path in DASHBOARDS:
        for panel in read(path)["panels"]:
            assert {panel["datasource"]["uid"], *(target["datasource"]["uid"] for target in panel["targets"])} == {
                source["uid"]
            }
