"""A small real HTTP server that answers as a test tells it, byte by byte."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Asked:
    method: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any] | None


Handler = Callable[[Asked, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Foreign:
    """handler writes the raw response; the connection is closed after it. closed: clients that went away."""

    handler: Handler
    asked: list[Asked] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            method, path, _ = head[0].split(" ")
            headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in head[1:] if line)}
            size = int(headers.get("content-length", 0))
            body = json.loads(await reader.readexactly(size)) if size else None
            asked = Asked(method, path, headers, body)
            self.asked.append(asked)
            await self.handler(asked, writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client went away, as some tests want
        finally:
            writer.close()


@asynccontextmanager
async def foreign(handler: Handler) -> AsyncIterator[Foreign]:
    """A server on a free port of this machine."""
    found = Foreign(handler)
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0)
    found.port = server.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        server.close()


def head(kind: str = "text/event-stream", status: int = 200, **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"Content-Type: {kind}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def event(**chunk: Any) -> bytes:
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def delta(finish: str | None = None, **fields: Any) -> bytes:
    return event(choices=[{"index": 0, "delta": fields, "finish_reason": finish}])


def says(*pieces: bytes, kind: str = "text/event-stream", status: int = 200) -> Handler:
    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if asked.path.endswith("/models"):
            writer.write(head("application/json") + json.dumps({"data": [{"id": "far"}]}).encode())
            return
        writer.write(head(kind, status))
        for piece in pieces:
            writer.write(piece)
            await writer.drain()

    return answer
