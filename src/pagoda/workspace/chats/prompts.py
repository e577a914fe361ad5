"""The library of prompts: texts called by /command. Variables in {{braces}} are the page's to fill."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from pagoda.workspace.errors import WorkspaceError, not_found
from pagoda.workspace.storage.database import Database
from pagoda.workspace.storage.tables import Prompt, User
from pagoda.workspace.storage.values import now_ms

LONGEST_TITLE = 200
LONGEST_CONTENT = 100_000
MOST_PROMPTS = 1000  #: of one user
VISIBILITIES = ("private", "everyone")
_COMMAND = re.compile(r"[\w-]{1,50}")
_VARIABLE = re.compile(r"\{\{\s*([^{}|]{1,60}?)\s*(?:\|[^{}]*)?\}\}")
_CHANGEABLE = ("command", "title", "content", "visibility")


class Prompts:
    """One's own prompts, and those that others let everyone use."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def usable(self, user_id: str) -> list[tuple[Prompt, str]]:
        """Each with its owner's name, by command; one's own before others' of the same command."""
        query = (
            select(Prompt, User.name)
            .join(User, User.id == Prompt.user_id)
            .where(or_(Prompt.user_id == user_id, Prompt.visibility == "everyone"))
        )
        async with self._db.read() as session:
            rows = [(row[0], row[1]) for row in (await session.execute(query)).all()]
        return sorted(rows, key=lambda row: (row[0].command, row[0].user_id != user_id, row[0].id))

    async def create(self, user_id: str, values: Mapping[str, Any]) -> Prompt:
        """Raises WorkspaceError; 409 for a command that the user has already."""
        prompt = Prompt(user_id=user_id)
        _set(prompt, values)
        try:
            async with self._db.write() as session:
                mine = await session.scalars(select(Prompt.id).where(Prompt.user_id == user_id))
                if len(mine.all()) >= MOST_PROMPTS:
                    raise WorkspaceError(
                        400,
                        f"There are {MOST_PROMPTS} prompts already.",
                        code="most_prompts",
                        values={"count": MOST_PROMPTS},
                    )
                session.add(prompt)
        except IntegrityError as error:
            raise _taken(prompt.command) from error
        return prompt

    async def add_missing(self, user_id: str, prompts: Sequence[Mapping[str, Any]]) -> int:
        """Adds those whose command the user does not have, and can have; returns how many."""
        async with self._db.write() as session:
            mine = set(await session.scalars(select(Prompt.command).where(Prompt.user_id == user_id)))
            before = len(mine)
            for values in prompts:
                command = str(values["command"]).strip().removeprefix("/").lower()
                if command in mine or not _COMMAND.fullmatch(command) or len(mine) >= MOST_PROMPTS:
                    continue
                mine.add(command)
                session.add(
                    Prompt(
                        user_id=user_id,
                        command=command,
                        title=str(values["title"])[:LONGEST_TITLE],
                        content=str(values["content"])[:LONGEST_CONTENT],
                    )
                )
        return len(mine) - before

    async def change(self, user_id: str, prompt_id: str, values: Mapping[str, Any]) -> Prompt:
        """Raises WorkspaceError; 404 for another's."""
        try:
            async with self._db.write() as session:
                prompt = await _own(session, user_id, prompt_id)
                _set(prompt, values)
                prompt.updated_at = now_ms()
        except IntegrityError as error:
            raise _taken(str(values.get("command"))) from error
        return prompt

    async def delete(self, user_id: str, prompt_id: str) -> None:
        """Raises WorkspaceError 404."""
        async with self._db.write() as session:
            await session.delete(await _own(session, user_id, prompt_id))


def variables(content: str) -> list[str]:
    """Names in {{braces}}, each once, in order; what follows a | is for the page."""
    return list(dict.fromkeys(_VARIABLE.findall(content)))


async def _own(session: AsyncSession, user_id: str, prompt_id: str) -> Prompt:
    prompt = await session.get(Prompt, prompt_id)
    if prompt is None or prompt.user_id != user_id:
        raise not_found("prompt")
    return prompt


def _set(prompt: Prompt, values: Mapping[str, Any]) -> None:
    for name in _CHANGEABLE:
        if name in values:
            setattr(prompt, name, values[name])
    if "command" in values:
        prompt.command = str(values["command"]).strip().removeprefix("/").lower()
        if not _COMMAND.fullmatch(prompt.command):
            raise WorkspaceError(
                400,
                "A command is 1 to 50 letters, digits, hyphens or underscores.",
                param="command",
                code="command_form",
            )


def _taken(command: str) -> WorkspaceError:
    return WorkspaceError(
        409,
        f"You have a prompt /{command.removeprefix('/')} already.",
        kind="conflict",
        param="command",
        code="command_taken",
        values={"command": command.removeprefix("/")},
    )
