"""Chats that hooks take part in: their requests, their streams, and those that a hook answers by itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import msgspec
from pydantic import ValidationError

from pagoda.api.body import describe
from pagoda.api.chat_events import ChatEvents
from pagoda.api.chat_run import ChatRun
from pagoda.api.errors import ApiError, bad_request
from pagoda.api.guests import admitted, guest_of
from pagoda.api.hooks import ChatHook, Guest, HookError, key_of
from pagoda.api.protocol.chat import ChatCompletionRequest
from pagoda.api.responses import FINGERPRINT, response_id
from pagoda.api.sse import DONE, event
from pagoda.api.state import ServerState

_DATA = b"data: "
_COUNTED = ("prompt_tokens", "completion_tokens", "total_tokens")


@dataclass(frozen=True, slots=True)
class HookedChat:
    """A chat that a hook takes part in.

    request: as the hook leaves it. name: of the model that was asked for. elsewhere: it is not
    for a model of this API's; the hook answers it. guest: whose it is.
    """

    request: ChatCompletionRequest
    hook: ChatHook
    name: str
    elsewhere: bool
    guest: Guest | None

    def here(self) -> ChatCompletionRequest:
        """The request, for APIs that hooks cannot answer. Raises ApiError."""
        if self.elsewhere:
            message = f"The model `{self.name}` answers /v1/chat/completions alone."
            raise bad_request(message, "model")
        return self.request

    def attach(self, run: ChatRun, *, whole: bool) -> None:
        """From now on the run's pieces are as the hook leaves them. whole: the client gets them
        all at once.
        """
        run.hook, run.is_whole = self.hook, whole
        run.model = run.account.model = self.name


async def hooked(
    state: ServerState, headers: Mapping[str, str], request: ChatCompletionRequest
) -> HookedChat | None:
    """None where nothing takes part, at the cost of a look. Raises ApiError."""
    if state.hooks is None:
        return None
    name = request.model or state.models.default.name
    served = _is_served(state, name)
    guest = await (admitted(state, headers, name) if served else guest_of(state, headers))
    hook = await state.hooks.begin(key_of(headers), name, served=served)
    if hook is None:
        return None
    try:
        asked = request.model_dump(mode="json", exclude_unset=True)
        body = await hook.inlet({**asked, "model": name})
        # Whether it streams is between the client and this server.
        changed = ChatCompletionRequest.model_validate({**body, "stream": request.stream})
    except HookError as error:
        raise ApiError(error.status, str(error)) from error
    except ValidationError as error:
        message, param = describe(error)
        raise bad_request(message, param) from error
    return HookedChat(changed, hook, name, not _is_served(state, changed.model or name), guest)


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


class AnsweredChat:
    """A chat that its hook answers. Raises ApiError."""

    def __init__(self, chat: HookedChat, headers: Mapping[str, str]) -> None:
        self._chat = chat
        self._head = {
            "id": response_id("chatcmpl", headers, chat.request),
            "created": int(time.time()),
            "model": chat.name,
        }
        self._usage: dict[str, Any] | None = None
        self._metrics: dict[str, Any] | None = None

    async def events(self) -> AsyncGenerator[bytes, None]:
        """As /v1/chat/completions streams them."""
        texts: dict[int, str] = {}
        options = self._chat.request.stream_options
        async with aclosing(self._chunks()) as chunks:
            async for each in chunks:
                chunk = await self._chat.hook.chunk({**self._head, "object": "chat.completion.chunk", **each})
                if chunk is not None and chunk.get("choices"):
                    _collect(texts, chunk)
                    yield event(chunk)
        await self._chat.hook.end([texts[index] for index in sorted(texts)])
        if options is not None and options.include_usage:
            counts: dict[str, Any] = {"choices": [], "usage": self._counts(), "metrics": self._metrics}
            yield event({**self._head, "object": "chat.completion.chunk", **counts})
        yield DONE

    async def whole(self) -> dict[str, Any]:
        """The chat.completion."""
        answers: dict[int, dict[str, Any]] = {}
        async with aclosing(self._chunks()) as chunks:
            async for each in chunks:
                for choice in each["choices"]:
                    _add(answers.setdefault(choice.get("index") or 0, _empty()), choice)
        answers = answers or {0: _empty()}  # it said nothing
        choices = [{"index": index, **_closed(answers[index])} for index in sorted(answers)]
        texts = await self._chat.hook.end([choice["message"]["content"] or "" for choice in choices])
        for choice, text in zip(choices, texts, strict=True):
            choice["message"]["content"] = text or choice["message"]["content"]
        return {
            **self._head,
            "object": "chat.completion",
            "choices": choices,
            "system_fingerprint": FINGERPRINT,
            "usage": self._counts(),
            "metrics": self._metrics,
        }

    async def _chunks(self) -> AsyncGenerator[dict[str, Any], None]:
        """With choices alone; counts are kept for the end."""
        body = self._chat.request.model_dump(mode="json", exclude_unset=True)
        try:
            async with aclosing(self._chat.hook.answer({**body, "model": self._asked})) as chunks:
                async for chunk in chunks:
                    self._usage = chunk.get("usage") or self._usage
                    self._metrics = chunk.get("metrics") or self._metrics
                    if chunk.get("choices"):
                        yield {"choices": chunk["choices"]}
        except HookError as error:
            raise ApiError(error.status, str(error)) from error
        finally:
            if self._chat.guest is not None:
                self._chat.guest.used(self._chat.name, self._counts() or {}, self._metrics or {})

    @property
    def _asked(self) -> str:
        return self._chat.request.model or self._chat.name

    def _counts(self) -> dict[str, Any] | None:
        """OpenAI's usage; a pipe that tells no counts has none, and none are made up."""
        usage = self._usage or {}
        return self._usage if all(isinstance(usage.get(name), int) for name in _COUNTED) else None


