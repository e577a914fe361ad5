"""What lives beside the API in the same server, such as the workspace."""

from __future__ import annotations

from typing import Protocol

from fastapi import FastAPI


class ServerPart(Protocol):
    """A part of the server with routes of its own."""

    def install(self, app: FastAPI) -> None:
        """Adds its routes; `app.state.server` is the API's state."""
        ...

    async def start(self) -> None:
        """Before the first request. Raises ServerPartError when it cannot."""
        ...

    async def drain(self) -> None:
        """The server takes nothing new and waits for what is left: streams without an end have to end now."""
        ...

    async def stop(self) -> None:
        """After the last request, while the engines still run."""
        ...

    async def knows_key(self, key: str) -> bool:
        """Whether a bearer key is one that it has given out."""
        ...


class ServerPartError(Exception):
    """A part cannot start; one line for the user."""
