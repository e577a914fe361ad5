"""/v1/messages of a real server, through Anthropic's own client."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx
import pytest
from anthropic import Anthropic, AsyncAnthropic
from anthropic.types import Message, RawMessageStreamEvent
from pydantic import BaseModel, TypeAdapter
from tests.helpers.scripted import scripted_model, scripted_server
from tests.helpers.servers import Server

from pagoda.execute.scripted import Reply

CONTEXT = 2048
EVENT: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)
CALL = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n</tool_call>'
REPLIES = [
    ("weather", f"<think>\nI should look.\n</think>\n\n{CALL}"),
    ("both cities", f"I look.\n{CALL}\n{CALL.replace('Paris', 'Rome')}"),
    ("21 degrees", "It is warm."),
    ("think hard", "<think>\nTwo and two.\n</think>\n\nIt is 4."),
    ("who is she", '<think>\n\n</think>\n\n{"name": "Ada", "age": 36}'),
    ("count", "one two three four"),
    ("must call", '<think>\nYes.\n</think>[{"name": "get_weather", "parameters": {"city": "Bonn"}}]'),
    ("call that one", '<think>\nYes.\n</think>{"city": "Bonn"}'),
    Reply(when="for ever", text="on and on and ", repeat=True),
    Reply(when="break down", text="one two three four", fault="raise", after=3),
]
WEATHER = {
    "name": "get_weather",
    "description": "The weather of a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
KEY = "secret"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("messages")
    model = scripted_model(folder / "model", REPLIES, default="Hello there.", max_model_len=CONTEXT)
    flags = ("--tool-call-parser", "hermes", "--reasoning-parser", "qwen3", "--enable-auto-tool-choice")
    flags = (*flags, "--trust-request-chat-template")
    with scripted_server(model, folder / "server", *flags, "--api-key", KEY) as running:
        yield running


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[Anthropic]:
    with Anthropic(base_url=server.base_url, api_key=KEY, max_retries=0) as made:
        yield made


def create(client: Anthropic, text: str, **fields: Any) -> Message:
    """A message that is valid by the client's own types."""
    body = {"model": "claude-test", "max_tokens": 200, "timeout": 60, **fields}
    body.setdefault("messages", [{"role": "user", "content": text}])
    return Message.model_validate(json.loads(client.messages.with_raw_response.create(**body).text()))


def stream(server: Server, text: str, **fields: Any) -> list[Any]:
    """All events, each of them valid."""
    body = {"max_tokens": 200, "stream": True, "messages": [{"role": "user", "content": text}], **fields}
    url, headers = (
        f"{server.base_url}/v1/messages?beta=true",
        {"x-api-key": KEY, "anthropic-version": "2023-06-01"},
    )
    with httpx.stream("POST", url, json=body, headers=headers, timeout=60) as answer:
        lines = [line for line in answer.iter_lines() if line]
    events = []
    for name, data in zip(lines[::2], lines[1::2], strict=True):
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        if event["type"] != "ping":
            EVENT.validate_python(event)
            events.append(event)
    return events


def test_a_text(client: Anthropic) -> None:
    made = create(client, "hi", system="Be kind.")
    assert made.content[0].type == "text"
    assert made.content[0].text == "Hello there."
    assert (made.stop_reason, made.stop_sequence) == ("end_turn", None)
    assert made.id.startswith("msg_")
    assert made.model == "claude-test"
    assert made.usage.input_tokens > 0
    assert made.usage.output_tokens > 0


def test_events_of_a_text(server: Server) -> None:
    events = stream(server, "hi")
    assert events[0]["type"] == "message_start"
    assert events[0]["message"]["usage"]["output_tokens"] == 0
    assert events[0]["message"]["usage"]["input_tokens"] > 0
    kinds = [event["type"] for event in events]
    assert kinds[1] == "content_block_start"
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert "".join(event["delta"]["text"] for event in events[2:-3]) == "Hello there."
    assert events[-2]["usage"]["output_tokens"] > 0


def test_text_flows_at_once(client: Anthropic) -> None:
    messages: Any = [{"role": "user", "content": "for ever"}]
    with client.messages.stream(model="scripted", max_tokens=8000, messages=messages) as streamed:
        assert next(iter(streamed.text_stream))


async def test_the_stream_helper(server: Server) -> None:
    messages: Any = [{"role": "user", "content": "think hard"}]
    async with AsyncAnthropic(
        base_url=server.base_url, auth_token=KEY, api_key=None, max_retries=0
    ) as client:
        async with client.messages.stream(model="scripted", max_tokens=200, messages=messages) as streamed:
            kinds = [event.type async for event in streamed]
        final = await streamed.get_final_message()
    assert {"thinking", "signature", "text"} <= set(kinds)
    assert [block.type for block in final.content] == ["thinking", "text"]
    assert final.usage.output_tokens > 0


