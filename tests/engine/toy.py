"""A small executor that keeps the contract of a step to the letter, so that every mistake of the engine
shows.

Its cache holds nothing but token ids, and its logits are a hash of the whole context as read from the cache
through the block table. A wrong block, position or token changes what a sequence says from then on.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt

from pagoda.engine.config import EngineConfig, EngineInfo
from pagoda.engine.core import EngineCore
from pagoda.engine.loading import LoadedModel
from pagoda.engine.messages import AddRequest, TokenDelta
from pagoda.engine.params import SamplingParams
from pagoda.engine.vocabulary import Vocabulary
from pagoda.execute.base import BLOCK_SIZE, StepBatch
from pagoda.execute.validate import validate_batch

VOCAB = 64
EOS = 63
DEADLY = 62  #: what fragile_process.py dies of, as the first token of a context of DEADLY_LENGTH
DEADLY_LENGTH = 50
STUCK = 61  #: what it hangs on for ever, as the first token


#: what the toy's tokens say: enough for JSON, some of it in pieces, and half of a character each
TEXTS: tuple[bytes, ...] = (
    *(bytes([byte]) for byte in b'{}[]",:-.eE+ \n0123456789abcdhnrtufslx<>/'),
    *(b'{"', b'":', b'", "', b'"}', b"true", b"null", b"12", b"ab", b"abc", b", ", b"\\", b'\\"'),
    *(b"\xc3", b"\xa9", b"<t>", b"</t>", b"the", b" "),
)
THINK, END_THINK = TEXTS.index(b"<t>"), TEXTS.index(b"</t>")


def toy_vocabulary() -> Vocabulary:
    texts = [*TEXTS, *[b""] * (VOCAB - len(TEXTS))]
    return Vocabulary(texts, frozenset({EOS}))


def text_of(token_ids: Iterable[int]) -> str:
    return b"".join(toy_vocabulary().tokens[token] for token in token_ids if token != EOS).decode(
        "utf-8", "replace"
    )


class ToyExecutor:
    """Implements Executor. A context that contains `poison` raises; `batches` counts steps, `tokens` what
    they cost.
    """

    def __init__(self, num_blocks: int, max_tokens: int, poison: int | None = None) -> None:
        self.vocab_size = VOCAB
        self.num_blocks = num_blocks
        self.max_tokens = max_tokens
        self.weight_bytes = 0
        self.cache_bytes = num_blocks * BLOCK_SIZE * 4
        self.poison = poison
        self.batches = 0
        self.tokens = 0
        self.largest = 0
        self._cache = np.full(num_blocks * BLOCK_SIZE, -1, np.int32)

    def step(self, batch: StepBatch) -> npt.NDArray[np.float32]:
        validate_batch(batch, VOCAB, self.num_blocks, self.max_tokens)
        self.batches += 1
        self.tokens += len(batch.token_ids)
        self.largest = max(self.largest, len(batch.token_ids))
        slots = [
            self._slots(table, end) for table, end in zip(batch.block_tables, batch.context_lens, strict=True)
        ]
        written = np.concatenate([s[-n:] for s, n in zip(slots, batch.query_lens, strict=True)])
        if len(set(written.tolist())) != len(written):
            raise AssertionError("two sequences write the same place")
        for index, (own, count) in enumerate(zip(slots, batch.query_lens, strict=True)):
            others = [s for number, s in enumerate(slots) if number != index]
            new = set(own[-count:].tolist())
            if any(new & set(other.tolist()) for other in others):
                raise AssertionError("a sequence reads what another one writes in the same step")
        self._cache[written] = batch.token_ids
        contexts = []
        for own, count in zip(slots, batch.query_lens, strict=True):
            known = self._cache[own]
            if (known < 0).any():
                raise AssertionError("a sequence reads what was never written")
            if self.poison is not None and self.poison in known:
                raise FloatingPointError("poisoned\ncontext")
            contexts += [known[: len(own) - count + i + 1] for i in range(count)]
        return (
            np.stack([toy_logits(contexts[row]) for row in batch.logits_rows])
            if len(batch.logits_rows)
            else np.empty((0, VOCAB), np.float32)
        )

    @staticmethod
    def _slots(table: npt.NDArray[np.int32], end: int) -> npt.NDArray[np.int64]:
        positions = np.arange(end)
        return table[positions // BLOCK_SIZE].astype(np.int64) * BLOCK_SIZE + positions % BLOCK_SIZE


def toy_logits(context: npt.NDArray[np.int32]) -> npt.NDArray[np.float32]:
    """Logits (VOCAB,) that depend on every token of the context and its order."""
    value = zlib.crc32(context.astype("<i4").tobytes())
    return (((np.arange(VOCAB, dtype=np.uint64) + 1) * (value | 1) % 9973) / 1500).astype(np.float32)


def toy_engine(
    *,
    num_blocks: int = 64,
    max_model_len: int = 256,
    max_num_seqs: int = 8,
    max_tokens: int = 64,
    caching: bool = True,
    poison: int | None = None,
    make_executor: type[ToyExecutor] = ToyExecutor,
    vocabulary: Callable[[], Vocabulary] = toy_vocabulary,
) -> tuple[EngineCore, ToyExecutor]:
    executor = make_executor(num_blocks, max_tokens, poison)
    info = EngineInfo(
        architecture="toy",
        vocab_size=VOCAB,
        max_model_len=max_model_len,
        num_blocks=num_blocks,
        block_size=BLOCK_SIZE,
        weight_bytes=0,
        cache_bytes=executor.cache_bytes,
        max_num_seqs=max_num_seqs,
        max_num_batched_tokens=max_tokens,
        num_threads=1,
        isa="toy",
        weight_formats={},
        load_seconds=0.0,
        pid=0,
    )
    config = EngineConfig(model_path="toy", enable_prefix_caching=caching)
    return EngineCore(config, model=LoadedModel(executor, info, 1e6), vocabulary=vocabulary), executor


def add(request_id: str, prompt: Iterable[int], **params: object) -> AddRequest:
    """A request; keyword arguments that AddRequest knows go there, others to its SamplingParams."""
    fields = {name: params.pop(name) for name in list(params) if name in AddRequest.__struct_fields__}
    params.setdefault("temperature", 0.0)
    return AddRequest(
        request_id=request_id,
        prompt_token_ids=list(prompt),
        params=SamplingParams(**params),  # type: ignore[arg-type]
        **fields,  # type: ignore[arg-type]
    )


def run(engine: EngineCore, *commands: AddRequest) -> dict[str, list[TokenDelta]]:
    """Adds the requests and steps until nothing is left; the news of each request in order."""
    news: dict[str, list[TokenDelta]] = {}
    for command in commands:
        engine.add_request(command)
    while engine.has_work():
        for delta in engine.step().deltas:
            news.setdefault(delta.request_id, []).append(delta)
    return news


def tokens(deltas: list[TokenDelta]) -> list[int]:
    return [token for delta in deltas for token in delta.token_ids]


def alone(command: AddRequest, max_model_len: int = 256) -> list[int]:
    """What a request says when nothing else runs and there is room for everything."""
    engine, _ = toy_engine(
        num_blocks=max_model_len // BLOCK_SIZE,
        max_model_len=max_model_len,
        max_tokens=max_model_len,
        caching=False,
    )
    return tokens(run(engine, command)[command.request_id])
