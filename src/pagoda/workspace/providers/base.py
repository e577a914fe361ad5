"""The contract between the workspace and whatever answers: the local engine, a remote server, a plugin."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

LOWEST_PRIORITY = 100  #: of what nobody waits for, such as titles


class ProviderError(Exception):
    """An answer that cannot be had; the message is for the user.

    status: as in HTTP. kind: "unreachable", "refused", "overloaded", "too_long", "bad_answer" or "failed".
    code, values: as in WorkspaceError, where the kind does not say it all.
    """

    def __init__(
        self,
        message: str,
        status: int = 502,
        kind: str = "failed",
        *,
        code: str | None = None,
        values: Mapping[str, str | int] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.code = code
        self.values = dict(values or {})


@dataclass(frozen=True, slots=True)
class ProviderModel:
    """A model as its provider names it. context_length: tokens, None where it is not known.

    state: "ready", "loading", "unloaded" or "error". capabilities: "vision", "tools", "reasoning".
    """

    id: str
    name: str
    context_length: int | None = None
    capabilities: frozenset[str] = frozenset()
    state: str = "ready"
    error: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Caller:
    """For whom an answer is made. priority: lower goes first. cache_salt: with whom the prefix cache is
    shared. most_tokens: of the answer, whatever the request says; None: no limit. think_tags: whether
    `<think>` at the beginning of a foreign server's answer is reasoning.
    """

    user_id: str
    priority: int = 0
    cache_salt: str = ""
    request_id: str = ""
    most_tokens: int | None = None
    think_tags: bool = True


class Provider(Protocol):
    """One source of models."""

    @property
    def id(self) -> str: ...

    async def list_models(self) -> list[ProviderModel]:
        """Raises ProviderError."""
        ...

    def chat(self, body: dict[str, Any], caller: Caller) -> AsyncGenerator[dict[str, Any], None]:
        """Answers an OpenAI chat request; gives chat.completion.chunk objects.

        Deltas hold content, reasoning_content and tool_calls; the last chunks hold finish_reason, then
        `usage` and, from the local engine, `metrics`. Closing the generator stops the answer. Raises
        ProviderError, before or between chunks.
        """
        ...


@runtime_checkable
class TokenCounter(Protocol):
    """What a provider may be beside a Provider: one that knows its models' tokenizers."""

    async def count_tokens(self, text: str, model: str) -> int | None:
        """How many tokens the model makes of a text, without what a chat template adds. None where it is not
        known: never an estimate.
        """
        ...
