"""Values that serve functions of both ages: those that await what they ask for, and those that do not."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict

Self = TypeVar("Self")


class Awaitable:
    """Awaiting it gives it."""

    def __await__(self: Self) -> Generator[Any, None, Self]:
        yield from ()
        return self


class ServedModel(Awaitable, BaseModel):
    """A row of the house; fields that are not listed are kept too."""

    model_config = ConfigDict(extra="allow")


class ServedList(Awaitable, list[Any]):
    """A list."""


class ServedDict(Awaitable, dict[str, Any]):
    """An object."""


class ServedText(Awaitable, str):
    """A text."""


class ServedNumber(Awaitable, int):
    """A number, or whether something is so."""


class Nothing:
    """What is not there: false, equal to None, and None when it is awaited."""

    def __await__(self) -> Generator[Any, None, None]:
        yield from ()

    def __bool__(self) -> bool:
        return False

    def __eq__(self, other: object) -> bool:
        return other is None or isinstance(other, Nothing)

    def __hash__(self) -> int:
        return hash(None)


def served(value: Any) -> Any:
    """A plain value that can be awaited."""
    if value is None:
        return Nothing()
    if isinstance(value, list):
        return ServedList(value)
    if isinstance(value, dict):
        return ServedDict(value)
    if isinstance(value, str):
        return ServedText(value)
    return ServedNumber(value) if isinstance(value, int) else value
