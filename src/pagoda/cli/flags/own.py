"""Flags that vllm serve does not have."""

from __future__ import annotations

from pagoda.cli.flags.flag import Flag, Group, Kind

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
            name="workspace",
            kind=Kind.SWITCH,
            aliases=("web",),
            own=True,
            default="on, unless another server has the data folder",
            target="service.workspace",
            help="Serve the page at /, with accounts and chats that are kept; without it, the API alone.",
        ),
        Flag(
            name="safe-mode",
            kind=Kind.SWITCH,
            own=True,
            default="$PAGODA_SAFE_MODE, else off",
            target="service.safe_mode",
            help="Load no plugin function, so that one that does harm can be removed in the page.",
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
