"""The workspace below a path, behind nginx as docs/reverse-proxy.md has it."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from tests.browser.conftest import opener
from tests.browser.house import ADMIN, ask, sign_in, wait_for_answer, workspace_server
from tests.browser.proxy import FIRST, REST, Proxy, WaitingModel, nginx, waiting_model

playwright = pytest.importorskip(
    "playwright.sync_api", reason="no browser test: the Python package playwright is not installed"
)
LOGIN = {"email": ADMIN["email"], "password": ADMIN["password"]}


@pytest.fixture(scope="module")
def model() -> Iterator[WaitingModel]:
    with waiting_model() as found:
        yield found


@pytest.fixture(scope="module")
def proxy(model: WaitingModel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """nginx, with a server behind it that has the waiting model as its own choice."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_API_BASE_URL", model.url)
        patch.setenv("DEFAULT_MODELS", "waiting")
        with workspace_server(tmp_path_factory.mktemp("server")) as url:
            folder: Path = tmp_path_factory.mktemp("nginx")
            with nginx(folder, urlsplit(url).port or 0) as found:
                base = f"http://127.0.0.1:{found.http}"
                origin = {"Origin": base}  # as a browser without Sec-Fetch-Site says where it is
                httpx.post(f"{base}/llm/api/setup", json=ADMIN, headers=origin).raise_for_status()
                yield found


def test_an_answer_comes_as_it_is_made_and_is_found_again(
    chromium: Any, proxy: Proxy, model: WaitingModel
) -> None:
    url = f"http://127.0.0.1:{proxy.http}/llm"  # nginx leads to /llm/
    with opener(chromium, url) as open_app:
        watched = open_app()
        page = watched.page
        sign_in(watched)
        expect = playwright.expect
        ask(page, "What do you say?")
        answer = page.locator("article.answer").last
        expect(answer.locator(".prose")).to_have_text(FIRST)  # while its model says nothing more
        page.reload()
        expect(answer.locator(".prose")).to_have_text(FIRST)
        assert answer.get_attribute("data-status") == "streaming"
        model.gate.set()
        expect(wait_for_answer(page).locator(".prose")).to_have_text(FIRST + REST)
        assert urlsplit(page.url).path == "/llm/"
        assert all(urlsplit(each).path.startswith("/llm") for each in watched.requests)


def test_another_sites_page_is_refused(proxy: Proxy) -> None:
    base = f"http://127.0.0.1:{proxy.http}"
    with httpx.Client(base_url=f"{base}/llm/") as client:
        for origin, status in ((base, 200), ("http://evil.example", 403), ("null", 403)):
            response = client.post("api/auth/login", json=LOGIN, headers={"Origin": origin})
            assert response.status_code == status, response.text


def test_under_https_the_cookie_is_secure(proxy: Proxy) -> None:
    unchecked = ssl.create_default_context()
    unchecked.check_hostname, unchecked.verify_mode = False, ssl.CERT_NONE
    base = f"https://127.0.0.1:{proxy.https}"
    with httpx.Client(base_url=f"{base}/llm/", verify=unchecked) as client:
        response = client.post("api/auth/login", json=LOGIN, headers={"Origin": base})
        response.raise_for_status()
        cookie = response.headers["set-cookie"]
        assert cookie.startswith("__Host-pagoda_session=")
        assert "secure" in cookie.lower()
        assert client.get("api/me").json()["email"] == ADMIN["email"]
