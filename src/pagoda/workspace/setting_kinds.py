"""Kinds of settings: how a value is read from the environment and from the page, and shown there."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pagoda.workspace.accounts.principal import DEFAULT_PERMISSIONS

_CHINESE = frozenset(("cn", "zh", "zh-cn", "zh-hans", "zh-hans-cn", "chinese"))
_TRUE, _FALSE = frozenset(("1", "true", "yes", "on")), frozenset(("0", "false", "no", "off"))
_LONGEST_TEXT = 10_000
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_FOR_EVER = 10 * 365 * 86_400  #: seconds; what "-1" means: no cookie lasts longer than a browser wants


@dataclass(frozen=True, slots=True)
class Kind:
    """name: what the page shows a field for. from_text, from_json: the value; ValueError says what it should
    be. to_json: as the page gets it. choices: for a choice.
    """

    name: str
    from_text: Callable[[str], Any]
    from_json: Callable[[Any], Any]
    to_json: Callable[[Any], Any] = lambda value: value
    choices: tuple[str, ...] = ()


def locale_of(name: str) -> str:
    """The page's name of a language. ValueError for one that it does not speak."""
    wanted = name.strip().lower().replace("_", "-")
    if wanted in _CHINESE:
        return "zh"
    if wanted.partition("-")[0] == "en":
        return "en"
    raise ValueError("the page speaks English (en) and Chinese (zh); for others the browser's is taken")


def seconds_of(text: str) -> int:
    """Of "30d", "12h", "90m", "3600s", sums of such, or "-1" for ever. ValueError."""
    text = text.strip()
    if text in ("-1", "0"):
        return _FOR_EVER
    found = _DURATION.findall(text)
    if not found or "".join(_DURATION.sub("", text).split()):
        raise ValueError("a time is such as 12h, 30d or 4w, or -1 for no end")
    return _checked_seconds(sum(float(number) * _SECONDS[unit] for number, unit in found))


def _checked_seconds(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 60 <= value <= _FOR_EVER:
        raise ValueError("a time has at least a minute and at most ten years")
    return int(value)


def _switch(text: str) -> bool:
    if text.lower() in _TRUE | _FALSE:
        return text.lower() in _TRUE
    raise ValueError("it is true or false")


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("it is true or false")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT:
        raise ValueError(f"it is a text of at most {_LONGEST_TEXT} characters")
    return value.strip()


def _names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise ValueError("it is a list of names")
    return tuple(name for each in value if (name := each.strip()))


def _permissions(value: Any) -> Mapping[str, bool]:
    if not isinstance(value, dict) or not all(isinstance(given, bool) for given in value.values()):
        raise ValueError("it is an object of permissions that are true or false")
    if unknown := sorted(set(value) - set(DEFAULT_PERMISSIONS)):
        raise ValueError(f"there is no permission {unknown[0]!r}; there are {', '.join(DEFAULT_PERMISSIONS)}")
    return dict(value)


def _permissions_of(text: str) -> Mapping[str, bool]:
    try:
        return _permissions(json.loads(text))
    except json.JSONDecodeError as error:
        raise ValueError("it is a JSON object of permissions") from error


def CHOICE(*choices: str) -> Kind:  # noqa: N802 (a kind as the others, but for its choices)
    """One of a few words."""

    def choose(value: Any) -> str:
        if value not in choices:
            raise ValueError(f"it is one of {', '.join(choices)}")
        return str(value)

    return Kind("choice", lambda text: choose(text.lower()), choose, choices=choices)


def _megabytes(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 2000:
        raise ValueError("it is a number of megabytes from 1 to 2000")
    return value


def _megabytes_of(text: str) -> int:
    return _megabytes(int(text) if text.isascii() and text.isdigit() else None)


def NUMBER(least: float, most: float, *, whole: bool = True) -> Kind:  # noqa: N802 (as CHOICE)
    """A number within bounds, which it may reach."""

    def check(value: Any) -> float:
        good = isinstance(value, int | (float if not whole else int)) and not isinstance(value, bool)
        if not good or not least <= value <= most:
            raise ValueError(f"it is a {'whole ' if whole else ''}number from {least:,} to {most:,}")
        return value  # type: ignore[no-any-return]

    def read(text: str) -> float:
        try:
            return check(int(text) if whole else float(text))
        except ValueError:
            return check(None)

    return Kind("number", read, check)


TEXT = Kind("text", _text, _text)
SWITCH = Kind("switch", _switch, _boolean)
NAMES = Kind("names", lambda text: _names(text.split(",")), _names, list)
DURATION = Kind("seconds", seconds_of, _checked_seconds)
MEGABYTES = Kind("megabytes", _megabytes_of, _megabytes)
LANGUAGE = Kind("language", locale_of, locale_of)
PERMISSIONS = Kind("permissions", _permissions_of, _permissions, dict)
