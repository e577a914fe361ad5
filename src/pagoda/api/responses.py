"""Ids and other fields that all responses of the completion APIs share."""

from __future__ import annotations

import re
import secrets

from fastapi import Request

from pagoda import __version__
from pagoda.api.protocol.common import GenerationRequest

FINGERPRINT = f"pagoda-{__version__}"

_UNSAFE = re.compile(r"[^A-Za-z0-9._:-]")
_LONGEST_ID = 128


def response_id(prefix: str, http: Request, request: GenerationRequest) -> str:
    """`prefix` and the client's id (X-Request-Id, else `request_id`), cut to safe characters, else a random
    one.
    """
    given = http.headers.get("x-request-id") or request.request_id or ""
    return f"{prefix}-{_UNSAFE.sub('', given)[:_LONGEST_ID] or secrets.token_hex(16)}"


def shows_usage(request: GenerationRequest) -> tuple[bool, bool]:
    """Whether a stream ends with the counts, and whether every chunk has them."""
    options = request.stream_options
    if options is None:
        return False, False
    continuous = bool(options.continuous_usage_stats)
    return bool(options.include_usage), continuous and bool(options.include_usage)