def test_thinking(client: Anthropic, server: Server) -> None:
    budget = {"type": "enabled", "budget_tokens": 1024}
    made = create(client, "think hard", max_tokens=2000, thinking=budget)
    thought, said = made.content
    assert thought.type == "thinking"
    assert thought.thinking.strip() == "Two and two."
    assert thought.signature
    assert said.type == "text"
    assert said.text == "It is 4."
    omitted = create(client, "think hard", thinking={"type": "adaptive", "display": "omitted"})
    assert omitted.content[0].type == "thinking"
    assert omitted.content[0].thinking == ""
    off = create(client, "hi", thinking={"type": "disabled"})
    assert [block.type for block in off.content] == ["text"]
    events = [event for event in stream(server, "think hard") if event["type"] == "content_block_delta"]
    order = ["thinking_delta", "signature_delta", "text_delta"]
    deltas = [event["delta"]["type"] for event in events]
    assert set(deltas) == set(order)
    assert deltas == sorted(deltas, key=order.index)


def test_a_tool_is_called_and_answers(client: Anthropic) -> None:
    made = create(client, "weather?", tools=[WEATHER])
    assert made.stop_reason == "tool_use"
    assert [block.type for block in made.content] == ["thinking", "tool_use"]
    use = made.content[1]
    assert use.type == "tool_use"
    assert (use.name, use.input) == ("get_weather", {"city": "Paris"})
    result = {
        "type": "tool_result",
        "tool_use_id": use.id,
        "content": [{"type": "text", "text": "21 degrees"}],
    }
    conversation = [
        {"role": "user", "content": "weather?"},
        {"role": "assistant", "content": made.to_dict()["content"]},
        {"role": "user", "content": [result]},
    ]
    after = create(client, "", messages=conversation, tools=[WEATHER])
    assert after.content[0].type == "text"
    assert after.content[0].text == "It is warm."
    assert after.usage.cache_read_input_tokens is not None


def test_events_of_calls(client: Anthropic, server: Server) -> None:
    events = stream(server, "both cities", tools=[WEATHER])
    starts = [event["content_block"]["type"] for event in events if event["type"] == "content_block_start"]
    assert starts == ["text", "tool_use", "tool_use"]
    for number, city in ((1, "Paris"), (2, "Rome")):
        news = [event for event in events if event.get("index") == number]
        assert news[0]["content_block"]["input"] == {}
        written = "".join(event["delta"]["partial_json"] for event in news[1:-1])
        assert json.loads(written) == {"city": city}
    assert events[-2]["delta"]["stop_reason"] == "tool_use"
    messages: Any = [{"role": "user", "content": "both cities"}]
    tools: Any = [WEATHER]
    with client.messages.stream(model="scripted", max_tokens=300, messages=messages, tools=tools) as streamed:
        final = streamed.get_final_message()
    assert [block.input for block in final.content if block.type == "tool_use"] == [
        {"city": "Paris"},
        {"city": "Rome"},
    ]


@pytest.mark.parametrize(
    ("text", "choice"),
    [("must call", {"type": "any"}), ("call that one", {"type": "tool", "name": "get_weather"})],
)
def test_tools_that_must_be_called(client: Anthropic, text: str, choice: dict[str, Any]) -> None:
    made = create(client, text, tools=[WEATHER], tool_choice=choice)
    assert made.stop_reason == "tool_use"
    [use] = [block for block in made.content if block.type == "tool_use"]
    assert (use.name, use.input) == ("get_weather", {"city": "Bonn"})


class Person(BaseModel):
    name: str
    age: int


def test_structured_outputs(client: Anthropic) -> None:
    messages: Any = [{"role": "user", "content": "who is she"}]
    made = client.messages.parse(model="scripted", max_tokens=100, messages=messages, output_format=Person)
    assert made.parsed_output == Person(name="Ada", age=36)


def test_how_messages_end(client: Anthropic) -> None:
    stopped = create(client, "count", stop_sequences=[" three", "nine"])
    assert (stopped.stop_reason, stopped.stop_sequence) == ("stop_sequence", " three")
    assert stopped.content[0].type == "text"
    assert stopped.content[0].text == "one two"
    cut = create(client, "for ever", max_tokens=4)
    assert (cut.stop_reason, cut.usage.output_tokens) == ("max_tokens", 4)
    beyond = create(client, "hi", max_tokens=64_000)
    assert beyond.stop_reason == "end_turn"
    full = create(client, "for ever", max_tokens=64_000)
    assert full.stop_reason == "model_context_window_exceeded"
    assert (
        full.usage.input_tokens + (full.usage.cache_read_input_tokens or 0) + full.usage.output_tokens
        == CONTEXT
    )


def test_a_beginning_is_gone_on_with(client: Anthropic) -> None:
    conversation = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "Hel"}]
    assert create(client, "", messages=conversation).content[0].type == "text"


