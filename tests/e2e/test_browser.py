"""The pages as people use them: a real browser, signed in to a real Airflow, with the real database behind."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from playwright.sync_api import FrameLocator, expect

from nightglass.retraining.verdicts import VerdictsInEffect
from nightglass.store import Store
from tests.e2e.browsed_nights import FIRST, HOSTILE, NAME, NIGHT, publish_nights
from tests.e2e.browsing import Visitor, open_chromium, sign_in, wait_for_images
from tests.e2e.retraining_loop import Loop

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
PAGE = f"/collections/{NAME}/nights/{NIGHT}"
_WRITE = """async ([url, body]) => (await fetch(url, {
    method: "POST", body, headers: {"Content-Type": "application/json", "X-Nightglass": "1"}})).status"""
WIDE, NARROW = {"width": 1440, "height": 1000}, {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def loop(site, airflow, nightglass, run_night) -> Loop:
    return publish_nights(site, airflow, nightglass, run_night)


@pytest.fixture(scope="module")
def chromium() -> Iterator[object]:
    with open_chromium() as browser:
        yield browser


@pytest.fixture
def admin(airflow, chromium, loop) -> Iterator[Visitor]:
    """Somebody who may do everything; at the end their browser has complained of nothing."""
    visitor = sign_in(chromium, airflow.url, "admin", airflow.password, viewport=WIDE)
    yield visitor
    visitor.context.close()
    assert not visitor.complaints


def in_effect(loop: Loop, rank: int) -> str | None:
    """What the database says of one of the night's top anomalies."""
    with Store.connect(loop.settings.database_url, loop.settings.sql_dir) as store:
        image = store.nights.images(NAME, NIGHT)[rank - 1]
        found = VerdictsInEffect(store.verdicts(NAME)).find(NIGHT, image.sha256, ())
    return found and f"{found.verdict} by {found.by}"


def entry(frame: FrameLocator, rank: int):
    return frame.locator(f"#image-{rank}")


def open_night(visitor: Visitor) -> FrameLocator:
    """Come to the night as people do: from Airflow's navigation over the overview."""
    frame = visitor.open_in_airflow()
    frame.get_by_role("link", name=NAME, exact=True).click()
    expect(frame.locator("#counted")).to_contain_text("shown")  # the page's script has begun
    return frame


def test_a_verdict_by_key_is_in_the_database_and_undo_takes_it_back(admin, loop):
    frame = open_night(admin)
    entry(frame, 1).focus()
    admin.page.keyboard.press("d")
    expect(entry(frame, 1)).to_have_attribute("data-verdict", "defect")
    expect(entry(frame, 1).locator(".by")).to_contain_text("admin")
    assert in_effect(loop, 1) == "defect by admin"

    admin.page.keyboard.press("ArrowRight")
    expect(entry(frame, 2)).to_be_focused()
    admin.page.keyboard.press("n")
    expect(entry(frame, 2)).to_have_attribute("data-verdict", "normal")
    admin.page.keyboard.press("z")
    expect(entry(frame, 2)).to_have_attribute("data-verdict", "none")
    assert (in_effect(loop, 1), in_effect(loop, 2)) == ("defect by admin", None)
    frame.locator("#undo").click()
    expect(entry(frame, 1)).to_have_attribute("data-verdict", "none")
    assert in_effect(loop, 1) is None


def test_a_key_that_is_held_says_its_word_once(admin, loop):
    frame = open_night(admin)
    for rank in (1, 2):
        entry(frame, rank).focus()
        admin.page.keyboard.press("u")
        expect(entry(frame, rank)).to_have_attribute("data-verdict", "unsure")
    sent = []
    admin.page.on("request", lambda request: sent.append(request.url.rpartition("/")[2]))
    admin.page.keyboard.down("z")
    expect(entry(frame, 2)).to_have_attribute("data-verdict", "none")
    admin.page.keyboard.down("z")  # the same as the keyboard repeating it
    entry(frame, 3).get_by_role("button", name="unsure").click()
    expect(entry(frame, 3)).to_have_attribute("data-verdict", "unsure")
    # The browser tells of its requests in their order: one of the repeated key would stand before the click's.
    assert [word for word in sent if word in {"verdicts", "undo"}] == ["undo", "verdicts"]
    admin.page.keyboard.up("z")
    for rank in (3, 1):
        admin.page.keyboard.press("z")
        expect(entry(frame, rank)).to_have_attribute("data-verdict", "none")
    assert in_effect(loop, 1) is None


