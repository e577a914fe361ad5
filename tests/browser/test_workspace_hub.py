"""An administrator gets a model, loads it, chats with it, unloads and removes it, all in the page."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from tests.browser.house import PAGE, ask, wait_for_answer
from tests.browser.pages import OpenPage, Watched
from tests.helpers.models import TinySizes, tiny_folder, tiny_gguf
from tests.helpers.servers import start_server
from tests.hub.conftest import NETWORK_SETTINGS
from tests.hub.fake_hub import FakeHub, fake_hub

playwright = pytest.importorskip(
    "playwright.sync_api", reason="no browser test: the Python package playwright is not installed"
)
expect = playwright.expect

CHAT = "tiny/chat"
LARGE = "tiny/large:Q8_0"
LARGE_FILE = "large-Q8_0.gguf"
HALF = 3_000_000


@pytest.fixture(scope="module")
def models_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeHub]:
    folder = tmp_path_factory.mktemp("models")
    chat = tiny_folder(folder / "chat", seed=1)
    large = tiny_gguf(folder / "large.gguf", sizes=TinySizes(hidden_size=512, intermediate_size=2048))
    repos = {
        CHAT: {path.name: path.read_bytes() for path in chat.iterdir()},
        "tiny/large": {LARGE_FILE: large.read_bytes()},
    }
    with fake_hub(FakeHub(repos, lfs=True)) as hub:
        yield hub


@pytest.fixture(scope="module")
def house_url(chromium: Any, tmp_path_factory: pytest.TempPathFactory, models_hub: FakeHub) -> Iterator[str]:
    """A house with a tiny model of its own, whose Hugging Face is the test's."""
    folder = tmp_path_factory.mktemp("house")
    with pytest.MonkeyPatch.context() as patch:
        for variable in NETWORK_SETTINGS:
            patch.delenv(variable, raising=False)
        patch.setenv("HF_ENDPOINT", models_hub.url)
        patch.setenv("HF_HOME", str(folder / "hf"))
        patch.setenv("NO_PROXY", "*")
        own = tiny_gguf(folder / "own.gguf")
        server = start_server(own, folder, "--workspace", "--max-loaded-models", "1", name="first")
    try:
        yield f"{server.base_url}/{PAGE}"
    finally:
        server.stop()


def open_hub(watched: Watched) -> Any:
    page = watched.page
    page.goto(f"{watched.base_url.removesuffix(PAGE)}{PAGE}?admin=hub")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    return page


def model(page: Any, name: str) -> Any:
    return page.get_by_test_id("hub-model").filter(has=page.get_by_role("heading", name=name, exact=True))


def test_a_model_comes_is_used_and_goes(at_home: OpenPage) -> None:
    watched = at_home()
    page = open_hub(watched)
    expect(model(page, "first")).to_have_attribute("data-state", "loaded")
    expect(model(page, "first")).to_contain_text("the server was started with it")
    page.get_by_label("Name or address").fill(CHAT)
    page.get_by_label("Name or address").press("Enter")
    expect(page.get_by_test_id("pull").filter(has_text=CHAT)).to_have_attribute("data-state", "done")
    expect(page.get_by_label("Name or address")).to_have_value("")
    expect(model(page, CHAT)).to_have_attribute("data-state", "unloaded")
    expect(model(page, CHAT)).to_contain_text("It fits when first is unloaded")
    model(page, CHAT).scroll_into_view_if_needed()
    watched.screenshot("workspace-hub-pulled-light-en-1280")

    page.get_by_role("button", name=f"Load {CHAT}").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("no room for it beside first")
    dialog.get_by_role("button", name="Load").click()
    expect(dialog).to_have_count(0)
    expect(model(page, CHAT)).to_have_attribute("data-state", "loaded")
    expect(model(page, "first")).to_have_attribute("data-state", "unloaded")

    page.get_by_role("link", name="Back to the chats").click()
    page.get_by_test_id("models").click()
    page.get_by_role("option", name=CHAT).click()
    ask(page, "Hello")
    expect(wait_for_answer(page)).to_have_attribute("aria-label", re.compile(CHAT))

    page.go_back()
    page = open_hub(watched)
    page.get_by_role("button", name=f"Unload {CHAT}").click()
    expect(model(page, CHAT)).to_have_attribute("data-state", "unloaded")
    page.get_by_role("button", name=f"Remove {CHAT}").click()
    expect(page.get_by_role("dialog")).to_contain_text("Its files are deleted")
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(model(page, CHAT)).to_have_count(0)
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_downloads_are_watched_cancelled_and_gone_on_with(at_home: OpenPage, models_hub: FakeHub) -> None:
    watched = at_home(provoked=True, locale="zh-CN")
    page = open_hub(watched)
    field = page.get_by_label("名称或网址")
    field.fill("/etc/passwd")
    field.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("/etc/passwd 是本机上的路径")
    expect(field).to_have_value("/etc/passwd")
    release = threading.Event()
    models_hub.holds[LARGE_FILE] = (HALF, release)
    try:
        for name in ("nobody/nothing", LARGE):
            field.fill(name)
            field.press("Enter")
            expect(field).to_have_value("")
        large = page.get_by_test_id("pull").filter(has_text=LARGE)
        expect(large.get_by_text("2.9 MiB")).to_be_visible()
        nothing = page.get_by_test_id("pull").filter(has_text="nobody/nothing")
        expect(nothing).to_contain_text("没有模型 nobody/nothing")
        expect(page.get_by_role("button", name="重新下载 nobody/nothing")).to_be_visible()
        expect(nothing).not_to_contain_text("Http")
        watched.screenshot("workspace-hub-pulling-light-zh-1280")
        page.reload()  # it goes on without the page
        expect(large.get_by_role("progressbar")).to_have_attribute("value", re.compile(r"0\.[34]"))
        page.get_by_role("button", name=f"取消下载 {LARGE}").click()
        expect(large).to_have_attribute("data-state", "cancelled")
    finally:
        release.set()
        models_hub.holds.clear()
    page.get_by_role("button", name=f"重新下载 {LARGE}").click()
    expect(large).to_have_attribute("data-state", "done")
    expect(model(page, LARGE)).to_have_attribute("data-state", "unloaded")
    page.get_by_role("button", name="将 nobody/nothing 移出列表").click()
    expect(nothing).to_have_count(0)
    page.get_by_role("button", name=f"停止提供 {LARGE}").click()
    stored = model(page, f"tiny/large/{LARGE_FILE}")
    expect(stored).to_have_attribute("data-state", "disk")
    assert models_hub.ranges


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_narrow_windows(at_home: OpenPage, theme: str) -> None:
    watched = at_home(width=375, height=800, theme=theme)
    page = open_hub(watched)
    expect(model(page, "first")).to_be_visible()
    wider = page.evaluate("document.documentElement.scrollWidth > innerWidth")
    assert not wider
    watched.screenshot(f"workspace-hub-{theme}-en-375")
    model(page, "first").scroll_into_view_if_needed()
    watched.screenshot(f"workspace-hub-models-{theme}-en-375")
