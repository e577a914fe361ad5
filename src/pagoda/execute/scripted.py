"""A model that says what it is told to say: an executor without weights, for tests and benchmarks.

Its cache holds token ids and, for each, a hash of everything up to it, through the same block tables as a
real cache. So it knows the whole context of every row of logits, whatever was shared, preempted or computed
again.
Logits are a low, fixed background with the script's next token far above, so grammars, bans, biases and
penalties still decide; what they force instead is followed by text, not by tokens.
"""

from __future__ import annotations

import os
import time
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from pagoda.execute.base import BLOCK_SIZE, StepBatch
from pagoda.execute.validate import validate_batch

SCRIPT_FILE = "script.json"
DEATH_STATUS = 86  #: exit status of a process that a script has end

_SCRIPTED = 40.0  #: between what a logit_bias of 100 lifts above it and one of -100 keeps below
_SECOND = 20.0  #: where the script's token must not come: the one after it; after its end, its beginning
_UNUSED = -60.0  #: of ids that no token has
_CLOSERS = ('"', "}", "]")  #: in this order, what a grammar is led to its end by; then the end token
_SURE_TOKENS = 4  #: of a script at the end of a context, without a mark of where the answer begins
_TAIL_BYTES = 48  #: of an answer that has left the script, looked for in it
_SURE_BYTES = 3
_REMEMBERED = 1 << 17  #: rows of logits, twice


