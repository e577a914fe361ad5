"""Flags of `vllm serve` that few command lines have: accepted, without a change to what is served."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pagoda.cli.flags.flag import Effect, Flag, Group, Kind

_TEXT, _SWITCH, _INTEGER, _NUMBER = Kind.TEXT, Kind.SWITCH, Kind.INTEGER, Kind.NUMBER
_JSON, _LIST = Kind.JSON, Kind.LIST

#: why a flag has no effect, and the flags of which that holds
_REASONS: tuple[tuple[str, tuple[tuple[Kind, tuple[str, ...]], ...]], ...] = (
    (
        "the models here read text alone",
        (
            (
                _SWITCH,
                (
                    "enable-mm-embeds",
                    "interleave-mm-strings",
                    "mm-encoder-only",
                    "skip-mm-profiling",
                    "disable-chunked-mm-input",
                    "disable-mm-preprocessor-cache",
                    "enable-tower-connector-lora",
                ),
            ),
            (_LIST, ("allowed-media-domains",)),
            (
                _TEXT,
                (
                    "mm-encoder-attn-backend",
                    "mm-encoder-tp-mode",
                    "mm-processor-cache-type",
                    "io-processor-plugin",
                ),
            ),
            (_NUMBER, ("video-pruning-rate",)),
            (_INTEGER, ("mm-shm-cache-max-object-size-mb",)),
            (_JSON, ("default-mm-loras",)),
        ),
    ),
    (
        "an adapter is merged into weights of its own",
        ((_SWITCH, ("fully-sharded-loras", "specialize-active-lora")),),
    ),
    (
        "one engine process on one machine does all the work",
        (
            (
                _SWITCH,
                ("enable-elastic-ep", "disable-nccl-for-dp-synchronization", "enable-dbo"),
            ),
            (
                _INTEGER,
                (
                    "ubatch-size",
                    "cp-kv-cache-interleave-size",
                    "dcp-kv-cache-interleave-size",
                    "dbo-decode-token-threshold",
                    "dbo-prefill-token-threshold",
                    "data-parallel-supervisor-port",
                    "dp-supervisor-probe-failure-threshold",
                ),
            ),
            (_NUMBER, ("dp-supervisor-probe-interval-s", "dp-supervisor-probe-timeout-s")),
            (_TEXT, ("expert-placement-strategy", "worker-extension-cls", "dcp-comm-backend")),
        ),
    ),
    (
        "the cache and the weights stay in the machine's memory",
        (
            (_LIST, ("cpu-offload-params", "offload-params")),
            (_TEXT, ("offload-backend",)),
            (_INTEGER, ("offload-group-size", "offload-num-in-group", "offload-prefetch-step")),
        ),
    ),
    (
        "models with states instead of a cache are not served",
        (
            (_INTEGER, ("mamba-block-size",)),
            (_TEXT, ("mamba-cache-dtype", "mamba-cache-mode", "mamba-ssm-cache-dtype")),
        ),
    ),
    (
        "the engine has one way to do it",
        (
            (
                _SWITCH,
                (
                    "kv-sharing-fast-prefill",
                    "enable-flashinfer-autotune",
                    "enable-return-routed-experts",
                    "enable-flash-late-interaction",
                    "allow-deprecated-quantization",
                ),
            ),
            (
                _TEXT,
                (
                    "scheduler-cls",
                    "moe-backend",
                    "linear-backend",
                    "override-attention-dtype",
                    "pt-load-map-location",
                ),
            ),
        ),
    ),
    (
        "/metrics and the log have their fixed figures",
        (
            (
                _SWITCH,
                (
                    "aggregate-engine-logging",
                    "enable-logging-iteration-details",
                    "enable-mfu-metrics",
                    "enable-per-request-metrics",
                    "fail-on-environ-validation",
                ),
            ),
            (_NUMBER, ("kv-cache-metrics-sample",)),
        ),
    ),
    ("/docs needs no other host", ((_SWITCH, ("enable-offline-docs",)),)),
    ("all routes are served", ((_SWITCH, ("tokens-only",)),)),
    ("answers carry one fingerprint for engine and model", ((_TEXT, ("fingerprint-value",)),)),
    (
        "Cohere's chat is not served",
        ((_SWITCH, ("cohere-is-reasoning-model",)), (_TEXT, ("cohere-format",))),
    ),
)

_OLD_REASONS: tuple[tuple[str, tuple[tuple[Kind, tuple[str, ...]], ...]], ...] = (
    (
        "tokens are not drafted ahead; answers are the same",
        (
            (_SWITCH, ("speculative-disable-mqa-scorer", "disable-logprobs-during-spec-decoding")),
            (_INTEGER, ("speculative-max-model-len", "speculative-disable-by-batch-size")),
            (_TEXT, ("speculative-model-quantization", "spec-decoding-acceptance-method")),
            (
                _NUMBER,
                (
                    "typical-acceptance-sampler-posterior-threshold",
                    "typical-acceptance-sampler-posterior-alpha",
                ),
            ),
        ),
    ),
    (
        "it has had no meaning for long",
        (
            (_SWITCH, ("enable-prompt-adapter",)),
            (
                _INTEGER,
                (
                    "max-prompt-adapters",
                    "max-prompt-adapter-token",
                    "lora-extra-vocab-size",
                    "tokenizer-pool-size",
                ),
            ),
            (
                _TEXT,
                (
                    "long-lora-scaling-factors",
                    "qlora-adapter-name-or-path",
                    "quantization-param-path",
                    "tokenizer-pool-type",
                ),
            ),
            (_JSON, ("tokenizer-pool-extra-config", "override-neuron-config")),
        ),
    ),
)


def _flags(
    reasons: Iterable[tuple[str, tuple[tuple[Kind, tuple[str, ...]], ...]]], effect: Effect
) -> Iterator[Flag]:
    for why, kinds in reasons:
        for kind, names in kinds:
            for name in names:
                yield Flag(name=name, kind=kind, effect=effect, help=why)


RARE = Group(
    "Rare",
    "what few command lines have; nothing of it changes what is served",
    flags=(
        *_flags(_REASONS, Effect.NONE),
        *(
            Flag(
                name=name,
                kind=_INTEGER,
                short=(short,),
                effect=Effect.NONE,
                silent=(1,),
                help="one engine process on one machine does all the work",
            )
            for name, short in (
                ("decode-context-parallel-size", "-dcp"),
                ("prefill-context-parallel-size", "-pcp"),
            )
        ),
        Flag(
            name="weight-transfer-config",
            kind=_JSON,
            effect=Effect.REFUSED,
            silent=(None,),
            help="weights come from files alone",
        ),
        *_flags(_OLD_REASONS, Effect.OLD_NONE),
    ),
)
