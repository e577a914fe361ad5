"""`pagoda serve --help`, for all flags, a group or one flag."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator

from pagoda.cli.errors import WrongUsageError
from pagoda.cli.flags.command_line import unknown_flag
from pagoda.cli.flags.flag import Effect, Flag, Group, Table

_COLUMN = 32
_IDLE = (Effect.NONE, Effect.OLD_NONE, Effect.REFUSED, Effect.OLD)
_ALL = ("all", "page")


def help_text(table: Table, topic: str, usage: str) -> str:
    """What to print for --help=TOPIC: "" (flags that do something), "all", "listgroup", a group or a flag.

    usage: the first lines. Raises WrongUsageError for an unknown topic.
    """
    topic = topic.strip().lstrip("-")
    if topic == "" or topic.casefold() in _ALL:
        return "\n".join(_overview(table, usage, everything=bool(topic)))
    if topic.casefold() == "listgroup":
        width = max(len(group.title) for group in table.groups)
        return "\n".join(f"{group.title:<{width}}  {group.about}" for group in table.groups)
    flag = table.long(topic) or table.short(f"-{topic}")
    if flag is not None:
        return "\n".join(_one(flag, table.group_of(flag)))
    group = _find_group(table, topic)
    if group is not None:
        return "\n".join(_group(group, everything=True))
    found = [flag for flag in table.flags() if topic.casefold().replace("_", "-") in flag.name]
    if not found:
        raise WrongUsageError(
            f"{unknown_flag('--' + topic, table)} and no group of that name (--help=listgroup)"
        )
    return "\n".join(line for flag in found for line in _row(flag))


def _width() -> int:
    return max(60, min(shutil.get_terminal_size((100, 24)).columns, 120))


def _overview(table: Table, usage: str, *, everything: bool) -> Iterator[str]:
    yield usage
    for group in table.groups:
        if everything or any(flag.effect not in _IDLE for flag in group.flags):
            yield ""
            yield from _group(group, everything=everything)
    yield ""
    hidden = sum(flag.effect in _IDLE for flag in table.flags())
    if not everything:
        yield from textwrap.wrap(
            f"{hidden} more flags of vllm serve are accepted; a line says what they do here. --help=all "
            f"shows "
            "them, --help=listgroup the groups, --help=GROUP or --help=FLAG one of them.",
            _width(),
        )


def _group(group: Group, *, everything: bool) -> Iterator[str]:
    yield f"{group.title}: {group.about}"
    for flag in group.flags:
        if everything or flag.effect not in _IDLE:
            yield from _row(flag)


def _row(flag: Flag) -> Iterator[str]:
    name = f"  {flag.spelling}"
    lines = textwrap.wrap(_sentence(flag), _width() - _COLUMN)
    if len(name) < _COLUMN:
        yield f"{name:<{_COLUMN}}{lines.pop(0)}"
    else:
        yield name
    yield from (" " * _COLUMN + line for line in lines)


def _sentence(flag: Flag) -> str:
    match flag.effect:
        case Effect.WORKS:
            return flag.help + (f" (default: {flag.default})" if flag.default else "")
        case Effect.REFUSED:
            return f"(not supported) {flag.help}"
        case Effect.OLD:
            return f"(old; today {flag.instead}) {flag.help}"
        case Effect.OLD_NONE:
            today = f"; today {flag.instead}" if flag.instead else ""
            return f"(old{today}; no effect) {flag.help}"
    return f"(no effect) {flag.help}"


def _one(flag: Flag, group: Group) -> Iterator[str]:
    yield flag.spelling
    yield from textwrap.wrap(flag.help, _width(), initial_indent="  ", subsequent_indent="  ")
    if not flag.shown_value:
        yield f"  Off: --no-{flag.name}"
    if flag.default:
        yield f"  Default: {flag.default}"
    if flag.instead:
        yield f"  Today: {flag.instead}"
    yield f"  Here: {flag.effect.value}. Group: {group.title}."


def _find_group(table: Table, topic: str) -> Group | None:
    wanted = topic.casefold().replace("_", " ").replace("-", " ")
    for group in table.groups:
        if wanted in (group.title.casefold(), *group.also):
            return group
    return next((group for group in table.groups if group.title.casefold().startswith(wanted)), None)
