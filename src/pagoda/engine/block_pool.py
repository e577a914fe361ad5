"""Blocks of the paged cache: reference counts, a free list, and content addresses of full blocks.

Nothing here touches cache memory: a block is a number that the executor maps onto memory. A full block whose
content is known carries a hash of all tokens up to its end, so that a later request with the same beginning
shares it. A block that nobody holds stays addressable until it is handed out again; the least recently used
goes first.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable, Sequence

from pagoda.execute.base import BLOCK_SIZE

_HASH_BYTES = 16


class BlockPool:
    """Hands out blocks 0 .. num_blocks - 1. All operations are O(1) a block."""

    def __init__(self, num_blocks: int) -> None:
        if num_blocks < 1:
            raise ValueError(f"a block pool needs at least 1 block, got {num_blocks}")
        self.num_blocks = num_blocks
        self.num_free = num_blocks
        self._ref_counts = [0] * num_blocks
        self._hashes: list[bytes | None] = [None] * num_blocks
        self._by_hash: dict[bytes, int] = {}
        # The free blocks as a doubly linked ring in order of use, oldest first; index num_blocks is its head.
        self._next = [*range(1, num_blocks + 1), 0]
        self._previous = [num_blocks, *range(num_blocks)]

    def allocate(self, count: int) -> list[int]:
        """Takes `count` blocks, the least recently used first; what they cached is forgotten.

        Raises ValueError when fewer are free.
        """
        if count > self.num_free:
            raise ValueError(f"{count} blocks wanted, {self.num_free} free")
        blocks = []
        for _ in range(count):
            block = self._next[self.num_blocks]
            self._unlink(block)
            self._forget(block)
            self._ref_counts[block] = 1
            blocks.append(block)
        return blocks

    def match(self, hashes: Iterable[bytes]) -> list[int]:
        """The blocks that hold the longest cached beginning of a chain of hashes. Takes no reference."""
        blocks = []
        for value in hashes:
            block = self._by_hash.get(value)
            if block is None:
                break
            blocks.append(block)
        return blocks

    def num_unreferenced(self, blocks: Iterable[int]) -> int:
        """How many of `blocks` are counted as free, and so would leave the free list when shared."""
        return sum(1 for block in blocks if self._ref_counts[block] == 0)

    def share(self, blocks: Iterable[int]) -> None:
        """Takes one more reference to each block that `match` found."""
        for block in blocks:
            if self._ref_counts[block] == 0:
                self._unlink(block)
            self._ref_counts[block] += 1

    def publish(self, block: int, value: bytes) -> None:
        """Makes a held, full block findable by its hash; the first block with a hash keeps the address."""
        if self._hashes[block] is None and value not in self._by_hash:
            self._hashes[block] = value
            self._by_hash[value] = block

    def release(self, blocks: Sequence[int]) -> None:
        """Gives back one reference to each block of a sequence, the last one first: tails are the first to be
        reused.
        """
        for block in reversed(blocks):
            if self._ref_counts[block] < 1:
                raise ValueError(f"block {block} is released more often than taken")
            self._ref_counts[block] -= 1
            if self._ref_counts[block] == 0:
                self._append(block)

    def reset_cache(self) -> None:
        """Forgets what every block that nobody holds has cached."""
        for value, block in list(self._by_hash.items()):
            if self._ref_counts[block] == 0:
                del self._by_hash[value]
                self._hashes[block] = None

    @property
    def num_cached(self) -> int:
        """Blocks that can be found by content, held or not."""
        return len(self._by_hash)

    def _forget(self, block: int) -> None:
        value = self._hashes[block]
        if value is not None:
            del self._by_hash[value]
            self._hashes[block] = None

    def _unlink(self, block: int) -> None:
        before, after = self._previous[block], self._next[block]
        self._next[before] = after
        self._previous[after] = before
        self.num_free -= 1

    def _append(self, block: int) -> None:
        head = self.num_blocks
        last = self._previous[head]
        self._next[last] = block
        self._previous[block] = last
        self._next[block] = head
        self._previous[head] = block
        self.num_free += 1


def root_hash(cache_salt: str) -> bytes:
    """Where a chain of block hashes begins; requests with different salts never share blocks."""
    return hashlib.blake2b(cache_salt.encode(), digest_size=_HASH_BYTES).digest()


def extend_hashes(hashes: list[bytes], root: bytes, token_ids: Sequence[int], num_tokens: int) -> None:
    """Appends the hashes of the blocks that the first `num_tokens` of `token_ids` fill; each covers all
    before it.
    """
    for index in range(len(hashes), num_tokens // BLOCK_SIZE):
        parent = hashes[-1] if hashes else root
        tokens = array("i", token_ids[index * BLOCK_SIZE : (index + 1) * BLOCK_SIZE])
        hashes.append(hashlib.blake2b(parent + tokens.tobytes(), digest_size=_HASH_BYTES).digest())