class Reply(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is said when the prompt's text contains `when`.

    Of several replies the one counts whose `when` comes last in the prompt, so that a conversation is
    answered by its newest message. repeat: say it again and again instead of ending. step_ms: steps that work
    on it are at least so far apart. fault: instead of the token after the first `after`, the step raises
    an exception or the process dies; with `once` only the first time (a file beside the script remembers).
    """

    text: str
    when: str = ""
    repeat: bool = False
    step_ms: float = 0.0
    fault: Literal["raise", "die"] | None = None
    after: int = 0
    once: bool = False


class Script(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of script.json; `default` is said when no reply fits."""

    default: Reply = Reply("")
    replies: list[Reply] = []


class Spelling(Protocol):
    """What is needed of a tokenizer (`pagoda.text.tokenizer.Tokenizer`)."""

    @property
    def vocab_size(self) -> int: ...

    def encode(self, text: str, add_special_tokens: bool = True) -> list[int]: ...

    def token_bytes(self, index: int) -> bytes: ...

    def token_to_id(self, token: str) -> int | None: ...


def read_script(path: Path) -> Script:
    """Raises ValueError with one line for a file that is not there or no script."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Script)
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror or error}") from error
    except msgspec.DecodeError as error:
        raise ValueError(f"{path} is not a script: {error}") from error


@dataclass(frozen=True, slots=True)
class _Plan:
    """The tokens that say a reply from one of its bytes to its end."""

    reply: Reply
    token_ids: tuple[int, ...]
    offsets: tuple[int, ...]  #: the byte of the reply that each token begins with


class _Place(NamedTuple):
    """Where an answer stands: the next token of its plan, and how many tokens it has."""

    plan: _Plan
    next: int
    done: int


class ScriptedExecutor:
    """Implements `Executor`; see base.py for the contract of a step.

    eos_token_id: ends every reply that does not repeat. marks: texts after which an answer begins (the end of
    a chat template's prompt), which let an answer go on in a new process. folder: where `once` is remembered.
    """

    weight_bytes = 0

    def __init__(
        self,
        script: Script,
        spelling: Spelling,
        *,
        vocab_size: int,
        num_blocks: int,
        max_tokens: int,
        eos_token_id: int,
        marks: Sequence[str] = (),
        folder: Path | None = None,
    ) -> None:
        self.vocab_size = vocab_size
        self.num_blocks = num_blocks
        self.max_tokens = max_tokens
        self.cache_bytes = num_blocks * BLOCK_SIZE * 12
        self._script = script
        self._spelling = spelling
        self._eos = eos_token_id
        self._marks = [mark.encode() for mark in marks if mark]
        self._folder = folder
        self._background = _background(vocab_size, spelling, eos_token_id)
        self._tokens = np.zeros(num_blocks * BLOCK_SIZE, np.int32)
        self._hashes = [0] * (num_blocks * BLOCK_SIZE)  # of the context up to and with each token
        self._places: dict[int, _Place] = {}  # by the hash of the context whose logits were asked for
        self._older: dict[int, _Place] = {}
        self._plans: dict[tuple[int, int], _Plan] = {}
        self._due = 0.0  # when the last step that waited was over

    def step(self, batch: StepBatch) -> npt.NDArray[np.float32]:
        validate_batch(batch, self.vocab_size, self.num_blocks, self.max_tokens)
        token_ids, rows = batch.token_ids.tolist(), batch.logits_rows.tolist()
        logits = np.empty((len(rows), self.vocab_size), np.float32)
        logits[:] = self._background
        first = row = 0
        wait = 0.0
        for table, count, end in zip(
            batch.block_tables, batch.query_lens.tolist(), batch.context_lens.tolist(), strict=True
        ):
            before, now = self._write(table, token_ids[first : first + count], end)
            first += count
            while row < len(rows) and rows[row] < first - 1:
                row += 1  # a prompt's own log-probabilities
            if row < len(rows) and rows[row] == first - 1:
                place = self._follow(before, now, token_ids[first - 1], table, end)
                reply = place.plan.reply
                if reply.fault is not None and place.done == reply.after:
                    self._fail(reply)
                self._put(logits[row], place)
                wait = max(wait, reply.step_ms)
                row += 1
        if wait:
            self._wait(wait / 1000)
        return logits

    def _wait(self, seconds: float) -> None:
        """Until this step is so long after the last one that waited."""
        now = time.monotonic()
        self._due = max(self._due + seconds, now)
        time.sleep(self._due - now)

    def _put(self, logits: npt.NDArray[np.float32], place: _Place) -> None:
        plan, index, _ = place
        following = plan.token_ids[index + 1 : index + 2] or self._plan(plan.reply, 0).token_ids
        logits[following[0]] = _SECOND
        logits[plan.token_ids[index]] = _SCRIPTED

    def _write(self, table: npt.NDArray[np.int32], token_ids: list[int], end: int) -> tuple[int, int]:
        """Stores a sequence's new tokens; the hashes of its context without the last token and with it."""
        start = end - len(token_ids)
        now = before = 0
        if start:
            now = self._hashes[self._slot(table, start - 1)]
        for position, token in enumerate(token_ids, start):
            slot = self._slot(table, position)
            before, now = now, hash((now, token, position))
            self._tokens[slot] = token
            self._hashes[slot] = now
        return before, now

    @staticmethod
    def _slot(table: npt.NDArray[np.int32], position: int) -> int:
        return int(table[position // BLOCK_SIZE]) * BLOCK_SIZE + position % BLOCK_SIZE

    def _follow(self, before: int, now: int, token: int, table: npt.NDArray[np.int32], end: int) -> _Place:
        """Where the answer stands after `token`, remembered for the next one."""
        known = self._places.get(before) or self._older.get(before)
        if known is None:
            place = self._begin(self._context(table, end))
        else:
            plan, index, done = known
            if token == plan.token_ids[index]:
                index += 1
                if index == len(plan.token_ids):
                    plan, index = self._plan(plan.reply, 0), 0
            elif index + 1 == len(plan.token_ids) and token == self._plan(plan.reply, 0).token_ids[0]:
                plan, index = self._plan(plan.reply, 0), 1
            elif index + 2 < len(plan.token_ids) and token == plan.token_ids[index + 1]:
                index += 2
            else:
                tail = self._context(table, end)[-_TAIL_BYTES:]
                plan, index = self._at(plan.reply, self._resume(plan, index, token, tail))
            place = _Place(plan, index, done + 1)
        if len(self._places) >= _REMEMBERED:
            self._older, self._places = self._places, {}
        self._places[now] = place
        return place

    def _context(self, table: npt.NDArray[np.int32], end: int) -> list[int]:
        positions = np.arange(end)
        slots = table[positions // BLOCK_SIZE].astype(np.int64) * BLOCK_SIZE + positions % BLOCK_SIZE
        found: list[int] = self._tokens[slots].tolist()
        return found

    def _begin(self, context: list[int]) -> _Place:
        """A context that was never seen: a new prompt, or one with a part of its answer (after a crash)."""
        text = self._bytes(context)
        begins = [at + len(mark) for mark in self._marks if (at := text.rfind(mark)) >= 0]
        if begins:
            begin = max(begins)
            reply = self._choose(text[:begin])
            answer = text[begin:]
            if answer and reply.text.encode().startswith(answer):
                plan, index = self._at(reply, len(answer))
                return _Place(plan, index, index or len(self._encode(answer)))
            return _Place(self._plan(self._choose(text), 0), 0, 0)
        plan = self._plan(self._choose(text), 0)
        for count in range(min(len(context), len(plan.token_ids) - 1), _SURE_TOKENS - 1, -1):
            if tuple(context[-count:]) == plan.token_ids[:count]:
                return _Place(plan, count, count)
        return _Place(plan, 0, 0)

    def _choose(self, prompt: bytes) -> Reply:
        """The reply whose `when` comes last in the prompt; of several at one place the first."""
        chosen, last = self._script.default, -1
        for reply in self._script.replies:
            when = reply.when.encode()
            at = prompt.rfind(when)
            if at >= 0 and at + len(when) > last:
                chosen, last = reply, at + len(when)
        return chosen

    def _resume(self, plan: _Plan, index: int, token: int, tail: list[int]) -> int:
        """The byte of the reply to go on from after another token than the script's.

        Other tokens for the same text go on behind it, and white space changes nothing. Else the reply goes
        on behind the longest end of the answer that still comes in it; where there is none the script's token
        was replaced.
        """
        text, offset = plan.reply.text.encode(), plan.offsets[index]
        said = self._spelling.token_bytes(token)
        if said and text.startswith(said, offset):
            return offset + len(said)
        rest = len(text) - len(text[offset:].lstrip())
        if said.strip() and text.startswith(said.strip(), rest):
            return rest + len(said.strip())
        if not said.strip():
            return offset
        spoken = self._bytes(tail)
        for length in range(min(len(spoken), _TAIL_BYTES), _SURE_BYTES - 1, -1):
            at = text.find(spoken[-length:], max(0, offset - length + 1))
            if at >= 0:
                return at + length
        return plan.offsets[min(index + 1, len(plan.offsets) - 1)]

    def _at(self, reply: Reply, offset: int) -> tuple[_Plan, int]:
        """A plan and its token to go on with from a byte: the reply's own tokens where one begins there."""
        whole = self._plan(reply, 0)
        index = bisect_left(whole.offsets, offset)
        if index < len(whole.token_ids) and whole.offsets[index] == offset:
            return whole, index
        return self._plan(reply, offset), 0

    def _plan(self, reply: Reply, offset: int) -> _Plan:
        key = (id(reply), offset)
        plan = self._plans.get(key)
        if plan is None:
            token_ids = self._encode(reply.text.encode()[offset:])
            offsets = [offset]
            for token in token_ids:
                offsets.append(offsets[-1] + len(self._spelling.token_bytes(token)))
            if not reply.repeat or not token_ids:
                token_ids.append(self._eos)
            plan = self._plans[key] = _Plan(reply, tuple(token_ids), tuple(offsets))
        return plan

    def _encode(self, text: bytes) -> list[int]:
        return self._spelling.encode(text.decode("utf-8", "ignore"), add_special_tokens=False)

    def _bytes(self, token_ids: list[int]) -> bytes:
        return b"".join(map(self._spelling.token_bytes, token_ids))

    def _fail(self, reply: Reply) -> None:
        if reply.once and self._folder is not None:
            key = self._script.replies.index(reply) if reply in self._script.replies else "default"
            remembered = self._folder / f"{SCRIPT_FILE}.fault-{key}"
            if remembered.exists():
                return
            remembered.touch()
        if reply.fault == "die":
            os._exit(DEATH_STATUS)
        raise RuntimeError(f"the script asks for a fault after {reply.after} tokens")


def _background(vocab_size: int, spelling: Spelling, eos_token_id: int) -> npt.NDArray[np.float32]:
    """Logits (vocab,) between -1 and 0, a little higher for tokens that bring something to its end."""
    ids = np.arange(vocab_size, dtype=np.uint64)
    logits = ((ids * np.uint64(2654435761)) % np.uint64(9973)).astype(np.float32) / np.float32(-9973)
    logits[spelling.vocab_size :] = _UNUSED
    for rank, text in enumerate(reversed(_CLOSERS), start=1):
        closer = spelling.encode(text, add_special_tokens=False)
        if len(closer) == 1:
            logits[closer[0]] = rank
    logits[eos_token_id] = 0.5
    return logits
