"""Flags about memory, scheduling, threads, and several machines."""

from __future__ import annotations

from pagoda.cli.flags.flag import Effect, Flag, Group, Kind

MEMORY = Group(
    "Memory and scheduling",
    "the cache, and how many requests run at a time",
    also=("cacheconfig", "schedulerconfig", "engine"),
    flags=(
        Flag(
            name="gpu-memory-utilization",
            kind=Kind.NUMBER,
            metavar="SHARE",
            least=0.01,
            most=1.0,
            target="engine.memory_share",
            default="half of what the weights leave",
            help="Weights and cache together take this share of the memory that is free, such as 0.9.",
        ),
        Flag(
            name="kv-cache-memory-bytes",
            kind=Kind.COUNT,
            metavar="BYTES",
            target="engine.kv_cache_memory_bytes",
            default="$VLLM_CPU_KVCACHE_SPACE, else what fits",
            help="Memory of the cache, such as 2G.",
        ),
        Flag(
            name="num-gpu-blocks-override",
            kind=Kind.COUNT,
            metavar="N",
            target="engine.num_gpu_blocks_override",
            help="Number of blocks of the cache, each of 32 tokens.",
        ),
        Flag(
            name="max-num-seqs",
            kind=Kind.COUNT,
            default="256",
            target="engine.max_num_seqs",
            help="Most requests that run at once.",
        ),
        Flag(
            name="max-num-batched-tokens",
            kind=Kind.COUNT,
            metavar="TOKENS",
            default="512",
            target="engine.max_num_batched_tokens",
            help="Most tokens of one step.",
        ),
        Flag(
            name="enable-prefix-caching",
            kind=Kind.SWITCH,
            default="on",
            target="engine.enable_prefix_caching",
            help="Reuse the cache of prompts that begin alike.",
        ),
        Flag(
            name="prefix-caching-hash-algo",
            kind=Kind.TEXT,
            effect=Effect.NONE,
            help="blocks are found by one hash that cannot be forged",
        ),
        Flag(
            name="block-size",
            kind=Kind.INTEGER,
            effect=Effect.NONE,
            silent=(32,),
            help="a block of the cache holds 32 tokens",
        ),
        Flag(
            name="kv-cache-dtype",
            kind=Kind.TEXT,
            effect=Effect.NONE,
            silent=("auto",),
            help="the cache has one format",
        ),
        Flag(
            name="calculate-kv-scales",
            kind=Kind.SWITCH,
            effect=Effect.NONE,
            silent=(False,),
            help="the cache needs no scales",
        ),
        Flag(
            name="enable-chunked-prefill",
            kind=Kind.SWITCH,
            effect=Effect.NONE,
            silent=(True,),
            help="long prompts are always computed in pieces, between which others go on",
        ),
        Flag(
            name="scheduling-policy",
            kind=Kind.TEXT,
            choices=("fcfs", "priority"),
            effect=Effect.NONE,
            silent=("fcfs", "priority"),
            help="the priority of a request always counts; equals go by their arrival and by user in turn",
        ),
        Flag(
            name="async-scheduling",
            kind=Kind.SWITCH,
            effect=Effect.NONE,
            silent=(False,),
            help="the engine has a process of its own, so nothing waits for the server",
        ),
        Flag(
            name="max-num-partial-prefills",
            kind=Kind.INTEGER,
            effect=Effect.NONE,
            silent=(1,),
            help="prompts share a step under a budget of time",
        ),
        Flag(
            name="max-long-partial-prefills",
            kind=Kind.INTEGER,
            effect=Effect.NONE,
            silent=(1,),
            help="prompts share a step under a budget of time",
        ),
        Flag(
            name="long-prefill-token-threshold",
            kind=Kind.INTEGER,
            effect=Effect.NONE,
            silent=(0,),
            help="prompts share a step under a budget of time",
        ),
        Flag(
            name="disable-hybrid-kv-cache-manager",
            kind=Kind.SWITCH,
            effect=Effect.NONE,
            help="the cache has one kind of block",
        ),
        Flag(
            name="cpu-offload-gb",
            kind=Kind.NUMBER,
            effect=Effect.NONE,
            silent=(0.0,),
            help="everything is in the machine's memory anyway",
        ),
        Flag(
            name="kv-offloading-size",
            kind=Kind.NUMBER,
            effect=Effect.NONE,
            help="everything is in the machine's memory anyway",
        ),
        Flag(
            name="kv-offloading-backend",
            kind=Kind.TEXT,
            effect=Effect.NONE,
            help="everything is in the machine's memory anyway",
        ),
        Flag(
            name="enforce-eager",
            kind=Kind.SWITCH,
            effect=Effect.NONE,
            silent=(False,),
            help="nothing is compiled at start, so there is nothing to leave out",
        ),
        Flag(
            name="compilation-config",
            kind=Kind.JSON,
            short=("-O", "-cc"),
            effect=Effect.NONE,
            help="nothing is compiled at start; the kernels are chosen for this processor",
        ),
        Flag(
            name="optimization-level",
            kind=Kind.TEXT,
            effect=Effect.NONE,
            help="nothing is compiled at start; the kernels are chosen for this processor",
        ),
        Flag(
            name="cudagraph-capture-sizes",
            kind=Kind.WORDS,
            metavar="N ...",
            effect=Effect.NONE,
            help="there are no CUDA graphs on a CPU",
        ),
        Flag(
            name="max-cudagraph-capture-size",
            kind=Kind.INTEGER,
            effect=Effect.NONE,
            help="there are no CUDA graphs on a CPU",
        ),
        Flag(
            name="attention-backend",
            kind=Kind.TEXT,
            effect=Effect.NONE,
            help="attention has one implementation here",
        ),
        Flag(
            name="attention-config",
            kind=Kind.JSON,
            short=("-ac",),
            effect=Effect.NONE,
            help="attention has one implementation here",
        ),
        Flag(
            name="kernel-config",
            kind=Kind.JSON,
            effect=Effect.NONE,
            help="the kernels are chosen for this processor (--isa)",
        ),
        Flag(
            name="speculative-config",
            kind=Kind.JSON,
            short=("-sc",),
            effect=Effect.NONE,
            help="tokens are not drafted ahead; answers are the same, only slower than they might be",
        ),
    ),
)

