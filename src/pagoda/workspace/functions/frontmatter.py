"""What a function's text says of itself, without running it."""

from __future__ import annotations

import re

_ENTRY = re.compile(r"^\s*([a-z_]+):\s*(.*)\s*$", re.IGNORECASE)
_CLASS = re.compile(r"^class\s+(Pipe|Filter|Action)\b", re.MULTILINE)


def manifest_of(content: str) -> dict[str, str]:
    """The frontmatter: `key: value` lines between a first line of three quotes and the next ones."""
    lines = content.splitlines()
    found: dict[str, str] = {}
    if not lines or lines[0].strip() != '"""':
        return found
    for line in lines[1:]:
        if '"""' in line:
            break
        if match := _ENTRY.match(line):
            found[match[1].strip().lower()] = match[2].strip()
    return found


def type_of(content: str) -> str | None:
    """pipe, filter or action, by its class; None where there is none of these names."""
    names = set(_CLASS.findall(content))
    return next((name.lower() for name in ("Pipe", "Filter", "Action") if name in names), None)
