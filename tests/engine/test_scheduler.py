from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.engine.toy import add

from pagoda.engine.batch import BatchBuilder
from pagoda.engine.block_pool import BlockPool
from pagoda.engine.fairness import share_prefill
from pagoda.engine.pace import ALONE_SECONDS, SHARED_SECONDS, PrefillPace
from pagoda.engine.request import Request
from pagoda.engine.scheduler import Scheduler, SchedulerLimits, Work


def request(name: str, length: int, *, order: int = 0, user: str = "", priority: int = 0) -> Request:
    return Request(add(name, range(length), user=user, priority=priority), order, 100_000)


def make(
    *, pace: float = 1e9, max_num_seqs: int = 16, max_tokens: int = 512, num_blocks: int = 1000
) -> Scheduler:
    limits = SchedulerLimits(max_num_seqs, max_tokens, max_prompt_logits=64)
    return Scheduler(BlockPool(num_blocks), limits, PrefillPace(pace), enable_prefix_caching=False)


def names(work: list[Work]) -> dict[str, int]:
    return {item.request.id: item.num_tokens for item in work}


def step(scheduler: Scheduler) -> dict[str, int]:
    """One step; whoever is complete gets a token."""
    work = scheduler.schedule()
    for item in work:
        scheduler.advance(item)
        if item.request.num_remaining == 0:
            item.request.append(1)
    return names(work)


class TestPace:
    def test_chunks_are_as_long_as_the_time_allows(self) -> None:
        pace = PrefillPace(1000.0)
        assert pace.budget(0) == 1000 * ALONE_SECONDS
        assert pace.budget(3) == 1000 * SHARED_SECONDS
        for _ in range(50):
            pace.observe(decode_tokens=0, prefill_tokens=100, seconds=1.0)
        assert pace.budget(0) == pytest.approx(100 * ALONE_SECONDS, abs=1)

    def test_the_time_of_decodes_is_not_counted_as_prefill(self) -> None:
        pace = PrefillPace(100.0)
        for _ in range(50):
            pace.observe(decode_tokens=5, prefill_tokens=0, seconds=0.1)
            pace.observe(decode_tokens=5, prefill_tokens=100, seconds=0.3)
        assert pace.tokens_per_second == pytest.approx(500, rel=0.01)

    @given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 5000), st.floats(0, 1e4))))
    def test_there_is_always_a_budget(self, observed: list[tuple[int, int, float]]) -> None:
        pace = PrefillPace(50.0)
        for decodes, prefill, seconds in observed:
            pace.observe(decodes, prefill, seconds)
        assert pace.budget(0) >= pace.budget(1) >= 32


class TestShares:
    def test_a_short_prompt_does_not_wait_for_a_long_one(self) -> None:
        long, short = request("long", 8000, order=0), request("short", 50, order=1)
        assert names_of(share_prefill([long, short], 256, {"": 0})) == {"long": 206, "short": 50}

    def test_the_first_keeps_half_whatever_comes_behind_it(self) -> None:
        requests = [request("long", 8000, order=0), *(request(f"s{i}", 60, order=i) for i in range(1, 9))]
        assert names_of(share_prefill(requests, 240, {"": 0})) == {"long": 120, "s1": 60, "s2": 60}

    def test_users_get_equal_shares_and_unused_ones_pass_on(self) -> None:
        requests = [
            *(request(f"ann{i}", 1000, order=i, user="ann") for i in range(5)),
            request("bob", 40, order=9, user="bob"),
            request("eve", 1000, order=10, user="eve"),
        ]
        shares = names_of(share_prefill(requests, 300, {"ann": 5, "bob": 0, "eve": 0}))
        assert shares["bob"] == 40
        assert shares["eve"] == 160, "her third and what bob leaves, as she was served less than ann"
        assert sum(count for name, count in shares.items() if name.startswith("ann")) == 100

    def test_a_better_priority_takes_all_it_can_use(self) -> None:
        requests = [request("b", 200, order=1, priority=-1), request("a", 200, order=0, priority=0)]
        assert names_of(share_prefill(requests, 250, {"": 0})) == {"b": 200, "a": 50}

    @given(
        st.lists(
            st.tuples(st.integers(1, 400), st.sampled_from("abc"), st.integers(0, 2)), min_size=1, max_size=12
        ),
        st.integers(1, 600),
    )
    def test_the_budget_is_kept_and_something_always_moves(
        self, wanted: list[tuple[int, str, int]], budget: int
    ) -> None:
        requests = sorted(
            (
                request(str(i), length, order=i, user=user, priority=priority)
                for i, (length, user, priority) in enumerate(wanted)
            ),
            key=lambda r: r.rank,
        )
        shares = share_prefill(requests, budget, dict.fromkeys("abc", 0.0))
        assert 0 < sum(count for _, count in shares) <= budget
        assert all(0 < count <= r.num_remaining for r, count in shares)
        assert len({r.id for r, _ in shares}) == len(shares)


