"""What flags that were given do not do here: one short line each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pagoda.cli.errors import WrongUsageError
from pagoda.cli.flags.flag import Effect, Flag, Table


def notices(values: Mapping[str, Any], spelled: Mapping[str, str], table: Table) -> list[str]:
    """Lines about flags without effect and old spellings. Raises WrongUsageError for one not supported.

    spelled: how each flag was written, where that is known. Flags with the same reason share a line.
    """
    idle: dict[str, list[str]] = {}
    lines: list[str] = []
    for flag in table.flags():
        if flag.name not in values or values[flag.name] in flag.silent:
            continue
        spelling = spelled.get(flag.name, f"--{flag.name}")
        match flag.effect:
            case Effect.REFUSED:
                raise WrongUsageError(f"{spelling} is not supported: {flag.help}")
            case Effect.NONE:
                idle.setdefault(flag.help, []).append(spelling)
            case Effect.OLD | Effect.OLD_NONE:
                lines.append(_old(flag, spelling))
            case Effect.WORKS:
                continue
    for why, spellings in idle.items():
        verb = "has" if len(spellings) == 1 else "have"
        lines.append(f"{', '.join(spellings)} {verb} no effect here: {why}")
    return lines


def _old(flag: Flag, spelling: str) -> str:
    today = f"; today's is {flag.instead}" if flag.instead else ""
    why = f" and has no effect here: {flag.help}" if flag.effect is Effect.OLD_NONE else ""
    return f"{spelling} is an old flag{today}" + (
        why if not today else why.replace(" and has", "; it has", 1)
    )
