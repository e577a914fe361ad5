from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pagoda.engine.block_pool import BlockPool, extend_hashes, root_hash
from pagoda.execute.base import BLOCK_SIZE

NUM_BLOCKS = 6


class BlockPoolMachine(RuleBasedStateMachine):
    """Sequences of full blocks come and go; a plain model says what must be held and what may be found."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = BlockPool(NUM_BLOCKS)
        self.sequences: list[list[int]] = []
        self.chains: list[list[bytes]] = []
        self.content: dict[int, bytes] = {}  # what was last written to a block

    @rule(contents=st.lists(st.integers(0, 2), min_size=1, max_size=4))
    def start(self, contents: list[int]) -> None:
        """A sequence shares what is cached of it and writes the rest."""
        chain: list[bytes] = []
        extend_hashes(
            chain, root_hash(""), [c for c in contents for _ in range(BLOCK_SIZE)], len(contents) * BLOCK_SIZE
        )
        cached = self.pool.match(chain)
        for block, value in zip(cached, chain, strict=False):
            assert self.content[block] == value
        needed = len(chain) - len(cached)
        if needed > self.pool.num_free - self.pool.num_unreferenced(cached):
            return
        self.pool.share(cached)
        fresh = self.pool.allocate(needed)
        for block, value in zip(fresh, chain[len(cached) :], strict=True):
            assert all(block not in sequence for sequence in self.sequences)
            self.content[block] = value
            self.pool.publish(block, value)
        self.sequences.append(cached + fresh)
        self.chains.append(chain)

    @precondition(lambda self: self.sequences)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        index = data.draw(st.integers(0, len(self.sequences) - 1))
        chain = self.chains.pop(index)
        blocks = self.sequences.pop(index)
        self.pool.release(blocks)
        assert self.pool.match(chain), "what was just used is still cached"

    @rule()
    def reset(self) -> None:
        self.pool.reset_cache()
        held = {block for sequence in self.sequences for block in sequence}
        for chain in self.chains:
            assert set(self.pool.match(chain)) <= held

    @precondition(lambda self: not self.sequences)
    @rule()
    def everything_can_be_taken(self) -> None:
        blocks = self.pool.allocate(NUM_BLOCKS)
        assert sorted(blocks) == list(range(NUM_BLOCKS))
        assert self.pool.num_cached == 0
        self.pool.release(blocks)

    @invariant()
    def free_and_held_blocks_add_up(self) -> None:
        held = Counter(block for sequence in self.sequences for block in sequence)
        assert self.pool.num_free == NUM_BLOCKS - len(held)
        assert self.pool.num_unreferenced(range(NUM_BLOCKS)) == self.pool.num_free


BlockPoolMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestBlockPool = BlockPoolMachine.TestCase


def chain(*contents: int, salt: str = "") -> list[bytes]:
    hashes: list[bytes] = []
    tokens = [content for content in contents for _ in range(BLOCK_SIZE)]
    extend_hashes(hashes, root_hash(salt), tokens, len(tokens))
    return hashes


def cache(pool: BlockPool, hashes: list[bytes]) -> list[int]:
    """Computes a chain and lets it go."""
    blocks = pool.allocate(len(hashes))
    for block, value in zip(blocks, hashes, strict=True):
        pool.publish(block, value)
    pool.release(blocks)
    return blocks


def test_blocks_are_found_by_everything_before_them() -> None:
    assert chain(1, 2)[1] != chain(3, 2)[1]
    assert chain(1, 2)[:1] == chain(1, 3)[:1]
    assert chain(1, salt="a") != chain(1, salt="b")


def test_partial_blocks_have_no_hash() -> None:
    hashes: list[bytes] = []
    extend_hashes(hashes, root_hash(""), [1] * (BLOCK_SIZE + 5), BLOCK_SIZE + 5)
    assert len(hashes) == 1


def test_least_recently_used_goes_first_and_tails_before_heads() -> None:
    pool = BlockPool(4)
    old, new = chain(1, 2), chain(3, 4)
    cache(pool, old)
    cache(pool, new)
    pool.share(pool.match(old))  # used again, so now `new` is the oldest
    pool.release(pool.match(old))
    held = pool.allocate(1)
    assert len(pool.match(new)) == 1, "the tail of the oldest went, its head is still there"
    held += pool.allocate(1)
    assert pool.match(new) == []
    assert len(pool.match(old)) == 2
    pool.release(held)


def test_a_second_copy_does_not_take_the_address_of_the_first() -> None:
    pool = BlockPool(2)
    (value,) = chain(1)
    first, second = pool.allocate(2)
    pool.publish(first, value)
    pool.publish(second, value)
    assert pool.match([value]) == [first]
    pool.release([second])
    pool.release(pool.allocate(1))
    assert pool.match([value]) == [first], "handing out the copy again leaves the first alone"


def test_misuse_is_an_error() -> None:
    pool = BlockPool(1)
    with pytest.raises(ValueError, match="2 blocks wanted, 1 free"):
        pool.allocate(2)
    blocks = pool.allocate(1)
    pool.release(blocks)
    with pytest.raises(ValueError, match="released more often"):
        pool.release(blocks)
    with pytest.raises(ValueError, match="at least 1 block"):
        BlockPool(0)