def names_of(shares: list[tuple[Request, int]]) -> dict[str, int]:
    return {r.id: count for r, count in shares}


class TestBatch:
    def test_rows_of_block_tables_are_padded_whoever_had_them_before(self) -> None:
        scheduler = make(max_num_seqs=2)
        batches = BatchBuilder(2, 1024)
        for name, length in (("long", 200), ("other", 150)):
            scheduler.add(request(name, length, order=len(name)))
        batches.build(scheduler.schedule())
        scheduler.finish(next(r for r in scheduler.running if r.id == "long"))
        scheduler.add(request("short", 40, order=9))
        work = scheduler.schedule()
        built = batches.build(work)
        for item, row in zip(work, built.batch.block_tables.tolist(), strict=True):
            blocks = item.request.block_ids
            assert row == blocks + [-1] * (5 - len(blocks))


class TestScheduler:
    def test_decodes_go_first_and_a_long_prompt_in_pieces(self) -> None:
        scheduler = make(pace=500.0)
        scheduler.add(request("talks", 10, order=0))
        assert step(scheduler) == {"talks": 10}
        scheduler.add(request("long", 350, order=1))
        assert step(scheduler) == {"talks": 1, "long": 100}
        assert step(scheduler) == {"talks": 1, "long": 100}
        assert step(scheduler) == {"talks": 1, "long": 100}
        assert step(scheduler) == {"talks": 1, "long": 50}
        assert step(scheduler) == {"talks": 1, "long": 1}

    def test_a_step_never_exceeds_the_executor(self) -> None:
        scheduler = make(max_tokens=100)
        for number in range(16):
            scheduler.add(request(str(number), 90, order=number))
        while scheduler.waiting or any(r.num_remaining > 1 for r in scheduler.running):
            assert sum(step(scheduler).values()) <= 100

    def test_the_user_with_the_least_service_starts_next(self) -> None:
        scheduler = make(max_num_seqs=2)
        for number in range(4):
            scheduler.add(request(f"ann{number}", 100, order=number, user="ann"))
        step(scheduler)
        scheduler.add(request("bob", 100, order=9, user="bob"))
        scheduler.finish(scheduler.running[0])
        step(scheduler)
        assert [r.id for r in scheduler.running] == ["ann1", "bob"]

    def test_a_prompt_that_does_not_fit_now_waits_and_is_not_overtaken(self) -> None:
        scheduler = make(num_blocks=10)
        scheduler.add(request("first", 200, order=0))
        step(scheduler)
        scheduler.add(request("big", 250, order=1))
        scheduler.add(request("small", 10, order=2))
        step(scheduler)
        assert [r.id for r in scheduler.running] == ["first"]
        scheduler.finish(scheduler.running[0])
        step(scheduler)
        assert [r.id for r in scheduler.running] == ["big", "small"]

    def test_a_start_leaves_room_for_the_next_tokens_of_the_others(self) -> None:
        scheduler = make(num_blocks=4)
        scheduler.add(request("first", 60, order=0))
        step(scheduler)
        scheduler.add(request("second", 64, order=1))
        for _ in range(4):
            assert step(scheduler) == {"first": 1}, (
                "two blocks are free, but the first needs one of them soon"
            )
        scheduler.add(request("small", 30, order=2))
        scheduler.finish(scheduler.running[0])
        assert step(scheduler) == {"second": 64, "small": 30}
        assert scheduler.num_preemptions == 0

    def test_priorities_start_first(self) -> None:
        scheduler = make(max_num_seqs=1)
        scheduler.add(request("usual", 10, order=0))
        scheduler.add(request("urgent", 10, order=1, priority=-5))
        assert step(scheduler) == {"urgent": 10}
