"""What one flag is: its names, the kind of its value, and what it does here."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass


class Kind(enum.Enum):
    """How a flag's value is written."""

    TEXT = "text"  #: one word
    SWITCH = "switch"  #: --name, --no-name, --name=true
    INTEGER = "integer"
    COUNT = "count"  #: a positive number with a suffix: 32k, 32K, 1M
    NUMBER = "number"
    DURATION = "duration"  #: seconds, or 30s, 5m, 2h; a negative one means for ever
    JSON = "json"  #: one JSON value, or its fields one by one: --name.field value
    WORDS = "words"  #: one or more words; a repeated flag adds to them
    LIST = "list"  #: like WORDS, or one JSON list


class Effect(enum.Enum):
    """What becomes of a flag that is given."""

    WORKS = "works"
    NONE = "accepted without effect"
    OLD = "works, an old spelling"
    OLD_NONE = "accepted without effect, an old spelling"
    REFUSED = "not supported"


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """A flag of the command line.

    name: without dashes at its front. short: such as "-tp". aliases: further long names. help: what it does;
    for a flag without effect why it has none, for one that is not supported why not. default: as shown to
    people. target: the field that takes the value, such as "engine.max_model_len" ("" where more must be
    done; see meaning.py). inverted: a switch whose target is the opposite. words: values with a meaning of
    their own; they are read as None. bare: the value of a flag that is given without one. silent: values
    that need no line about a flag without effect, since they ask for what is done anyway. instead: today's
    spelling of an old flag. own: not a flag of vLLM.
    """

    name: str
    kind: Kind
    help: str
    effect: Effect = Effect.WORKS
    default: str = ""
    metavar: str = ""
    short: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None
    target: str = ""
    inverted: bool = False
    bare: str | None = None
    silent: tuple[object, ...] = ()
    instead: str = ""
    own: bool = False

    @property
    def shown_value(self) -> str:
        """The placeholder of its value in help; "" for a switch."""
        if self.kind is Kind.SWITCH:
            return ""
        if self.metavar:
            return self.metavar
        if self.choices:
            return "|".join(self.choices)
        return _METAVARS[self.kind]

    @property
    def spelling(self) -> str:
        """The flag as it is written, with its short forms and its value."""
        names = ", ".join([*self.short, f"--{self.name}"])
        return f"{names} {self.shown_value}".rstrip()


_METAVARS = {
    Kind.TEXT: "TEXT",
    Kind.INTEGER: "N",
    Kind.COUNT: "N",
    Kind.NUMBER: "X",
    Kind.DURATION: "SECONDS",
    Kind.JSON: "JSON",
    Kind.WORDS: "NAME ...",
    Kind.LIST: "LIST",
}


@dataclass(frozen=True, slots=True)
class Group:
    """Flags that belong together; `also` are names that vLLM gives such a group."""

    title: str
    about: str
    flags: tuple[Flag, ...]
    also: tuple[str, ...] = ()


class Table:
    """Groups of flags, and the look-up of a flag by any of its names."""

    def __init__(self, groups: Iterable[Group]) -> None:
        self.groups = tuple(groups)
        self._long: dict[str, Flag] = {}
        self._short: dict[str, Flag] = {}
        for flag in self.flags():
            for name in (flag.name, *flag.aliases):
                if name in self._long:
                    raise ValueError(f"two flags are called --{name}")
                self._long[name] = flag
            for name in flag.short:
                if name in self._short:
                    raise ValueError(f"two flags are called {name}")
                self._short[name] = flag

    def flags(self) -> list[Flag]:
        """All flags, group by group."""
        return [flag for group in self.groups for flag in group.flags]

    def long(self, name: str) -> Flag | None:
        """The flag --name; `_` is the same as `-`."""
        return self._long.get(name.replace("_", "-"))

    def short(self, name: str) -> Flag | None:
        """The flag of a short spelling such as "-tp"."""
        return self._short.get(name)

    def short_names(self) -> tuple[str, ...]:
        return tuple(self._short)

    def near(self, name: str) -> list[str]:
        """Names of flags that look like `name`, the nearest first."""
        import difflib

        wanted = name.replace("_", "-").casefold()
        return difflib.get_close_matches(wanted, list(self._long), n=2, cutoff=0.6)

    def group_of(self, flag: Flag) -> Group:
        """The group that holds the flag."""
        return next(group for group in self.groups if flag in group.flags)
