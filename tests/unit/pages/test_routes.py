"""All routes, whoever added them: nobody unknown gets anything, and a hostile address is an address like any other."""

import re
from urllib.parse import quote

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
VALUES = {
    "collection": "cells", "night": "2026-07-24", "sha256": "0" * 64, "version": "1", "rank": "1",
    "run_id": "manual__2026-07-24", "path": "nothing/here",
}  # fmt: skip
HOSTILE = [
    "<script>alert(1)</script>", "\"'><img src=x onerror=alert(1)>", "%2e%2e", "%2e%2e/%2e%2e",
    "..%2f..%2fassessment.json", "%2e%2e%2f",
    "a/b", "a\\b", "\u202ecells", "\u2028", "cells\u0000", "' OR 1=1 --", "{{7*7}}", "%", "cells%00",
    "a" * 3000, "cells;x=1", "\U0001f600", "-1", "9" * 40,
]  # fmt: skip


def all_routes(client: TestClient) -> list[APIRoute]:
    app = client.app
    assert isinstance(app, FastAPI)
    found = [route for route in app.routes if isinstance(route, APIRoute)]
    assert len(found) == len(app.routes), "a route that is none of FastAPI's has no guard"
    return found


def fill(path: str, /, **values: str) -> str:
    """Put a value into every place of a route's path."""
    return re.sub(r"{(\w+)(?::\w+)?}", lambda place: values.get(place[1], VALUES.get(place[1], "1")), path)


def test_nobody_without_a_name_gets_anything_from_any_route_by_any_method(client):
    for route in all_routes(client):
        for method in METHODS:
            for kind in ("application/json", "image/png", "text/plain"):
                answer = client.request(method, fill(route.path), headers={"Content-Type": kind}, content=b"{}")
                assert answer.status_code == 401, (method, route.path, answer.status_code)
                assert method == "HEAD" or answer.text == "Not authenticated", (method, route.path)
                assert "Allow" not in answer.headers


@pytest.mark.parametrize(
    "path", ["/docs", "/redoc", "/openapi.json", "/api/openapi.json", "/.env", "/api", "/x/", "//"]
)
def test_nobody_without_a_name_learns_which_addresses_there_are(client, path):
    for method in METHODS:
        answer = client.request(method, path, follow_redirects=False)
        assert answer.status_code == 401, (method, path)
        assert len(answer.content) < 100


def test_whoever_may_read_nothing_is_refused_wherever_a_collection_is_named(ana):
    ana.headers["X-Test-User"] = "eve"
    for route in all_routes(ana):
        if "{collection}" in route.path:
            for method in route.methods:
                headers = {"Content-Type": "image/png", "X-Nightglass": "1"}
                answer = ana.request(method, fill(route.path), headers=headers, content=b"")
                # FastAPI reads a JSON body before it asks who sent it: one that is none is told as such.
                assert answer.status_code in {403, 422}, (method, route.path, answer.text)
                assert "2026" not in answer.text or answer.status_code == 422


def test_every_answer_forbids_what_a_page_does_not_need(ana):
    for route in all_routes(ana):
        for answer in (ana.get(fill(route.path)), ana.post(fill(route.path))):
            policy = answer.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers.get("Access-Control-Allow-Origin") is None


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_hostile_value_in_any_place_of_an_address_is_refused_and_harmless(ana, store, hostile):
    for route in all_routes(ana):
        for place in re.findall(r"{(\w+)", route.path):
            address = fill(route.path, **{place: quote(hostile, safe="%")})
            for method in sorted(route.methods & {"GET", "POST"}):
                answer = ana.request(method, address, follow_redirects=False, headers={"X-Nightglass": "1"})
                assert 400 <= answer.status_code < 500, (method, address, answer.status_code)
                assert "<script>alert" not in answer.text, (method, address)
                assert "<img src=x" not in answer.text, (method, address)
                assert "Traceback" not in answer.text


def test_another_method_is_told_to_those_who_are_known(ana):
    answer = ana.delete("/api/collections", headers={"Accept": "application/json"})
    assert (answer.status_code, list(answer.json())) == (405, ["error"])
    assert ana.get("/nothing", headers={"Accept": "application/json"}).status_code == 404
