"""Nobody gets anything unasked: every route, every collection, every write."""

import pytest


def test_what_is_not_there_tells_nothing(ana):
    for path in ("/docs", "/openapi.json", "/redoc", "/static/../app.py", "/static/%2e%2e%2fapp.py", "/static/x"):
        assert ana.get(path).status_code == 404, path


def test_the_overview_has_only_what_one_may_see(ana, store):
    assert "cells" in ana.get("/").text
    assert "lids" in ana.get("/").text
    ana.headers["X-Test-User"] = "olu"
    assert "cells" in ana.get("/").text
    assert "lids" not in ana.get("/").text
    ana.headers["X-Test-User"] = "eve"
    assert "No collection yet" in ana.get("/").text


@pytest.mark.parametrize(("user", "name"), [("ana", "lids"), ("ana", "new"), ("olu", "lids"), ("eve", "lids")])
def test_a_broken_file_is_shown_to_those_who_may_see_its_collection(ana, settings, user, name):
    (settings.collections_dir / f"{name}.yaml").write_text("images: 7\npassword: '<i>'\n")
    ana.headers["X-Test-User"] = user
    text = ana.get("/").text
    assert ("unknown key &#39;password&#39;" in text) == ((user, name) == ("ana", "lids"))
    assert ("2 collections need a person" in text) == (user == "ana")  # the others have had no night yet
    assert "<i>" not in text


def test_a_schedule_that_never_comes_does_not_hide_the_others(ana, settings):
    for name, schedule in (("cells", "0 0 31 2 *"), ("lids", "often")):
        text = f"images: '/x/{{night}}'\nschedule: '{schedule}'\n"
        (settings.collections_dir / f"{name}.yaml").write_text(text)
    assert ana.get("/").status_code == 200


def test_nobody_learns_from_a_body_either(client):
    for body in (b"{", b"x" * 100, b"[]"):
        answer = client.post("/collections/cells/nights/2026-07-24/verdicts", content=body)
        assert answer.status_code == 401, body
    assert client.post("/collections/cells/nights/2026-07-24/verdicts", content=b"x" * 20_000).status_code == 413


def test_what_is_no_name_of_a_collection_is_refused(ana):
    for name in ("Cells", "a" * 70, "%00", "..%2f..", "cells%27--"):
        assert ana.get(f"/collections/{name}/nights/2026-07-24").status_code in {403, 404}, name
