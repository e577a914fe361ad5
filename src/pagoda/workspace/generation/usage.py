"""One record for each answer, of what its provider counted; nothing is estimated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pagoda.workspace.storage.database import Database
from pagoda.workspace.storage.tables import UsageEvent


async def count(
    database: Database,
    *,
    user_id: str,
    model: str,
    source: str,
    chat_id: str | None,
    usage: Mapping[str, Any] | None,
    timing: Mapping[str, Any],
) -> None:
    """source: "page", "api" or "task". An answer whose provider counted nothing leaves no record."""
    if not usage:
        return
    first = timing.get("time_to_first_token")
    seconds = timing.get("seconds")
    event = UsageEvent(
        user_id=user_id,
        model_id=model,
        source=source,
        chat_id=chat_id,
        prompt_tokens=usage.get("prompt_tokens") or 0,
        cached_tokens=(usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0,
        completion_tokens=usage.get("completion_tokens") or 0,
        reasoning_tokens=(usage.get("completion_tokens_details") or {}).get("reasoning_tokens") or 0,
        ttft_ms=None if first is None else int(first * 1000),
        duration_ms=None if seconds is None else int(seconds * 1000),
    )
    async with database.write() as session:
        session.add(event)
