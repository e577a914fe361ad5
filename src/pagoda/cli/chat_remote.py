"""A chat with a server that speaks OpenAI's API."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from pagoda.cli.api_client import ApiClient
from pagoda.cli.conversation import AnswerStats, ChatSettings, Conversation

_SAMPLING = ("temperature", "top_p", "top_k", "max_tokens", "seed")


class RemotePartner:
    """A server. model: the name to ask for; None takes the server's first."""

    def __init__(self, url: str, key: str | None, model: str | None, settings: ChatSettings) -> None:
        self._url, self._key, self._model, self._settings = url, key, model, settings
        self._client: ApiClient | None = None

    async def open(self) -> tuple[Conversation, str]:
        """Finds the model; the conversation, and a line about the model. Raises UsageError."""
        self._client = ApiClient(self._url, self._key)
        model = self._model or await self._client.first_model()
        return RemoteConversation(self._client, model, self._settings), f"{model} at {self._client.url}"

    @property
    def is_gone(self) -> bool:
        """A server that fails once may answer again."""
        return False

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()


class RemoteConversation(Conversation):
    """Messages with a model of a server; all of them are sent each time."""

    def __init__(self, client: ApiClient, model: str, settings: ChatSettings) -> None:
        super().__init__(settings)
        self._client = client
        self._model = model

    async def answer(self, text: str) -> AsyncGenerator[str, None]:
        self.messages.append({"role": "user", "content": text})
        self.stats = stats = AnswerStats()
        said: list[str] = []
        started = time.monotonic()
        thinking = False
        try:
            async with aclosing(self._client.stream("/chat/completions", self._body())) as chunks:
                async for chunk in chunks:
                    _note_usage(stats, chunk)
                    reasoning, content = _news(chunk, stats)
                    if not (reasoning or content):
                        continue
                    stats.tokens += 1  # until the server tells the number
                    now = time.monotonic()
                    if not stats.first_seconds:
                        stats.first_seconds, started = now - started, now
                    stats.stream_seconds = now - started
                    # Reasoning is shown as models write it, and not sent back.
                    if reasoning:
                        yield reasoning if thinking else f"<think>\n{reasoning}"
                        thinking = True
                    if content:
                        said.append(content)
                        yield f"\n</think>\n\n{content}" if thinking else content
                        thinking = False
        except BaseException:
            if not said:
                self.messages.pop()
            raise
        finally:
            if said:
                self.messages.append({"role": "assistant", "content": "".join(said)})

    def _body(self) -> dict[str, Any]:
        head = [{"role": "system", "content": self.system}] if self.system else []
        body: dict[str, Any] = {
            "model": self._model,
            "messages": [*head, *self.messages],
            "stream_options": {"include_usage": True},
        }
        given = {name: getattr(self._settings, name) for name in _SAMPLING}
        return body | {name: value for name, value in given.items() if value is not None}


def _note_usage(stats: AnswerStats, chunk: dict[str, Any]) -> None:
    usage = chunk.get("usage")
    if isinstance(usage, dict):
        stats.prompt_tokens = int(usage.get("prompt_tokens") or 0)
        stats.tokens = int(usage.get("completion_tokens") or 0)


def _news(chunk: dict[str, Any], stats: AnswerStats) -> tuple[str, str]:
    """What a chunk adds to reasoning and to the answer."""
    choices = chunk.get("choices") or []
    if not choices:
        return "", ""
    stats.finish_reason = choices[0].get("finish_reason") or stats.finish_reason
    delta = choices[0].get("delta") or {}
    reasoning = delta.get("reasoning") or delta.get("reasoning_content") or ""
    return str(reasoning), str(delta.get("content") or "")
