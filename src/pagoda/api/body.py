"""Reads request bodies: JSON only, of bounded size, strictly parsed, validated into a protocol model."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import msgspec
from fastapi import Request
from pydantic import BaseModel, ValidationError

from pagoda.api.errors import ApiError

Body = TypeVar("Body", bound=BaseModel)

_DRAIN_BYTES = 512 * 1024 * 1024  # how much of a body that is too large is read and dropped
_SHOWN_ERRORS = 3


async def read_body(request: Request, model: type[Body], max_bytes: int) -> Body:
    """The body as `model`. Raises ApiError 400 with the field at fault, or 413 for a body that is too
    large.
    """
    raw = await read_json_bytes(request, max_bytes)
    try:
        with _without_garbage_collection():
            return model.model_validate(parse_json(raw))
    except ValidationError as error:
        message, param = describe(error)
        raise _invalid(message, param) from error


async def read_json_bytes(request: Request, max_bytes: int) -> bytes:
    """The body as it came. Raises ApiError 400 for another Content-Type than JSON's, 413 for one that is too
    large.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        shown = f"not {kind!r}" if kind else "and none was given"
        raise _invalid(f"The Content-Type must be application/json, {shown}.")
    return await _read_bounded(request, max_bytes)


def parse_json(raw: bytes) -> object:
    """Strict JSON: no NaN or Infinity, valid UTF-8, no lone surrogates. Raises ApiError 400."""
    if not raw.strip():
        raise _invalid("The body is empty; send a JSON object.")
    try:
        return msgspec.json.decode(raw)
    except UnicodeDecodeError as error:
        raise _invalid(
            f"The body is not valid UTF-8: byte {error.object[error.start]:#04x} is out of place."
        ) from error
    except RecursionError as error:
        raise _invalid("The body is not usable: it is nested too deeply.") from error
    except msgspec.ValidationError as error:
        raise _invalid(f"The body has a number that is out of range: {error}.") from error
    except msgspec.DecodeError as error:
        if b"\\ud" in raw.lower():
            hint = " A \\ud800 to \\udfff escape must come as a pair (lone surrogates are no text)."
        elif any(word in raw for word in (b"NaN", b"Infinity")):
            hint = " NaN and Infinity are no JSON numbers."
        else:
            hint = ""
        raise _invalid(f"The body is not valid JSON: {_reason(error)}.{hint}") from error


def describe(error: ValidationError) -> tuple[str, str | None]:
    """One line about what is wrong with which fields, and the first field's name."""
    problems: dict[str, list[str]] = {}
    for problem in error.errors(include_url=False, include_input=False, include_context=False):
        field = str(problem["loc"][0]) if problem["loc"] else ""
        text = problem["msg"].removeprefix("Value error, ")
        if not field and problem["type"] in ("model_type", "model_attributes_type", "dict_type"):
            text = "The body must be a JSON object."
        if text not in problems.setdefault(field, []):
            problems[field].append(text)
    shown = list(problems.items())[:_SHOWN_ERRORS]
    parts = [f"{field}: {'; or '.join(texts)}" if field else "; or ".join(texts) for field, texts in shown]
    more = len(problems) - len(shown)
    return " | ".join(parts) + (f" (and {more} more)" if more else ""), next(iter(problems)) or None


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Nothing in a body is garbage before it has been read, and looking for it again and again while millions
    of objects are made takes seconds.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


async def _read_bounded(request: Request, max_bytes: int) -> bytes:
    length = request.headers.get("content-length", "")
    declared = int(length) if length.isascii() and length.isdigit() else 0
    if declared > max_bytes and "100-continue" in request.headers.get("expect", "").lower():
        raise _too_large(max_bytes)  # the client waits for leave to send
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size <= max_bytes:
            chunks.append(chunk)
        elif size > _DRAIN_BYTES:
            break
        else:  # read on, so that the client is ready for the answer when it has sent everything
            chunks.clear()
    if size > max_bytes:
        raise _too_large(max_bytes)
    return b"".join(chunks)


def _too_large(max_bytes: int) -> ApiError:
    return ApiError(413, f"The body is larger than the {max_bytes // 2**20} MiB that this server accepts.")


def _invalid(message: str, param: str | None = None) -> ApiError:
    return ApiError(400, message, param=param, kind="Bad Request")


def _reason(error: Exception) -> str:
    text = str(error).removeprefix("JSON is malformed: ")
    return text[:1].lower() + text[1:].rstrip(".")
