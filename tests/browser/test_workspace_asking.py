"""Everything around asking: files, prompts, temporary chats, a message that waits, suggestions."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from tests.browser.house import ADMIN, PAGE, PASSWORD, answers, ask, set_up, wait_for_answer, wait_for_words
from tests.browser.pages import OpenPage
from tests.workspace.test_files import make_pdf

playwright = pytest.importorskip(
    "playwright.sync_api", reason="no browser test: the Python package playwright is not installed"
)
expect = playwright.expect

SENTENCE = "Light scatters in the upper atmosphere."


def png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = (b"\0" + bytes((40, 120, 180)) * width) * height
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def file(name: str, media_type: str, data: bytes) -> dict[str, Any]:
    return {"name": name, "mimeType": media_type, "buffer": data}


@contextmanager
def administrator(house_url: str) -> Iterator[httpx.Client]:
    """Signed in over HTTP."""
    set_up(house_url)
    base = house_url.removesuffix(PAGE)
    with httpx.Client(base_url=base, headers={"Origin": base.rstrip("/")}) as client:
        credentials = {"email": ADMIN["email"], "password": PASSWORD}
        client.post("api/auth/login", json=credentials).raise_for_status()
        yield client


def confirm_by_input_method(page: Any, text: str) -> None:
    """Composes a text in the field that has the focus, and confirms it by Enter, as an input method does."""
    client = page.context.new_cdp_session(page)
    end = len(text)
    client.send("Input.imeSetComposition", {"text": text, "selectionStart": end, "selectionEnd": end})
    for kind in ("rawKeyDown", "keyUp"):
        client.send(
            "Input.dispatchKeyEvent",
            {"type": kind, "key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 229},
        )
    client.send("Input.insertText", {"text": text})
    client.detach()


def drop(page: Any, name: str, text: str) -> None:
    """Drags a file over the page and lets it go."""
    page.evaluate(
        """([name, text]) => {
          const dataTransfer = new DataTransfer();
          dataTransfer.items.add(new File([text], name, { type: 'text/plain' }));
          const tell = (type) => document.querySelector('main').dispatchEvent(
            new DragEvent(type, { dataTransfer, bubbles: true, cancelable: true }));
          tell('dragenter');
          tell('dragover');
          window.finishDrop = () => tell('drop');
        }""",
        [name, text],
    )
    expect(page.get_by_test_id("drop-zone")).to_be_visible()
    page.evaluate("window.finishDrop()")
    expect(page.get_by_test_id("drop-zone")).to_have_count(0)


def paste(page: Any, name: str, picture: bytes) -> None:
    """Pastes a picture into the message field."""
    page.locator("#composer").evaluate(
        """(field, [name, bytes]) => {
          const clipboardData = new DataTransfer();
          clipboardData.items.add(new File([new Uint8Array(bytes)], name, { type: 'image/png' }));
          const options = { clipboardData, bubbles: true, cancelable: true };
          field.dispatchEvent(new ClipboardEvent('paste', options));
        }""",
        [name, list(picture)],
    )


def test_files_are_attached_sent_shown_and_sent_again(at_home: OpenPage, house_url: str) -> None:
    watched = at_home(provoked=True)
    page = watched.page
    files = page.get_by_role("list", name="Files")
    page.locator("input[type=file]").set_input_files(
        [
            file("measured.pdf", "application/pdf", make_pdf(SENTENCE)),
            file("lies.pdf", "application/pdf", b"no PDF at all"),
        ]
    )
    expect(files.locator("li", has_text="measured.pdf")).to_contain_text(re.compile(r"kB · \d+ tokens"))
    expect(files.locator("li", has_text="lies.pdf")).to_contain_text("it is not a PDF")
    page.get_by_role("button", name="Remove lies.pdf").click()
    drop(page, "dropped.md", "# Dropped\n" + "many words " * 1500)
    expect(files.locator("li", has_text="dropped.md")).to_contain_text("tokens")
    expect(page.get_by_text(re.compile("the model’s context only 8,192"))).to_be_visible()
    watched.screenshot("workspace-files-light-en-1280")
    page.get_by_role("button", name="Remove dropped.md").click()
    page.locator("#composer").fill("Why is the sky blue?")
    # What is attached waits with the draft.
    page.wait_for_function("() => Object.keys(localStorage).some((key) => key.includes('draft'))")
    page.reload()
    expect(files.locator("li")).to_contain_text("measured.pdf")
    expect(files.locator("li")).to_contain_text("tokens")
    page.locator("#composer").press("Enter")
    wait_for_answer(page)
    question = page.locator("article.question")
    expect(question.get_by_role("link", name="Download measured.pdf")).to_contain_text("tokens")
    with page.expect_download() as saved:
        question.get_by_role("link", name="Download measured.pdf").click()
    assert saved.value.suggested_filename == "measured.pdf"
    page.locator("#composer").press("ArrowUp")
    page.get_by_role("textbox", name="Edit").fill("Why is the sky blue, briefly?")
    page.keyboard.press("Enter")
    expect(question.get_by_test_id("versions")).to_contain_text("2/2")
    expect(question.get_by_role("link", name="Download measured.pdf")).to_be_visible()
    wait_for_answer(page)
    with administrator(house_url) as client:
        asked = client.get("api/chats").json()["chats"][0]["id"]
        kept = client.get(f"api/chats/{asked}/messages").json()["messages"][-2]["parts"]
        assert [part["type"] for part in kept] == ["file", "text"]


def test_a_picture_goes_to_models_that_see_it_alone(at_home: OpenPage, house_url: str) -> None:
    watched = at_home(provoked=True)
    page = watched.page
    page.locator("#composer").fill("What is this?")
    paste(page, "blue.png", png(40, 30))
    expect(page.get_by_text("does not see pictures")).to_be_visible()
    expect(page.get_by_role("button", name="Send")).to_be_disabled()
    page.locator("#composer").press("Enter")
    expect(page.locator("article.question")).to_have_count(0)
    with administrator(house_url) as client:
        path = "api/admin/models/scripted"
        client.patch(path, json={"capabilities": ["vision"]}).raise_for_status()
        try:
            page.reload()
            expect(page.get_by_role("button", name="Send")).to_be_enabled()
            page.locator("#composer").press("Enter")
            question = page.locator("article.question")
            expect(question.get_by_role("img", name="blue.png")).to_be_visible()
            question.get_by_role("button", name="Look at blue.png").click()
            dialog = page.get_by_role("dialog", name="blue.png")
            expect(dialog.get_by_role("link", name="Download")).to_be_visible()
            width = dialog.get_by_role("img").evaluate(
                "async (each) => (await each.decode(), each.naturalWidth)"
            )
            assert width == 40
            page.keyboard.press("Escape")
            expect(dialog).to_have_count(0)
        finally:
            client.patch(path, json={"capabilities": None}).raise_for_status()


def test_a_prompt_is_written_called_by_its_command_and_filled(at_home: OpenPage) -> None:
    watched = at_home(provoked=True)
    page = watched.page
    field = page.locator("#composer")
    field.press_sequentially("/")
    page.get_by_role("option", name="Write your first prompt").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="New", exact=True).click()
    dialog.get_by_label("Title").fill("Explain")
    confirm_by_input_method(page, "你好")  # an Enter that belongs to an input method saves nothing
    expect(dialog.get_by_label("Title")).to_have_value("Explain你好")
    dialog.get_by_label("Command").fill("/Explain")
    dialog.get_by_label("Text", exact=True).fill(
        'Explain {{topic}} to {{who | select:options=["a child","an expert"]}} '
        "on {{CURRENT_DATE}}, {{USER_NAME}}."
    )
    expect(dialog).to_contain_text("topic, who")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_role("listitem")).to_contain_text("/explain")
    dialog.get_by_role("button", name="New", exact=True).click()
    dialog.get_by_label("Title").fill("Another")
    dialog.get_by_label("Command").fill("explain")
    dialog.get_by_label("Text", exact=True).fill("x")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_role("alert")).to_contain_text("You have a prompt /explain already")
    expect(dialog.get_by_label("Command")).to_be_focused()
    dialog.get_by_label("Command").fill("other")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_role("listitem")).to_have_count(2)
    watched.screenshot("workspace-prompts-light-en-1280")
    page.keyboard.press("Escape")

    field.press_sequentially("Please: /")
    expect(page.get_by_role("option")).to_have_count(3)
    field.press("ArrowDown")
    expect(page.get_by_role("option", selected=True)).to_contain_text("/other")
    field.press("Escape")
    expect(page.get_by_role("listbox")).to_have_count(0)
    field.press_sequentially("ex")
    expect(page.get_by_role("listbox")).to_have_count(0)
    field.fill("Please: ")
    field.press_sequentially("/ex")
    expect(page.get_by_role("option")).to_have_count(1)
    field.press("Tab")
    form = page.get_by_role("dialog", name="Explain你好")
    expect(form.get_by_label("topic")).to_be_focused()
    confirm_by_input_method(page, "天空")
    expect(form.get_by_label("topic")).to_have_value("天空")
    watched.screenshot("workspace-prompt-blanks-light-en-1280")
    form.get_by_label("who").select_option("an expert")
    form.get_by_label("topic").press("Enter")
    expect(field).to_have_value(re.compile(r"^Please: Explain 天空 to an expert on \d{4}-\d\d-\d\d, Ada\.$"))
    expect(field).to_be_focused()
    page.get_by_role("button", name="Account and settings").click()
    page.get_by_role("menuitem", name="Prompts").click()
    dialog.get_by_role("searchbox").fill("other")
    dialog.get_by_role("button", name="Delete /other").click()
    dialog.get_by_role("button", name="Delete", exact=True).click()
    expect(dialog).to_contain_text("No prompt is called like this.")


def test_a_temporary_chat_leaves_nothing(at_home: OpenPage, house_url: str) -> None:
    watched = at_home()
    page = watched.page
    page.get_by_role("button", name="Temporary chat").click()
    expect(page.get_by_role("heading", name="Off the record")).to_be_visible()
    page.locator("input[type=file]").set_input_files([file("secret.txt", "text/plain", b"a secret")])
    expect(page.get_by_role("list", name="Files")).to_contain_text("tokens")
    with page.expect_response(re.compile("/api/files")) as answered:
        page.locator("input[type=file]").set_input_files([file("second.txt", "text/plain", b"another")])
    secret = answered.value.json()["id"]
    expect(page.get_by_role("list", name="Files").locator("li")).to_have_count(2)
    ask(page, "Something endless and secret.")
    wait_for_words(page, 20)
    watched.screenshot("workspace-temporary-light-en-1280")
    page.keyboard.press("Escape")
    expect(wait_for_answer(page, "stopped").get_by_role("button", name="Continue")).to_have_count(0)
    page.locator("#composer").press("ArrowUp")
    page.get_by_role("textbox", name="Edit").fill("Why is the sky blue, in secret?")
    page.keyboard.press("Enter")
    expect(wait_for_answer(page).locator(".prose")).to_contain_text("We look up and see blue.")
    question = page.locator("article.question")
    expect(question.get_by_test_id("versions")).to_contain_text("2/2")
    answers(page).last.get_by_role("button", name="Regenerate").click()
    expect(answers(page).last.get_by_test_id("versions")).to_contain_text("2/2")
    wait_for_answer(page)
    question.get_by_role("button", name="Previous version").click()
    expect(question.locator(".bubble")).to_have_text("Something endless and secret.")
    expect(page).not_to_have_url(re.compile("chat="))
    page.get_by_role("button", name="New chat").first.click()
    asked = page.get_by_role("dialog", name="Leave the temporary chat?")
    asked.get_by_role("button", name="Cancel").click()
    expect(asked).to_have_count(0)
    expect(question).to_be_visible()
    page.keyboard.press("Control+Shift+KeyO")
    with page.expect_response(lambda each: each.request.method == "DELETE" and secret in each.url):
        asked.get_by_role("button", name="Leave it").click()
    expect(page.locator("#composer")).to_be_focused()
    expect(page.locator("article.question")).to_have_count(0)
    expect(page.locator("#composer")).to_have_value("")
    expect(page.get_by_role("link", name="secret")).to_have_count(0)
    with administrator(house_url) as client:
        assert not client.get("api/search", params={"q": "secret"}).json()["hits"]
        assert client.get(f"api/files/{secret}").status_code == 404


def test_a_first_question_that_is_refused_leaves_no_chat(at_home: OpenPage, house_url: str) -> None:
    watched = at_home(provoked=True)
    page = watched.page
    ask(page, "Something endless.")
    wait_for_words(page, 20)
    with administrator(house_url) as client:
        path = "api/admin/settings"
        client.patch(path, json={"PAGODA_MAX_ANSWERS_AT_ONCE": 1}).raise_for_status()
        try:
            before = client.get("api/chats").json()["chats"]
            page.get_by_role("button", name="New chat").first.click()
            expect(page.locator("article.question")).to_have_count(0)
            page.locator("input[type=file]").set_input_files([file("kept.txt", "text/plain", b"words")])
            files = page.get_by_role("list", name="Files")
            expect(files).to_contain_text("tokens")
            with page.expect_response(lambda each: each.request.method == "DELETE"):
                ask(page, "Why is the sky blue, at last?")
            expect(page.get_by_role("alert")).to_contain_text("Answers written for you at once: at most 1.")
            expect(page.locator("#composer")).to_have_value("Why is the sky blue, at last?")
            expect(files).to_contain_text("kept.txt")
            assert [each["id"] for each in client.get("api/chats").json()["chats"]] == [
                each["id"] for each in before
            ]
            listed = page.get_by_role("navigation").get_by_role("link")
            expect(listed.filter(has_text="endless")).to_have_count(1)
            expect(listed.filter(has_text="New chat")).to_have_count(0)
        finally:
            client.patch(path, json={"PAGODA_MAX_ANSWERS_AT_ONCE": None}).raise_for_status()
    page.locator("#composer").press("Enter")
    wait_for_answer(page)
    expect(page.get_by_role("link", name="Download kept.txt")).to_be_visible()


def test_a_message_waits_for_the_answer_and_can_be_taken_back(at_home: OpenPage) -> None:
    watched = at_home()
    page = watched.page
    ask(page, "An endless answer.")
    wait_for_words(page, 20)
    ask(page, "Why is the sky blue, after this?")
    waiting = page.get_by_role("group", name="Next:")
    expect(waiting).to_contain_text("Why is the sky blue")
    watched.screenshot("workspace-queued-light-en-1280")
    page.get_by_role("button", name="Edit the waiting message").click()
    expect(waiting).to_have_count(0)
    field = page.locator("#composer")
    expect(field).to_have_value("Why is the sky blue, after this?")
    field.press("End")
    confirm_by_input_method(page, "好")
    expect(waiting).to_have_count(0)
    field.fill("A message to be removed")
    field.press("Enter")
    page.get_by_role("button", name="Remove the waiting message").click()
    expect(waiting).to_have_count(0)
    ask(page, "Why is the sky blue, really?")
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.locator("article.question")).to_have_count(2)
    expect(wait_for_answer(page).locator(".prose")).to_contain_text("We look up and see blue.")
    field.press("ArrowUp")
    edited = page.get_by_role("textbox", name="Edit")
    edited.press("End")
    confirm_by_input_method(page, "吗")
    expect(edited).to_have_value("Why is the sky blue, really?吗")
    page.keyboard.press("Escape")
    expect(field).to_be_focused()


def test_a_model_suggests_only_where_an_administrator_wants_it(at_home: OpenPage, house_url: str) -> None:
    watched = at_home()
    page = watched.page
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.locator("#composer").fill("Tell me about the sky ")
    ask(page, "Why is the sky blue?")
    wait_for_answer(page)
    assert not any("api/complete" in url for url in asked)
    names = ("ENABLE_FOLLOW_UP_GENERATION", "ENABLE_AUTOCOMPLETE_GENERATION")
    with administrator(house_url) as client:
        client.patch("api/admin/settings", json=dict.fromkeys(names, True)).raise_for_status()
        try:
            page.reload()
            ask(page, "Why is the sky blue, once more?")
            next_question = page.get_by_role("list", name="Questions that might come next").get_by_role(
                "button"
            )
            expect(next_question).to_have_text("Why is it red in the evening?")
            field = page.locator("#composer")
            field.press_sequentially("Tell me about it")
            expect(page.get_by_test_id("ghost")).to_contain_text("Why is it red in the evening?")
            watched.screenshot("workspace-suggestions-light-en-1280")
            field.press_sequentially(",")
            expect(page.get_by_test_id("ghost")).to_have_count(0)
            expect(page.get_by_test_id("ghost")).to_be_visible()
            field.press("Tab")
            expect(field).to_have_value("Tell me about it, Why is it red in the evening?")
            field.fill("")
            next_question.click()
            expect(page.locator("article.question").last).to_contain_text("Why is it red in the evening?")
            wait_for_answer(page)
        finally:
            client.patch("api/admin/settings", json=dict.fromkeys(names, None)).raise_for_status()


def test_parameters_of_a_chat_show_the_models_defaults_and_go_back_to_them(
    at_home: OpenPage, house_url: str
) -> None:
    with administrator(house_url) as client:
        path = "api/admin/models/scripted"
        client.patch(path, json={"params": {"temperature": 0.6, "max_tokens": 700}}).raise_for_status()
        try:
            watched = at_home()
            page = watched.page
            page.get_by_role("button", name="System prompt and parameters").click()
            panel = page.get_by_role("complementary", name="This chat")
            expect(panel).to_contain_text("Model’s default: 0.6")
            expect(panel.get_by_label("Longest answer")).to_have_attribute(
                "placeholder", "Model’s default: 700"
            )
            panel.get_by_label("Longest answer").fill("5")
            panel.get_by_label("Thinking").select_option("off")
            panel.get_by_text("More parameters").click()
            panel.get_by_label("Seed").fill("7")
            panel.get_by_label("Stop at").fill("red\nthe end")
            panel.get_by_label("System prompt").fill("Be brief.")
            with page.expect_request(re.compile("/generate$")) as sent:
                ask(page, "Something long.")
            params = sent.value.post_data_json["params"]
            stop = ["red", "the end"]
            assert params == {
                "max_tokens": 5, "thinking": False, "seed": 7, "stop": stop, "system": "Be brief."
            }  # fmt: skip
            expect(wait_for_answer(page)).to_contain_text("reached its limit")
            panel.get_by_role("button", name="Reset all").click()
            expect(panel.get_by_label("Seed")).to_have_value("")
            expect(panel.get_by_label("Thinking")).to_have_value("")
            with page.expect_request(re.compile("/generate$")) as sent:
                ask(page, "Why is the sky blue?")
            assert sent.value.post_data_json["params"] == {}
        finally:
            client.patch(path, json={"params": {}}).raise_for_status()


def test_a_password_that_an_administrator_made_is_changed_first_of_all(
    open_house: OpenPage, house_url: str
) -> None:
    with administrator(house_url) as client:
        made = client.post(
            "api/admin/users", json={"name": "Lin", "email": "lin@example.org", "role": "user"}
        )
        given = made.json()["password"]
    watched = open_house(provoked=True)
    page = watched.page
    page.locator("#email").fill("lin@example.org")
    page.locator("#password").fill(given)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Choose your own password")).to_be_visible()
    watched.screenshot("workspace-expired-light-en-1280")
    page.reload()
    page.get_by_label("The password you were given").fill("not this one")
    page.get_by_label("New password").fill("quite another secret")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("The current password is wrong.")
    expect(page.get_by_label("The password you were given")).to_be_focused()
    page.get_by_label("The password you were given").fill(given)
    page.get_by_label("New password").fill("quite another secret")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="What is on your mind, Lin?")).to_be_visible()
    page.reload()
    expect(page.locator("#composer")).to_be_visible()
