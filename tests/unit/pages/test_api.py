"""The JSON API: what the pages show, in pages of bounded size, as its OpenAPI document says."""

import json
from datetime import UTC, datetime, timedelta

import jsonschema
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nightglass.engine.shards import SCORE_FIELDS
from nightglass.records import DriftReport
from nightglass.retraining.verdicts import NewVerdict
from nightglass.store import ChampionChange
from tests.unit.night.test_report import HOSTILE, make_anomalies, make_assessment

NIGHTS = "/api/collections/cells/nights"
NIGHT = f"{NIGHTS}/2026-07-24"
NAME = f"cell_{{}}{HOSTILE.replace('{', '{{').replace('}', '}}')}"
NOW = datetime(2026, 7, 25, 3, tzinfo=UTC)


def publish(store, home, night, anomalies=(), **changes):
    assessment = make_assessment(list(anomalies), night=night, **changes)
    folder = home / f"nights/cells/{night}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "assessment.json").write_text(assessment.model_dump_json())
    with store:
        store.publish_night(assessment, "report.html", NOW)
    return folder


@pytest.fixture
def night(home, store):
    """A published night with hostile names, 2,500 scores in row groups of 1,000, and nights around it."""
    anomalies = make_anomalies(home / "nights/cells/2026-07-24", 3, name=NAME)
    anomalies = [image.model_copy(update={"sha256": f"{image.rank:064x}"}) for image in anomalies]
    for day in range(20, 24):
        publish(store, home, f"2026-07-{day}")
    folder = publish(store, home, "2026-07-24", anomalies)
    rows = [
        {name: None for name, _ in SCORE_FIELDS}
        | {"path": f"{row:05d}.png", "sha256": f"{row:064x}", "image_score": row / 100, "is_anomalous": row > 2400}
        for row in range(2500)
    ]
    pq.write_table(
        pa.Table.from_pylist(rows, schema=pa.schema(SCORE_FIELDS)), folder / "scores.parquet", row_group_size=1000
    )
    change = ChampionChange(collection="cells", event="promoted", version="8", by="olu", reason="first")
    with store:
        store.change_champion("nightglass-cells", lambda _: change, NOW - timedelta(days=9))
    return folder


@pytest.fixture
def get(ana):
    """Ask as a program does, and return the JSON."""

    def ask(address, status=200, **headers):
        answer = ana.get(address, headers={"Accept": "application/json", **headers})
        assert answer.status_code == status, answer.text
        assert answer.headers["Content-Type"] == "application/json"
        assert answer.headers["Cache-Control"] == "no-store"
        return answer.json()

    return ask


def test_the_overview_has_what_one_may_read(get, night):
    told = get("/api/collections")
    cells = next(row for row in told["collections"] if row["collection"] == "cells")
    assert cells["last_night"]["night"] == "2026-07-24"
    assert cells["last_night"]["decision"] == "retrain"
    assert cells["last_night"]["published_at"] == "2026-07-25T03:00:00Z"
    assert cells["champion"]["version"] == "8"
    assert (cells["shown"], cells["open_verdicts"]) == (3, 3)
    assert {row["collection"] for row in told["collections"]} == {"cells", "lids"}
    assert [row["collection"] for row in get("/api/collections", **{"X-Test-User": "olu"})["collections"]] == ["cells"]
    assert get("/api/collections", **{"X-Test-User": "eve"}) == {"collections": [], "broken": []}


def test_nights_come_a_page_at_a_time(get, night):
    seen, address = [], f"{NIGHTS}?limit=2"
    for _ in range(3):
        page = get(address)
        seen += [row["night"] for row in page["nights"]]
        address = f"{NIGHTS}?limit=2&before={page['next_before']}"
    assert seen == [f"2026-07-{day}" for day in (24, 23, 22, 21, 20)]
    assert page["next_before"] is None


def test_a_night_tells_its_decision_with_numbers_and_no_credentials(get, night):
    told = get(NIGHT)
    assert told["decision"]["verb"] == "retrain"
    assert told["decision"]["reasons"][1]["ratio"] == 2.9
    assert told["drift"]["statistics"][0]["psi"] == 0.41
    assert told["validation"]["expectations"][0]["passed"] is False
    assert told["quarantine_reasons"] == {"truncated": 5, "link_outside_folder": 2}
    assert told["provenance"]["images_url"] == "s3://plant/cells"
    assert "secret" not in json.dumps(told)


