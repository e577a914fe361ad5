"""What all responses of the completion APIs share: ids, and how a whole answer is sent."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Protocol

from fastapi import Request, Response

from pagoda import __version__
from pagoda.api.connection import ClientGoneError, ShuttingDownError, run_while_connected
from pagoda.api.engine_errors import as_api_error
from pagoda.api.errors import json_response, unavailable
from pagoda.api.protocol.common import GenerationRequest
from pagoda.api.settings import ServerSettings
from pagoda.api.state import ServerState

FINGERPRINT = f"pagoda-{__version__}"

_UNSAFE = re.compile(r"[^A-Za-z0-9._:-]")
_LONGEST_ID = 128


class Named(Protocol):
    """A request that may carry an id."""

    @property
    def request_id(self) -> str | None: ...


def response_id(prefix: str, headers: Mapping[str, str], request: Named) -> str:
    """`prefix` and the client's id (X-Request-Id, else `request_id`), cut to safe characters, else a random
    one. headers: of the HTTP request, by lower-case names.
    """
    given = headers.get("x-request-id") or request.request_id or ""
    return f"{prefix}-{_UNSAFE.sub('', given)[:_LONGEST_ID] or secrets.token_hex(16)}"


def shows_usage(request: GenerationRequest, settings: ServerSettings) -> tuple[bool, bool]:
    """Whether a stream ends with the counts, and whether every chunk has them. The server may force both."""
    if settings.force_include_usage:
        return True, True
    options = request.stream_options
    if options is None:
        return False, False
    continuous = bool(options.continuous_usage_stats)
    return bool(options.include_usage), continuous and bool(options.include_usage)


async def whole_response(
    http: Request,
    state: ServerState,
    work: Coroutine[Any, Any, dict[str, Any]],
    on_close: Callable[[], None] | None = None,
) -> Response:
    """The JSON that `work` makes. It is given up when the client goes away; its failures are ApiErrors.

    on_close: called once when `work` has ended, also when it never began.
    """
    try:
        return json_response(await run_while_connected(work, http.receive, state.draining))
    except ClientGoneError:
        return Response()  # nobody reads it
    except ShuttingDownError as error:
        raise unavailable("The server is shutting down.") from error
    except Exception as error:
        raise as_api_error(error) from error
    finally:
        if on_close is not None:
            on_close()