PARALLEL = Group(
    "Parallel",
    "several devices and machines: here one machine's cores do it together",
    also=("parallelconfig",),
    flags=(
        Flag(
            name="tensor-parallel-size",
            kind=Kind.INTEGER,
            short=("-tp",),
            least=1,
            effect=Effect.NONE,
            silent=(1,),
            help="all cores of this machine share every product (--threads N uses fewer)",
        ),
        Flag(
            name="pipeline-parallel-size",
            kind=Kind.INTEGER,
            short=("-pp",),
            least=1,
            effect=Effect.NONE,
            silent=(1,),
            help="all cores of this machine share every product (--threads N uses fewer)",
        ),
        Flag(
            name="data-parallel-size",
            kind=Kind.INTEGER,
            short=("-dp",),
            least=1,
            effect=Effect.NONE,
            silent=(1,),
            help="one engine runs all requests together, which is faster on one machine than several",
        ),
        *(
            Flag(name=name, kind=kind, short=short, effect=Effect.REFUSED, silent=silent, help=help_)
            for name, kind, short, silent in (
                ("data-parallel-rank", Kind.INTEGER, ("-dpn",), (0,)),
                ("data-parallel-start-rank", Kind.INTEGER, ("-dpr",), (0,)),
                ("data-parallel-address", Kind.TEXT, ("-dpa",), ("127.0.0.1", "localhost")),
                ("data-parallel-rpc-port", Kind.INTEGER, ("-dpp",), ()),
                ("data-parallel-external-lb", Kind.SWITCH, ("-dpe",), (False,)),
                ("data-parallel-hybrid-lb", Kind.SWITCH, ("-dph",), (False,)),
                ("nnodes", Kind.INTEGER, ("-n",), (1,)),
                ("node-rank", Kind.INTEGER, ("-r",), (0,)),
                ("headless", Kind.SWITCH, (), (False,)),
            )
            for help_ in ("a server runs on one machine; start one on each and put a balancer in front",)
        ),
        *(
            Flag(name=name, kind=kind, short=short, effect=Effect.NONE, silent=silent, help=help_)
            for name, kind, short, silent in (
                ("data-parallel-size-local", Kind.INTEGER, ("-dpl",), (1,)),
                ("data-parallel-backend", Kind.TEXT, ("-dpb",), ("mp",)),
                ("master-addr", Kind.TEXT, (), ("127.0.0.1",)),
                ("master-port", Kind.INTEGER, (), ()),
                ("distributed-executor-backend", Kind.TEXT, (), ("mp", "uni")),
                ("disable-custom-all-reduce", Kind.SWITCH, (), ()),
                ("ray-workers-use-nsight", Kind.SWITCH, (), (False,)),
                ("max-parallel-loading-workers", Kind.INTEGER, (), ()),
                ("worker-cls", Kind.TEXT, (), ("auto",)),
                ("numa-bind", Kind.SWITCH, (), (False,)),
            )
            for help_ in ("one engine process on one machine does all the work",)
        ),
        *(
            Flag(name=name, kind=kind, short=short, effect=Effect.NONE, silent=(False,), help=help_)
            for name, kind, short in (
                ("enable-expert-parallel", Kind.SWITCH, ("-ep",)),
                ("enable-eplb", Kind.SWITCH, ()),
                ("eplb-config", Kind.JSON, ()),
                ("all2all-backend", Kind.TEXT, ()),
            )
            for help_ in ("one machine holds all of a model",)
        ),
    ),
)

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

