"""A provider that says what it is told: every page can be tested without a model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any

from pagoda.workspace.providers.base import Caller, ProviderError, ProviderModel

Answer = Callable[[dict[str, Any]], Sequence[str | ProviderError]]


class FakeProvider:
    """Answers with pieces of text; a ProviderError among them is raised there.

    answer: from the request to the pieces. pause: seconds between them; `gate` instead lets one piece pass
    each time it is released.
    """

    def __init__(
        self,
        answer: Answer,
        models: Sequence[str] = ("fake",),
        *,
        pause: float = 0.0,
        gate: asyncio.Semaphore | None = None,
        capabilities: frozenset[str] = frozenset(),
    ) -> None:
        self.requests: list[tuple[dict[str, Any], Caller]] = []
        self.closed = 0
        self._answer = answer
        self._models = models
        self._pause = pause
        self._gate = gate
        self._capabilities = capabilities

    @property
    def id(self) -> str:
        return "fake"

    async def list_models(self) -> list[ProviderModel]:
        return [
            ProviderModel(name, name.title(), context_length=8192, capabilities=self._capabilities)
            for name in self._models
        ]

    async def count_tokens(self, text: str, model: str) -> int | None:
        """Words; of the first model alone."""
        return len(text.split()) if model == self._models[0] else None

    async def chat(self, body: dict[str, Any], caller: Caller) -> AsyncGenerator[dict[str, Any], None]:
        self.requests.append((body, caller))
        count = 0
        try:
            for piece in self._answer(body):
                if self._gate is not None:
                    await self._gate.acquire()
                elif self._pause:
                    await asyncio.sleep(self._pause)
                if isinstance(piece, ProviderError):
                    raise piece
                count += 1
                yield {"choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": None}]}
            usage = {
                "prompt_tokens": len(body["messages"]),
                "completion_tokens": count,
                "total_tokens": count,
            }
            yield {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
            yield {"choices": [], "usage": usage}
        finally:
            self.closed += 1
