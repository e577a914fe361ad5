"""LiteLLM with its prefixes for vLLM and for OpenAI."""

from __future__ import annotations

from collections.abc import Callable

import litellm
import pytest

from conftest import Endpoint

PREFIXES = pytest.mark.parametrize("prefix", ["hosted_vllm", "openai"])
Caller = Callable[..., object]


def asked(server: Endpoint, prefix: str, text: str) -> dict[str, object]:
    return {
        "model": f"{prefix}/{server.model}",
        "api_base": server.v1,
        "api_key": "EMPTY",
        "messages": [{"role": "user", "content": text}],
        "num_retries": 0,
    }


@PREFIXES
def test_whole_and_streamed(chat: Endpoint, prefix: str) -> None:
    question = {**asked(chat, prefix, "Name a colour."), "temperature": 0, "max_tokens": 12}
    whole = litellm.completion(**question)
    chunks = list(litellm.completion(**question, stream=True, stream_options={"include_usage": True}))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens


@PREFIXES
def test_tools(scripted: Endpoint, prefix: str) -> None:
    tool = {
        "type": "function",
        "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {}}},
    }
    answer = litellm.completion(**asked(scripted, prefix, "What is the weather in Paris?"), tools=[tool])
    [call] = answer.choices[0].message.tool_calls
    assert (call.function.name, call.function.arguments) == ("get_weather", '{"city": "Paris"}')
    assert answer.choices[0].finish_reason == "tool_calls"


@PREFIXES
def test_reasoning(thinking: Endpoint, prefix: str) -> None:
    answer = litellm.completion(**asked(thinking, prefix, "Think about life"))
    assert "Let me think." in answer.choices[0].message.reasoning_content
    assert answer.choices[0].message.content.strip() == "The answer is 42."


@PREFIXES
def test_too_long_a_prompt_is_known_as_such(chat: Endpoint, prefix: str) -> None:
    with pytest.raises(litellm.ContextWindowExceededError):
        litellm.completion(**asked(chat, prefix, "word " * 20_000))


def test_embedding(embedding: Endpoint) -> None:
    found = litellm.embedding(
        model=f"hosted_vllm/{embedding.model}", input=["a cat"], api_base=embedding.v1, api_key="EMPTY"
    )
    assert len(found.data[0]["embedding"]) == 384


def test_rerank(embedding: Endpoint) -> None:
    found = litellm.rerank(
        model=f"hosted_vllm/{embedding.model}",
        query="a cat",
        documents=["tax law", "a kitten"],
        api_base=embedding.url,
        api_key="EMPTY",
    )
    best = max(found.results, key=lambda result: result["relevance_score"])
    assert best["index"] == 1
