"""`pagoda inspect`: what a model is, what it takes and whether it fits this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pagoda.cli.options import MODEL_HELP, MaxModelLen, Offline, QuantizationOption

if TYPE_CHECKING:
    from pagoda.engine.config import EngineConfig
    from pagoda.execute.plan import Plan
    from pagoda.models.program import Program
    from pagoda.weights.checkpoint import Checkpoint

SAMPLING = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")


def command(
    model: Annotated[str, typer.Argument(metavar="MODEL", help=MODEL_HELP)],
    quantization: QuantizationOption = None,
    max_model_len: MaxModelLen = None,
    offline: Offline = False,
) -> None:
    """Show a model's sizes, whether it fits, and its program."""
    from pagoda.cli.console import progress_reporter
    from pagoda.engine.config import EngineConfig
    from pagoda.engine.runner import purpose_of
    from pagoda.execute.plan import plan
    from pagoda.hub import resolve
    from pagoda.models import build_program
    from pagoda.models.describe import describe
    from pagoda.weights import open_checkpoint

    found = resolve(model, progress=progress_reporter(), offline=offline)
    config = EngineConfig(
        model_path=str(found.path),
        max_model_len=max_model_len,
        quantization=quantization.value if quantization else None,
    )
    purpose = purpose_of(config)
    checkpoint = open_checkpoint(found.path, config.quantization, purpose)
    try:
        program = build_program(checkpoint.config, purpose)
        costs = plan(program, checkpoint.format)
        rows = [("Model", found.name), ("Files", str(found.path)), *_sizes(costs)]
        rows += _fit(config, checkpoint, program, costs)
        rows += _pooling(config, checkpoint, program) if purpose == "pooling" else _text(checkpoint)
        lines = describe(program)
    finally:
        checkpoint.close()
    width = max(len(title) for title, _ in rows)
    typer.echo("\n".join(f"{title:<{width}}  {value}" for title, value in rows))
    typer.echo("\n" + "\n".join(lines))


def _sizes(costs: Plan) -> list[tuple[str, str]]:
    from pagoda.hub import format_bytes

    formats = sorted(costs.weight_bytes.items(), key=lambda item: -item[1])
    shares = ", ".join(f"{format_bytes(size)} {kind.name.lower()}" for kind, size in formats)
    return [
        ("Weights", f"{costs.parameters:,} values in {format_bytes(costs.total_weight_bytes)}: {shares}"),
        (
            "One token",
            f"reads {format_bytes(costs.streamed_bytes)} of weights, {costs.flops(0) / 1e9:.2f} GFLOP",
        ),
    ]


def _fit(
    config: EngineConfig, checkpoint: Checkpoint, program: Program, costs: Plan
) -> list[tuple[str, str]]:
    """What an engine with this configuration would choose here."""
    from pagoda.engine.loading import cache_block_bytes
    from pagoda.engine.memory import available_bytes
    from pagoda.engine.pooling_model import for_whole_sequences, trained_length
    from pagoda.engine.sizes import ConfigurationError, choose_sizes
    from pagoda.execute.base import BLOCK_SIZE
    from pagoda.hub import format_bytes
    from pagoda.models.program import Result

    block = cache_block_bytes(program, config.executor)
    per_token = block / BLOCK_SIZE
    longest = checkpoint.config.max_position_embeddings
    if isinstance(program.ops[-1], Result):
        longest = trained_length(checkpoint)
    if not program.causal:
        config = for_whole_sequences(config, longest, block)
    available = available_bytes()
    rows = [
        ("Context", f"{longest:,} tokens"),
        (
            "Cache",
            f"{per_token / 1e3:.1f} kB a token, {format_bytes(int(per_token * longest))} a full context",
        ),
    ]
    if available is not None:
        rows.append(("Free memory", format_bytes(available)))
    try:
        sizes = choose_sizes(config, longest, block, costs.total_weight_bytes, available)
    except ConfigurationError as error:
        return [*rows, ("Fits", f"no: {error}")]
    tokens = sizes.num_blocks * BLOCK_SIZE
    fits = (
        f"yes: {sizes.max_model_len:,} tokens of context, a cache of "
        f"{format_bytes(sizes.num_blocks * block)} for {tokens:,} tokens"
    )
    return [*rows, ("Fits", fits), *(("", note) for note in sizes.notes)]


def _pooling(config: EngineConfig, checkpoint: Checkpoint, program: Program) -> list[tuple[str, str]]:
    """What a model without an output for tokens gives."""
    from pagoda.engine.pooling_model import read_pooling
    from pagoda.text.load import load_tokenizer

    tokenizer = load_tokenizer(checkpoint.path)
    pooling = read_pooling(config, checkpoint, program)
    words = {"cls": "of the first token", "last": "of the last token", "mean": "mean of all tokens"}
    if pooling.labels:
        gives = f"scores by {pooling.activation}: {', '.join(pooling.labels)}"
    else:
        scaled = ", scaled to length 1" if pooling.normalize else ""
        gives = f"embeddings of {pooling.size} values: hidden states, {words[pooling.method]}{scaled}"
    return [("Tokenizer", f"{tokenizer.vocab_size:,} tokens"), ("Gives", gives)]


def _text(checkpoint: Checkpoint) -> list[tuple[str, str]]:
    from pagoda.text.load import load_tokenizer

    tokenizer = load_tokenizer(checkpoint.path)
    ends = ", ".join(tokenizer.id_to_token(index) or str(index) for index in tokenizer.eos_token_ids)
    template = "yes" if tokenizer.chat_template else "none, so it completes text and does not chat"
    given = checkpoint.generation_config
    defaults = ", ".join(f"{name} {given[name]}" for name in SAMPLING if given.get(name) is not None)
    rows = [("Tokenizer", f"{tokenizer.vocab_size:,} tokens, ends with {ends}"), ("Chat template", template)]
    return [*rows, ("Sampling", defaults)] if defaults else rows