def _is_served(state: ServerState, name: str) -> bool:
    return any(name in model.names for model in state.models.list())


def _collect(texts: dict[int, str], chunk: dict[str, Any]) -> None:
    for choice in chunk.get("choices") or []:
        index = choice.get("index") or 0
        texts[index] = texts.get(index, "") + ((choice.get("delta") or {}).get("content") or "")


def _empty() -> dict[str, Any]:
    return {"content": "", "reasoning": "", "calls": {}, "finish_reason": None}


def _no_call() -> dict[str, Any]:
    return {"id": None, "type": "function", "function": {"name": "", "arguments": ""}}


def _add(answer: dict[str, Any], choice: Mapping[str, Any]) -> None:
    delta = choice.get("delta") or {}
    answer["content"] += delta.get("content") or ""
    answer["reasoning"] += delta.get("reasoning_content") or delta.get("reasoning") or ""
    answer["finish_reason"] = choice.get("finish_reason") or answer["finish_reason"]
    for call in delta.get("tool_calls") or []:
        found = answer["calls"].setdefault(
            call.get("index") or 0,
            _no_call(),
        )
        function = call.get("function") or {}
        found["id"] = call.get("id") or found["id"]
        found["function"]["name"] = function.get("name") or found["function"]["name"]
        found["function"]["arguments"] += function.get("arguments") or ""


def _closed(answer: Mapping[str, Any]) -> dict[str, Any]:
    calls = [answer["calls"][index] for index in sorted(answer["calls"])]
    reasoning = answer["reasoning"] or None
    return {
        "message": {
            "role": "assistant",
            "content": answer["content"] or (None if reasoning or calls else ""),
            "refusal": None,
            "tool_calls": calls,
            "reasoning": reasoning,
            "reasoning_content": reasoning,
        },
        "logprobs": None,
        "finish_reason": answer["finish_reason"] or "stop",
    }
