"""A server that wants an API key."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.browser.pages import OpenPage
from tests.helpers.models import tiny_gguf
from tests.helpers.servers import Server, start_server

playwright = pytest.importorskip(
    "playwright.sync_api", reason="no browser test: the Python package playwright is not installed"
)
expect = playwright.expect


@pytest.fixture(scope="module")
def pagoda_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("key_server")
    server = start_server(tiny_gguf(folder / "tiny.gguf"), folder, "--api-key", "sesame")
    yield server
    server.stop()


def test_the_page_asks_for_the_key_and_keeps_it_for_the_tab(open_page: OpenPage) -> None:
    page = open_page(provoked=True).page
    dialog = page.get_by_role("dialog", name="API key")
    field = dialog.get_by_label("Key", exact=True)
    field.fill("wrong")
    field.press("Enter")
    expect(dialog.get_by_role("alert")).to_have_text("The server did not accept this key.")
    field.fill("sesame")
    field.press("Enter")
    expect(dialog).to_have_count(0)
    expect(page.get_by_test_id("model-name")).to_have_text("test-model")
    assert "sesame" not in page.evaluate("JSON.stringify({...localStorage})")

    page.reload()
    expect(page.get_by_test_id("model-name")).to_have_text("test-model")
    expect(dialog).to_have_count(0)