def test_filters_leave_what_fits(admin, loop):
    frame = open_night(admin)
    entry(frame, 3).get_by_role("button", name="unsure").click()
    expect(entry(frame, 3)).to_have_attribute("data-verdict", "unsure")
    frame.get_by_label("Show", exact=True).select_option("unsure")
    expect(frame.locator(".entry:visible")).to_have_count(1)
    frame.get_by_label("Show", exact=True).select_option("all")
    frame.get_by_label("of", exact=True).select_option("line=left")
    names = frame.locator(".entry:visible h3").all_inner_texts()
    assert names
    assert all(name.startswith("left/") for name in names)
    frame.get_by_label("by", exact=True).select_option("lowest")
    ranks = [int(item.get_attribute("data-rank")) for item in frame.locator(".entry:visible").all()]
    assert ranks == sorted(ranks, reverse=True)
    entry_3 = frame.locator("#undo")
    entry_3.click()
    expect(entry(frame, 3)).to_have_attribute("data-verdict", "none")


def test_a_verdict_on_a_slice_says_first_what_it_is_about(admin, loop):
    frame = open_night(admin)
    frame.locator("#open-bulk").click()
    dialog = frame.get_by_role("dialog")
    dialog.get_by_label("Which images").select_option("line=left")
    dialog.get_by_text("normal", exact=True).click()
    dialog.get_by_label("Why").fill("the new supplier's cells")
    expect(dialog.locator("#bulk-told")).to_contain_text("20 images")
    dialog.locator("#bulk-confirm").click()
    expect(dialog).to_be_hidden()
    left = frame.locator('.entry[data-verdict="normal"]')
    expect(left.first).to_be_visible()
    with Store.connect(loop.settings.database_url, loop.settings.sql_dir) as store:
        said = [(one.scope, one.slice, one.verdict, one.by, one.note) for one in store.verdicts(NAME)]
    assert ("slice", "line=left", "normal", "admin", "the new supplier's cells") in said
    frame.locator("#undo").click()
    expect(left).to_have_count(0)


def test_an_image_has_its_likes_on_the_night_before(admin, loop):
    frame = open_night(admin)
    entry(frame, 1).locator("h3 a").click()
    slider = frame.get_by_label("Anomaly map", exact=True)
    expect(slider).to_be_enabled()
    slider.focus()
    for _ in range(4):
        admin.page.keyboard.press("ArrowLeft")
    expect(frame.locator('output[for="opacity"]')).to_have_text("50 %")
    similar = frame.locator(".result-card", has_text=FIRST)
    expect(similar.first).to_be_visible()
    similar.first.locator("h3 a, h4 a").first.click()
    expect(frame.locator(".trail")).to_contain_text(FIRST)


def test_an_uploaded_image_is_found_again(admin, loop, site):
    admin.open("/search")
    page = admin.page
    known = max((site.images / NAME / FIRST / "right").iterdir())
    for box in page.locator("[name=collections]:checked").all():
        box.uncheck()
    page.get_by_label(NAME, exact=True).check()
    page.get_by_label("Give an image").set_input_files(known)
    page.locator("button.go").click()
    first = page.locator(".result-card").first
    expect(first).to_contain_text(known.name)
    expect(first).to_contain_text(FIRST)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("drawing.png", b'<svg xmlns="http://www.w3.org/2000/svg"><script>window.pwned = 1</script></svg>'),
        ("page.png", b"<!doctype html><script>window.pwned = 1</script>"),
        ('"><img src=x onerror="window.pwned = 1">.png', b"\x89PNG\r\n\x1a\n nothing more"),
    ],
)
def test_what_is_no_image_is_told_and_nothing_runs(admin, loop, tmp_path, name, content):
    admin.open("/search")
    page = admin.page
    page.get_by_label("Give an image").set_input_files({"name": name, "mimeType": "image/png", "buffer": content})
    page.locator("button.go").click()
    expect(page.locator("#problem")).to_be_visible()
    assert page.evaluate("window.pwned") is None
    # The browser itself notes the refused request.
    admin.complaints[:] = [said for said in admin.complaints if "status of 4" not in said]


def test_hostile_names_and_exif_are_shown_and_never_run(admin, loop):
    admin.page.on("dialog", lambda dialog: admin.complaints.append(f"dialog: {dialog.message}"))
    admin.open(PAGE)
    titles = admin.page.locator(".entry h3 a", has_text=re.compile(r"onerror|pwned|etc"))
    expect(titles).to_have_count(len(HOSTILE))
    for address in [title.get_attribute("href") for title in titles.all()]:
        page = admin.open(address.removeprefix("/nightglass"))
        wait_for_images(page)
        expect(page.locator("h1")).to_contain_text("right/")
        expect(page.get_by_role("cell", name=re.compile("window.pwned")).first).to_be_visible()
        assert page.evaluate("window.pwned") is None