def test_counting_tokens(client: Anthropic) -> None:
    messages: Any = [{"role": "user", "content": "hi " * 40}]
    tools: Any = [WEATHER]
    counted = client.messages.count_tokens(
        model="claude-x", system="S", messages=messages, tools=tools
    ).input_tokens
    usage = create(client, "", messages=messages, system="S", tools=tools).usage
    assert counted == usage.input_tokens + (usage.cache_read_input_tokens or 0)
    long: Any = [{"role": "user", "content": "word " * 3000}]
    assert client.messages.count_tokens(model="scripted", messages=long).input_tokens > CONTEXT


def test_cached_tokens_are_told_apart(client: Anthropic) -> None:
    messages: Any = [{"role": "user", "content": "something long " * 40}]
    first, second = (create(client, "", messages=messages).usage for _ in range(2))
    total = first.input_tokens + (first.cache_read_input_tokens or 0)
    assert (second.cache_read_input_tokens or 0) > 0
    assert second.input_tokens > 0
    assert second.input_tokens + (second.cache_read_input_tokens or 0) == total


def test_the_billing_header_of_claude_code_does_not_spoil_the_cache(client: Anthropic) -> None:
    def ask(mark: str) -> int:
        system = [
            {"type": "text", "text": f"x-anthropic-billing-header: cc_version=2; cch={mark};"},
            {"type": "text", "text": "A long text that is always the same. " * 20},
        ]
        return create(client, "hi", system=system).usage.cache_read_input_tokens or 0

    ask("11111")
    assert ask("22222") > 0


def test_errors_are_those_the_client_knows(client: Anthropic, server: Server) -> None:
    with pytest.raises(anthropic.NotFoundError, match="does not exist"):
        create(client, "hi", model="gpt-x")
    with pytest.raises(anthropic.BadRequestError, match="maximum context length"):
        create(client, "word " * 3000)
    with pytest.raises(anthropic.BadRequestError, match="max_tokens"):
        create(client, "hi", max_tokens=0)
    with pytest.raises(anthropic.BadRequestError, match="temperature") as caught:
        create(client, "hi", extra_body={"temperature": -1})
    body = caught.value.body
    assert isinstance(body, dict)
    assert (body["type"], body["error"]["type"]) == ("error", "invalid_request_error")
    with (
        pytest.raises(anthropic.AuthenticationError, match="authentication_error"),
        Anthropic(base_url=server.base_url, api_key="no") as wrong,
    ):
        wrong.messages.create(model="scripted", max_tokens=1, messages=[{"role": "user", "content": "hi"}])


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "kind"),
    [
        ("POST", "/v1/messages", b"{}", 400, "invalid_request_error"),
        ("POST", "/v1/messages", b"{", 400, "invalid_request_error"),
        ("GET", "/v1/messages", b"", 405, "invalid_request_error"),
        ("GET", "/v1/messages/batches", b"", 404, "not_found_error"),
        ("POST", "/v1/messages", b'"' + b"x" * (33 << 20) + b'"', 413, "request_too_large"),
    ],
)
def test_errors_have_the_shape_of_the_api(
    server: Server, method: str, path: str, body: bytes, status: int, kind: str
) -> None:
    headers = {"x-api-key": KEY, "content-type": "application/json"}
    answer = httpx.request(method, f"{server.base_url}{path}", content=body, headers=headers, timeout=60)
    assert answer.status_code == status
    assert answer.json()["type"] == "error"
    assert answer.json()["error"]["type"] == kind
    assert answer.json()["error"]["message"]


def test_a_failure_in_mid_stream_is_an_error_event(client: Anthropic, server: Server) -> None:
    messages: Any = [{"role": "user", "content": "break down"}]
    with (
        pytest.raises(anthropic.APIStatusError, match="api_error"),
        client.messages.stream(model="scripted", max_tokens=100, messages=messages) as streamed,
    ):
        streamed.until_done()
    with pytest.raises(anthropic.InternalServerError) as caught:
        create(client, "break down")
    assert caught.value.status_code == 500
    assert create(client, "hi").stop_reason == "end_turn"


STRICT = """\
{%- for message in messages -%}
{%- if message.role == 'system' and not loop.first -%}
{{ raise_exception('System message must be at the beginning.') }}
{%- endif -%}
{%- if message.role == 'user' and loop.previtem is defined and loop.previtem.role == 'user' -%}
{{ raise_exception('Roles must alternate.') }}
{%- endif -%}
{{ message.role }}: {{ message.content }}
{% endfor -%}
assistant:"""


def test_conversations_are_put_as_strict_templates_take_them(client: Anthropic) -> None:
    conversation = [
        {"role": "user", "content": "hi"},
        {"role": "system", "content": "Agents you may ask: none."},
        {"role": "user", "content": "count"},
    ]
    made = create(client, "", messages=conversation, system="S", extra_body={"chat_template": STRICT})
    assert made.content[0].type == "text"
    assert made.content[0].text == "one two three four"


def test_probes(server: Server) -> None:
    assert httpx.head(server.base_url).status_code == 404  # the page's place; no error of the server
    assert httpx.head(f"{server.base_url}/v1/messages", headers={"x-api-key": KEY}).status_code == 200
