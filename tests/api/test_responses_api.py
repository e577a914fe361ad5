"""/v1/responses of a real server, through OpenAI's own client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import BaseModel, TypeAdapter
from tests.helpers.scripted import scripted_model, scripted_server
from tests.helpers.servers import Server

from pagoda.execute.scripted import Reply

CONTEXT = 2048
EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
CALL = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n</tool_call>'
TWO_CALLS = f"I look.\n{CALL}\n{CALL.replace('Paris', 'Rome')}"
PATCH = '<tool_call>\n{"name": "apply_patch", "arguments": {"input": "*** Begin\\nEnd"}}\n</tool_call>'
REPLIES = [
    ("weather", f"<think>\nI should look.\n</think>\n\n{CALL}"),
    ("both cities", TWO_CALLS),
    ("fix it", PATCH),
    ("21 degrees", "It is warm."),
    ("think hard", "<think>\nTwo and two.\n</think>\n\nIt is 4."),
    ("who is she", '<think>\n\n</think>\n\n{"name": "Ada", "age": 36}'),
    ("my name is Ada", "Nice to meet you."),
    ("what is my name", "Ada."),
    ("must call", '<think>\nYes.\n</think>[{"name": "get_weather", "parameters": {"city": "Bonn"}}]'),
    ("call that one", '<think>\nYes.\n</think>{"city": "Bonn"}'),
    Reply(when="for ever", text="on and on and ", repeat=True),
    Reply(when="break down", text="one two three four", fault="raise", after=3),
]
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather of a city",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scripted_model(
        tmp_path_factory.mktemp("responses") / "model", REPLIES, default="Hello there.", max_model_len=CONTEXT
    )


@pytest.fixture(scope="module")
def server(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("responses_server")
    flags = ("--tool-call-parser", "hermes", "--reasoning-parser", "qwen3", "--enable-auto-tool-choice")
    with scripted_server(model_folder, folder, *flags) as running:
        yield running


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{server.base_url}/v1", api_key="none", max_retries=0) as made:
        yield made


def create(client: OpenAI, **fields: Any) -> Response:
    """A response that is valid by the client's own types."""
    raw = client.responses.with_raw_response.create(**{"model": "scripted", **fields})
    return Response.model_validate(json.loads(raw.text))


def stream(client: OpenAI, **fields: Any) -> list[Any]:
    """All events, each of them valid and numbered."""
    body = {"model": "scripted", "stream": True, **fields}
    events = []
    with httpx.stream("POST", f"{client.base_url}responses", json=body, timeout=60) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in answer.iter_lines() if line]
    for name, data in zip(lines[::2], lines[1::2], strict=True):
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        assert event["sequence_number"] == len(events)
        EVENT.validate_python(event)
        events.append(event)
    return events


def test_a_text(client: OpenAI) -> None:
    made = create(client, input="hi", instructions="Be kind.", metadata={"a": "b"}, temperature=0)
    assert made.id.startswith("resp_")
    assert made.status == "completed"
    assert made.output_text == "Hello there."
    assert made.instructions == "Be kind."
    assert made.metadata == {"a": "b"}
    assert made.temperature == 0
    assert made.usage is not None
    assert made.usage.total_tokens == made.usage.input_tokens + made.usage.output_tokens
    assert made.usage.output_tokens > 0
    assert made.error is made.incomplete_details is None


def test_events_of_a_text(client: OpenAI) -> None:
    events = stream(client, input="hi")
    kinds = [event["type"].removeprefix("response.") for event in events]
    assert kinds[:4] == ["created", "in_progress", "output_item.added", "content_part.added"]
    assert kinds[-4:] == ["output_text.done", "content_part.done", "output_item.done", "completed"]
    assert set(kinds[4:-4]) == {"output_text.delta"}
    text = "".join(event["delta"] for event in events if event["type"].endswith("delta"))
    done = events[-1]["response"]
    assert text == done["output"][0]["content"][0]["text"] == "Hello there."
    assert {event["response"]["id"] for event in events if "response" in event} == {done["id"]}
    assert events[0]["response"]["output"] == []
    assert done["usage"]["output_tokens"] == create(client, input="hi").usage.output_tokens  # type: ignore[union-attr]


def test_the_stream_helper(client: OpenAI) -> None:
    with client.responses.stream(model="scripted", input="hi") as streamed:
        kinds = [event.type for event in streamed]
        final = streamed.get_final_response()
    assert kinds[0] == "response.created"
    assert final.output_text == "Hello there."


