"""The book in a real browser: drawings are visible, the search finds, and nothing is fetched from elsewhere."""

from __future__ import annotations

import functools
import http.server
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
REQUIRED = bool(os.environ.get("K8SFSM_BOOK"))
"""Set by `make docs-test`: what is missing then fails instead of being skipped."""

SETTINGS = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}

pytestmark = pytest.mark.book


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The book, built without a warning and served on this machine; its address."""
    folder = tmp_path_factory.mktemp("book")
    for command in (
        [sys.executable, str(CHECKOUT / "docs" / "render.py"), "book", str(folder)],
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--config-file", str(folder / "mkdocs.yml")],
    ):
        done = subprocess.run(command, check=False, capture_output=True, text=True, env=SETTINGS)
        assert done.returncode == 0, done.stderr
        assert "WARNING" not in done.stderr
    handler = functools.partial(Quiet, directory=str(folder / "site"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = (
        pytest.importorskip("playwright.sync_api") if not REQUIRED else __import__("playwright.sync_api").sync_api
    )
    if CHROMIUM is None and not REQUIRED:
        pytest.skip("no Chromium on this machine")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Any, site: str) -> Iterator[Any]:
    """A page of the browser; at its end, no request has gone to another host and nothing was missing."""
    tab = browser.new_page()
    strangers: list[str] = []
    missing: list[str] = []
    tab.on("request", lambda request: strangers.append(request.url) if not ours(request.url, site) else None)
    tab.on("response", lambda response: missing.append(response.url) if response.status >= 400 else None)
    yield tab
    tab.close()
    assert strangers == []
    assert missing == []


def ours(url: str, site: str) -> bool:
    return urlsplit(url).scheme in ("data", "blob") or urlsplit(url).netloc == urlsplit(site).netloc


@pytest.mark.parametrize("kind", ["pod", "deployment", "replicaset", "service", "node", "endpointslice"])
def test_drawings_are_visible(page: Any, site: str, kind: str) -> None:
    page.goto(f"{site}/kinds/{kind}.html")
    drawings = page.locator("article img[src$='.svg']")
    assert drawings.count() > 0
    for number in range(drawings.count()):
        drawing = drawings.nth(number)
        drawing.scroll_into_view_if_needed()
        page.wait_for_function("image => image.complete", arg=drawing.element_handle())
        assert drawing.is_visible()
        assert drawing.evaluate("image => image.naturalWidth") > 100


def test_the_search_finds_a_rule(page: Any, site: str) -> None:
    page.goto(f"{site}/index.html")
    page.locator("input.md-search__input").click()
    page.keyboard.type("create-missing", delay=20)
    found = page.locator(".md-search-result__link")
    found.first.wait_for(timeout=20_000)
    assert any("kinds/" in (found.nth(each).get_attribute("href") or "") for each in range(found.count()))


def test_a_rule_has_an_anchor_and_pages_lead_to_it(page: Any, site: str) -> None:
    page.goto(f"{site}/stories.html")
    page.locator("article a[href*='kinds/deployment.html#Deployment/new-rs-size/full']").first.click()
    assert page.url.endswith("kinds/deployment.html#Deployment/new-rs-size/full")
    assert page.locator("[id='Deployment/new-rs-size/full']").count() == 1


@pytest.mark.parametrize("name", ["questions", "questions.zh", "api", "cli", "stories/hello", "kinds/constants"])
def test_pages_have_their_text(page: Any, site: str, name: str) -> None:
    page.goto(f"{site}/{name}.html")
    assert page.locator("article h1").first.is_visible()
    assert len(page.locator("article").inner_text()) > 300
