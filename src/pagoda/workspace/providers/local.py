"""The models of this server's own engine."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Any, Protocol

from pagoda.workspace.providers.base import Caller, ProviderError, ProviderModel


class LocalChats(Protocol):
    """What the workspace asks of the engine's side; composition gives it."""

    def list_models(self) -> Sequence[ProviderModel]: ...

    def chat(
        self,
        body: dict[str, Any],
        *,
        user: str,
        priority: int,
        cache_salt: str,
        request_id: str,
        most_tokens: int | None,
    ) -> AsyncGenerator[dict[str, Any], None]: ...

    async def count_tokens(self, text: str, model: str) -> int | None: ...


class LocalProvider:
    """as_error: makes a ProviderError of what the engine's side raises; None leaves it as it is."""

    def __init__(self, chats: LocalChats, as_error: Callable[[Exception], ProviderError | None]) -> None:
        self._chats = chats
        self._as_error = as_error

    @property
    def id(self) -> str:
        return "local"

    async def list_models(self) -> list[ProviderModel]:
        return list(self._chats.list_models())

    async def count_tokens(self, text: str, model: str) -> int | None:
        """By the model's own tokenizer; None while it is not loaded."""
        return await self._chats.count_tokens(text, model)

    async def chat(self, body: dict[str, Any], caller: Caller) -> AsyncGenerator[dict[str, Any], None]:
        asked = self._chats.chat(
            body,
            user=caller.user_id,
            priority=caller.priority,
            cache_salt=caller.cache_salt,
            request_id=caller.request_id,
            most_tokens=caller.most_tokens,
        )
        try:
            async with aclosing(asked) as chunks:
                async for chunk in chunks:
                    yield chunk
        except Exception as error:
            known = self._as_error(error)
            if known is None:
                raise
            raise known from error
