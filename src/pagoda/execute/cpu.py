"""The CPU executor: loads a program's weights into the native kernels, which run each step in one call."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from pagoda import _kernels
from pagoda.execute.base import BLOCK_SIZE, StepBatch
from pagoda.execute.fuse import EmbedSum, FusedAttention, FusedOp, Output, Product, Select, fuse
from pagoda.models.program import Embed, LayerNorm, Program
from pagoda.models.rope import rope_table
from pagoda.weights.checkpoint import Checkpoint
from pagoda.weights.tensor import GROUP, Format, Tensor

ISAS = ("portable", "avx2", "avx512")  #: instruction sets in rising order
_NONE = -1  # no vector
_LOGITS = -2  # the output that is the step's result
_CACHE_VALUE_BYTES = 2  # bfloat16


def cache_block_bytes(program: Program) -> int:
    """Bytes that one block of the cache takes, keys and values of all layers."""
    config = program.config
    values = config.num_hidden_layers * config.num_key_value_heads * config.head_dim * BLOCK_SIZE
    return 2 * values * _CACHE_VALUE_BYTES


def choose_isa(wanted: str | None) -> str:
    """This machine's best instruction set, but at most `wanted`. Raises ValueError for an unknown name."""
    if wanted is not None and wanted not in ISAS:
        raise ValueError(f"unknown instruction set {wanted!r}; known: {', '.join(ISAS)}")
    best = _kernels.best_isa()
    return best if wanted is None else min(best, wanted, key=ISAS.index)


