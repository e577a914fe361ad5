"""Questions to open tabs: which tab is asked, and what a closed one means."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pagoda.workspace.generation.tabs import DISCONNECTED, Tab, Tabs


async def heard(tab: Tab) -> dict[str, Any]:
    return await anext(tab.events())


async def test_a_script_runs_in_the_newest_tab_alone() -> None:
    tabs = Tabs()
    old, new = tabs.open("ada"), tabs.open("ada")
    asking = asyncio.create_task(tabs.call("ada", "execute", {"code": "return 1"}))
    call = await heard(new)
    assert (call["kind"], call["data"]) == ("execute", {"code": "return 1"})
    assert not tabs.answer("grace", call["id"], 2)
    assert tabs.answer("ada", call["id"], 1)
    assert await asking == 1
    assert (await heard(old))["type"] == "call_ended"
    tabs.publish_once("ada", {"type": "execute", "code": "x"})
    tabs.publish("ada", {"type": "after"})
    assert (await heard(old))["type"] == "after"


@pytest.mark.parametrize(("kind", "ends"), [("execute", True), ("input", False)])
async def test_a_question_ends_with_the_tab_that_was_asked(kind: str, ends: bool) -> None:
    tabs = Tabs()
    old, new = tabs.open("ada"), tabs.open("ada")
    asking = asyncio.create_task(tabs.call("ada", kind, {}))
    call = await heard(new)
    tabs.close(new)
    assert tabs.answer("ada", call["id"], "an answer") is not ends
    assert await asking == (DISCONNECTED if ends else "an answer")
    tabs.close(old)
    assert await tabs.call("ada", kind, {}) == DISCONNECTED
