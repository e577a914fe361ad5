"""Flags about the model: which files, how they are read, what it is used for."""

from __future__ import annotations

from pagoda.cli.flags.flag import Effect, Flag, Group, Kind

DTYPES = ("auto", "half", "float16", "bfloat16", "float", "float32")

MODEL = Group(
    "Model",
    "which files, how they are read, what they are used for",
    also=("modelconfig", "loadconfig", "lora", "loraconfig", "poolerconfig"),
    flags=(
        Flag(
            name="model",
            kind=Kind.WORDS,
            metavar="MODEL | NAME=MODEL ...",
            help="The model, instead of the first word of the command: a local folder, a GGUF file, a "
            "catalog "
            "name or a Hugging Face name. NAME=MODEL, once or several times, serves each by its name; the "
            "first "
            "is the default one.",
        ),
        Flag(
            name="tokenizer",
            kind=Kind.TEXT,
            metavar="MODEL",
            default="the model's own",
            help="A folder, GGUF file or Hugging Face name whose tokenizer and template are used instead.",
        ),
        Flag(
            name="tokenizer-mode",
            kind=Kind.TEXT,
            default="auto",
            metavar="MODE",
            help="auto, hf, slow and fast are the same here; mistral and others are refused: the tokenizer "
            "is "
            "tokenizer.json or that of the GGUF file.",
        ),
        Flag(
            name="max-model-len",
            kind=Kind.COUNT,
            words=("auto", "-1"),
            metavar="TOKENS",
            default="auto",
            target="engine.max_model_len",
            help="Longest prompt and answer together, such as 4096, 32k (32,000) or 32K (32,768). auto or "
            "-1: "
            "what the model and the memory allow.",
        ),
        Flag(
            name="quantization",
            kind=Kind.TEXT,
            short=("-q",),
            metavar="int8|int4",
            words=("None", "none", "auto"),
            default="the files as they are",
            help="Quantise float weights while loading them: int8 or int4. gguf is accepted for a GGUF file; "
            "checkpoints quantised by awq, gptq, fp8 and others cannot be read.",
        ),
        Flag(
            name="hf-overrides",
            kind=Kind.JSON,
            help="Fields that replace those of the model's config.json, such as rope_scaling.",
        ),
        Flag(
            name="load-format",
            kind=Kind.TEXT,
            default="auto",
            choices=("auto", "safetensors", "gguf", "hf", "dummy", "fastsafetensors", "runai_streamer"),
            help="dummy: random weights in the sizes of config.json, for measuring without a download. "
            "Else the "
            "files themselves tell their format.",
        ),
        Flag(
            name="runner",
            kind=Kind.TEXT,
            default="auto",
            choices=("auto", "generate", "pooling"),
            help="pooling: the model gives embeddings instead of text.",
        ),
        Flag(
            name="convert",
            kind=Kind.TEXT,
            default="auto",
            choices=("auto", "none", "embed", "classify"),
            help="embed and classify mean the same as --runner pooling; what the model gives, its files "
            "tell.",
        ),
        Flag(
            name="pooler-config",
            kind=Kind.JSON,
            aliases=("override-pooler-config",),
            help='How embeddings are taken from the last layer: {"pooling_type": "LAST" or "MEAN" or "CLS", '
            '"normalize": true}.',
        ),
        Flag(
            name="revision",
            kind=Kind.TEXT,
            default="main",
            help="Branch, tag or commit of a model on Hugging Face.",
        ),
        Flag(
            name="hf-token",
            kind=Kind.TEXT,
            bare="",
            metavar="TOKEN",
            default="$HF_TOKEN",
            help="Token for models on Hugging Face that need one; without a value, the one saved there.",
        ),
        Flag(
            name="download-dir",
            kind=Kind.TEXT,
            metavar="FOLDER",
            default="Hugging Face's cache",
            help="Where models from Hugging Face are kept.",
        ),
        Flag(
            name="seed",
            kind=Kind.INTEGER,
            default="0",
            target="engine.seed",
            help="Seed of dummy weights, and of offline requests that give none.",
        ),
        Flag(
            name="dtype",
            kind=Kind.TEXT,
            choices=DTYPES,
            effect=Effect.NONE,
            silent=("auto",),
            help="weights keep the type of their file (--quantization makes them smaller) and sums are "
            "float32",
        ),
        Flag(
            name="lora-modules",
            kind=Kind.WORDS,
            metavar="NAME=PATH ...",
            help='Adapters to serve by their names; also as {"name": ..., "path": ..., "base_model_name": '
            "...}.",
        ),
        Flag(
            name="enable-lora",
            kind=Kind.SWITCH,
            effect=Effect.NONE,
            silent=(True,),
            help="adapters need no switch: --lora-modules names them",
        ),
        Flag(
            name="max-loras",
            kind=Kind.INTEGER,
            effect=Effect.NONE,
            silent=(1,),
            help="an adapter is merged into weights of its own; memory is the limit",
        ),
        Flag(
            name="max-lora-rank",
            kind=Kind.INTEGER,
            effect=Effect.NONE,
            silent=(16,),
            help="an adapter may have any rank, since it is merged into the weights",
        ),
        Flag(
            name="max-cpu-loras",
            kind=Kind.INTEGER,
            effect=Effect.NONE,
            help="an adapter is merged into weights of its own; memory is the limit",
        ),
        Flag(
            name="lora-dtype",
            kind=Kind.TEXT,
            effect=Effect.NONE,
            silent=("auto",),
            help="adapters are merged in float32",
        ),
        Flag(
            name="trust-remote-code",
            kind=Kind.SWITCH,
            effect=Effect.NONE,
            silent=(False,),
            help="code that comes with a model is never run",
        ),
        Flag(
            name="code-revision",
            kind=Kind.TEXT,
            effect=Effect.NONE,
            help="code that comes with a model is never run",
        ),
        Flag(
            name="tokenizer-revision",
            kind=Kind.TEXT,
            effect=Effect.NONE,
            help="the tokenizer is of the model's --revision",
        ),
        Flag(
            name="config-format",
            kind=Kind.TEXT,
            effect=Effect.NONE,
            silent=("auto", "hf"),
            help="config.json or the GGUF file says what the model is",
        ),
        Flag(
            name="hf-config-path",
            kind=Kind.TEXT,
            effect=Effect.REFUSED,
            help="config.json must lie beside the weights; --hf-overrides changes its fields",
        ),
        Flag(
            name="model-impl",
            kind=Kind.TEXT,
            effect=Effect.NONE,
            silent=("auto", "vllm"),
            help="every architecture has one implementation here",
        ),
        Flag(
            name="safetensors-load-strategy",
            kind=Kind.TEXT,
            effect=Effect.NONE,
            help="weights are read once, in the order of the file",
        ),
        Flag(
            name="model-loader-extra-config",
            kind=Kind.JSON,
            effect=Effect.NONE,
            silent=({},),
            help="the loader has no further settings",
        ),
        Flag(
            name="ignore-patterns",
            kind=Kind.LIST,
            effect=Effect.NONE,
            help="only the files that are needed are fetched",
        ),
        Flag(
            name="use-tqdm-on-load",
            kind=Kind.SWITCH,
            effect=Effect.NONE,
            silent=(True,),
            help="progress is shown where loading takes more than a moment",
        ),
        Flag(
            name="skip-tokenizer-init",
            kind=Kind.SWITCH,
            effect=Effect.NONE,
            silent=(False,),
            help="the tokenizer is always there; prompts may be token ids all the same",
        ),
        Flag(
            name="enable-prompt-embeds",
            kind=Kind.SWITCH,
            effect=Effect.REFUSED,
            silent=(False,),
            help="prompts are texts or token ids",
        ),
        Flag(
            name="allowed-local-media-path",
            kind=Kind.TEXT,
            effect=Effect.NONE,
            silent=("",),
            help="the models here read text alone",
        ),
        Flag(
            name="limit-mm-per-prompt",
            kind=Kind.JSON,
            effect=Effect.NONE,
            silent=({},),
            help="the models here read text alone",
        ),
        Flag(
            name="mm-processor-kwargs",
            kind=Kind.JSON,
            effect=Effect.NONE,
            help="the models here read text alone",
        ),
        Flag(
            name="media-io-kwargs",
            kind=Kind.JSON,
            effect=Effect.NONE,
            help="the models here read text alone",
        ),
        Flag(
            name="mm-processor-cache-gb",
            kind=Kind.NUMBER,
            effect=Effect.NONE,
            help="the models here read text alone",
        ),
        Flag(
            name="language-model-only",
            kind=Kind.SWITCH,
            effect=Effect.NONE,
            silent=(True,),
            help="the models here read text alone",
        ),
        Flag(
            name="logits-processors",
            kind=Kind.WORDS,
            effect=Effect.REFUSED,
            help="foreign code does not run inside the engine; logit_bias, bad_words and grammars are there",
        ),
        Flag(
            name="disable-sliding-window",
            kind=Kind.SWITCH,
            effect=Effect.NONE,
            help="models with sliding windows are not served",
        ),
        Flag(
            name="disable-cascade-attn",
            kind=Kind.SWITCH,
            effect=Effect.NONE,
            help="attention has one implementation here",
        ),
        Flag(
            name="enable-sleep-mode",
            kind=Kind.SWITCH,
            effect=Effect.NONE,
            silent=(False,),
            help="/sleep and /wake_up are served with VLLM_SERVER_DEV_MODE=1",
        ),
    ),
)
