"""Where functions take part in an answer. Nothing here knows what a function is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from pagoda.workspace.accounts.principal import Principal
from pagoda.workspace.generation.run import Run
from pagoda.workspace.providers.registry import Resolved


@dataclass(frozen=True, slots=True)
class AnswerContext:
    """An answer that is about to be asked for. filter_ids: what the user has switched on."""

    principal: Principal
    run: Run
    resolved: Resolved
    filter_ids: tuple[str, ...]


class AnswerHook(Protocol):
    """What takes part in one answer."""

    async def inlet(self, body: dict[str, Any]) -> dict[str, Any]:
        """The request as it goes to the model. Raises ProviderError to refuse it."""
        ...

    async def chunk(self, chunk: dict[str, Any]) -> dict[str, Any] | None:
        """A chunk as it comes to the user; None for one that does not come."""
        ...

    async def end(self) -> None:
        """The answer is whole; `run.builder` and `run.tell` are there to change it. Not called for an answer
        that failed or was stopped.
        """
        ...


class Hooks(Protocol):
    """What functions there are."""

    async def begin(self, context: AnswerContext) -> AnswerHook | None:
        """None where no function takes part."""
        ...
