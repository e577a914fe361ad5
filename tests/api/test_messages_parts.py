"""The parts of the Messages API: conversations, tools, content blocks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any, cast

import httpx
import pytest
from anthropic.types import ContentBlock, RawMessageStreamEvent
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from pagoda.api.chat_run import ChatPiece, ChatRun
from pagoda.api.errors import ApiError, install_error_handlers, unavailable
from pagoda.api.messages_api.blocks import BlockBuilder, Event
from pagoda.api.messages_api.convert import chat_request
from pagoda.api.messages_api.errors import is_messages_path, messages_error
from pagoda.api.messages_api.run import MessageEvents, MessageRun
from pagoda.api.protocol.chat import ChatCompletionRequest
from pagoda.api.protocol.messages import MessagesRequest
from pagoda.api.responses_api.sealed import seal, unseal
from pagoda.text.parsing import MessageDelta, ToolCallDelta

EVENT: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)
BLOCKS: TypeAdapter[Any] = TypeAdapter(list[ContentBlock])
HI = {"role": "user", "content": "hi"}


def chat(*messages: dict[str, Any], **fields: Any) -> ChatCompletionRequest:
    body = {"max_tokens": 10, "messages": list(messages) or [HI], **fields}
    return chat_request(MessagesRequest.model_validate(body))


def test_system_text_without_the_billing_block() -> None:
    billing = "x-anthropic-billing-header: cc_version=2.1; cch=a1b2c;"
    blocks = [
        {"type": "text", "text": billing},
        {"type": "text", "text": "You are Claude Code.", "cache_control": {"type": "ephemeral"}},
        {"type": "text", "text": "Be brief."},
    ]
    expected = [{"role": "system", "content": "You are Claude Code.\n\nBe brief."}, HI]
    assert chat(system=blocks).messages == expected
    assert chat(system=f"{billing}\nYou are Claude Code.\n\nBe brief.").messages == expected
    assert chat(system=[blocks[0]]).messages == [HI]


def test_system_messages_among_the_others() -> None:
    found = chat(
        {"role": "system", "content": "A"}, HI, {"role": "system", "content": "B"}, system="S"
    ).messages
    assert found == [{"role": "system", "content": "S\n\nA"}, HI, {"role": "system", "content": "B"}]


def test_tools_and_their_results() -> None:
    use = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": "é"}}
    request = chat(
        HI,
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "Hm.", "signature": "x"}, use]},
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_1",
                    "is_error": True,
                    "content": "no such file",
                },
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_2",
                    "content": [{"type": "text", "text": "a"}, {"type": "image", "source": {}}],
                },
                {"type": "tool_result", "tool_use_id": "toolu_3"},
                {"type": "text", "text": "Go on."},
            ],
        },
        tools=[
            {"name": "f", "description": "F", "input_schema": {"type": "object"}},
            {"type": "web_search_20250305", "name": "web_search"},
        ],
        tool_choice={"type": "auto", "disable_parallel_tool_use": True},
    )
    arguments = json.dumps({"a": "é"}, ensure_ascii=False)
    call = {"id": "toolu_1", "type": "function", "function": {"name": "f", "arguments": arguments}}
    assert request.messages[1] == {
        "role": "assistant",
        "content": None,
        "reasoning": "Hm.",
        "tool_calls": [call],
    }
    assert [message["role"] for message in request.messages[2:]] == ["tool", "tool", "tool", "user"]
    contents = [message["content"] for message in request.messages[2:]]
    assert contents == ["Error: no such file", "a\n[left out here: this model reads text only]", "", "Go on."]
    function = {"name": "f", "description": "F", "parameters": {"type": "object"}}
    assert request.tools == [{"type": "function", "function": function}]
    assert request.tool_choice == "auto"
    assert request.parallel_tool_calls is False


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"type": "any"}, "required"),
        ({"type": "none"}, "none"),
        ({"type": "tool", "name": "f"}, {"type": "function", "function": {"name": "f"}}),
    ],
)
def test_choices_of_tools(choice: dict[str, Any], expected: Any) -> None:
    assert chat(tools=[{"name": "f", "input_schema": {}}], tool_choice=choice).tool_choice == expected


@pytest.mark.parametrize(
    ("thinking", "enabled", "budget"),
    [
        ({"type": "enabled", "budget_tokens": 2000}, True, 2000),
        ({"type": "adaptive"}, True, None),
        ({"type": "disabled"}, False, None),
        (None, None, None),
    ],
)
def test_thinking(thinking: dict[str, Any] | None, enabled: bool | None, budget: int | None) -> None:
    request = chat(thinking=thinking)
    assert (request.chat_template_kwargs or {}).get("enable_thinking") == enabled
    assert request.thinking_token_budget == budget


def test_a_last_message_of_the_assistant_is_gone_on_with() -> None:
    request = chat(HI, {"role": "assistant", "content": "Well, "})
    assert request.continue_final_message
    assert request.add_generation_prompt is False
    assert not chat(HI).continue_final_message


def test_further_fields() -> None:
    schema = {"type": "object"}
    request = chat(
        temperature=0.5,
        top_k=3,
        stop_sequences=["X"],
        min_p=0.1,
        seed=7,
        metadata={"user_id": "u"},
        output_config={"effort": "high", "format": {"type": "json_schema", "schema": schema}},
    )
    assert (request.temperature, request.top_k, request.min_p, request.seed) == (0.5, 3, 0.1, 7)
    assert (request.stop, request.user, request.reasoning_effort) == (["X"], "u", "high")
    assert request.max_completion_tokens == 10
    assert isinstance(request.response_format, dict)
    assert request.response_format["json_schema"]["schema"] == schema


def test_thinking_that_was_left_out_comes_back() -> None:
    block = {"type": "thinking", "thinking": "", "signature": seal("Hm.")}
    found = chat(HI, {"role": "assistant", "content": [block, {"type": "text", "text": "4"}]}, HI).messages[1]
    assert found == {"role": "assistant", "content": "4", "reasoning": "Hm."}


def test_documents_of_text_are_read() -> None:
    source = {"type": "text", "media_type": "text/plain", "data": "Once upon a time."}
    document = {"type": "document", "title": "Tale", "source": source}
    found = chat({"role": "user", "content": [document, {"type": "text", "text": "Sum up."}]}).messages
    assert found[0]["content"] == "Tale\nOnce upon a time.\nSum up."


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"messages": [{"role": "wizard", "content": "x"}]}, "use user or assistant"),
        ({"messages": [{"role": "user", "content": [{"type": "image", "source": {}}]}]}, "reads text only"),
        ({"messages": [{"role": "system", "content": "x"}]}, "a message of the user"),
        ({"messages": [{"role": "user", "content": [{"type": "tool_result"}]}]}, "without a tool_use_id"),
        ({"tool_choice": {"type": "any"}}, "needs tools"),
        ({"thinking": {"type": "deep"}}, "thinking.type"),
        ({"output_config": {"format": {"type": "xml"}}}, "json_schema"),
    ],
)
def test_mistakes_are_told(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ApiError, match=words):
        chat(**fields)


DELTAS = st.lists(
    st.builds(
        MessageDelta,
        reasoning=st.text("ab \n", max_size=3),
        content=st.text("xy \n", max_size=3),
        tool_calls=st.lists(
            st.builds(
                ToolCallDelta,
                index=st.integers(0, 1),
                id=st.just("call"),
                name=st.just("f"),
                arguments=st.sampled_from(['{"a"', ": 1}", ""]),
            ),
            max_size=1,
        ),
    ),
    max_size=8,
)


@given(deltas=DELTAS, omit=st.booleans())
def test_events_put_together_are_the_blocks(deltas: list[MessageDelta], omit: bool) -> None:
    builder = BlockBuilder(omit_thinking=omit)
    events: list[Event] = []
    for delta in deltas:
        events += builder.push(delta)
    events += builder.finish()
    BLOCKS.validate_python(builder.blocks)
    grown: list[dict[str, Any]] = []
    closed = 0
    for event in events:
        EVENT.validate_python(event)
        if event["type"] == "content_block_start":
            assert event["index"] == len(grown) == closed, "one block at a time"
            grown.append({**event["content_block"], "json": ""})
        elif event["type"] == "content_block_stop":
            closed += 1
        else:
            delta_ = event["delta"]
            kind = {"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "signature"}.get(
                delta_["type"]
            )
            if kind is None:
                grown[-1]["json"] += delta_["partial_json"]
            else:
                grown[-1][kind] += delta_[kind]
    assert closed == len(grown) == len(builder.blocks)
    for found, block in zip(grown, builder.blocks, strict=True):
        written = found.pop("json")
        if block["type"] != "tool_use":
            assert found == block
        elif written == '{"a": 1}':
            assert block["input"] == {"a": 1}
        if block["type"] == "thinking":
            assert block["signature"]
            assert bool(unseal(block["signature"])) == omit
    said = "".join(delta.content for delta in deltas)
    shown = "".join(block["text"] for block in builder.blocks if block["type"] == "text")
    assert "".join(shown.split()) == "".join(said.split())


@pytest.mark.parametrize("thought", ["\n", "\nHm.\n"])
def test_newlines_between_thinking_and_text_belong_to_neither(thought: str) -> None:
    builder = BlockBuilder()
    for delta in (
        MessageDelta(reasoning=thought),
        MessageDelta(content="\n"),
        MessageDelta(content="\n a\n"),
    ):
        builder.push(delta)
    builder.push(MessageDelta(content="\nb"))
    builder.finish()
    assert builder.blocks[-1] == {"type": "text", "text": " a\n\nb"}
    assert [block["type"] for block in builder.blocks[:-1]] == ["thinking"] * bool(thought.strip())


def test_errors_have_the_types_of_the_api() -> None:
    assert messages_error(404, "x") == (
        404,
        {"type": "error", "error": {"type": "not_found_error", "message": "x"}},
    )
    assert messages_error(503, "x")[0] == 529
    assert messages_error(418, "x")[1]["error"]["type"] == "invalid_request_error"
    assert is_messages_path("/llm/v1/messages/count_tokens")
    assert not is_messages_path("/v1/messages_of_others")


async def test_what_is_not_possible_now_is_told_as_overload() -> None:
    app = FastAPI()
    install_error_handlers(app)

    @app.post("/v1/messages")
    async def busy() -> None:
        raise unavailable("The model is still loading.", 3)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
        answer = await client.post("/v1/messages")
    assert answer.status_code == 529
    assert answer.headers["retry-after"] == "3"
    assert answer.json()["error"] == {"type": "overloaded_error", "message": "The model is still loading."}


class Silence:
    """A chat whose engine has nothing to tell."""

    id, model, finished = "chatcmpl-1", "m", False

    def __init__(self) -> None:
        self.outputs = self
        self.account = self
        self.closed = False

    def start(self, on_news: Callable[[], None]) -> None: ...

    def listen(self, on_news: Callable[[], None]) -> None: ...

    def take(self) -> list[ChatPiece]:
        return []

    def usage(self) -> dict[str, Any]:
        return {"prompt_tokens": 7, "completion_tokens": 0}

    def close(self) -> None:
        self.closed = True


async def test_a_silent_stream_begins_and_pings() -> None:
    silence = Silence()
    message = MessageRun(cast(ChatRun, silence), "claude", BlockBuilder(), fitted=False)
    events = MessageEvents(message, ping_seconds=0.001)
    news = asyncio.Event()
    events.start(news.set)
    told: list[str] = []
    while len(told) < 3:
        await news.wait()
        news.clear()
        lines = events.take().decode().splitlines()
        told += [line.removeprefix("event: ") for line in lines if line.startswith("event")]
    assert told[:3] == ["message_start", "ping", "ping"]
    events.close()
    assert silence.closed
    news.clear()
    await asyncio.sleep(0.005)
    assert not news.is_set()
