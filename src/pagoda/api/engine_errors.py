"""The engine's exceptions as errors of the API."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException

from pagoda.api.errors import ApiError, bad_request
from pagoda.engine.async_llm import EngineDeadError, PromptError, RequestFailedError
from pagoda.engine.params import ParameterError

if TYPE_CHECKING:
    from pagoda.api.served_model import Lease


def as_api_error(error: Exception, log: logging.Logger | None = None) -> ApiError:
    """The ApiError for an exception of the engine or of ours. Unknown ones are raised again, or with `log`
    written there and told as a failure of the server.
    """
    if isinstance(error, ApiError):
        return error
    if isinstance(error, PromptError | ParameterError):
        return bad_request(str(error), error.parameter)
    if isinstance(error, RequestFailedError | EngineDeadError):
        return ApiError(500, str(error))
    if log is None or isinstance(error, HTTPException):
        raise error
    log.error("a request failed in mid-stream", exc_info=error)
    return ApiError(500, "The server failed on this request; its log says why.")


@contextmanager
def released_on_failure(lease: Lease) -> Iterator[None]:
    """Gives the lease back when what is made with it fails, and tells the failure as `as_api_error` does."""
    try:
        yield
    except Exception as error:
        lease.release()
        raise as_api_error(error) from error
    except BaseException:
        lease.release()
        raise
