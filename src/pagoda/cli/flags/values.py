"""Reading the values of flags from words, and from what a YAML file holds."""

from __future__ import annotations

import json
import re
from typing import Any

from pagoda.cli.flags.flag import Flag, Kind

_DECIMAL = {"k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_BINARY = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_TRUE = ("true", "yes", "on", "1")
_FALSE = ("false", "no", "off", "0")


def read_count(text: str) -> int:
    """A positive whole number, with vLLM's suffixes: 32k is 32,000 and 32K is 32,768.

    So are m, g, t and M, G, T. Raises ValueError.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([kmgtKMGT]?)", text.strip())
    if not found:
        raise ValueError(f"{text!r} is not a number such as 4096, 32k (32,000) or 32K (32,768)")
    factor = (_DECIMAL | _BINARY).get(found[2], 1)
    value = float(found[1]) * factor
    if value < 1 or value != int(value):
        raise ValueError(f"{text!r} must come to a whole number of at least 1")
    return int(value)


def read_json(text: str) -> Any:
    """A JSON value. Names may have white space around them and strings may hold line breaks, as happens to
    command lines that were copied from a page. Raises ValueError.
    """
    try:
        return _strip_names(json.loads(text, strict=False))
    except ValueError as error:
        raise ValueError(f"{text!r} is not valid JSON ({error})") from error


def _strip_names(value: Any) -> Any:
    if isinstance(value, dict):
        return {name.strip(): _strip_names(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_strip_names(item) for item in value]
    return value


def read_loosely(text: str) -> Any:
    """JSON where it is JSON, else the text itself: the value of --name.field."""
    try:
        return json.loads(text, strict=False)
    except ValueError:
        return text


def read_duration(text: str) -> float:
    """Seconds: 90, 90s, 1.5m, 2h, 1d. Raises ValueError."""
    found = re.fullmatch(r"(-?\d+(?:\.\d+)?)\s*(s|m|h|d)?", text.strip())
    if not found:
        raise ValueError(f"{text!r} is not a time such as 90, 30s, 5m or 2h")
    return float(found[1]) * _SECONDS[found[2] or "s"]


def read_switch(text: str) -> bool:
    """Raises ValueError for what is neither yes nor no."""
    word = text.strip().casefold()
    if word not in _TRUE + _FALSE:
        raise ValueError(f"{text!r} is neither true nor false")
    return word in _TRUE


def is_switch_word(text: str) -> bool:
    """Whether a word after a switch can only be its value."""
    return text in ("true", "false", "True", "False")


def read_words(flag: Flag, words: list[str]) -> Any:
    """The value of a flag from the words that follow it. Raises ValueError with what is wrong with it."""
    if flag.kind is Kind.WORDS:
        return [_checked(flag, word) for word in words]
    if flag.kind is Kind.LIST:
        return _read_list(words)
    [word] = words
    if word in flag.words:
        return None
    match flag.kind:
        case Kind.SWITCH:
            return read_switch(word)
        case Kind.COUNT:
            return _in_range(flag, read_count(word))
        case Kind.INTEGER:
            return _in_range(flag, _read_integer(word))
        case Kind.NUMBER:
            return _in_range(flag, _read_number(word))
        case Kind.DURATION:
            return _in_range(flag, read_duration(word))
        case Kind.JSON:
            return read_json(word)
    return _checked(flag, word)


def read_yaml(flag: Flag, value: Any) -> Any:
    """The value of a flag from a YAML file, where lists, numbers, switches and objects have their own "
    "form."""
    match flag.kind:
        case Kind.SWITCH if isinstance(value, bool):
            return value
        case Kind.JSON if not isinstance(value, str):
            return value
        case Kind.WORDS | Kind.LIST:
            items = value if isinstance(value, list) else [value]
            return read_words(flag, [_as_word(item) for item in items])
    if isinstance(value, list | dict):
        raise ValueError(f"{json.dumps(value)[:60]} is not one value")
    return read_words(flag, [_as_word(value)])


def _as_word(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else json.dumps(value)


def _read_list(words: list[str]) -> list[str]:
    found: list[str] = []
    for word in words:
        if word.lstrip().startswith("["):
            value = read_json(word)
            if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
                raise ValueError(f"{word!r} is not a list of texts")
            found += value
        else:
            found.append(word)
    return found


def _read_integer(word: str) -> int:
    try:
        return int(word)
    except ValueError:
        return read_count(word)


def _read_number(word: str) -> float:
    try:
        return float(word)
    except ValueError as error:
        raise ValueError(f"{word!r} is not a number") from error


def _in_range(flag: Flag, value: float) -> float:
    low, high = flag.least, flag.most
    above = low is None or value >= low
    below = high is None or value <= high
    if above and below:  # not for NaN, which is in no range
        return value
    if low is not None and high is not None:
        raise ValueError(f"{value:g} is not between {low:g} and {high:g}")
    raise ValueError(
        f"{value:g} is less than {low:g}" if high is None else f"{value:g} is more than {high:g}"
    )


def _checked(flag: Flag, word: str) -> str:
    if not flag.choices:
        return word
    known = {choice.casefold(): choice for choice in flag.choices}
    found = known.get(word.casefold())
    if found is None:
        raise ValueError(f"{word!r} is not one of {', '.join(flag.choices)}")
    return found
