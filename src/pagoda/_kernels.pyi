"""The compiled module: the CPU executor and the sampler (kernels/)."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

def available_threads() -> int:
    """Physical cores this process may use, within the CPU quota of its control groups; at least 1."""

def best_isa() -> str:
    """The best instruction set this machine runs: "portable", "avx2" or "avx512"."""

class Executor:
    """Runs the fused operations of a program (kernels/executor/executor.h).

    Weights, vectors and buffers are named by the numbers their `add_` methods return; -1 stands for no vector
    and, as an output, -2 for the logits. Methods raise ValueError when their arguments break the contract.
    """

    def __init__(
        self,
        isa: str,
        threads: int,
        vocab_size: int,
        max_tokens: int,
        max_context: int,
        num_blocks: int,
        layers: int,
        heads: int,
        kv_heads: int,
        head_dim: int,
        causal: bool = True,
    ) -> None: ...
    def add_weight(
        self,
        weight_format: int,
        data: npt.NDArray[np.generic],
        scales: npt.NDArray[np.float16] | None = None,
        offsets: npt.NDArray[np.float16] | None = None,
    ) -> int:
        """Copies and packs a weight given as in weights/tensor.py."""

    def add_vector(self, values: npt.NDArray[np.float32]) -> int: ...
    def add_buffer(self, width: int) -> int: ...
    def set_rotary(self, cosine: int, sine: int) -> None:
        """Vectors of max_context * head_dim / 2 values."""

    def add_embedding(self, weight: int, out: int, positions: int = -1, segments: int = -1) -> None:
        """positions and segments: weights whose rows are added."""

    def add_layer_norm(self, x: int, out: int, weight: int, bias: int, eps: float) -> None: ...
    def add_output(self, x: int, norm: int, norm_eps: float) -> None:
        """The step's result instead of logits: selected rows, through an RMS norm unless that is -1."""

    def add_selection(self, buffers: Sequence[int]) -> None:
        """Moves the rows whose results are wanted to the front of each buffer; `selected` products follow."""

    def add_product(
        self,
        x: int,
        norm: int,
        norm_eps: float,
        selected: bool,
        gated: bool,
        parts: Sequence[tuple[int, int, int, bool]],
        activation: str = "",
    ) -> None:
        """parts: (weight, bias, out, whether to add to what out holds); activation: of the last one's out."""

    def add_attention(
        self,
        layer: int,
        q: int,
        k: int,
        v: int,
        out: int,
        query_norm: int,
        query_norm_eps: float,
        key_norm: int,
        key_norm_eps: float,
        scale: float,
        rotary: bool = True,
    ) -> None: ...
    def finish(self) -> None:
        """Ends the adding; steps may follow."""

    def step(
        self,
        token_ids: npt.NDArray[np.int32],
        query_lens: npt.NDArray[np.int32],
        context_lens: npt.NDArray[np.int32],
        block_tables: npt.NDArray[np.int32],
        logits_rows: npt.NDArray[np.int32],
        segments: npt.NDArray[np.int32] | None = None,
    ) -> npt.NDArray[np.float32]:
        """Logits (rows, vocab) or the rows of add_output, valid until the next step. Releases the GIL."""

    def set_profiling(self, on: bool) -> None: ...
    def profile(self) -> list[tuple[str, float, float, int]]:
        """(operation, seconds working, seconds waiting, calls)."""

    @property
    def weight_bytes(self) -> int: ...
    @property
    def cache_bytes(self) -> int: ...

#: (log-probability, rank, top ids, top log-probabilities, others as (id, log-probability, rank))
_Logprobs = tuple[float, int, list[int], list[float], list[tuple[int, float, int]]]

class SampleRow:
    """A request's sampling settings and, with penalties, its token counts."""

    def __init__(
        self,
        *,
        vocab: int,
        temperature: float,
        top_k: int,
        top_p: float,
        min_p: float,
        repetition_penalty: float,
        frequency_penalty: float,
        presence_penalty: float,
        logprobs: int,
        seed: int,
    ) -> None: ...
    def set_biases(self, token_ids: Sequence[int], biases: Sequence[float]) -> None: ...
    def set_allowed(self, token_ids: Sequence[int]) -> None: ...
    def set_banned(self, token_ids: Sequence[int]) -> None: ...
    def set_logprob_ids(self, token_ids: Sequence[int]) -> None: ...
    def add_prompt(self, token_ids: Sequence[int]) -> None: ...
    def add_output(self, token_ids: Sequence[int]) -> None: ...
    @property
    def num_output(self) -> int:
        """Tokens given to add_output."""

class RowSampler:
    """Chooses tokens; keeps working memory. One call at a time."""

    def __init__(self) -> None: ...
    def sample(
        self,
        logits: npt.NDArray[np.float32],
        rows: Sequence[SampleRow],
        positions: Sequence[int],
        banned: Sequence[tuple[int, Sequence[int]]],
        masked: Sequence[int] = (),
        masks: npt.NDArray[np.uint32] | None = None,
    ) -> tuple[list[int], list[tuple[int, _Logprobs]], list[tuple[int, str]]]:
        """(tokens, [(row, logprobs)], [(row, error)]); masks[i], one bit a token, is of row masked[i]."""

    def logprobs(self, logits: npt.NDArray[np.float32], token: int, count: int) -> _Logprobs: ...

def sample_uniform(seed: int, position: int) -> float:
    """The number in [0, 1) behind a draw."""

def measure_limits(seconds: float, threads: int) -> dict[str, float]:
    """The machine's limits with that many threads: read_gb_s, int8_gop_s, bf16_gflop_s, f32_gflop_s, in 10^9.

    Takes about `seconds` and 256 MiB.
    """
