"""Conversations in forms that more chat templates take."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pagoda.api.fitted_chat import accepted_forms

SYSTEM, USER, AGENT = ({"role": role, "content": role[0]} for role in ("system", "user", "assistant"))


def test_later_system_messages_speak_as_the_user() -> None:
    first, second = accepted_forms([SYSTEM, USER, SYSTEM, AGENT, USER])
    merged = {"role": "user", "content": "u\n\ns"}
    assert first == [SYSTEM, merged, AGENT, USER]
    assert second == [{"role": "user", "content": "s\n\nu\n\ns"}, AGENT, USER]


def test_forms_that_change_nothing_are_left_out() -> None:
    assert accepted_forms([USER, AGENT, USER]) == []
    assert accepted_forms([SYSTEM, USER]) == [[{"role": "user", "content": "s\n\nu"}]]


@given(st.lists(st.sampled_from([SYSTEM, USER, AGENT]), max_size=8))
def test_nothing_that_was_said_is_lost(messages: list[dict[str, Any]]) -> None:
    said = "".join(message["content"] for message in messages)
    for form in accepted_forms(messages):
        assert "".join(message["content"] for message in form).replace("\n", "") == said
        assert all(message["role"] != "system" for message in form[1:])
        roles = [message["role"] for message in form]
        assert ("user", "user") not in list(pairwise(roles))
