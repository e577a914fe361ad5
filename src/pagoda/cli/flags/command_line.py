"""From the words of a command line to values by flag.

The grammar is that of `vllm serve`: `_` for `-` in names, --flag=value, --flag and --no-flag, short names as
-tp, several words after flags that take several, --name.field for fields of JSON values (a "+" at the end of
the field adds to a list), -O3, and --config file.yaml (config_file.py), over which the command line goes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pagoda.cli.errors import WrongUsageError
from pagoda.cli.flags.flag import Flag, Kind, Table
from pagoda.cli.flags.values import is_switch_word, read_loosely, read_words

_NUMBER = re.compile(r"-(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_MANY = (Kind.WORDS, Kind.LIST)


@dataclass(slots=True)
class CommandLine:
    """What was given: values by the names of flags, words without a flag, and what help was asked for.

    spelled: flags by how they were written, in order. help: None, "" for all or a topic. greedy: the flag
    that took several words up to the very last one, if there is such.
    """

    values: dict[str, Any] = field(default_factory=dict)
    words: list[str] = field(default_factory=list)
    spelled: dict[str, str] = field(default_factory=dict)
    help: str | None = None
    greedy: str | None = None

    def give_back(self) -> str | None:
        """The last word, where a flag that takes several has taken two or more and it was one of them.

        `--served-model-name tiny MODEL` can only mean one thing when no model was named otherwise.
        """
        if self.greedy is None or len(self.values[self.greedy]) < 2:
            return None
        word: str = self.values[self.greedy].pop()
        return word


def read_command_line(arguments: Sequence[str], table: Table) -> CommandLine:
    """Raises WrongUsageError with one line."""
    reader = _Reader(arguments, table)
    reader.run()
    return reader.found


class _Reader:
    def __init__(self, arguments: Sequence[str], table: Table) -> None:
        self._rest = list(arguments)
        self._table = table
        self.found = CommandLine()

    def run(self) -> None:
        while self._rest:
            word = self._rest.pop(0)
            self.found.greedy = None
            if word == "--":
                self.found.words += self._rest
                return
            if word.startswith("--"):
                self._long(word)
            elif self._is_flag(word):
                self._short(word)
            else:
                self.found.words.append(word)

    def _is_flag(self, word: str) -> bool:
        return len(word) > 1 and word.startswith("-") and not _NUMBER.fullmatch(word)

    def _long(self, word: str) -> None:
        name, equals, value = word[2:].partition("=")
        name, _, path = name.partition(".")
        if name.casefold() == "help":
            self.found.help = value
            return
        flag = self._table.long(name)
        if flag is not None:
            self._take(flag, f"--{name}", path, value if equals else None)
            return
        opposite = self._table.long(name[3:]) if name.startswith(("no-", "no_")) else None
        if opposite is None or opposite.kind is not Kind.SWITCH:
            raise WrongUsageError(unknown_flag(f"--{name}", self._table))
        if equals:
            raise WrongUsageError(f"--{name} takes no value")
        self._keep(opposite, f"--{name}", False)

    def _short(self, word: str) -> None:
        if word == "-h":
            self.found.help = ""
            return
        name, equals, value = word.partition("=")
        name, _, path = name.partition(".")
        flag = self._table.short(name)
        if flag is None and name.startswith("-O"):  # -O3
            flag, value, equals = self._table.short("-O"), name[2:], "="
            name = "-O"
        if flag is None:
            raise WrongUsageError(unknown_flag(word, self._table))
        self._take(flag, name, path, value if equals else None)

    def _take(self, flag: Flag, spelling: str, path: str, value: str | None) -> None:
        if path:
            if flag.kind is not Kind.JSON:
                raise WrongUsageError(f"{spelling} has no field {path!r}")
            given = value if value is not None else self._next(flag, f"{spelling}.{path}")
            self._put(flag, spelling, path, read_loosely(given))
            return
        if flag.kind is Kind.SWITCH and value is None:
            value = self._rest.pop(0) if self._rest and is_switch_word(self._rest[0]) else "true"
        words = [value] if value is not None else self._words(flag, spelling)
        try:
            read = read_words(flag, words)
        except ValueError as error:
            raise WrongUsageError(f"{spelling}: {error}") from error
        if flag.kind in _MANY and flag.name in self.found.values:
            read = self.found.values[flag.name] + read
        self._keep(flag, spelling, read)

    def _words(self, flag: Flag, spelling: str) -> list[str]:
        if flag.kind not in _MANY:
            return [self._next(flag, spelling)]
        words = []
        while self._rest and not self._ends_words(self._rest[0]):
            words.append(self._rest.pop(0))
        if not words:
            raise WrongUsageError(f"{spelling} needs a value: {flag.shown_value}")
        if not self._rest:
            self.found.greedy = flag.name
        return words

    def _ends_words(self, word: str) -> bool:
        return word.startswith("--") or self._is_flag(word)

    def _next(self, flag: Flag, spelling: str) -> str:
        """The word after a flag, unless it can only be the next flag."""
        if self._rest and not self._is_known(self._rest[0]):
            return self._rest.pop(0)
        if flag.bare is not None:
            return flag.bare
        raise WrongUsageError(f"{spelling} needs a value: {flag.shown_value}")

    def _is_known(self, word: str) -> bool:
        return (
            word.startswith("--") or self._table.short(word.partition("=")[0].partition(".")[0]) is not None
        )

    def _put(self, flag: Flag, spelling: str, path: str, value: Any) -> None:
        whole = self.found.values.get(flag.name)
        if not isinstance(whole, dict):
            whole = {}
        *parents, last = path.split(".")
        place = whole
        for name in parents:
            place = place.setdefault(name, {})
            if not isinstance(place, dict):
                raise WrongUsageError(f"{spelling}.{path}: {name!r} is not an object")
        if last.endswith("+"):
            place.setdefault(last[:-1], [])
            place[last[:-1]] = [*place[last[:-1]], value]
        else:
            place[last] = value
        self._keep(flag, spelling, whole)

    def _keep(self, flag: Flag, spelling: str, value: Any) -> None:
        self.found.values[flag.name] = value
        self.found.spelled[flag.name] = spelling


def unknown_flag(spelling: str, table: Table) -> str:
    """One line about a flag that does not exist, with those that look like it."""
    near = table.near(spelling.lstrip("-"))
    hint = f"; did you mean {' or '.join('--' + name for name in near)}?" if near else ""
    return f"there is no flag {spelling}{hint}"
