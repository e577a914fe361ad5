"""Typed look-up in the JSON objects of a model folder: nothing in a file is believed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pagoda.weights.checkpoint import CheckpointError

MAX_INTEGER = 1 << 62  #: JSON has no limit; beyond this no field makes sense
_Value = TypeVar("_Value", int, float, bool, str)


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file. Raises CheckpointError with one line."""
    found = _read(path)
    if not isinstance(found, dict):
        raise CheckpointError(f"{path} holds no JSON object; fetch it again")
    return found


def read_json_list(path: Path) -> list[dict[str, Any]]:
    """The objects of the list in a JSON file. Raises CheckpointError with one line."""
    found = _read(path)
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise CheckpointError(f"{path} holds no list of JSON objects; fetch it again")
    return found


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is not valid JSON ({error}); fetch it again") from error


class Fields:
    """Typed look-up in a JSON object; null counts as absent."""

    def __init__(self, path: Path, values: Mapping[str, Any]) -> None:
        self.path = path
        self.values = values

    def get(self, key: str, kind: type[_Value], default: _Value | None = None) -> _Value:
        """The value under `key`; without a default it must be there."""
        value = self.values.get(key)
        if value is None:
            value = default
        if value is None:
            raise CheckpointError(f"{self.path} lacks {key!r}: fetch the model again")
        right = type(value) is kind or (kind is float and type(value) is int)
        if not right or (type(value) is int and abs(value) > MAX_INTEGER):
            raise CheckpointError(f"{self.path}: {key!r} is {str(value)[:60]!r}, not {kind.__name__}")
        return kind(value)


def ids_of(value: Any, vocab_size: int) -> list[int]:
    """Token ids of a field that is an id, a list of them or null; others are left out."""
    values = value if isinstance(value, list) else [value]
    return [token for token in values if type(token) is int and 0 <= token < vocab_size]


def first_id(value: Any, vocab_size: int) -> int | None:
    """The first token id of such a field."""
    ids = ids_of(value, vocab_size)
    return ids[0] if ids else None