class CpuExecutor:
    """Implements `Executor`; see base.py for the contract of a step.

    max_model_len is the most tokens of one sequence. num_threads None means all CPUs the process may use.
    Weights are copied, packed, from the checkpoint, which may be closed afterwards. `progress` is called with
    the number of weights loaded and their total. Raises ValueError for sizes the kernels cannot run,
    CheckpointError for weights that cannot be read, MemoryError when memory is short.
    """

    def __init__(
        self,
        program: Program,
        checkpoint: Checkpoint,
        *,
        num_blocks: int,
        max_tokens: int,
        max_model_len: int,
        num_threads: int | None = None,
        isa: str | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        config = program.config
        self._vocab_size = config.vocab_size
        self._num_blocks = num_blocks
        self._max_tokens = max_tokens
        self.num_threads = _kernels.available_threads() if num_threads is None else num_threads
        self.isa = choose_isa(isa)
        self.weight_formats: dict[str, int] = {}  #: bytes in the checkpoint of each weight format
        self._native = _kernels.Executor(
            isa=self.isa,
            threads=self.num_threads,
            vocab_size=config.vocab_size,
            max_tokens=max_tokens,
            max_context=max_model_len,
            num_blocks=num_blocks,
            layers=config.num_hidden_layers,
            heads=config.num_attention_heads,
            kv_heads=config.num_key_value_heads,
            head_dim=config.head_dim,
            causal=program.causal,
        )
        ops = fuse(program)
        self._numbers: dict[str, int] = {}  # of weights and vectors, in the native executor
        names = program.weight_shapes()
        for done, name in enumerate(names):
            self._numbers[name] = self._add_tensor(checkpoint.tensor(name))
            if progress is not None:
                progress(done + 1, len(names))
        self._buffers = {
            name: self._native.add_buffer(program.buffers[name])
            for name in dict.fromkeys(name for op in ops for name in _buffers_of(op))
        }
        if len(program.inv_freq):
            cosine, sine = rope_table(program.inv_freq, program.rope_scale, max_model_len)
            self._native.set_rotary(
                self._native.add_vector(cosine.ravel()), self._native.add_vector(sine.ravel())
            )
        for op in ops:
            self._add_op(op)
        self._native.finish()

    @property
    def vocab_size(self) -> int:
        return self._vocab_size

    @property
    def num_blocks(self) -> int:
        return self._num_blocks

    @property
    def max_tokens(self) -> int:
        return self._max_tokens

    @property
    def weight_bytes(self) -> int:
        """Packed weights, norms, biases and rotary tables."""
        return self._native.weight_bytes

    @property
    def cache_bytes(self) -> int:
        """Reserved for the cache; memory is taken as blocks are first used."""
        return self._native.cache_bytes

    def step(self, batch: StepBatch) -> npt.NDArray[np.float32]:
        return self._native.step(
            batch.token_ids,
            batch.query_lens,
            batch.context_lens,
            batch.block_tables,
            batch.logits_rows,
            batch.segments,
        )

    def set_profiling(self, on: bool) -> None:
        """Whether steps add to `profile`; costs a little time a step."""
        self._native.set_profiling(on)

    def profile(self) -> list[tuple[str, float, float, int]]:
        """(operation, seconds working, seconds waiting for others, calls) as the first thread saw them."""
        return self._native.profile()

    def _add_tensor(self, tensor: Tensor) -> int:
        name = tensor.format.name.lower()
        self.weight_formats[name] = self.weight_formats.get(name, 0) + tensor.nbytes
        if len(tensor.shape) == 1:
            return self._native.add_vector(tensor.dequantize())
        if tensor.format.quantised and tensor.shape[1] % GROUP != 0:
            raise ValueError(f"{tensor.name}: {tensor.format.name} needs rows in groups of {GROUP}")
        offsets = tensor.offsets if tensor.format is Format.INT4_OFFSET else None
        return self._native.add_weight(tensor.format.value, tensor.data, tensor.scales, offsets)

    def _add_op(self, op: FusedOp) -> None:
        match op:
            case Embed(out=out, weight=weight):
                self._native.add_embedding(self._numbers[weight], self._buffers[out])
            case EmbedSum(op=embed, positions=positions, segments=segments):
                self._native.add_embedding(
                    self._numbers[embed.weight],
                    self._buffers[embed.out],
                    self._number(positions),
                    self._number(segments),
                )
            case LayerNorm(x=x, out=out, weight=weight, bias=bias, eps=eps):
                self._native.add_layer_norm(
                    self._buffers[x], self._buffers[out], self._numbers[weight], self._numbers[bias], eps
                )
            case Output(x=x, norm=norm, eps=eps):
                self._native.add_output(self._buffers[x], self._number(norm), eps)
            case Product():
                self._native.add_product(
                    self._buffers[op.x],
                    self._number(op.norm),
                    op.eps,
                    op.selected,
                    op.gated,
                    [
                        (
                            self._numbers[part.weight],
                            self._number(part.bias),
                            _LOGITS if part.out is None else self._buffers[part.out],
                            part.add,
                        )
                        for part in op.parts
                    ],
                    op.activation or "",
                )
            case Select(buffers=buffers):
                self._native.add_selection([self._buffers[name] for name in buffers])
            case FusedAttention():
                self._add_attention(op)

    def _add_attention(self, fused: FusedAttention) -> None:
        op, query_norm, key_norm = fused.op, fused.query_norm, fused.key_norm
        self._native.add_attention(
            op.layer,
            self._buffers[op.q],
            self._buffers[op.k],
            self._buffers[op.v],
            self._buffers[op.out],
            self._number(None if query_norm is None else query_norm.weight),
            0.0 if query_norm is None else query_norm.eps,
            self._number(None if key_norm is None else key_norm.weight),
            0.0 if key_norm is None else key_norm.eps,
            op.scale,
            fused.rotary,
        )

    def _number(self, name: str | None) -> int:
        return _NONE if name is None else self._numbers[name]


def _buffers_of(op: FusedOp) -> list[str]:
    match op:
        case Embed(out=out):
            return [out]
        case EmbedSum(op=embed):
            return [embed.out]
        case LayerNorm(x=x, out=out):
            return [x, out]
        case Output(x=x):
            return [x]
        case Product(x=x, parts=parts):
            return [x, *(part.out for part in parts if part.out is not None)]
        case Select(buffers=buffers):
            return list(buffers)
        case FusedAttention(op=attention):
            return [attention.q, attention.k, attention.v, attention.out]