def test_text_flows_at_once(client: OpenAI) -> None:
    with client.responses.create(model="scripted", input="for ever", stream=True) as streamed:
        deltas = (event for event in streamed if event.type == "response.output_text.delta")
        assert next(deltas).delta


def test_reasoning(client: OpenAI) -> None:
    made = create(
        client, input="think hard", include=["reasoning.encrypted_content"], reasoning={"summary": "auto"}
    )
    thought, said = made.output
    assert thought.type == "reasoning"
    assert thought.content is not None
    assert thought.content[0].text.strip() == "Two and two."
    assert thought.encrypted_content
    assert thought.summary[0].text == thought.content[0].text
    assert said.type == "message"
    assert made.output_text == "It is 4."
    assert made.usage is not None
    assert 0 < made.usage.output_tokens_details.reasoning_tokens < made.usage.output_tokens
    kinds = [event["type"].removeprefix("response.") for event in stream(client, input="think hard")]
    order = ["content_part.added", "reasoning_text.delta", "reasoning_text.done", "content_part.done"]
    places = [kinds.index(kind) for kind in [*order, "output_text.delta", "completed"]]
    assert places == sorted(places)
    assert kinds.count("content_part.added") == 2


def test_reasoning_can_be_turned_off(client: OpenAI) -> None:
    made = create(client, input="hi", reasoning={"effort": "none"})
    assert made.reasoning is not None
    assert made.reasoning.effort == "none"
    assert [item.type for item in made.output] == ["message"]


def test_a_tool_is_called_and_answers(client: OpenAI) -> None:
    made = create(client, input="weather?", tools=[WEATHER])
    assert [item.type for item in made.output] == ["reasoning", "function_call"]
    call = made.output[1]
    assert call.type == "function_call"
    assert (call.name, json.loads(call.arguments)) == ("get_weather", {"city": "Paris"})
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "21 degrees"}
    after = create(client, input=[result], previous_response_id=made.id, tools=[WEATHER])
    assert after.output_text == "It is warm."
    assert after.previous_response_id == made.id
    whole = [{"role": "user", "content": "weather?"}, *(item.to_dict() for item in made.output), result]
    stateless = create(client, input=whole, tools=[WEATHER], store=False)
    assert stateless.output_text == "It is warm."
    assert stateless.usage is not None
    assert after.usage is not None
    assert stateless.usage.input_tokens == after.usage.input_tokens


def test_events_of_calls(client: OpenAI) -> None:
    events = stream(client, input="both cities", tools=[WEATHER])
    added = [event["item"] for event in events if event["type"] == "response.output_item.added"]
    assert [item["type"] for item in added] == ["message", "function_call", "function_call"]
    for number, city in ((1, "Paris"), (2, "Rome")):
        news = [event for event in events if event.get("output_index") == number]
        written = "".join(event["delta"] for event in news if event["type"].endswith("arguments.delta"))
        assert json.loads(written) == {"city": city}
        [done] = [event for event in news if event["type"].endswith("arguments.done")]
        assert done["arguments"] == written
        assert news[-1]["type"] == "response.output_item.done"
        assert news[-1]["item"]["call_id"] == added[number]["call_id"]
    with client.responses.stream(model="scripted", input="both cities", tools=[WEATHER]) as streamed:  # type: ignore[list-item]
        final = streamed.get_final_response()
    assert [item.type for item in final.output] == ["message", "function_call", "function_call"]


def test_custom_tools_take_free_text(client: OpenAI) -> None:
    patch = {"type": "custom", "name": "apply_patch", "description": "Edits files"}
    ask = {"input": "fix it", "tools": [patch, {"type": "local_shell"}, {"type": "web_search"}]}
    made = create(client, **ask)
    [call] = made.output
    assert call.type == "custom_tool_call"
    assert call.input == "*** Begin\nEnd"
    assert [tool.type for tool in made.tools] == ["custom"]
    kinds = [event["type"] for event in stream(client, **ask)]
    assert "response.custom_tool_call_input.delta" in kinds
    output = {"type": "custom_tool_call_output", "call_id": call.call_id, "output": "21 degrees"}
    assert create(client, input=[output], previous_response_id=made.id, tools=[patch]).output_text


class Person(BaseModel):
    name: str
    age: int


def test_parse(client: OpenAI) -> None:
    made = client.responses.parse(model="scripted", input="who is she", text_format=Person)
    assert made.output_parsed == Person(name="Ada", age=36)
    assert made.text is not None
    assert made.text.format is not None
    assert made.text.format.type == "json_schema"
    plain = create(client, input="who is she", text={"format": {"type": "json_object"}})
    assert json.loads(plain.output_text) == {"name": "Ada", "age": 36}


