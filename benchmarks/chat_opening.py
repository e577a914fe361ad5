"""How long a chat of many messages takes from the click until its last message is on the page."""

from __future__ import annotations

import statistics
from typing import Any

#: Clicks the chat's entry; gives the milliseconds until the last message is laid out, two frames later at most.
_OPEN = """([chat, last]) => new Promise(done => {
  const link = document.querySelector(`[data-chat="${chat}"] a`);
  const begun = performance.now();
  const look = () => {
    const shown = document.querySelector(`article[data-id="${last}"]`);
    if (shown && shown.getBoundingClientRect().height > 0) done(performance.now() - begun);
    else requestAnimationFrame(look);
  };
  link.click();
  look();
})"""


def opening_ms(page: Any, chat: str, last: str, runs: int = 5) -> float:
    """The median over `runs` in a Playwright page of the workspace that is signed in and lists the chat, whose
    newest message is `last`. Between the runs the place for a new chat is open.
    """
    times = []
    for _ in range(runs):
        page.keyboard.press("Control+Shift+KeyO")
        page.locator("article").first.wait_for(state="detached")
        times.append(float(page.evaluate(_OPEN, [chat, last])))
    return statistics.median(times)
