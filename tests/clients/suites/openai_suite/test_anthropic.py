"""Anthropic's client on /v1/messages."""

from __future__ import annotations

from collections.abc import Iterator

import anthropic
import pytest
from anthropic import Anthropic

from conftest import Endpoint

WEATHER = {
    "name": "get_weather",
    "description": "The weather of a city.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
PARIS = {"role": "user", "content": "What is the weather in Paris?"}


@pytest.fixture
def client(chat: Endpoint) -> Iterator[Anthropic]:
    with Anthropic(base_url=chat.url, api_key="EMPTY", max_retries=0) as client:
        yield client


@pytest.fixture
def tools_client(scripted: Endpoint) -> Iterator[Anthropic]:
    with Anthropic(base_url=scripted.url, api_key="EMPTY", max_retries=0) as client:
        yield client


def test_whole_and_streamed(client: Anthropic, chat: Endpoint) -> None:
    asked = {
        "model": chat.model,
        "max_tokens": 16,
        "extra_body": {"temperature": 0},
        "system": "Be brief.",
        "messages": [{"role": "user", "content": "Name a colour."}],
    }
    whole = client.messages.create(**asked)
    with client.messages.stream(**asked) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == whole.content[0].text
    assert final.usage.output_tokens == whole.usage.output_tokens
    assert final.stop_reason == whole.stop_reason
    counted = client.messages.count_tokens(model=chat.model, system="Be brief.", messages=asked["messages"])
    used = whole.usage
    assert counted.input_tokens == used.input_tokens + (used.cache_read_input_tokens or 0)


def test_tools_whole_and_streamed(tools_client: Anthropic, scripted: Endpoint) -> None:
    asked = {"model": scripted.model, "max_tokens": 200, "messages": [PARIS], "tools": [WEATHER]}
    whole = tools_client.messages.create(**asked)
    assert whole.stop_reason == "tool_use"
    [use] = [block for block in whole.content if block.type == "tool_use"]
    assert (use.name, use.input) == ("get_weather", {"city": "Paris"})
    with tools_client.messages.stream(**asked) as stream:
        final = stream.get_final_message()
    [streamed] = [block for block in final.content if block.type == "tool_use"]
    assert streamed.input == use.input
    result = {"type": "tool_result", "tool_use_id": use.id, "content": "22 degrees"}
    turns = [PARIS, {"role": "assistant", "content": whole.content}, {"role": "user", "content": [result]}]
    second = tools_client.messages.create(**{**asked, "messages": turns})
    assert second.content[0].text == "It is sunny in Paris, 22 degrees."
    assert second.stop_reason == "end_turn"


def test_thinking_is_a_block_of_its_own(thinking: Endpoint) -> None:
    with Anthropic(base_url=thinking.url, api_key="EMPTY") as client:
        answer = client.messages.create(
            model=thinking.model,
            max_tokens=2000,
            thinking={"type": "enabled", "budget_tokens": 1024},
            messages=[{"role": "user", "content": "Think about life"}],
        )
    assert [block.type for block in answer.content] == ["thinking", "text"]
    assert "Let me think." in answer.content[0].thinking


def test_errors_are_the_clients_own(client: Anthropic, chat: Endpoint) -> None:
    with pytest.raises(anthropic.BadRequestError, match="max_tokens"):
        client.messages.create(model=chat.model, max_tokens=0, messages=[PARIS])
