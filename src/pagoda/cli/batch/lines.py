"""Lines of OpenAI's batch files: requests that are read, and answers that are written.

A request: {"custom_id": ..., "method": "POST", "url": "/v1/chat/completions", "body": {...}}.
An answer: {"id": ..., "custom_id": ..., "response": {"status_code", "request_id", "body"} | null,
"error": {"code", "message"} | null}. Source: OpenAI's API reference, "Batch".
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import Any

#: what a request of a batch may ask for
URLS = (
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/responses",
    "/v1/score",
    "/score",
    "/v1/rerank",
    "/v2/rerank",
    "/rerank",
)


@dataclass(frozen=True, slots=True)
class BatchRequest:
    """One valid line; `number` counts from 1."""

    number: int
    custom_id: str
    url: str
    body: str  #: JSON in ASCII, so that nothing in it can fail to be sent


class LineError(ValueError):
    """A line that asks for nothing that can be done; `custom_id` where it has one."""

    def __init__(self, code: str, message: str, custom_id: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.custom_id = custom_id


def read_request(number: int, line: str) -> BatchRequest:
    """Raises LineError."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise LineError("invalid_json_line", f"Line {number} is not valid JSON: {error}.") from error
    if not isinstance(found, dict):
        raise LineError("invalid_json_line", f"Line {number} is not a JSON object.")
    custom_id = found.get("custom_id")
    if not isinstance(custom_id, str) or not custom_id:
        raise LineError("missing_required_parameter", f"Line {number} has no custom_id.")
    method, url, body = found.get("method", "POST"), found.get("url"), found.get("body")
    if method != "POST":
        raise LineError("invalid_method", f"Line {number}: the method is {method!r}, not POST.", custom_id)
    if url not in URLS:
        known = ", ".join(URLS)
        raise LineError("invalid_url", f"Line {number}: the url is {url!r}, not one of {known}.", custom_id)
    if not isinstance(body, dict):
        raise LineError("missing_required_parameter", f"Line {number}: body is not an object.", custom_id)
    if body.get("stream"):
        raise LineError("invalid_request", f"Line {number}: a batch cannot stream.", custom_id)
    try:
        return BatchRequest(number, custom_id, url, json.dumps(body))
    except RecursionError as error:
        raise LineError("invalid_request", f"Line {number}: body is nested too deeply.", custom_id) from error


def answer_line(custom_id: str, status: int, request_id: str, body: Any) -> str:
    """The line of a request that the server answered, with an error too where it refused it."""
    error = None
    if status >= 400:
        details = body.get("error") if isinstance(body, dict) else None
        details = details if isinstance(details, dict) else {}
        message = details.get("message") or f"The server answered with status {status}."
        error = {"code": str(details.get("type") or status), "message": str(message)}
    return _line(custom_id, {"status_code": status, "request_id": request_id, "body": body}, error)


def error_line(error: LineError) -> str:
    """The line of a request that was not sent."""
    return _line(error.custom_id, None, {"code": error.code, "message": str(error)})


def _line(custom_id: str | None, response: Any, error: Any) -> str:
    answer = {
        "id": f"batch_req_{uuid.uuid4().hex}",
        "custom_id": custom_id,
        "response": response,
        "error": error,
    }
    text = json.dumps(answer, ensure_ascii=False)
    # Half of a character, as a request may hold it and an error repeat it, has no UTF-8.
    return (text if _is_sendable(text) else json.dumps(answer)) + "\n"


def _is_sendable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
