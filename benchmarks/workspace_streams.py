"""100 users of the workspace streaming at once: added latency, whole answers, memory over 10,000 messages.

The workspace runs in a process of its own behind uvicorn, with SQLite in a temporary folder. Its model is
scripted: each piece of an answer is the time at which it was said, so that a client that has it knows what
the workspace has added. Clients are another process on the same machine and share its cores.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from typing import Any

import httpx

from benchmarks.report import Report, table, verdict
from benchmarks.service import ServiceError

USERS = 100
MESSAGES = 10_000
ADDED_MS = 50.0  #: at p95
GROWTH_MB = 16.0  #: over the messages after the first tenth
_PIECES, _PAUSE = 200, 0.05  #: of the answers whose latency is measured; 20 pieces a second each
_APART = 0.05  #: seconds between two users' questions; all stream at once for half of the time
_SHORT = 8  #: pieces of the answers that fill the history


@dataclass(frozen=True, slots=True)
class Streams:
    """added_ms: (median, p95, p99) between a piece and its arrival. memory_mb: (messages, resident MB)."""

    users: int
    pieces: int
    broken: int  #: answers that were not whole
    added_ms: tuple[float, float, float]
    memory_mb: list[tuple[int, float]]

    @property
    def growth_mb(self) -> float:
        return self.memory_mb[-1][1] - self.memory_mb[0][1]


def measure(users: int = USERS, messages: int = MESSAGES) -> Streams:
    """Starts a workspace, streams from it, and fills it."""
    with tempfile.TemporaryDirectory() as folder, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        free.close()
        command = [sys.executable, "-m", "benchmarks.workspace_streams", folder, str(port), str(users)]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            tokens: list[str] = json.loads(_first_line(server))
            return asyncio.run(_measure(f"http://127.0.0.1:{port}", tokens, messages, server.pid))
        finally:
            server.terminate()
            server.wait(30)


def add_section(report: Report, found: Streams) -> None:
    median, p95, p99 = found.added_ms
    rows = [[str(found.users), str(found.pieces), str(found.broken), f"{median:.1f} / {p95:.1f} / {p99:.1f}"]]
    grown = ", ".join(f"{size:.0f} MB after {count:,}" for count, size in found.memory_mb)
    text = (
        table(["users", "pieces", "not whole", "added ms"], rows)
        + f"\nAdded: median / p95 / p99, between a piece and its arrival. p95 within {ADDED_MS:.0f} ms: "
        + verdict(p95, ADDED_MS, at_most=True)
        + ". Every answer whole: "
        + verdict(found.broken, 0, at_most=True)
        + f".\nMemory of the process by messages kept: {grown}; grown by at most {GROWTH_MB:.0f} MB: "
        + verdict(found.growth_mb, GROWTH_MB, at_most=True)
    )
    report.add("workspace_streams", "Streaming to many users of the workspace", text, found)


async def _measure(url: str, tokens: list[str], messages: int, pid: int) -> Streams:
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=url, limits=limits, timeout=120.0) as client:
        await _reachable(client)
        delays: list[float] = []
        said = f"{_PIECES} pieces, {_PAUSE} apart"
        asked = [_ask(client, token, said, delays, place * _APART) for place, token in enumerate(tokens)]
        whole = await asyncio.gather(*asked)
        broken = len(tokens) - sum(pieces == _PIECES for pieces in whole)
        memory, kept = [], 2 * len(tokens)
        milestones = [messages * share // 10 for share in (1, 4, 7, 10)]
        for milestone in milestones:
            while kept < milestone:
                whole = await asyncio.gather(*(_ask(client, token, f"{_SHORT} pieces") for token in tokens))
                broken += len(tokens) - sum(pieces == _SHORT for pieces in whole)
                kept += 2 * len(tokens)
            memory.append((kept, _resident_mb(pid)))
    steps = quantiles(delays, n=100)
    return Streams(
        len(tokens),
        len(delays),
        broken,
        (1e3 * steps[49], 1e3 * steps[94], 1e3 * steps[98]),
        memory,
    )


async def _ask(
    client: httpx.AsyncClient,
    token: str,
    words: str,
    delays: list[float] | None = None,
    later: float = 0.0,
) -> int:
    """The pieces of one answer in a chat of its own, begun `later` seconds from now; `delays` gets how long
    each was on its way.
    """
    await asyncio.sleep(later)
    headers = {"Cookie": f"pagoda_session={token}"}
    chat = (await client.post("/api/chats", json={}, headers=headers)).raise_for_status().json()["id"]
    body = {"parts": [{"type": "text", "text": words}], "models": ["scripted"]}
    asked = await client.post(f"/api/chats/{chat}/generate", json=body, headers=headers)
    [run] = asked.raise_for_status().json()["generations"]
    text, last = "", {}
    async for line, now in _lines(client.base_url.port or 80, f"/api/generations/{run['id']}/events", token):
        last = json.loads(line)
        if last["type"] == "delta":
            text += last["text"]
            if delays is not None:
                delays.append(now - float(last["text"]))
    kept = "".join(part["text"] for part in last.get("message", {}).get("parts", []))
    return len(text.split()) if last.get("type") == "done" and kept == text else -1


async def _lines(port: int, path: str, token: str) -> AsyncGenerator[tuple[bytes, float], None]:
    """The data of a stream of events, and when each came. By hand: a client library would be most of what is
    measured. Every event lies whole in one chunk, so the chunks' own lines are passed over.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: pagoda_session={token}\r\n"
    writer.write(f"{head}Connection: close\r\n\r\n".encode())
    try:
        while line := await reader.readline():
            if line.startswith(b"data: "):
                yield line[6:], time.time()
    finally:
        writer.close()


