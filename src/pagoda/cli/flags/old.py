"""Spellings of earlier versions of vLLM that guides still use."""

from __future__ import annotations

from pagoda.cli.flags.flag import Effect, Flag, Group, Kind

_EMPTY = "it has had no meaning for long"

OLD = Group(
    "Old spellings",
    "of earlier versions of vLLM, each with what it is called today",
    flags=(
        Flag(
            name="enable-reasoning",
            kind=Kind.SWITCH,
            effect=Effect.OLD,
            instead="--reasoning-parser NAME",
            help="Reasoning is told apart; without --reasoning-parser the parser is found from the template.",
        ),
        Flag(
            name="rope-scaling",
            kind=Kind.JSON,
            effect=Effect.OLD,
            instead="--hf-overrides '{\"rope_scaling\": {...}}'",
            help="How positions beyond the trained length are mapped.",
        ),
        Flag(
            name="rope-theta",
            kind=Kind.NUMBER,
            effect=Effect.OLD,
            instead="--hf-overrides '{\"rope_theta\": X}'",
            help="The rotary base.",
        ),
        Flag(
            name="task",
            kind=Kind.TEXT,
            effect=Effect.OLD,
            instead="--runner (and --convert)",
            choices=("auto", "generate", "embed", "embedding", "score", "classify", "reward"),
            help="generate makes text; the others mean --runner pooling.",
        ),
        Flag(
            name="disable-log-requests",
            kind=Kind.SWITCH,
            effect=Effect.OLD,
            instead="--no-enable-log-requests (the default)",
            target="server.log_requests",
            inverted=True,
            help="Requests are not written to the log.",
        ),
        Flag(
            name="guided-decoding-backend",
            kind=Kind.TEXT,
            effect=Effect.OLD_NONE,
            instead="--structured-outputs-config.backend NAME",
            help="llguidance compiles every grammar",
        ),
        *(
            Flag(
                name=name,
                kind=Kind.SWITCH,
                effect=Effect.OLD_NONE,
                instead=f"--structured-outputs-config.{field} true",
                help="llguidance compiles every grammar",
            )
            for name, field in (
                ("guided-decoding-disable-fallback", "disable_fallback"),
                ("guided-decoding-disable-any-whitespace", "disable_any_whitespace"),
                ("guided-decoding-disable-additional-properties", "disable_additional_properties"),
            )
        ),
        Flag(name="swap-space", kind=Kind.NUMBER, effect=Effect.OLD_NONE, help=_EMPTY),
        Flag(
            name="max-seq-len-to-capture",
            kind=Kind.COUNT,
            effect=Effect.OLD_NONE,
            aliases=("max-context-len-to-capture",),
            instead="--max-cudagraph-capture-size N",
            help="there are no CUDA graphs on a CPU",
        ),
        Flag(
            name="cuda-graph-sizes",
            kind=Kind.WORDS,
            effect=Effect.OLD_NONE,
            instead="--cudagraph-capture-sizes N ...",
            help="there are no CUDA graphs on a CPU",
        ),
        Flag(name="num-scheduler-steps", kind=Kind.INTEGER, effect=Effect.OLD_NONE, help=_EMPTY),
        Flag(name="multi-step-stream-outputs", kind=Kind.SWITCH, effect=Effect.OLD_NONE, help=_EMPTY),
        Flag(name="use-v2-block-manager", kind=Kind.SWITCH, effect=Effect.OLD_NONE, help=_EMPTY),
        Flag(name="num-lookahead-slots", kind=Kind.INTEGER, effect=Effect.OLD_NONE, help=_EMPTY),
        Flag(name="scheduler-delay-factor", kind=Kind.NUMBER, effect=Effect.OLD_NONE, help=_EMPTY),
        Flag(name="preemption-mode", kind=Kind.TEXT, effect=Effect.OLD_NONE, help=_EMPTY),
        Flag(
            name="device",
            kind=Kind.TEXT,
            choices=("auto", "cpu", "cuda", "neuron", "tpu", "xpu", "hpu"),
            effect=Effect.OLD_NONE,
            help="the machine's processor does the work",
        ),
        Flag(
            name="disable-frontend-multiprocessing",
            kind=Kind.SWITCH,
            effect=Effect.OLD_NONE,
            help="server and engine are two processes, and the engine is started again if it fails",
        ),
        Flag(
            name="disable-async-output-proc",
            kind=Kind.SWITCH,
            effect=Effect.OLD_NONE,
            help=_EMPTY,
        ),
        *(
            Flag(
                name=name,
                kind=kind,
                effect=Effect.OLD_NONE,
                instead=f"--speculative-config.{field}",
                help="tokens are not drafted ahead; answers are the same",
            )
            for name, kind, field in (
                ("speculative-model", Kind.TEXT, "model"),
                ("num-speculative-tokens", Kind.INTEGER, "num_speculative_tokens"),
                ("ngram-prompt-lookup-max", Kind.INTEGER, "prompt_lookup_max"),
                ("ngram-prompt-lookup-min", Kind.INTEGER, "prompt_lookup_min"),
                ("speculative-draft-tensor-parallel-size", Kind.INTEGER, "draft_tensor_parallel_size"),
            )
        ),
        *(
            Flag(
                name=name,
                kind=Kind.SWITCH,
                effect=Effect.OLD_NONE,
                instead="--distributed-executor-backend ray",
                help="one engine process on one machine does all the work",
            )
            for name in ("worker-use-ray", "engine-use-ray")
        ),
        Flag(
            name="image-input-type",
            kind=Kind.TEXT,
            effect=Effect.OLD_NONE,
            help="the models here read text alone",
        ),
    ),
)
