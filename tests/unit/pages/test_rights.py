"""Nobody gets anything unasked: every route, every collection, every write."""

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

VALUES = {"collection": "cells", "night": "2026-07-24", "name": "pages.css"}


def routes(client: TestClient) -> list[tuple[str, str]]:
    app = client.app
    assert isinstance(app, FastAPI)
    found = [route for route in app.routes if isinstance(route, APIRoute)]
    assert len(found) == len(app.routes), "a route that is none of FastAPI's has no guard"
    return [(method, route.path.format_map(VALUES)) for route in found for method in route.methods]


def test_nobody_without_a_name_gets_anything(client):
    for method, path in routes(client):
        answer = client.request(method, path)
        assert answer.status_code == 401, (method, path)
        assert answer.text == "Not authenticated"


def test_what_is_not_there_tells_nothing(ana):
    for path in ("/docs", "/openapi.json", "/redoc", "/static/../app.py", "/static/%2e%2e%2fapp.py", "/static/x"):
        assert ana.get(path).status_code == 404, path


def test_every_answer_forbids_what_a_page_does_not_need(ana):
    for _, path in routes(ana):
        answer = ana.get(path)
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_the_overview_has_only_what_one_may_see(ana, store):
    assert "cells" in ana.get("/").text
    assert "lids" in ana.get("/").text
    ana.headers["X-Test-User"] = "olu"
    assert "cells" in ana.get("/").text
    assert "lids" not in ana.get("/").text
    ana.headers["X-Test-User"] = "eve"
    assert "No collection yet" in ana.get("/").text


@pytest.mark.parametrize("user", ["ana", "olu"])
def test_a_broken_file_is_shown_to_those_who_see_every_collection(ana, settings, user):
    (settings.collections_dir / "new.yaml").write_text("images: 7\npassword: '<i>'\n")
    ana.headers["X-Test-User"] = user
    text = ana.get("/").text
    assert ("unknown key &#39;password&#39;" in text) == (user == "ana")
    assert "<i>" not in text
