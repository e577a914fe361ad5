"""The official Python client: plain, asynchronous, streamed, with its helpers."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types import Completion
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response
from pydantic import BaseModel

from conftest import Endpoint

MESSAGES = [{"role": "user", "content": "Name three colours."}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
        "strict": True,
    },
}
PARIS = [{"role": "user", "content": "What is the weather in Paris?"}]


class Person(BaseModel):
    name: str
    age: int


@pytest.fixture
def client(chat: Endpoint) -> Iterator[OpenAI]:
    with OpenAI(base_url=chat.v1, api_key="EMPTY", max_retries=0) as client:
        yield client


@pytest.fixture
def tools_client(scripted: Endpoint) -> Iterator[OpenAI]:
    with OpenAI(base_url=scripted.v1, api_key="EMPTY", max_retries=0) as client:
        yield client


def test_models(client: OpenAI, chat: Endpoint) -> None:
    assert [model.id for model in client.models.list()] == [chat.model]
    assert client.models.retrieve(chat.model).id == chat.model


def test_a_stream_is_the_whole_answer(client: OpenAI, chat: Endpoint) -> None:
    asked = {"model": chat.model, "messages": MESSAGES, "temperature": 0, "max_tokens": 24}
    whole = client.chat.completions.create(**asked)
    chunks = list(
        client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True})
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert text
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens == 24
    assert whole.usage.total_tokens == whole.usage.prompt_tokens + 24


async def test_async_streams_side_by_side(chat: Endpoint) -> None:
    async with AsyncOpenAI(base_url=chat.v1, api_key="EMPTY") as client:
        asked = {"model": chat.model, "messages": MESSAGES, "temperature": 0, "max_tokens": 16}
        whole = await client.chat.completions.create(**asked)
        first = await client.chat.completions.create(**asked, stream=True)
        second = await client.chat.completions.create(**asked, stream=True)
        texts = []
        for stream in (second, first):
            texts.append("".join([chunk.choices[0].delta.content or "" async for chunk in stream]))
    assert texts == [whole.choices[0].message.content] * 2


def test_the_stream_helper_gathers_what_came(tools_client: OpenAI, scripted: Endpoint) -> None:
    with tools_client.chat.completions.stream(
        model=scripted.model, messages=[{"role": "user", "content": "22 degrees"}]
    ) as stream:
        pieces = [event.delta for event in stream if event.type == "content.delta"]
        final = stream.get_final_completion()
    assert "".join(pieces) == final.choices[0].message.content == "It is sunny in Paris, 22 degrees."
    assert len(pieces) > 1
    assert final.choices[0].finish_reason == "stop"


def test_parse_gives_an_object(client: OpenAI, chat: Endpoint) -> None:
    found = client.chat.completions.parse(
        model=chat.model,
        messages=[{"role": "user", "content": "Invent a person. Answer in JSON."}],
        response_format=Person,
        temperature=0,
        max_tokens=200,
    )
    person = found.choices[0].message.parsed
    assert isinstance(person, Person)


def test_tools_whole_and_a_second_turn(tools_client: OpenAI, scripted: Endpoint) -> None:
    answer = tools_client.chat.completions.create(model=scripted.model, messages=PARIS, tools=[WEATHER])
    choice = answer.choices[0]
    assert choice.finish_reason == "tool_calls"
    [call] = choice.message.tool_calls
    assert (call.function.name, call.function.arguments) == ("get_weather", '{"city": "Paris"}')
    result = {"role": "tool", "tool_call_id": call.id, "content": "22 degrees"}
    second = tools_client.chat.completions.create(
        model=scripted.model, messages=[*PARIS, choice.message, result], tools=[WEATHER]
    )
    assert second.choices[0].message.content == "It is sunny in Paris, 22 degrees."
    assert second.choices[0].finish_reason == "stop"


def test_the_stream_helper_gathers_a_tool_call(tools_client: OpenAI, scripted: Endpoint) -> None:
    with tools_client.chat.completions.stream(
        model=scripted.model, messages=PARIS, tools=[WEATHER]
    ) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_completion()
    assert "tool_calls.function.arguments.delta" in kinds
    assert "tool_calls.function.arguments.done" in kinds
    [call] = final.choices[0].message.tool_calls
    assert call.function.parsed_arguments == {"city": "Paris"}
    assert final.choices[0].finish_reason == "tool_calls"


@pytest.mark.parametrize(
    ("choice", "reason"),
    [("required", "tool_calls"), ({"type": "function", "function": {"name": "get_weather"}}, "stop")],
)
def test_forced_tools(client: OpenAI, chat: Endpoint, choice: object, reason: str) -> None:
    answer = client.chat.completions.create(
        model=chat.model,
        messages=PARIS,
        tools=[WEATHER],
        tool_choice=choice,
        temperature=0,
        max_tokens=200,
        parallel_tool_calls=False,
    )
    [call] = answer.choices[0].message.tool_calls
    assert call.function.name == "get_weather"
    assert answer.choices[0].finish_reason == reason


def test_reasoning_in_both_spellings(thinking: Endpoint) -> None:
    with OpenAI(base_url=thinking.v1, api_key="EMPTY") as client:
        answer = client.chat.completions.create(
            model=thinking.model, messages=[{"role": "user", "content": "Think about life"}]
        )
    message = answer.choices[0].message
    assert "Let me think." in message.reasoning_content
    assert message.reasoning == message.reasoning_content
    assert message.content.strip() == "The answer is 42."


def test_errors_are_the_clients_own(client: OpenAI, chat: Endpoint) -> None:
    with pytest.raises(openai.NotFoundError, match="does not exist"):
        client.chat.completions.create(model="other", messages=MESSAGES)
    with pytest.raises(openai.BadRequestError, match="maximum context length is"):
        client.chat.completions.create(
            model=chat.model, messages=[{"role": "user", "content": "word " * 20_000}]
        )
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model=chat.model, messages=MESSAGES, temperature=-1)


def test_raw_and_streamed_responses(client: OpenAI, chat: Endpoint) -> None:
    asked = {"model": chat.model, "messages": MESSAGES, "max_tokens": 4}
    raw = client.chat.completions.with_raw_response.create(**asked)
    assert raw.http_response.headers["content-type"].startswith("application/json")
    assert raw.parse().choices
    with client.chat.completions.with_streaming_response.create(**asked, stream=True) as response:
        lines = [line for line in response.iter_lines() if line]
    assert lines[-1] == "data: [DONE]"


def test_text_completions_with_logprobs(client: OpenAI, chat: Endpoint) -> None:
    answer = client.completions.create(
        model=chat.model, prompt=["One two", "Red green"], max_tokens=3, logprobs=2, echo=True, temperature=0
    )
    assert [choice.index for choice in answer.choices] == [0, 1]
    for choice in answer.choices:
        logprobs = choice.logprobs
        assert logprobs.token_logprobs[0] is None
        for found, top in zip(logprobs.token_logprobs[-3:], logprobs.top_logprobs[-3:], strict=True):
            assert found == max(top.values())


def test_embeddings(embedding: Endpoint) -> None:
    with OpenAI(base_url=embedding.v1, api_key="EMPTY") as client:
        # Without encoding_format the client asks for base64 and decodes it.
        packed = client.embeddings.create(model=embedding.model, input=["a cat", "a kitten", "tax law"])
        plain = client.embeddings.create(model=embedding.model, input="a cat", encoding_format="float")
        # LangChain sends lists of token ids, by a tokenizer of its own choice.
        by_ids = client.embeddings.create(model=embedding.model, input=[[101, 1037, 4937, 102], [101, 102]])
    cat, kitten, law = (item.embedding for item in packed.data)
    assert plain.data[0].embedding == pytest.approx(cat, abs=1e-6)
    assert dot(cat, kitten) > dot(cat, law)
    assert len(by_ids.data[0].embedding) == 384
    assert dot(cat, cat) == pytest.approx(1, abs=1e-5)


def test_responses(client: OpenAI, chat: Endpoint) -> None:
    made = client.responses.create(
        model=chat.model, input="Name a colour.", temperature=0, max_output_tokens=16
    )
    assert made.output_text
    assert client.responses.retrieve(made.id).output_text == made.output_text
    second = client.responses.create(
        model=chat.model,
        input="And another.",
        previous_response_id=made.id,
        temperature=0,
        max_output_tokens=16,
    )
    assert second.usage.input_tokens > made.usage.input_tokens
    with client.responses.stream(
        model=chat.model, input="Name a colour.", temperature=0, max_output_tokens=16
    ) as stream:
        text = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
    assert text == made.output_text
    client.responses.delete(made.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(made.id)


def test_responses_parse(client: OpenAI, chat: Endpoint) -> None:
    found = client.responses.parse(
        model=chat.model, input="Invent a person.", text_format=Person, temperature=0, max_output_tokens=200
    )
    assert isinstance(found.output_parsed, Person)


def dot(left: list[float], right: list[float]) -> float:
    return sum(a * b for a, b in zip(left, right, strict=True))


@pytest.mark.parametrize(
    ("kind", "path", "body"),
    [
        (ChatCompletion, "chat/completions", {"messages": MESSAGES, "logprobs": True, "top_logprobs": 2}),
        (Completion, "completions", {"prompt": "One two", "logprobs": 2}),
        (Response, "responses", {"input": "Name a colour.", "max_output_tokens": 4}),
    ],
)
def test_answers_have_the_published_shape(
    chat: Endpoint, kind: type[BaseModel], path: str, body: dict[str, object]
) -> None:
    """The client's types are made from OpenAI's published schema; here they are held to."""
    asked = {"model": chat.model, "max_tokens": 4, **body}
    with urllib.request.urlopen(
        urllib.request.Request(
            f"{chat.v1}/{path}", json.dumps(asked).encode(), {"Content-Type": "application/json"}
        )
    ) as answer:
        kind.model_validate_json(answer.read())


def test_chunks_have_the_published_shape(client: OpenAI, chat: Endpoint) -> None:
    asked = {
        "model": chat.model,
        "messages": MESSAGES,
        "max_tokens": 4,
        "stream_options": {"include_usage": True},
    }
    with client.chat.completions.with_streaming_response.create(**asked, stream=True) as response:
        lines = [line.removeprefix("data: ") for line in response.iter_lines() if line]
    assert lines.pop() == "[DONE]"
    for line in lines:
        ChatCompletionChunk.model_validate_json(line)