def test_a_night_of_which_nothing_was_scored_has_no_rate(get, home, store):
    nothing = {"scored": 0, "anomalous": 0, "anomaly_rate": 0.0, "drift": DriftReport(statistics=[], embedding=None)}
    publish(store, home, "2026-07-25", validation=None, **nothing)
    told = get(f"{NIGHTS}/2026-07-25")
    assert (told["anomaly_rate"], told["validation"], told["drift"]["embedding"]) == (None, None, None)
    assert get(f"{NIGHTS}/2026-07-25/scores") == {"total": 0, "scores": [], "next_after": None}


def test_top_anomalies_have_their_pictures_and_the_verdict_that_holds(get, ana, night, store):
    with store:
        whole = NewVerdict(night="2026-07-24", scope="night", verdict="normal", by="olu", source="cli")
        store.add_verdicts("cells", [whole], NOW)
        one = {"night": "2026-07-24", "scope": "image", "path": "x", "sha256": f"{2:064x}", "source": "page"}
        store.add_verdicts("cells", [NewVerdict(**one, verdict="defect", by="ana", note="<b>crack</b>")], NOW)
    told = get(f"{NIGHT}/top-anomalies")["top_anomalies"]
    assert [image["rank"] for image in told] == [1, 2, 3]
    assert [image["verdict"]["verdict"] for image in told] == ["normal", "defect", "normal"]
    assert (told[1]["verdict"]["note"], told[1]["verdict"]["scope"]) == ("<b>crack</b>", "image")
    assert told[0]["path"].startswith("cell_1")
    for kind in ("picture", "anomaly_map"):
        assert ana.get(told[0][kind]).headers["Content-Type"].startswith("image/")
    assert "\u202e" in told[0]["path"]


@pytest.mark.parametrize(
    ("after", "limit"), [(0, 10), (995, 10), (1999, 2), (2490, 100), (0, 1000), (2500, 5), (10**9, 5)]
)
def test_scores_come_a_page_at_a_time_over_row_groups(get, night, after, limit):
    told = get(f"{NIGHT}/scores?after={after}&limit={limit}")
    expected = list(range(2500))[after : after + limit]
    assert [row["path"] for row in told["scores"]] == [f"{row:05d}.png" for row in expected]
    assert told["total"] == 2500
    assert told["next_after"] == (after + limit if expected and after + limit < 2500 else None)


def test_only_the_row_groups_of_the_page_are_read(get, night):
    """The last row group is destroyed: pages before it are told all the same."""
    file = night / "scores.parquet"
    metadata, data = pq.ParquetFile(file).metadata, bytearray(file.read_bytes())
    columns = [metadata.row_group(2).column(place) for place in range(metadata.num_columns)]
    start = min(column.dictionary_page_offset or column.data_page_offset for column in columns)
    footer = len(data) - metadata.serialized_size - 8
    data[start:footer] = bytes(footer - start)
    file.write_bytes(data)
    assert get(f"{NIGHT}/scores?after=1500&limit=600", 503)
    assert len(get(f"{NIGHT}/scores?after=1500&limit=500")["scores"]) == 500
    (night / "scores.parquet").write_bytes(b"nothing")
    assert "expected a Parquet file" in get(f"{NIGHT}/scores", 404)["error"]


def test_verdicts_come_in_the_order_in_which_they_were_recorded(get, night, store):
    with store:
        for number in range(5):
            given = NewVerdict(night="2026-07-24", scope="image", path=f"{number}.png", sha256=f"{number:064x}",
                               verdict="defect", by="ana", source="page", at=NOW + timedelta(hours=number))  # fmt: skip
            store.add_verdicts("cells", [given], NOW)
        last = store.verdicts("cells")[-1]
        store.verdict_log.withdraw("cells", last.entry, "ana", "page", NOW + timedelta(days=9), night="2026-07-24")
    address = "/api/collections/cells/verdicts"
    first = get(f"{address}?limit=3")
    rest = get(f"{address}?limit=3&after={first['next_after']}")
    paths = [verdict["path"] for verdict in first["verdicts"] + rest["verdicts"]]
    assert paths == [f"{number}.png" for number in range(5)]
    assert rest["next_after"] is None
    assert rest["verdicts"][-1]["withdrawn_at"] is not None
    since = get(f"{address}?since=2026-07-25T06:30:00%2B01:00")["verdicts"]
    assert [verdict["path"] for verdict in since] == ["3.png", "4.png"]
    assert len(get(f"{address}?since=2026-08-01T00:00:00Z")["verdicts"]) == 1  # taken back since


def test_models_tell_who_made_which_version_the_champion(get, night):
    (change,) = get("/api/collections/cells/models")["changes"]
    assert (change["version"], change["by"], change["until"]) == ("8", "olu", None)
    assert change["at"] == "2026-07-16T03:00:00Z"


