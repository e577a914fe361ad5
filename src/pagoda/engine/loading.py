"""From a configuration to an executor that is ready to run: checkpoint, program, sizes, weights."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pagoda.engine.config import EngineConfig, EngineInfo, PoolingInfo
from pagoda.engine.memory import available_bytes
from pagoda.engine.pooling_model import for_whole_sequences, read_pooling, trained_length
from pagoda.engine.runner import purpose_of
from pagoda.engine.sizes import ConfigurationError, EngineSizes, choose_sizes, within_limit
from pagoda.execute.base import BLOCK_SIZE, Executor
from pagoda.models import Purpose, build_program
from pagoda.models.program import Program
from pagoda.weights import open_checkpoint
from pagoda.weights.checkpoint import Checkpoint, CheckpointError

_QUANTIZED_BITS = {"int8": 8.5, "int4": 5.0}  #: bits a weight, with the scale of its group
_FIRST_GUESS_FLOPS = 100e9  #: of two cores, until prefill has been measured

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """An executor with what the engine needs to know of it."""

    executor: Executor
    info: EngineInfo
    prefill_guess: float  #: tokens a second, before anything is measured
    whole_sequences: bool = False  #: the program is not causal, so that a step must hold all of a sequence


def load_model(config: EngineConfig, progress: Progress | None = None) -> LoadedModel:
    """Opens the checkpoint, chooses sizes that fit and loads the weights; `progress` gets bytes done and all
    (estimated).

    Raises ConfigurationError or CheckpointError with one line for the user.
    """
    if config.executor == "scripted":
        from pagoda.engine.scripted import load_scripted

        return load_scripted(config)
    started = time.monotonic()
    purpose = purpose_of(config)
    checkpoint = open_configured(config, purpose)
    try:
        return _load(config, checkpoint, purpose, started, progress)
    except (CheckpointError, ConfigurationError):
        raise
    except ValueError as error:  # an architecture or sizes that nothing here can run
        raise ConfigurationError(f"{config.model_path} cannot be served: {error}") from error
    finally:
        checkpoint.close()


def open_configured(config: EngineConfig, purpose: Purpose) -> Checkpoint:
    """The checkpoint that a configuration means. Raises CheckpointError with one line."""
    return open_checkpoint(
        Path(config.model_path),
        config.quantization,
        purpose,
        overrides=config.hf_overrides,
        dummy_seed=(config.seed or 0) if config.load_format == "dummy" else None,
        lora=None if config.lora is None else Path(config.lora),
    )


@dataclass(frozen=True, slots=True)
class ModelPlan:
    """What a checkpoint becomes under a configuration, before its weights are read.

    weight_bytes: an estimate. block_bytes: of a cache block over all layers.
    """

    program: Program
    pooling: PoolingInfo | None
    weight_bytes: int
    block_bytes: int
    sizes: EngineSizes


def plan_model(
    config: EngineConfig, checkpoint: Checkpoint, purpose: Purpose, available: int | None
) -> ModelPlan:
    """Chooses the sizes. available: memory that there is; None when unknown.

    Raises ConfigurationError, CheckpointError, or ValueError for what nothing here can run.
    """
    program = build_program(checkpoint.config, purpose)
    pooling = read_pooling(config, checkpoint, program) if purpose == "pooling" else None
    weight_bytes = estimate_weight_bytes(program, checkpoint, config)
    block_bytes = cache_block_bytes(program, config.executor)
    longest = trained_length(checkpoint) if pooling else checkpoint.config.max_position_embeddings
    sizes = choose_sizes(
        config if program.causal else for_whole_sequences(config, longest, block_bytes),
        longest,
        block_bytes,
        weight_bytes,
        within_limit(available, config),
    )
    return ModelPlan(program, pooling, weight_bytes, block_bytes, sizes)


def _load(
    config: EngineConfig,
    checkpoint: Checkpoint,
    purpose: Purpose,
    started: float,
    progress: Progress | None,
) -> LoadedModel:
    plan = plan_model(config, checkpoint, purpose, available_bytes())
    program, sizes = plan.program, plan.sizes

    def in_bytes(done: int, total: int) -> None:
        if progress is not None:
            progress(plan.weight_bytes * done // max(total, 1), plan.weight_bytes)

    executor, details = _make_executor(config, program, checkpoint, sizes, in_bytes)
    generation_config = {**config.generation_config, **plain(checkpoint.generation_config)}
    info = EngineInfo(
        architecture=checkpoint.config.architecture,
        vocab_size=executor.vocab_size,
        max_model_len=sizes.max_model_len,
        num_blocks=executor.num_blocks,
        block_size=BLOCK_SIZE,
        weight_bytes=executor.weight_bytes,
        cache_bytes=executor.cache_bytes,
        max_num_seqs=sizes.max_num_seqs,
        max_num_batched_tokens=executor.max_tokens,
        load_seconds=time.monotonic() - started,
        pid=os.getpid(),
        eos_token_ids=end_tokens(checkpoint.config.eos_token_ids, generation_config),
        generation_config=generation_config,
        runner=purpose,
        pooling=plan.pooling,
        notes=sizes.notes,
        **details,
    )
    guess = _FIRST_GUESS_FLOPS / (2 * count_weights(program))
    return LoadedModel(executor, info, guess, whole_sequences=not program.causal)


def count_weights(program: Program) -> int:
    """Values that take part in a token's products."""
    return sum(math.prod(shape) for shape in program.weight_shapes().values())


