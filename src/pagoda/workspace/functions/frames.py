"""Messages on a local stream socket: four bytes of length (little endian), then MessagePack."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec

from pagoda.workspace.functions.messages import LONGEST_FRAME

PREFIX = 4


class FrameError(ValueError):
    """A value that cannot travel: too large, or going in circles."""


def encode_frame(message: msgspec.Struct) -> bytes:
    """A message as it travels. Raises FrameError."""
    try:
        body = msgspec.msgpack.encode(message, enc_hook=plain)
    except (RecursionError, OverflowError, TypeError, ValueError) as error:
        raise FrameError(f"it cannot be sent: {error}") from error
    if len(body) > LONGEST_FRAME:
        raise FrameError(f"it is {len(body) >> 20} MB, and at most {LONGEST_FRAME >> 20} MB can be sent")
    return len(body).to_bytes(PREFIX, "little") + body


def plain(value: Any) -> Any:
    """What MessagePack does not know as something that it does: models as objects, the rest as text."""
    dump = getattr(value, "model_dump", None)
    if callable(dump):
        return dump()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return str(value)
