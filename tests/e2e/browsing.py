"""A person at a browser: Debian's Chromium, signed in to a real Airflow through its own login page."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, FrameLocator, Page, expect, sync_playwright

#: Chromium as root in a container, without a screen, that asks no host but the one it is sent to.
_OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
#: What axe calls at least serious keeps somebody from using a page.
_SERIOUS = frozenset({"serious", "critical"})
_WAIT_MS = 30_000
#: What Chromium says of the frame that Airflow shows every plugin's pages in.
_AIRFLOWS_OWN = "both allow-scripts and allow-same-origin"


@contextmanager
def open_chromium() -> Iterator[Browser]:
    """Give a headless Chromium; skip the test where none is installed."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    expect.set_options(timeout=_WAIT_MS)  # the first view of a night draws its charts, the first upload loads a model
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(_OPTIONS))
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Visitor:
    """Somebody with a page open; ``complaints`` is what the browser's console said of faults."""

    context: BrowserContext
    page: Page
    url: str
    complaints: list[str] = field(default_factory=list)

    @property
    def frame(self) -> FrameLocator:
        """Nightglass's page inside Airflow's UI."""
        return self.page.frame_locator("iframe")

    def open_in_airflow(self, path: str = "") -> FrameLocator:
        """Open Nightglass from Airflow's navigation, or a plugin tab at ``path`` of the UI."""
        if path:
            self.page.goto(f"{self.url}{path}")
        else:
            self.page.goto(self.url)
            self.page.get_by_role("link", name="Nightglass").click()
        return self.frame

    def open(self, path: str) -> Page:
        """Open a page of Nightglass by itself, without Airflow's UI around it."""
        self.page.goto(f"{self.url}/nightglass{path}")
        return self.page

    def serious_faults(self) -> list[str]:
        """Return what axe finds at least serious on the open page, and where."""
        from axe_playwright_python.sync_playwright import Axe

        violations: list[dict[str, Any]] = Axe().run(self.page).response["violations"]
        return [
            f"{fault['id']}: {node['html'][:200]} ({node.get('failureSummary', '')[:200]})"
            for fault in violations
            if fault["impact"] in _SERIOUS
            for node in fault["nodes"]
        ]


def sign_in(browser: Browser, url: str, user: str, password: str, **context: Any) -> Visitor:
    """Sign in as a person does, through Airflow's login page."""
    opened = browser.new_context(**context)
    opened.set_default_timeout(_WAIT_MS)
    page = opened.new_page()
    visitor = Visitor(opened, page, url)
    page.goto(url)
    page.locator("input[name=username]").fill(user)
    page.locator("input[name=password]").fill(password)
    page.locator("button[type=submit]").click()
    page.get_by_role("link", name="Nightglass").wait_for()
    # From here on: what the login page itself logs is Airflow's.
    page.on("console", lambda message: _note(visitor, message.type, message.text, message.location.get("url", "")))
    page.on("pageerror", lambda error: visitor.complaints.append(f"script: {error}"))
    return visitor


def _note(visitor: Visitor, kind: str, text: str, source: str) -> None:
    if kind in {"error", "warning"} and "/nightglass/" in source and _AIRFLOWS_OWN not in text:
        visitor.complaints.append(f"{kind}: {text} ({source})")


def wait_for_images(page: Page) -> None:
    """Wait until every image of the page is there or was refused, but for those that load when scrolled to."""
    page.wait_for_function("[...document.images].every((image) => image.complete || image.loading === 'lazy')")


def save_photo(page: Page, file: Path) -> None:
    """Photograph the whole page."""
    file.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=file, full_page=True)
