"""Grammars in the engine process: compiled in threads beside the step loop, and the masks of a step."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import numpy.typing as npt

from pagoda.engine.sampler import TokenMasks
from pagoda.engine.structured_outputs import GrammarError, StructuredOutputsParams
from pagoda.engine.vocabulary import Vocabulary

if TYPE_CHECKING:
    from pagoda.engine.guide import Guide

_CACHED = 32  #: grammars kept
_CACHED_BYTES = 8 << 20  #: of what describes them
_WORKERS = 2
_WORTH_A_THREAD = 0.0005  #: seconds that the mask of a single row takes


class GrammarCompiler:
    """Compiles constraints for one model and computes the masks they ask for. What it needs is loaded with
    the first constraint; until then it costs nothing.

    load: reads the model's vocabulary. num_threads: threads that compute the masks of a step.
    """

    def __init__(
        self,
        load: Callable[[], Vocabulary],
        vocab_size: int,
        *,
        num_threads: int = 1,
    ) -> None:
        self._load = load
        self._vocab_size = vocab_size
        self._num_threads = num_threads
        self._pool: ThreadPoolExecutor | None = None
        self._beside: ThreadPoolExecutor | None = None  # computes masks while the model runs
        self._seconds = 0.0  # of work for the last mask of a single row
        self._compiled: OrderedDict[bytes, Future[Any]] = OrderedDict()
        self._bytes_kept = 0
        self._lock = threading.Lock()
        self._tokenizer: Any = None
        self._executor: Any = None
        self._bits = np.empty((0, 0), np.uint32)

    def compile(self, params: StructuredOutputsParams, eos_token_ids: Sequence[int]) -> Future[Any]:
        """The compiled grammar (an llguidance.LLMatcher to copy), now or later; or, as the future's result,
        the GrammarError or CheckpointError that says why there is none.

        eos_token_ids: the model's, which end an answer where the grammar is satisfied; the same each time.
        """
        key = msgspec.msgpack.encode(params)
        future = self._compiled.get(key)
        if future is not None:
            self._compiled.move_to_end(key)
            return future
        if self._pool is None:
            self._pool = ThreadPoolExecutor(_WORKERS, thread_name_prefix="pagoda-grammar")
        future = self._compiled[key] = self._pool.submit(self._try_compiling, params, tuple(eos_token_ids))
        self._bytes_kept += len(key)
        while len(self._compiled) > 1 and (len(self._compiled) > _CACHED or self._bytes_kept > _CACHED_BYTES):
            forgotten, _ = self._compiled.popitem(last=False)
            self._bytes_kept -= len(forgotten)
        return future

    def forget(self, params: StructuredOutputsParams) -> None:
        """Lets the next one be compiled anew: all copies of a grammar share what its lexer has learnt, which
        has a limit.
        """
        key = msgspec.msgpack.encode(params)
        if self._compiled.pop(key, None) is not None:
            self._bytes_kept -= len(key)

    @staticmethod
    def wait(futures: Sequence[Future[Any]], seconds: float) -> None:
        """Sleeps until one of them is done, at most that long."""
        wait(futures, timeout=seconds, return_when=FIRST_COMPLETED)

    def start_masks(self, guides: Sequence[tuple[int, Guide]]) -> Future[TokenMasks | None] | None:
        """Begins `masks` in another thread, for a caller that now waits for the model; None where that does
        not pay. The guides must stay as they are until it is done.
        """
        rows = sum(guide.wants_mask for _, guide in guides)
        if rows == 0 or (rows == 1 and self._seconds < _WORTH_A_THREAD):
            return None
        if self._beside is None:
            self._beside = ThreadPoolExecutor(1, thread_name_prefix="pagoda-masks")
        return self._beside.submit(self.masks, guides)

    def masks(self, guides: Sequence[tuple[int, Guide]]) -> TokenMasks | None:
        """What may come next, for rows of logits and their guides; None when nothing is constrained. A guide
        whose grammar fails has a `problem` then.
        """
        rows: list[int] = []
        matchers: list[tuple[Any, int]] = []
        forced: list[tuple[int, int]] = []
        besides: list[tuple[int, int]] = []
        for row, guide in guides:
            token = guide.forced()
            if token is not None:
                forced.append((len(rows), token))
            elif guide.wants_mask:
                matchers.append((guide.matcher, len(rows)))
                if guide.may_open_with is not None:
                    besides.append((len(rows), guide.may_open_with))
            else:
                continue
            rows.append(row)
        if not rows:
            return None
        bits = self._room(len(rows))
        for index, token in forced:
            bits[index] = 0
            bits[index, token // 32] = 1 << (token % 32)
        if matchers:
            self._fill(matchers, bits)
        for index, token in besides:
            bits[index, token // 32] |= 1 << (token % 32)
        return TokenMasks(rows, bits)

    def _fill(self, matchers: list[tuple[Any, int]], bits: npt.NDArray[np.uint32]) -> None:
        size = bits.shape[1] * bits.itemsize
        if len(matchers) == 1:  # not worth waking other threads
            matcher, index = matchers[0]
            started = time.thread_time()
            matcher.unsafe_compute_mask_ptr(bits[index].ctypes.data, size)
            self._seconds = time.thread_time() - started
            return
        if self._executor is None:
            self._executor = _llguidance().LLExecutor(self._num_threads)
        self._executor.unsafe_compute_mask_ptr(matchers, bits.ctypes.data, size, len(bits))

    def _room(self, rows: int) -> npt.NDArray[np.uint32]:
        words = -(-self._mask_size // 32)
        if self._bits.shape[0] < rows:
            self._bits = np.empty((max(rows, 2 * self._bits.shape[0]), words), np.uint32)
        return self._bits

    @property
    def _mask_size(self) -> int:
        """One place more than the vocabulary: what stands for the end in a model that has no end token."""
        return self._vocab_size + 1

    def _try_compiling(self, params: StructuredOutputsParams, eos_token_ids: tuple[int, ...]) -> Any:
        try:
            return self._compile(params, eos_token_ids)
        except Exception as error:
            # Kept without its traceback, whose frames would hold the engine beyond its end.
            return error.with_traceback(None)

    def _compile(self, params: StructuredOutputsParams, eos_token_ids: tuple[int, ...]) -> Any:
        from pagoda.engine.grammar import parser_limits
        from pagoda.engine.grammar_text import grammar_text, one_line

        text = grammar_text(params)
        with self._lock:
            if self._tokenizer is None:
                self._tokenizer = self._make_tokenizer(eos_token_ids)
        for precompute in (True, False):  # what is too large to prepare may still do
            limits = parser_limits(precompute=precompute)
            matcher = _llguidance().LLMatcher(self._tokenizer, text, limits=limits, log_level=0)
            if not matcher.is_error():
                return matcher
        raise GrammarError(f"the grammar cannot be compiled: {one_line(matcher.get_error())}")

    def _make_tokenizer(self, eos_token_ids: tuple[int, ...]) -> Any:
        vocabulary = self._load()
        eos = [token for token in eos_token_ids if 0 <= token < self._vocab_size] or [self._vocab_size]
        backend = _Backend(vocabulary, eos)
        llguidance = _llguidance()
        return llguidance.LLTokenizer(
            llguidance.TokenizerWrapper(backend), n_vocab=self._mask_size, eos_token=eos
        )


class _Backend:
    """A vocabulary in the shape that llguidance reads."""

    bos_token_id = None

    def __init__(self, vocabulary: Vocabulary, eos_token_ids: Sequence[int]) -> None:
        self.tokens = [*vocabulary.tokens, b""]
        self.special_token_ids = sorted({*vocabulary.special_ids, *eos_token_ids})
        self.eos_token_id = eos_token_ids[0]

    def __call__(self, text: bytes | str) -> list[int]:
        """Tokens of a text; never asked for, since grammars force nothing."""
        return []


def _llguidance() -> Any:
    import llguidance

    return llguidance