OWN = Group(
    "Pagoda's own",
    "flags that vllm serve does not have",
    flags=(
        Flag(
            name="threads",
            kind=Kind.COUNT,
            own=True,
            target="engine.num_threads",
            default="the cores given to it",
            help="Threads of the engine.",
        ),
        Flag(
            name="isa",
            kind=Kind.TEXT,
            choices=("portable", "avx2", "avx512"),
            own=True,
            target="engine.isa",
            default="the best there is",
            help="At most this instruction set.",
        ),
        Flag(
            name="executor",
            kind=Kind.TEXT,
            choices=("cpu", "reference", "scripted"),
            own=True,
            target="engine.executor",
            default="cpu",
            help="The kernels; the slow float32 reference in NumPy; or, for tests of clients, texts that the "
            "model's folder says.",
        ),
        Flag(
            name="web",
            kind=Kind.SWITCH,
            own=True,
            default="on",
            target="service.web",
            help="Serve the browser chat.",
        ),
        Flag(
            name="workspace",
            kind=Kind.SWITCH,
            own=True,
            default="off",
            target="service.workspace",
            help="Serve accounts and chats that are kept here, below /api, for several users.",
        ),
        Flag(
            name="offline",
            kind=Kind.SWITCH,
            own=True,
            default="off",
            target="service.offline",
            help="Never use the network; fail if the model is not here.",
        ),
        Flag(
            name="max-loaded-models",
            kind=Kind.COUNT,
            own=True,
            target="service.max_loaded_models",
            default="what memory allows",
            help="Of several models, most that are in memory at a time.",
        ),
        Flag(
            name="keep-alive",
            kind=Kind.DURATION,
            own=True,
            metavar="TIME",
            target="service.keep_alive",
            default="5m, the first model for ever",
            help="Of several models, one without requests for so long is unloaded: seconds, 30s, 5m, 2h; "
            "-1: never.",
        ),
        Flag(
            name="model-memory",
            kind=Kind.COUNT,
            own=True,
            metavar="BYTES",
            target="service.model_memory",
            default="what is free",
            help="Most memory of all loaded models together, such as 8G.",
        ),
        Flag(
            name="step-timeout",
            kind=Kind.DURATION,
            own=True,
            metavar="TIME",
            least=0,
            target="engine.step_timeout",
            default="$VLLM_EXECUTE_MODEL_TIMEOUT_SECONDS or $VLLM_ENGINE_ITERATION_TIMEOUT_S, else 10m",
            help="An engine that is stuck in a step for so long is replaced; 0: never.",
        ),
        Flag(
            name="max-body-bytes",
            kind=Kind.COUNT,
            own=True,
            metavar="BYTES",
            default="32M",
            target="server.max_body_bytes",
            help="Larger requests are refused.",
        ),
    ),
)
