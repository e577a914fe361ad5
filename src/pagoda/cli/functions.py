"""What plugin functions get of the API's side, and the API of them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from pagoda.api.hooks import ChatHook, Guest, HookError
from pagoda.api.model_pool import ModelPool
from pagoda.text.tokenizer import Tokenizer
from pagoda.workspace.functions.api import ApiFunctions, HookedRequest
from pagoda.workspace.generation.api_usage import ApiGuest, ApiGuests
from pagoda.workspace.providers.base import ProviderError


class ServedTokens:
    """Tokenizers of models in memory; where the one that is named is not, the first one's."""

    def __init__(self, models: ModelPool) -> None:
        self._models = models

    def encode(self, model: str | None, text: str) -> list[int]:
        return self._tokenizer(model).encode(text, add_special_tokens=False)

    def decode(self, model: str | None, tokens: Sequence[int]) -> str:
        return self._tokenizer(model).decode(tokens, skip_special_tokens=False)

    def size(self, model: str | None) -> int:
        return self._tokenizer(model).vocab_size

    def _tokenizer(self, name: str | None) -> Tokenizer:
        served = self._models.list()
        named = [model for model in served if name in model.names]
        for model in (*named, *served):
            if (llm := model.loaded_llm) is not None:
                return llm.tokenizer
        raise LookupError("no model with a tokenizer is in memory")


class HttpFunctions:
    """Functions, the workspace's own models and its users' keys on /v1, as the API's `RequestHooks`."""

    def __init__(self, functions: ApiFunctions, guests: ApiGuests) -> None:
        self._functions = functions
        self._guests = guests

    async def guest(self, key: str) -> Guest | None:
        found = await self._guests.find(key)
        return None if found is None else _Guest(found)

    async def begin(self, key: str, model: str, *, served: bool) -> ChatHook | None:
        found = await self._functions.begin(key, model, served=served)
        return None if found is None else _Hook(found)

    async def models(self, key: str) -> Sequence[Mapping[str, Any]]:
        return await self._functions.models(key)


class _Guest:
    def __init__(self, guest: ApiGuest) -> None:
        self._guest = guest

    async def check(self, model: str) -> None:
        try:
            await self._guest.check(model)
        except ProviderError as error:
            raise HookError(str(error), error.status) from error

    def used(self, model: str, usage: Mapping[str, Any], timing: Mapping[str, float | None]) -> None:
        self._guest.used(model, usage, timing)


class _Hook:
    def __init__(self, chat: HookedRequest) -> None:
        self._chat = chat

    async def inlet(self, body: dict[str, Any]) -> dict[str, Any]:
        try:
            return await self._chat.inlet(body)
        except ProviderError as error:
            raise HookError(str(error), error.status) from error

    async def chunk(self, chunk: dict[str, Any]) -> dict[str, Any] | None:
        return await self._chat.chunk(chunk)

    async def end(self, texts: list[str]) -> list[str]:
        return await self._chat.end(texts)

    async def answer(self, body: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        try:
            async with aclosing(self._chat.answer(body)) as chunks:
                async for chunk in chunks:
                    yield chunk
        except ProviderError as error:
            raise HookError(str(error), error.status) from error
