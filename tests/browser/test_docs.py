"""``/docs`` in a real Chromium that reaches nothing but the server: every operation is there.

One server serves all tests. With ``CANDOR_SHOTS`` set to a folder, what the tests look at is kept
there as pictures.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.browser import Browser, browser_on, chromedriver
from tests.support.server import Server, serve

METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}
OPERATIONS = """
return [...document.querySelectorAll(".opblock")].map((one) => [
  one.querySelector(".opblock-summary-method").textContent.toLowerCase(),
  one.querySelector(".opblock-summary-path").dataset.path,
]);
"""
OBJECTIVES = '.opblock-get [data-path="/api/v1/objectives"]'
FETCHED = "return performance.getEntriesByType('resource').map((one) => one.name)"
OVERFLOW = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def driver() -> Iterator[httpx.Client]:
    with chromedriver() as client:
        yield client


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, driver: httpx.Client) -> Iterator[Server]:
    del driver  # where there is none, no server is needed
    with serve(tmp_path_factory.mktemp("docs")) as running:
        yield running


@pytest.fixture
def browser(driver: httpx.Client, tmp_path: Path) -> Iterator[Browser]:
    with browser_on(driver, tmp_path) as window:
        yield window


def show(browser: Browser, server: Server) -> None:
    browser.open(f"{server.url}/docs")
    browser.wait_for("document.querySelector('.opblock')")


def keep(browser: Browser, name: str) -> None:
    """Keep a picture of the page, if pictures are wanted."""
    folder = os.environ.get("CANDOR_SHOTS")
    if folder is not None:
        Path(folder, f"{name}.png").write_bytes(browser.screenshot())


def test_every_operation_is_shown_with_nothing_from_elsewhere(
    server: Server, browser: Browser
) -> None:
    show(browser, server)
    paths = httpx.get(f"{server.url}/openapi.json").json()["paths"]
    told = {(method, path) for path, one in paths.items() for method in METHODS & one.keys()}
    assert ("get", "/api/v1/objectives") in told
    assert {tuple(one) for one in browser.run(OPERATIONS)} == told
    fetched = browser.run(FETCHED)
    assert f"{server.url}/openapi.json" in fetched
    assert all(name.startswith((f"{server.url}/", "data:")) for name in fetched), fetched
    assert browser.complaints() == []


@pytest.mark.parametrize(("width", "height"), [(320, 640), (1280, 900)])
def test_an_operation_opens_on_every_screen(
    server: Server, browser: Browser, width: int, height: int
) -> None:
    browser.show_at(width, height)
    show(browser, server)
    keep(browser, f"docs-{width}")
    assert browser.run(OVERFLOW) == 0
    browser.click(OBJECTIVES)
    browser.wait_for("document.querySelector('.opblock.is-open .responses-table')")
    keep(browser, f"docs-{width}-open")
    assert browser.complaints() == []
