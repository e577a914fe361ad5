"""A headless Chromium from the machine's own package, and pages of the app in it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from tests.browser.house import set_up, sign_in, workspace_server
from tests.browser.pages import OpenPage, Watched

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

#: Puts what a test wants kept into the browser's storage before the first page reads it, and never again.
SEED = """
if (!sessionStorage.getItem('seeded')) {
  sessionStorage.setItem('seeded', 'yes');
  for (const [key, value] of Object.entries(KEPT)) localStorage.setItem(key, value);
}
"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """The machine's Chromium, headless. Skips where there is none and says so; nothing is downloaded.

    It ends with the file: Playwright keeps an event loop running, and other tests could then start none.
    """
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="no browser test: the Python package playwright is not installed"
    )
    binary = next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)
    if binary is None:
        names = ", ".join(CHROMIUM_NAMES)
        pytest.skip(f"no browser test: none of {names} is on PATH (Debian: apt install chromium)")
    playwright.expect.set_options(timeout=15_000)  # a machine that builds beside the tests is slow
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=binary, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def house_url(chromium: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the workspace of a server of this file's own is; nobody has an account there yet.

    A server without its page is a mistake in the build, not a reason to pass.
    """
    with workspace_server(tmp_path_factory.mktemp("house")) as url:
        if 'id="app"' not in httpx.get(url).text:
            pytest.fail("the server has no page: python packaging/web_build.py builds it")
        yield url


@pytest.fixture
def open_house(chromium: Any, house_url: str) -> Iterator[OpenPage]:
    """Opens the page in a fresh profile. At the end no page may have complained or spoken to another host."""
    with opener(chromium, house_url) as open_app:
        yield open_app


@pytest.fixture
def at_home(open_house: OpenPage, house_url: str) -> OpenPage:
    """Opens the workspace and signs the administrator in."""

    def open_app(**options: Any) -> Watched:
        set_up(house_url)
        watched = open_house(**options)
        sign_in(watched)
        return watched

    return open_app


@contextmanager
def opener(chromium: Any, app_url: str) -> Iterator[OpenPage]:
    opened: list[Watched] = []

    def open_app(
        *,
        width: int = 1280,
        height: int = 800,
        locale: str = "en-US",
        theme: str = "light",
        storage: dict[str, str] | None = None,
        provoked: bool = False,
    ) -> Watched:
        context = chromium.new_context(
            viewport={"width": width, "height": height},
            locale=locale,
            color_scheme=theme,
            reduced_motion="reduce",
        )
        context.grant_permissions(["clipboard-read", "clipboard-write"], origin=app_url)
        context.set_default_timeout(30_000)
        if storage:
            context.add_init_script(SEED.replace("KEPT", json.dumps(storage)))
        watched = Watched(context.new_page(), app_url, provoked)
        watched.watch()
        opened.append(watched)
        watched.page.goto(app_url)
        return watched

    yield open_app
    complaints = [line for watched in opened for line in watched.complaints]
    foreign = [url for watched in opened for url in watched.foreign_requests()]
    for watched in opened:
        watched.page.context.close()
    assert not complaints
    assert not foreign
