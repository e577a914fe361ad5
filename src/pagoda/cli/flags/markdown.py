"""The flags and variables as tables for docs/compatibility.md.

    python -m pagoda.cli.flags.markdown docs/compatibility.md

writes them anew between their marks.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from pagoda.cli.flags.environment import VARIABLES
from pagoda.cli.flags.flag import Effect, Flag, Table
from pagoda.cli.flags.table import SERVE

_SHORT_EFFECT = {
    Effect.WORKS: "works",
    Effect.NONE: "accepted without effect",
    Effect.OLD: "works (old spelling)",
    Effect.OLD_NONE: "accepted without effect (old spelling)",
    Effect.REFUSED: "not supported",
}


def flags_markdown(table: Table) -> str:
    """A table for each group of flags."""
    return "\n".join(_flags(table))


def variables_markdown() -> str:
    """A table of the environment variables."""
    rows = [f"| `{item.name}` | {_SHORT_EFFECT[item.effect]} | {_cell(item.help)} |" for item in VARIABLES]
    return "\n".join(["| variable | here | meaning, or why it has none |", "|---|---|---|", *rows])


def with_tables(text: str) -> str:
    """A page with its tables of flags and variables written anew. Raises ValueError where the marks lack."""
    for name, content in (("flags", flags_markdown(SERVE)), ("variables", variables_markdown())):
        start, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
        before, found, rest = text.partition(start)
        _, closed, after = rest.partition(end)
        if not (found and closed):
            raise ValueError(f"the page lacks {start} and {end}")
        text = f"{before}{start}\n{content}\n{end}{after}"
    return text


def _flags(table: Table) -> Iterator[str]:
    for group in table.groups:
        yield f"**{group.title}**: {group.about}"
        yield ""
        yield "| flag | here | meaning, or why it has none |"
        yield "|---|---|---|"
        for flag in group.flags:
            yield f"| {_spelling(flag)} | {_SHORT_EFFECT[flag.effect]} | {_cell(_meaning(flag))} |"
        yield ""


def _spelling(flag: Flag) -> str:
    return "`" + flag.spelling.replace("|", "\\|") + "`"


def _meaning(flag: Flag) -> str:
    today = f" Today: `{flag.instead}`." if flag.instead else ""
    default = f" Default: {flag.default}." if flag.default else ""
    return f"{flag.help}{'' if flag.help.endswith('.') else '.'}{default}{today}"


def _cell(text: str) -> str:
    first = text.split()[0].rstrip(",:;")
    if first.isalpha():  # not a name such as config.json
        text = text[0].upper() + text[1:]
    return text.replace("|", "\\|")


if __name__ == "__main__":
    page = Path(sys.argv[1])
    page.write_text(with_tables(page.read_text("utf-8")), "utf-8")
