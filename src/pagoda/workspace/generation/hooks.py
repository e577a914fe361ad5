"""What may stand between a request of the page and the model that answers it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Any, Protocol

from pagoda.workspace.accounts.principal import Principal
from pagoda.workspace.generation.run import Run

Ask = Callable[[dict[str, Any]], AsyncGenerator[dict[str, Any], None]]


class AroundAnswer(Protocol):
    """One answer's hooks."""

    def chat(self, body: dict[str, Any], ask: Ask) -> AsyncGenerator[dict[str, Any], None]:
        """The chunks to build the answer of; `ask` gives the model's. Raises ProviderError."""
        ...


class AnswerHooks(Protocol):
    """Decides, answer by answer, whether anything stands there."""

    async def begin(
        self, run: Run, principal: Principal, body: Mapping[str, Any], filter_ids: Sequence[str]
    ) -> AroundAnswer | None:
        """None: the model's chunks are taken as they come."""
        ...
