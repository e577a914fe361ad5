"""Flags about settings from a file, tracing and transfer."""

from __future__ import annotations

from pagoda.cli.flags.flag import Effect, Flag, Group, Kind

OTHER = Group(
    "Other",
    "settings from a file, tracing and transfer",
    also=("observabilityconfig", "kvtransferconfig", "vllmconfig"),
    flags=(
        Flag(
            name="config",
            kind=Kind.TEXT,
            metavar="FILE",
            help="A YAML file with flags as keys (also `model:`). The command line goes before it.",
        ),
        *(
            Flag(name=name, kind=kind, effect=Effect.NONE, help=help_)
            for name, kind in (
                ("otlp-traces-endpoint", Kind.TEXT),
                ("collect-detailed-traces", Kind.TEXT),
                ("show-hidden-metrics-for-version", Kind.TEXT),
                ("observability-config", Kind.JSON),
                ("profiler-config", Kind.JSON),
                ("kv-cache-metrics", Kind.SWITCH),
                ("cudagraph-metrics", Kind.SWITCH),
                ("enable-layerwise-nvtx-tracing", Kind.SWITCH),
            )
            for help_ in ("/metrics has the figures, and each answer its own times",)
        ),
        *(
            Flag(name=name, kind=Kind.JSON, effect=Effect.REFUSED, silent=({}, None), help=help_)
            for name in ("kv-transfer-config", "ec-transfer-config", "kv-events-config")
            for help_ in ("the cache stays in its engine and is not sent to others",)
        ),
        Flag(
            name="additional-config",
            kind=Kind.JSON,
            effect=Effect.NONE,
            silent=({},),
            help="it is for other hardware",
        ),
        Flag(
            name="performance-mode",
            kind=Kind.TEXT,
            effect=Effect.NONE,
            help="the engine balances latency and throughput by measuring its steps",
        ),
        Flag(
            name="enable-log-deltas",
            kind=Kind.SWITCH,
            effect=Effect.NONE,
            help="the log holds whole answers (--enable-log-outputs)",
        ),
        Flag(
            name="log-error-stack",
            kind=Kind.SWITCH,
            effect=Effect.NONE,
            help="errors that are not the user's are always logged with where they arose",
        ),
    ),
)
