"""Flags of `pagoda run-batch` beside those of `pagoda serve`."""

from __future__ import annotations

from pagoda.cli.flags.flag import Effect, Flag, Group, Kind, Table
from pagoda.cli.flags.table import SERVE

BATCH = Group(
    "Batch",
    "the requests and their answers",
    flags=(
        Flag(
            name="input-file",
            kind=Kind.TEXT,
            short=("-i",),
            metavar="FILE",
            help="Requests in OpenAI's batch format, one a line: a file, or an http address.",
        ),
        Flag(
            name="output-file",
            kind=Kind.TEXT,
            short=("-o",),
            metavar="FILE",
            help="Where the answers go. Those that are there already are kept, and their requests not run "
            "again.",
        ),
        Flag(
            name="output-tmp-dir",
            kind=Kind.TEXT,
            effect=Effect.NONE,
            help="answers are written to the output file as they come",
        ),
        Flag(
            name="enable-metrics",
            kind=Kind.SWITCH,
            effect=Effect.NONE,
            silent=(False,),
            help="a batch tells its figures at the end",
        ),
        Flag(
            name="url",
            kind=Kind.TEXT,
            effect=Effect.NONE,
            help="a batch listens nowhere and tells its figures at the end",
        ),
    ),
)

RUN_BATCH = Table((BATCH, *SERVE.groups))
