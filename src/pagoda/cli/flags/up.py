"""Flags of `pagoda up` beside those of `pagoda serve`."""

from __future__ import annotations

from pagoda.cli.flags.flag import Flag, Group, Kind, Table
from pagoda.cli.flags.table import SERVE

UP = Table(
    (
        Group(
            "Up",
            "the chat in the browser",
            flags=(
                Flag(
                    name="open",
                    kind=Kind.SWITCH,
                    own=True,
                    default="off",
                    target="service.open_browser",
                    help="Open the chat in a browser when it is ready.",
                ),
            ),
        ),
        *SERVE.groups,
    )
)
