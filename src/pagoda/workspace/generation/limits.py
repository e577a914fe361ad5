"""How long one answer may become, and how many of one user are written at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from pagoda.workspace.errors import WorkspaceError
from pagoda.workspace.settings import WorkspaceSettings


class TimeLimitError(Exception):
    """An answer took as long as one may; what it has is kept."""


class Room:
    """Counts answers that are about to begin, so that requests at the same moment do not pass together."""

    def __init__(self, settings: Callable[[], WorkspaceSettings]) -> None:
        self._settings = settings
        self._starting: Counter[str] = Counter()

    @contextmanager
    def taken(self, user_id: str, running: int, asked: int) -> Iterator[None]:
        """Room for more answers of a user who has so many on their way. Raises WorkspaceError 429."""
        most = self._settings().answers_at_once
        if running + self._starting[user_id] + asked > most:
            answers = "one answer is" if most == 1 else f"{most} answers are"
            raise WorkspaceError(
                429,
                f"At most {answers} written for you at once. Ask again when there is room.",
                kind="rate_limit",
                param="models",
                code="most_answers",
                values={"count": most},
            )
        self._starting[user_id] += asked
        try:
            yield
        finally:
            self._starting[user_id] -= asked
            if not self._starting[user_id]:
                del self._starting[user_id]


@asynccontextmanager
async def time_limit(settings: WorkspaceSettings) -> AsyncIterator[None]:
    """Raises TimeLimitError when what is done within takes longer than an answer may."""
    minutes = settings.answer_minutes
    clock = asyncio.timeout(None if minutes is None else 60 * minutes)
    try:
        async with clock:
            yield
    except TimeoutError as error:
        if not clock.expired():
            raise
        unit = "minute" if minutes == 1 else "minutes"
        raise TimeLimitError(
            f"An answer may take {minutes:g} {unit} here; this one was ended then."
        ) from error
