"""A chat of a thousand messages: opened at its end, read upwards without jumps."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from tests.browser.pages import OpenPage

playwright = pytest.importorskip(
    "playwright.sync_api", reason="no browser test: the Python package playwright is not installed"
)
expect = playwright.expect

COUNT = 1000
SHOWN = "article.question, article.answer"

#: Scrolls up in steps until so many messages are there; gives how far at most what is read moved by itself.
READ_UPWARDS = """async (scroller, { shown, until }) => {
  const frames = count => new Promise(done => {
    const next = left => left ? requestAnimationFrame(() => next(left - 1)) : done();
    next(count);
  });
  const edge = scroller.getBoundingClientRect().top;
  const messages = () => [...document.querySelectorAll(shown)];
  let jump = 0;
  while (messages().length < until) {
    scroller.scrollTop -= 300;
    await frames(1);
    const top = messages().find(each => each.getBoundingClientRect().bottom > edge + 1);
    const before = top.getBoundingClientRect().top;
    await frames(2);
    jump = Math.max(jump, Math.abs(top.getBoundingClientRect().top - before));
  }
  return jump;
}"""


def long_chat() -> bytes:
    """An export of one chat, as Pagoda writes it."""
    messages = []
    for number in range(COUNT):
        role = "assistant" if number % 2 else "user"
        words = f"Message {number}. " + "It has some words in it. " * (1 + number % 7 * (number % 2) * 3)
        if number % 20 == 1:
            words += "\n\n```python\nprint('code')\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"
        messages.append(
            {
                "id": f"m{number}",
                "parent_id": f"m{number - 1}" if number else None,
                "role": role,
                "model_id": "scripted" if role == "assistant" else None,
                "status": "done",
                "parts": [{"type": "text", "text": words}],
                "created_at": 1_700_000_000_000 + number,
            }
        )
    chat = {"id": "c", "title": "A thousand messages", "messages": messages, "leaf_id": f"m{COUNT - 1}"}
    return json.dumps({"format": "pagoda-chats", "version": 1, "chats": [chat]}).encode()


def take_in(page: Any, content: bytes) -> None:
    """Imports as the page does, and waits until it is done."""
    file = {"name": "chats.json", "mimeType": "application/json", "buffer": content}
    origin = page.evaluate("location.origin")
    response = page.request.post(
        f"{origin}/api/import", multipart={"file": file}, headers={"Origin": origin}, timeout=60_000
    )
    assert response.ok, response.text()
    job = response.json()
    until = time.monotonic() + 60
    while job.get("state") in ("reading", "saving") and time.monotonic() < until:
        job = page.request.get(f"{origin}/api/imports/{job['id']}").json()
    assert job.get("state", "done") == "done", job


def test_a_long_chat_opens_at_its_end_and_is_read_to_its_beginning(at_home: OpenPage) -> None:
    watched = at_home()
    page = watched.page
    take_in(page, long_chat())
    page.reload()
    page.get_by_role("link", name="A thousand messages").click()
    messages = page.locator(SHOWN)
    expect(messages.last).to_contain_text(f"Message {COUNT - 1}.")
    expect(messages.last).to_be_in_viewport()
    assert messages.count() <= 60, "more than the end was loaded"

    scroller = page.locator("#conversation")
    # Reads upwards; whatever comes in above, the message at the top of the window stays there.
    jump = scroller.evaluate(READ_UPWARDS, {"shown": SHOWN, "until": 150})
    assert jump < 4
    # Then goes to what is the beginning so far, again and again.
    scroller.focus()
    while not messages.first.filter(has_text="Message 0.").count():
        known = messages.count()
        page.keyboard.press("Home")
        page.wait_for_function(
            "([shown, known]) => document.querySelectorAll(shown).length > known", arg=[SHOWN, known]
        )
    expect(messages).to_have_count(COUNT)
    # What was read stays where it was until the newcomers above it are laid out: then there is a beginning.
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    page.keyboard.press("Home")
    expect(messages.first).to_contain_text("Message 0.")
    expect(messages.first).to_be_in_viewport()

    # Only what is near costs anything: the words far away are not laid out.
    page.keyboard.press("Escape")
    page.get_by_role("button", name="To the newest").click()
    expect(messages.last).to_be_in_viewport()
    skipped = messages.first.evaluate(
        "element => !element.firstElementChild.checkVisibility({contentVisibilityAuto: true})"
    )
    assert skipped
