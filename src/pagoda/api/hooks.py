"""Where others take part in chats over HTTP, such as the workspace's plugin functions: all that the API knows
of them.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Protocol


class HookError(Exception):
    """A request that a hook refuses, or that it fails on; one line for the client."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class ChatHook(Protocol):
    """What takes part in one chat. `inlet` and `answer` raise HookError."""

    async def inlet(self, body: dict[str, Any]) -> dict[str, Any]:
        """The request as it is to be answered."""
        ...

    async def chunk(self, chunk: dict[str, Any]) -> dict[str, Any] | None:
        """A chat.completion.chunk as it is sent; None: it is not sent."""
        ...

    async def end(self, texts: list[str]) -> list[str]:
        """All answers' texts as a response that is not streamed has them."""
        ...

    def answer(self, body: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """Answers a request for a model that this API does not serve itself, in objects of the type
        chat.completion.chunk, which have not passed `chunk`.
        """
        ...


class Guest(Protocol):
    """Somebody with a personal key, for one request."""

    async def check(self, model: str) -> None:
        """Raises HookError for a model that is not theirs to use."""
        ...

    def used(self, model: str, usage: Mapping[str, Any], timing: Mapping[str, float | None]) -> None:
        """Counts a request that has ended. timing: seconds, such as `time_to_first_token`."""
        ...


class RequestHooks(Protocol):
    """Decides, request by request, whether anything takes part."""

    async def begin(self, key: str, model: str, *, served: bool) -> ChatHook | None:
        """key: the bearer key, "" for none. served: whether this API serves a model of that name. None where
        nothing takes part: the request goes its usual way.
        """
        ...

    async def guest(self, key: str) -> Guest | None:
        """Whose personal key it is; None for any other key, at no cost."""
        ...

    async def models(self, key: str) -> Sequence[Mapping[str, Any]]:
        """Models that may be asked for with this key, the API's own among them or not: id,
        base (None, or the model it is made of) and context_length (None where it is not known).
        """
        ...


def key_of(headers: Mapping[str, str]) -> str:
    """The key of a request, "" for none; headers by lower-case names."""
    scheme, _, key = headers.get("authorization", "").partition(" ")
    bearer = key.strip() if scheme.lower() == "bearer" else ""
    return bearer or headers.get("x-api-key", "").strip()