def _first_line(process: subprocess.Popen[str]) -> str:
    line = process.stdout.readline() if process.stdout is not None else ""
    if not line:
        raise ServiceError("the workspace did not start")
    return line


async def _reachable(client: httpx.AsyncClient) -> None:
    until = time.monotonic() + 30
    while True:
        try:
            await client.get("/api/config")
            return
        except httpx.TransportError:
            if time.monotonic() > until:
                raise
            await asyncio.sleep(0.1)


def _resident_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1000
    return 0.0


class Scripted:
    """Says the time, as often as the question wants it: "100 pieces, 0.02 apart"."""

    @property
    def id(self) -> str:
        return "scripted"

    async def list_models(self) -> list[Any]:
        from pagoda.workspace.providers.base import ProviderModel

        return [ProviderModel("scripted", "Scripted", 8192)]

    async def chat(self, body: dict[str, Any], caller: Any) -> AsyncGenerator[dict[str, Any], None]:
        numbers = body["messages"][-1]["content"].split()
        count, pause = int(numbers[0]), float(numbers[2]) if len(numbers) > 2 else 0.0
        for index in range(count):
            await asyncio.sleep(pause)
            usage = {"prompt_tokens": 10, "completion_tokens": index + 1}
            choice = {"index": 0, "delta": {"content": f"{time.time():.6f} "}, "finish_reason": None}
            yield {"choices": [choice], "usage": usage}
        yield {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}


async def _serve(folder: Path, port: int, users: int) -> None:
    import uvicorn
    from fastapi import FastAPI

    from pagoda.workspace.app import Workspace
    from pagoda.workspace.settings import WorkspaceSettings
    from pagoda.workspace.storage.tables import User

    workspace = Workspace(WorkspaceSettings(), folder, [Scripted()], "bench")
    await workspace.start()
    tokens = []
    people = [User(email=f"{n}@example.org", name=f"User {n}", role="user") for n in range(users)]
    async with workspace.database.write() as session:
        session.add_all(people)
    for user in people:
        tokens.append(await workspace.accounts.begin_session(user.id, "bench", "127.0.0.1"))
    app = FastAPI()
    workspace.install(app)
    print(json.dumps(tokens), flush=True)
    config = uvicorn.Config(
        app, host="127.0.0.1", port=port, log_level="warning", access_log=False, timeout_keep_alive=120
    )
    await uvicorn.Server(config).serve()
    await workspace.stop()


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    asyncio.run(_serve(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