def estimate_weight_bytes(program: Program, checkpoint: Checkpoint, config: EngineConfig) -> int:
    """Memory that the weights will take, before they are read."""
    if config.executor == "reference":
        return 4 * count_weights(program)
    if config.quantization is not None:
        return int(count_weights(program) * _QUANTIZED_BITS.get(config.quantization, 16) / 8)
    if config.load_format == "dummy":
        return 2 * count_weights(program)
    if config.lora is not None:  # merged tensors may be in wider formats than the files
        shapes = program.weight_shapes()
        return sum(checkpoint.format(name).nbytes(math.prod(shape)) for name, shape in shapes.items())
    path = checkpoint.path
    files = [path] if path.is_file() else list(path.glob("*.safetensors"))
    return sum(file.stat().st_size for file in files)


def cache_block_bytes(program: Program, executor: str) -> int:
    """Memory of one cache block over all layers."""
    if executor == "cpu":
        from pagoda.execute import cpu

        return cpu.cache_block_bytes(program)
    sizes = program.config
    return 2 * 4 * BLOCK_SIZE * sizes.num_hidden_layers * sizes.num_key_value_heads * sizes.head_dim


def end_tokens(known: tuple[int, ...], generation_config: Mapping[str, Any]) -> tuple[int, ...]:
    """The model's end-of-sequence tokens with those that its generation config adds."""
    more = generation_config.get("eos_token_id")
    added = more if isinstance(more, list) else [more]
    return tuple(dict.fromkeys((*known, *(token for token in added if isinstance(token, int)))))


def plain(value: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of a mapping that are plain JSON values."""
    return {
        key: item
        for key, item in value.items()
        if isinstance(item, str | int | float | bool | list | type(None))
    }


def _make_executor(
    config: EngineConfig,
    program: Program,
    checkpoint: Checkpoint,
    sizes: EngineSizes,
    progress: Progress,
) -> tuple[Executor, dict[str, Any]]:
    if config.executor == "reference":
        from pagoda.execute.reference import ReferenceExecutor

        reference = ReferenceExecutor(
            program, checkpoint, num_blocks=sizes.num_blocks, max_tokens=sizes.max_num_batched_tokens
        )
        formats = {"F32": reference.weight_bytes}
        return reference, {"num_threads": 1, "isa": "numpy", "weight_formats": formats}
    if config.executor != "cpu":
        raise ConfigurationError(f"unknown executor {config.executor!r}; use cpu, reference or scripted.")
    from pagoda.execute.cpu import CpuExecutor

    native = CpuExecutor(
        program,
        checkpoint,
        num_blocks=sizes.num_blocks,
        max_tokens=sizes.max_num_batched_tokens,
        max_model_len=sizes.max_model_len,
        num_threads=config.num_threads,
        isa=config.isa,
        progress=progress,
    )
    details = {
        "num_threads": native.num_threads,
        "isa": native.isa,
        "weight_formats": dict(native.weight_formats),
    }
    return native, details
