"""Where others take part in chats over HTTP, such as the workspace's plugin functions: all that the API knows
of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, Protocol

import msgspec

from pagoda.api.chat_events import ChatEvents
from pagoda.api.sse import event

_DATA = b"data: "


class HookError(Exception):
    """A request that a hook refuses, or that it fails on; one line for the client."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class ChatHook(Protocol):
    """What takes part in one chat. Raises HookError from `inlet` alone."""

    async def inlet(self, body: dict[str, Any]) -> dict[str, Any]:
        """The request as it is to be answered."""
        ...

    async def chunk(self, chunk: dict[str, Any]) -> dict[str, Any] | None:
        """A chat.completion.chunk as it is sent; None: it is not sent."""
        ...

    async def end(self, texts: list[str]) -> list[str]:
        """All answers' texts as a response that is not streamed has them."""
        ...


class RequestHooks(Protocol):
    """Decides, request by request, whether anything takes part."""

    async def begin(self, key: str, model: str) -> ChatHook | None:
        """key: the bearer key, "" for none. None where nothing takes part: the request goes its usual way."""
        ...


async def filtered(events: ChatEvents, hook: ChatHook) -> AsyncGenerator[bytes, None]:
    """The events as a hook leaves them. What it makes of the whole text at the end changes nothing here: that
    has been sent.
    """
    texts: dict[int, str] = {}
    news = asyncio.Event()
    events.start(news.set)
    try:
        while not events.finished:
            await news.wait()
            news.clear()
            for line in events.take().split(b"\n\n"):
                data = line.removeprefix(_DATA)
                if not data:
                    continue
                if data == b"[DONE]":
                    await hook.end([texts[index] for index in sorted(texts)])
                    yield line + b"\n\n"
                    continue
                chunk = await hook.chunk(msgspec.json.decode(data))
                if chunk is not None:
                    _collect(texts, chunk)
                    yield event(chunk)
    finally:
        events.close()


def _collect(texts: dict[int, str], chunk: dict[str, Any]) -> None:
    for choice in chunk.get("choices") or []:
        index = choice.get("index") or 0
        texts[index] = texts.get(index, "") + ((choice.get("delta") or {}).get("content") or "")