@pytest.mark.parametrize(
    ("text", "choice"),
    [("must call", "required"), ("call that one", {"type": "function", "name": "get_weather"})],
)
def test_tools_that_must_be_called(client: OpenAI, text: str, choice: Any) -> None:
    made = create(client, input=text, tools=[WEATHER], tool_choice=choice)
    [call] = [item for item in made.output if item.type == "function_call"]
    assert call.name == "get_weather"
    assert json.loads(call.arguments) == {"city": "Bonn"}
    assert made.tool_choice == choice or made.tool_choice.to_dict() == choice  # type: ignore[union-attr]


def test_a_limit_leaves_the_response_incomplete(client: OpenAI) -> None:
    made = create(client, input="for ever", max_output_tokens=5)
    assert made.status == "incomplete"
    assert made.incomplete_details is not None
    assert made.incomplete_details.reason == "max_output_tokens"
    assert made.output[0].status == "incomplete"  # type: ignore[union-attr]
    assert made.usage is not None
    assert made.usage.output_tokens == 5
    assert stream(client, input="for ever", max_output_tokens=5)[-1]["type"] == "response.incomplete"
    beyond = create(client, input="hi", max_output_tokens=1_000_000)
    assert beyond.status == "completed"


def test_log_probabilities(client: OpenAI) -> None:
    made = create(client, input="hi", top_logprobs=2, include=["message.output_text.logprobs"])
    [said] = made.output
    assert said.type == "message"
    part = said.content[0]
    assert part.type == "output_text"
    assert part.logprobs
    assert "".join(entry.token for entry in part.logprobs) == "Hello there."
    assert len(part.logprobs[0].top_logprobs) == 2
    events = stream(client, input="hi", top_logprobs=2)
    streamed = [
        entry for event in events for entry in event.get("logprobs", ()) if event["type"].endswith("delta")
    ]
    assert [entry["token"] for entry in streamed] == [entry.token for entry in part.logprobs]


def test_a_conversation_goes_on(client: OpenAI) -> None:
    first = create(client, input="my name is Ada", instructions="Shout.")
    second = create(client, input="what is my name", previous_response_id=first.id)
    assert second.output_text == "Ada."
    assert second.instructions is None
    assert second.usage is not None
    assert first.usage is not None
    assert second.usage.input_tokens > first.usage.input_tokens - len("Shout.")
    by_reference = create(
        client,
        input=[{"type": "item_reference", "id": first.output[0].id}, {"role": "user", "content": "hi"}],
    )
    assert by_reference.output_text == "Hello there."


def test_counting_tokens(client: OpenAI) -> None:
    first = create(client, input="my name is Ada")
    ask: Any = {"input": "what is my name", "previous_response_id": first.id, "instructions": "Be kind."}
    counted = client.responses.input_tokens.count(model="scripted", **ask).input_tokens
    assert create(client, **ask).usage.input_tokens == counted  # type: ignore[union-attr]


def test_stored_responses_are_fetched_listed_and_deleted(client: OpenAI) -> None:
    made = create(client, input=[{"role": "user", "content": "hi"}, {"role": "user", "content": "there"}])
    assert client.responses.retrieve(made.id).to_dict() == made.to_dict()
    listed = client.responses.input_items.list(made.id, order="asc").data
    assert [item.content[0].text for item in listed] == ["hi", "there"]  # type: ignore[union-attr]
    one = client.responses.input_items.list(made.id, limit=1)
    assert one.data[0].id == listed[1].id
    assert one.has_more
    assert client.responses.input_items.list(made.id, after=listed[1].id).data[0].id == listed[0].id
    client.responses.delete(made.id)
    for gone in (client.responses.retrieve, client.responses.delete, client.responses.cancel):
        with pytest.raises(openai.NotFoundError, match="not found"):
            gone(made.id)
    with pytest.raises(openai.NotFoundError, match="not found") as caught:
        create(client, input="hi", previous_response_id=made.id)
    assert caught.value.param == "previous_response_id"


def test_what_is_not_to_be_stored_is_not(client: OpenAI) -> None:
    made = create(client, input="hi", store=False)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(made.id)


