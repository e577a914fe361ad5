"""Server-sent events with a name, as the Responses and Messages APIs send them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

_encode = msgspec.json.encode


def named_event(content: Mapping[str, Any]) -> bytes:
    """One event with `content` as JSON, named by its "type"."""
    return b"event: %b\ndata: %b\n\n" % (content["type"].encode(), _encode(content))
