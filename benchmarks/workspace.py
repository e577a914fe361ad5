"""How fast the workspace is with a long history: 10,000 chats, one of them of 1,000 messages.

Requests go through the whole application in this process, over SQLite in a temporary folder; figures are of
the request without a network.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
from fastapi import FastAPI

from benchmarks.report import Report, table, verdict
from pagoda.workspace.app import Workspace
from pagoda.workspace.settings import WorkspaceSettings
from pagoda.workspace.storage.tables import Chat, Message

CHATS = 10_000
MESSAGES = 6  #: of each chat
LONG = 1_000  #: of one chat
OPENING_MS, SEARCH_MS = 300.0, 100.0
_REPEATS = 20
_SYLLABLES = ["ka", "lo", "mi", "ren", "su", "tor", "vel", "wan", "xi", "yo", "zu", "ber"]
_CHARACTERS = "量子计算机内存模型语言服务器问题答案缓存速度"


@dataclass(frozen=True, slots=True)
class Timing:
    """Milliseconds of one kind of request."""

    what: str
    median: float
    slowest: float
    wanted: float


def measure() -> list[Timing]:
    """Fills a workspace and asks it."""
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_measure(Path(folder)))


def add_section(report: Report, timings: list[Timing]) -> None:
    rows = [
        [
            each.what,
            f"{each.median:.1f}",
            f"{each.slowest:.1f}",
            f"{each.wanted:.0f}",
            verdict(each.slowest, each.wanted, at_most=True),
        ]
        for each in timings
    ]
    text = table(["request", "median ms", "slowest ms", "wanted ms", "met"], rows)
    title = f"Workspace: {CHATS:,} chats, one of {LONG:,} messages"
    report.add("workspace", title, text, timings)


async def _measure(folder: Path) -> list[Timing]:
    workspace = Workspace(WorkspaceSettings(), folder, [], "benchmark")
    await workspace.start()
    app = FastAPI()
    workspace.install(app)
    transport = httpx.ASGITransport(app=app)
    headers = {"Sec-Fetch-Site": "same-origin"}
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://x", headers=headers) as client:
            body = {"name": "A", "email": "a@example.org", "password": "a long password"}
            user = (await client.post("/api/setup", json=body)).json()["id"]
            words = await _fill(workspace, user)
            pick = random.Random(1)
            first = (await client.get("/api/chats")).json()
            middle = {"cursor": first["next"], "limit": "50"}
            return [
                await _time(client, "list of chats", OPENING_MS, lambda: ("/api/chats", {})),
                await _time(client, "its next page", OPENING_MS, lambda: ("/api/chats", middle)),
                await _time(
                    client, "opening the long chat", OPENING_MS, lambda: ("/api/chats/long/messages", {})
                ),
                await _time(
                    client,
                    "all its messages at once",
                    OPENING_MS,
                    lambda: ("/api/chats/long/messages", {"limit": "1000"}),
                ),
                *[
                    await _time(client, what, SEARCH_MS, lambda make=make: ("/api/search", {"q": make()}))
                    for what, make in (
                        ("search: a word", lambda: pick.choice(words)),
                        ("search: two words", lambda: " ".join(pick.sample(words, 2))),
                        ("search: first letters", lambda: pick.choice(words)[:2]),
                        ("search: Chinese", lambda: "".join(pick.sample(_CHARACTERS, 2))),
                        ("search: a word of all", lambda: "everywhere"),
                    )
                ],
            ]
    finally:
        await workspace.stop()


async def _time(
    client: httpx.AsyncClient, what: str, wanted: float, request: Callable[[], tuple[str, dict[str, str]]]
) -> Timing:
    taken = []
    for _ in range(_REPEATS):
        path, query = request()
        began = time.perf_counter()
        (await client.get(path, params=query)).raise_for_status()
        taken.append((time.perf_counter() - began) * 1000)
    return Timing(what, sorted(taken)[len(taken) // 2], max(taken), wanted)


async def _fill(workspace: Workspace, user: str) -> list[str]:
    """Chats of random words; returns the words."""
    random_ = random.Random(0)
    words = ["".join(random_.choices(_SYLLABLES, k=3)) for _ in range(2_000)]

    def text() -> str:
        chinese = "".join(random_.choices(_CHARACTERS, k=20))
        return f"{' '.join(random_.choices(words, k=60))} {chinese} everywhere"

    def line(chat: str, count: int) -> list[Message]:
        return [
            Message(
                id=f"{chat}-{n}",
                chat_id=chat,
                parent_id=f"{chat}-{n - 1}" if n else None,
                role="assistant" if n % 2 else "user",
                parts=[{"type": "text", "text": (said := text())}],
                text=said,
                created_at=n,
            )
            for n in range(count)
        ]

    for start in range(0, CHATS, 500):
        ids = [f"c{n}" for n in range(start, start + 500)]
        async with workspace.database.write() as session:
            session.add_all(Chat(id=each, user_id=user, title=text()[:50]) for each in ids)
            await session.flush()
            session.add_all(message for each in ids for message in line(each, MESSAGES))
    async with workspace.database.write() as session:
        session.add(Chat(id="long", user_id=user, title="long", leaf_id=f"long-{LONG - 1}"))
        await session.flush()
        session.add_all(line("long", LONG))
    return words
