"""Whatever the arrivals, aborts, cache and chunking: every request says what it says when it is alone."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.toy import EOS, add, alone, toy_engine

from pagoda.engine.messages import AddRequest

PROMPTS = st.builds(
    # Prompts that begin alike, so that blocks are shared, and then differ.
    lambda head, length, tail: [head] * length + tail,
    st.integers(0, 2),
    st.integers(0, 100),
    st.lists(st.integers(0, 5), min_size=1, max_size=20),
)


@dataclass(frozen=True)
class Arrival:
    step: int
    command: AddRequest
    abort_after: int | None  # its tokens


@st.composite
def arrivals(draw: st.DrawFn) -> list[Arrival]:
    result = []
    for number in range(draw(st.integers(1, 9))):
        command = add(
            f"r{number}",
            draw(PROMPTS),
            max_tokens=draw(st.integers(1, 60)),
            temperature=draw(st.sampled_from([0.0, 1.0])),
            seed=number,
            ignore_eos=draw(st.booleans()),
            eos_token_ids=(EOS,),
            min_tokens=0,
            cache_salt=draw(st.sampled_from(["", "other"])),
            user=draw(st.sampled_from(["", "ann", "bob"])),
            priority=draw(st.integers(0, 1)),
        )
        abort_after = draw(st.none() | st.integers(0, 10))
        result.append(Arrival(draw(st.integers(0, 20)), command, abort_after))
    return result


@given(
    schedule=arrivals(),
    num_blocks=st.integers(6, 24),
    max_num_seqs=st.integers(1, 5),
    max_tokens=st.integers(5, 120),
    caching=st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_every_request_ends_with_the_tokens_it_has_alone(
    schedule: list[Arrival], num_blocks: int, max_num_seqs: int, max_tokens: int, caching: bool
) -> None:
    # 180 tokens at the most: every request fits the smallest pool, but rarely two of them do.
    engine, executor = toy_engine(
        num_blocks=num_blocks,
        max_model_len=192,
        max_num_seqs=max_num_seqs,
        max_tokens=max_tokens,
        caching=caching,
    )
    said: dict[str, list[int]] = {}
    ended: set[str] = set()
    aborts = {a.command.request_id: a.abort_after for a in schedule}
    waiting = sorted(schedule, key=lambda a: a.step)
    step = 0
    while waiting or engine.has_work():
        while waiting and waiting[0].step <= step:
            engine.add_request(waiting.pop(0).command)
        for delta in engine.step().deltas:
            assert delta.request_id not in ended, "nothing follows the end of a request"
            assert delta.error is None
            said.setdefault(delta.request_id, []).extend(delta.token_ids)
            limit = aborts[delta.request_id]
            if delta.finish_reason is not None:
                ended.add(delta.request_id)
            elif limit is not None and len(said[delta.request_id]) >= limit:
                engine.abort(delta.request_id)  # confirmed by the next step
        step += 1
        assert step < 5000, "the engine does not come to an end"
    assert executor.largest <= max_tokens
    for arrival in schedule:
        expected = alone(arrival.command, 192)
        got = said[arrival.command.request_id]
        assert got == expected[: len(got)]
        if arrival.abort_after is None:
            assert got == expected
    stats = engine.stats()
    assert (stats.num_requests_running, stats.num_requests_waiting, stats.kv_cache_usage) == (0, 0, 0.0)


@given(prompt=PROMPTS, sent=st.integers(0, 40), caching=st.booleans())
@settings(max_examples=40, deadline=None)
def test_replay_continues_where_the_stream_was(prompt: list[int], sent: int, caching: bool) -> None:
    command = add("r", prompt, max_tokens=40, temperature=1.0, seed=7, ignore_eos=True)
    whole = alone(command, 192)
    engine, _ = toy_engine(num_blocks=8, max_model_len=192, caching=caching)
    sent = min(sent, len(whole) - 1)
    engine.add_request(
        add("r", prompt, max_tokens=40, temperature=1.0, seed=7, ignore_eos=True, generated=whole[:sent])
    )
    said: list[int] = []
    while engine.has_work():
        for delta in engine.step().deltas:
            said += delta.token_ids
    assert whole[:sent] + said == whole