def test_a_viewer_reads_and_cannot_write(airflow, chromium, loop):
    visitor = sign_in(chromium, airflow.url, "vera", airflow.password_of("vera"), viewport=WIDE)
    frame = open_night(visitor)
    expect(entry(frame, 1).get_by_role("button", name="defect")).to_be_disabled()
    expect(frame.locator("#open-bulk")).to_have_count(0)
    visitor.open(f"/collections/{NAME}/models")
    expect(visitor.page.get_by_role("button", name=re.compile("Retrain now"))).to_be_disabled()
    given = {"rank": 1, "sha256": "0" * 64, "verdict": "defect"}
    status = visitor.page.evaluate(_WRITE, [f"/nightglass{PAGE}/verdicts", json.dumps(given)])
    assert status == 403
    visitor.context.close()


def test_nobody_sees_anything(airflow, chromium, loop):
    context = chromium.new_context()
    page = context.new_page()
    for path in ("/", PAGE, f"/collections/{NAME}/models", "/search", "/api/openapi.json", "/metrics"):
        answer = page.goto(f"{airflow.url}/nightglass{path}")
        assert answer.status == 401, path
        assert NAME not in page.content(), path
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
def test_no_page_has_a_serious_fault(airflow, chromium, loop, scheme, viewport):
    visitor = sign_in(
        chromium, airflow.url, "admin", airflow.password, viewport=viewport, color_scheme=scheme, bypass_csp=True
    )
    visitor.open(PAGE)
    image = visitor.page.locator(".entry h3 a").first.get_attribute("href").removeprefix("/nightglass")
    models = f"/collections/{NAME}/models"
    pages = ("/", PAGE, image, "/search", models, f"{models}/compare?left=1&right=2", f"{models}/2/card", "/api/")
    faults, too_wide = {}, []
    for path in pages:
        page = visitor.open(path)
        wait_for_images(page)
        faults[path] = visitor.serious_faults()
        if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
            too_wide.append(path)
    visitor.context.close()
    assert {path: found for path, found in faults.items() if found} == {}
    assert too_wide == []
    assert visitor.complaints == []


def test_the_night_of_a_run_is_a_tab_of_it(admin, loop, airflow):
    (run, *_) = airflow.request("GET", f"/dags/nightly_{NAME}/dagRuns?order_by=-run_after")["dag_runs"]
    frame = admin.open_in_airflow(f"/dags/nightly_{NAME}/runs/{run['dag_run_id']}/plugin/nightglass-night")
    expect(frame.locator("#image-1")).to_be_visible()


def test_a_retraining_started_on_the_page_learns_the_verdict(admin, loop, airflow):
    frame = open_night(admin)
    entry(frame, 1).get_by_role("button", name="defect").click()
    expect(entry(frame, 1)).to_have_attribute("data-verdict", "defect")
    sha256 = entry(frame, 1).get_attribute("data-sha256")
    admin.open(f"/collections/{NAME}/models")
    page = admin.page
    page.get_by_role("button", name=re.compile("Retrain now")).click()
    page.get_by_label("Reason").locator("visible=true").fill("a defect was missed")
    page.get_by_label(re.compile("Dry run")).check()
    page.get_by_role("button", name="Retrain", exact=True).click()
    expect(page.locator("#runs li")).to_contain_text(f"retrain_{NAME}")
    (run,) = (found["dag_run_id"] for found in loop.runs())
    airflow.wait_for_run(loop.dag, run, 600)
    folders = sorted((Path(loop.settings.retraining_url) / NAME).iterdir())
    rows = [
        row
        for name in ("training.parquet", "evaluation.parquet")
        for row in pq.ParquetFile(folders[-1] / name).read(columns=["sha256", "label"]).to_pylist()
    ]
    assert {"sha256": sha256, "label": "defect"} in rows


def test_a_rollback_started_on_the_page_moves_the_alias(admin, loop):
    assert loop.champion() == "2"
    admin.open(f"/collections/{NAME}/models")
    page = admin.page
    page.get_by_role("button", name=re.compile("Roll back to version 1")).first.click()
    page.get_by_label("Reason").locator("visible=true").fill("too many false alarms")
    page.get_by_role("button", name="Roll back", exact=True).click()
    expect(page.locator("#champion")).to_contain_text("Version 1 is the champion", timeout=120_000)
    deadline = time.monotonic() + 30
    while loop.champion() != "1" and time.monotonic() < deadline:
        time.sleep(0.5)
    newest = loop.history()[0]
    assert (loop.champion(), newest.event, newest.version, newest.by) == ("1", "rolled_back", "1", "admin")
    assert "too many false alarms" in newest.reason