async def test_background(server: Server) -> None:
    async with AsyncOpenAI(base_url=f"{server.base_url}/v1", api_key="none", max_retries=0) as client:
        begun = await client.responses.create(model="scripted", input="hi", background=True)
        assert begun.status == "queued"
        assert begun.output == []
        while (now := await client.responses.retrieve(begun.id)).status in ("queued", "in_progress"):
            await asyncio.sleep(0.01)
        assert now.output_text == "Hello there."
        assert (await client.responses.cancel(begun.id)).status == "completed"
        endless = await client.responses.create(model="scripted", input="for ever", background=True)
        with pytest.raises(openai.BadRequestError, match="has not ended"):
            await client.responses.create(model="scripted", input="hi", previous_response_id=endless.id)
        cancelled = await client.responses.cancel(endless.id)
        assert cancelled.status == "cancelled"
        assert (await client.responses.retrieve(endless.id)).to_dict() == cancelled.to_dict()
        plain = await client.responses.create(model="scripted", input="hi")
        with pytest.raises(openai.BadRequestError, match="synchronous"):
            await client.responses.cancel(plain.id)


def test_a_background_stream_is_taken_up_again(client: OpenAI) -> None:
    with client.responses.create(
        model="scripted", input="think hard", background=True, stream=True
    ) as streamed:
        first = next(iter(streamed))  # and the client leaves
    assert first.type == "response.created"
    identity = first.response.id
    again = list(client.responses.retrieve(identity, stream=True))
    assert [event.sequence_number for event in again] == list(range(len(again)))
    assert again[-1].type == "response.completed"
    later = list(client.responses.retrieve(identity, stream=True, starting_after=3))
    assert [event.to_dict() for event in later] == [event.to_dict() for event in again[4:]]
    plain = create(client, input="hi")
    with pytest.raises(openai.BadRequestError, match="background and stream"):
        client.responses.retrieve(plain.id, stream=True)


def test_a_client_that_leaves_cancels_its_response(client: OpenAI, server: Server) -> None:
    with client.responses.create(model="scripted", input="for ever", stream=True) as streamed:
        identity = next(iter(streamed)).response.id  # type: ignore[union-attr]
    while (left := client.responses.retrieve(identity)).status == "in_progress":
        pass
    assert left.status == "cancelled"


def test_a_failure_in_mid_stream_is_told(client: OpenAI) -> None:
    events = stream(client, input="break down")
    assert [event["type"] for event in events[-2:]] == ["error", "response.failed"]
    failed = events[-1]["response"]
    assert failed["error"]["code"] == "server_error"
    assert failed["error"]["message"] == events[-2]["message"]
    assert client.responses.retrieve(failed["id"]).status == "failed"
    with pytest.raises(openai.InternalServerError):
        create(client, input="break down")
    assert create(client, input="hi").status == "completed"


def test_truncation_drops_the_oldest_turns(client: OpenAI) -> None:
    long = [{"role": "user", "content": f"{number} " + "long story " * 40} for number in range(12)]
    ask = [*long, {"role": "user", "content": "what is my name"}]
    with pytest.raises(openai.BadRequestError, match="maximum context length is 2048 tokens"):
        create(client, input=ask)
    made = create(client, input=ask, truncation="auto")
    assert made.output_text == "Ada."
    assert made.usage is not None
    assert CONTEXT - 700 < made.usage.input_tokens < CONTEXT


@pytest.mark.parametrize(
    ("fields", "param", "words"),
    [
        ({}, "input", "must not be empty"),
        ({"input": []}, "input", "must not be empty"),
        ({"input": "hi", "model": "gpt-x"}, "model", "does not exist"),
        ({"input": "hi", "n": 2}, "n", "one answer"),
        ({"input": "hi", "background": True, "store": False}, "background", "needs store"),
        ({"input": "hi", "max_output_tokens": 0}, "max_output_tokens", "greater than or equal to 1"),
        ({"input": "hi", "temperature": -1}, "temperature", "0 or greater"),
        ({"input": "hi", "text": {"format": {"type": "json_schema"}}}, "text.format", "needs a schema"),
        ({"input": "hi", "conversation": "c"}, "conversation", "not supported"),
        ({"input": "hi", "metadata": {str(n): "x" for n in range(17)}}, "metadata", "at most 16"),
        ({"input": "hi", "tools": [{"type": "function"}]}, "tools", "without a name"),
        ({"input": [{"type": "item_reference", "id": "msg_x"}]}, "input", "not found"),
    ],
)
def test_mistakes_are_told(server: Server, fields: dict[str, Any], param: str, words: str) -> None:
    answer = httpx.post(f"{server.base_url}/v1/responses", json=fields)
    assert answer.status_code in (400, 404)
    error = answer.json()["error"]
    assert error["param"] == param
    assert words in error["message"]
    assert "\n" not in error["message"]


def test_wrong_query_parameters_are_told(client: OpenAI, server: Server) -> None:
    made = create(client, input="hi")
    answer = httpx.get(f"{server.base_url}/v1/responses/{made.id}/input_items", params={"limit": 1000})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "limit"