@pytest.mark.parametrize(
    "address",
    [
        f"{NIGHTS}?limit=0", f"{NIGHTS}?limit=1001", f"{NIGHTS}?limit=x", f"{NIGHTS}?before=yesterday",
        f"{NIGHT}/scores?after=-1", f"{NIGHT}/scores?limit=1000000", f"{NIGHT}/scores?after={2**63}",
        "/api/collections/cells/verdicts?since=2026-07-25", "/api/collections/cells/verdicts?after=9e99",
        "/api/collections/cells/models?limit=-1", f"{NIGHTS}/2026-13-01", f"{NIGHTS}/%3Cscript%3E/scores",
    ],
)  # fmt: skip
def test_a_value_that_is_none_is_told_in_one_line(get, night, address):
    assert list(get(address, 422)) == ["error"]


def test_a_night_that_is_not_there_or_in_work_is_told(get, night):
    assert "expected a published night" in get(f"{NIGHTS}/2026-01-01", 404)["error"]
    assessment = night / "assessment.json"
    published = assessment.read_text()
    assessment.write_text(published.replace("the rate has doubled.", "scored once more."))  # assessed, not published
    for part in ("", "/top-anomalies", "/scores"):
        assert "scored again" in get(f"{NIGHT}{part}", 409)["error"]
    assessment.write_text(published)
    assert get(NIGHT)["night"] == "2026-07-24"
    assessment.unlink()
    for part in ("", "/top-anomalies", "/scores"):
        assert "scored again" in get(f"{NIGHT}{part}", 409)["error"]


@pytest.mark.parametrize("damage", ["", '{"a": 1}', "\0", '{"night": '])
def test_a_damaged_assessment_is_told_without_where_it_lies(get, night, home, damage):
    (night / "assessment.json").write_text(damage)
    for part in ("", "/top-anomalies"):
        told = get(f"{NIGHT}{part}", 503)["error"]
        assert told.startswith("cells 2026-07-24: the night's results are damaged")
    assert "scored again" in get(f"{NIGHT}/scores", 409)["error"]


def test_the_document_has_every_route_of_the_api_and_no_other(get, ana, night):
    document = get("/api/openapi.json")
    routes = {
        (method.lower(), route.path)
        for route in ana.app.routes
        if route.path.startswith("/api")
        for method in route.methods
    }
    routes -= {("get", "/api"), ("get", "/api/"), ("get", "/api/openapi.json")}
    assert {(method, path) for path, found in document["paths"].items() for method in found} == routes
    assert len(routes) >= 8
    assert document["openapi"].startswith("3.1")
    assert "scheme" in document["components"]["securitySchemes"]["token"]
    assert "Raises:" not in json.dumps(document)
    for found in document["paths"].values():
        for operation in found.values():
            assert {"200", "401", "403"} <= operation["responses"].keys()


ADDRESSES = {
    "/api/collections": "/api/collections",
    "/api/collections/{collection}/nights": NIGHTS,
    "/api/collections/{collection}/nights/{night}": NIGHT,
    "/api/collections/{collection}/nights/{night}/top-anomalies": f"{NIGHT}/top-anomalies",
    "/api/collections/{collection}/nights/{night}/scores": f"{NIGHT}/scores",
    "/api/collections/{collection}/verdicts": "/api/collections/cells/verdicts",
    "/api/collections/{collection}/models": "/api/collections/cells/models",
}


def test_every_answer_is_what_the_document_says(get, night):
    document = get("/api/openapi.json")
    asked = {path for path, found in document["paths"].items() if "get" in found}
    assert asked == set(ADDRESSES)
    for path, address in ADDRESSES.items():
        for code, answer in (
            ("200", get(address)),
            ("403", get(address, *([403] if "cells" in address else [200]), **{"X-Test-User": "eve"})),
        ):
            if "error" not in answer and code == "403":
                continue
            schema = document["paths"][path]["get"]["responses"][code]["content"]["application/json"]["schema"]
            checker = jsonschema.Draft202012Validator(schema | {"components": document["components"]})
            checker.validate(answer)
    with pytest.raises(jsonschema.ValidationError):
        checker.validate({"changes": [{"version": 8}]})


def test_the_document_and_its_page_are_for_those_who_are_signed_in(client):
    for path in ("/api/openapi.json", "/api/", "/api"):
        assert client.get(path).status_code == 401
        assert client.get(path, headers={"X-Test-User": "eve"}).status_code == 200


def test_the_page_lists_the_operations_with_an_example(ana):
    text = ana.get("/api/").text
    assert "/api/collections/{collection}/predict" in text.replace("<wbr>", "")
    assert "curl" in text
    assert "<script" not in text
    assert text.count('<th scope="row">') == 8
