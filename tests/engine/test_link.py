from __future__ import annotations

import socket

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.engine.toy import add

from pagoda.engine.config import EngineConfig, EngineStats
from pagoda.engine.link import EngineLink, FrameReader, LinkClosedError, encode_frame
from pagoda.engine.messages import (
    AbortRequest,
    EngineReport,
    Failed,
    ResetPrefixCache,
    Shutdown,
    StepOutput,
    TokenDelta,
    TokenLogprobs,
)


@given(names=st.lists(st.text()), sizes=st.lists(st.integers(1, 30), min_size=1))
def test_frames_survive_any_cut(names: list[str], sizes: list[int]) -> None:
    data = b"".join(encode_frame(AbortRequest(name)) for name in names)
    reader = FrameReader()
    frames: list[bytes] = []
    position = 0
    while position < len(data):
        size = sizes[position % len(sizes)]
        frames += reader.feed(data[position : position + size])
        position += size
    assert [msgspec.msgpack.decode(frame, type=AbortRequest).request_id for frame in frames] == names


@given(
    st.lists(
        st.builds(
            TokenDelta,
            st.text(),
            st.lists(st.integers(0, 2**31 - 1)),
            st.none() | st.sampled_from(["stop", "length", "error"]),
            logprobs=st.none()
            | st.lists(
                st.builds(
                    TokenLogprobs,
                    st.integers(0, 9),
                    st.floats(max_value=0),
                    st.just(1),
                    st.just([1]),
                    st.just([-0.5]),
                )
            ),
            error=st.none() | st.text(),
        )
    )
)
def test_reports_arrive_as_they_were_sent(deltas: list[TokenDelta]) -> None:
    report = StepOutput(deltas, EngineStats(steps=3))
    (frame,) = FrameReader().feed(encode_frame(report))
    assert msgspec.msgpack.decode(frame, type=EngineReport) == report


def test_commands_behind_the_configuration_are_not_lost() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        request = add("r", [1, 2], max_tokens=3, stop=("x",), generated=[5])
        messages = [EngineConfig(model_path="m", max_num_seqs=3), request, ResetPrefixCache(), Shutdown()]
        ours.sendall(b"".join(encode_frame(message) for message in messages))
        link = EngineLink(theirs)
        assert link.receive_config() == messages[0]
        assert link.receive(wait=True) == messages[1:]
        assert link.receive(wait=False) == []


def test_the_end_of_the_other_side_is_noticed() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        link = EngineLink(theirs)
        ours.close()
        with pytest.raises(LinkClosedError):
            link.receive(wait=False)
        with pytest.raises(LinkClosedError):
            link.send(Failed("x"))
