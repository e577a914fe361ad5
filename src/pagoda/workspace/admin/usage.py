"""Who used how much: sums over the engine's records, by user, model or day."""

from __future__ import annotations

from typing import Any, Literal

from sqlalchemy import ColumnElement, Select, func, select

from pagoda.workspace.storage.database import Database
from pagoda.workspace.storage.tables import UsageEvent, User

By = Literal["user", "model", "day", "source"]
_MINUTE_MS, _DAY_MS = 60_000, 86_400_000
_SUMS = ("prompt_tokens", "cached_tokens", "completion_tokens", "reasoning_tokens", "duration_ms")


async def usage(
    database: Database,
    by: By,
    *,
    since: int | None = None,
    until: int | None = None,
    user_id: str | None = None,
    model_id: str | None = None,
    minutes_east: int = 0,
) -> dict[str, Any]:
    """Rows of one kind, the most tokens first (days: in order), and their total.

    since, until: milliseconds, the latter excluded. minutes_east: of the reader's clock from UTC, for days,
    which are told by their first millisecond.
    """
    offset = minutes_east * _MINUTE_MS
    keys: dict[By, ColumnElement[Any]] = {
        "user": UsageEvent.user_id.expression,
        "model": UsageEvent.model_id.expression,
        "source": UsageEvent.source.expression,
        # subtracting the rest divides whole numbers alike on every database
        "day": UsageEvent.created_at - (UsageEvent.created_at + offset) % _DAY_MS,
    }
    conditions = [UsageEvent.created_at >= (since or 0)]
    if until is not None:
        conditions.append(UsageEvent.created_at < until)
    if user_id is not None:
        conditions.append(UsageEvent.user_id == user_id)
    if model_id is not None:
        conditions.append(UsageEvent.model_id == model_id)
    key = keys[by].label("key")
    async with database.read() as session:
        inner = select(key, *_columns()).where(*conditions).group_by("key")
        rows = [dict(row._mapping) for row in await session.execute(_ordered(inner, by))]
        total = dict((await session.execute(select(*_columns()).where(*conditions))).one()._mapping)
        names = {}
        if by == "user":
            found = await session.execute(
                select(User.id, User.name, User.email).where(User.id.in_([row["key"] for row in rows]))
            )
            names = {user: {"name": name, "email": email} for user, name, email in found}
    return {
        "by": by,
        "rows": [{**_numbers(row), **names.get(row["key"], {})} for row in rows],
        "total": _numbers(total),
    }


def _columns() -> list[ColumnElement[Any]]:
    sums = [func.coalesce(func.sum(getattr(UsageEvent, name)), 0).label(name) for name in _SUMS]
    return [func.count().label("answers"), *sums, func.avg(UsageEvent.ttft_ms).label("ttft_ms")]


def _ordered(query: Select[Any], by: By) -> Select[Any]:
    if by == "day":
        return query.order_by("key")
    tokens = func.sum(UsageEvent.prompt_tokens + UsageEvent.completion_tokens)
    return query.order_by(tokens.desc(), "key")


def _numbers(row: dict[str, Any]) -> dict[str, Any]:
    """PostgreSQL sums into decimals."""
    whole = {name: int(row[name]) for name in ("answers", *_SUMS)}
    first = row["ttft_ms"]
    key = {"key": row["key"]} if "key" in row else {}
    return {**key, **whole, "ttft_ms": None if first is None else round(float(first), 1)}
