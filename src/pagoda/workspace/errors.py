"""What goes wrong on behalf of a user: one clear line, with a status."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from pagoda.workspace.storage.database import DatabaseClosedError


class WorkspaceError(Exception):
    """A request that cannot be served. param: the field at fault. headers: for the response.

    code: names the sentence, so that the page can say it in its reader's language, with `values` in it.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request",
        param: str | None = None,
        code: str | None = None,
        values: Mapping[str, str | int] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.param = param
        self.code = code
        self.values = dict(values or {})
        self.headers = headers

    def body(self) -> dict[str, object]:
        """As the API writes errors."""
        error = {
            "message": str(self),
            "type": self.kind,
            "param": self.param,
            "code": self.code or self.status,
        }
        return {"error": error | ({"values": self.values} if self.values else {})}


def not_found(what: str) -> WorkspaceError:
    """404 for what is not there, or is not the asker's: nobody learns which."""
    return WorkspaceError(
        404, f"There is no such {what}.", kind="not_found", code=f"no_{what.replace(' ', '_')}"
    )


def restoring() -> WorkspaceError:
    """503 for what comes while a backup takes the place of everything, or the server ends."""
    return WorkspaceError(
        503,
        "The workspace is being restored from a backup or ends; try again in a moment.",
        kind="restoring",
        headers={"Retry-After": "3"},
    )


def install_error_handler(app: FastAPI) -> None:
    """Answers WorkspaceErrors in their shape."""

    async def answer(_request: Request, error: Exception) -> JSONResponse:
        if not isinstance(error, WorkspaceError):
            raise error
        return JSONResponse(error.body(), error.status, error.headers)

    async def answer_late(_request: Request, _error: Exception) -> JSONResponse:
        error = restoring()
        return JSONResponse(error.body(), error.status, error.headers)

    app.add_exception_handler(WorkspaceError, answer)
    app.add_exception_handler(DatabaseClosedError, answer_late)
