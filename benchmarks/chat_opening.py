"""How long a chat of 1,000 messages takes in the browser, from the click until its last message is laid out.

Needs Playwright's Python package and a Chromium of the machine's own; without them nothing is measured.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx

from benchmarks import scripted_model
from benchmarks.report import Report, table, verdict
from benchmarks.service import Service, ServiceError

MESSAGES = 1_000
OPENING_MS = 300.0
_RUNS = 9
_CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_ADMIN = {"name": "A", "email": "a@example.org", "password": "a long password"}
#: Clicks the chat's entry; gives the milliseconds until the last message is laid out.
_OPEN = """last => new Promise(done => {
  const link = document.querySelector('[data-chat] a');
  const begun = performance.now();
  const look = () => {
    const shown = [...document.querySelectorAll('article')].at(-1);
    const there = shown?.textContent.includes(last) && shown.getBoundingClientRect().height > 0;
    if (there) done(performance.now() - begun);
    else requestAnimationFrame(look);
  };
  link.click();
  look();
})"""


def measure() -> list[float] | None:
    """Milliseconds of each opening; None where there is no browser."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return None
    chromium = next(filter(None, map(shutil.which, _CHROMIUM)), None)
    if chromium is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        model = scripted_model.write(Path(folder))
        with Service(model, arguments=["--executor", "scripted"]) as service, sync_playwright() as driver:
            url = f"http://127.0.0.1:{service.port}"
            session = _fill(url)
            browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            context = browser.new_context(viewport={"width": 1280, "height": 800})
            context.add_cookies([{"name": "pagoda_session", "value": session, "url": url}])
            page = context.new_page()
            page.goto(url)
            page.locator("[data-chat]").wait_for()
            return [_open(page) for _ in range(_RUNS)]


def add_section(report: Report, taken: list[float] | None) -> None:
    if taken is None:
        text = "Not measured: it takes Playwright's Python package and Chromium."
    else:
        middle = statistics.median(taken)
        row = [f"{middle:.0f}", f"{max(taken):.0f}", f"{OPENING_MS:.0f}"]
        text = table(
            ["median ms", "slowest ms", "wanted ms", "met"],
            [[*row, verdict(middle, OPENING_MS, at_most=True)]],
        )
    report.add("chat_opening", f"A chat of {MESSAGES:,} messages in the browser", text, taken)


def _open(page: Any) -> float:
    page.keyboard.press("Control+Shift+KeyO")
    page.locator("article").first.wait_for(state="detached")
    return float(page.evaluate(_OPEN, f"Message {MESSAGES - 1}."))


def _fill(url: str) -> str:
    """Makes the first account and its chat, when the service is there; gives the session."""
    with httpx.Client(base_url=url, headers={"Sec-Fetch-Site": "same-origin"}, timeout=60) as client:
        deadline = time.monotonic() + 60
        while True:
            try:
                if client.get("/health").status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.05)  # its port is not open yet
            if time.monotonic() > deadline:
                raise ServiceError("the service did not come up in a minute")
        client.post("/api/setup", json=_ADMIN).raise_for_status()
        job = client.post("/api/import", json=_export()).raise_for_status().json()
        while job["state"] in ("reading", "saving"):
            time.sleep(0.05)
            job = client.get(f"/api/imports/{job['id']}").raise_for_status().json()
        if job["state"] != "done":
            raise ServiceError(f"the import failed: {job['error']}")
        return client.cookies["pagoda_session"]


def _export() -> dict[str, Any]:
    """One chat, as Pagoda exports it."""
    messages = []
    for number in range(MESSAGES):
        text = f"Message {number}. " + "It has some words in it. " * (1 + number % 7 * (number % 2) * 3)
        if number % 20 == 1:
            text += "\n\n```python\nprint('code')\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"
        messages.append(
            {
                "id": f"m{number}",
                "parent_id": f"m{number - 1}" if number else None,
                "role": "assistant" if number % 2 else "user",
                "status": "done",
                "parts": [{"type": "text", "text": text}],
                "created_at": 1_700_000_000_000 + number,
            }
        )
    chat = {"id": "c", "title": "A thousand messages", "messages": messages, "leaf_id": f"m{MESSAGES - 1}"}
    return {"format": "pagoda-chats", "version": 1, "chats": [chat]}
