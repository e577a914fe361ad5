"""pydantic-ai: agents with tools and typed results."""

from __future__ import annotations

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent, NativeOutput, PromptedOutput
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from conftest import Endpoint


class City(BaseModel):
    city: str
    country: str


def model_of(server: Endpoint) -> OpenAIChatModel:
    return OpenAIChatModel(server.model, provider=OpenAIProvider(base_url=server.v1, api_key="EMPTY"))


async def test_an_agent_calls_its_tool(scripted: Endpoint) -> None:
    agent = Agent(model_of(scripted))

    @agent.tool_plain
    def get_weather(city: str) -> str:
        return f"22 degrees in {city}"

    result = await agent.run("What is the weather in Paris?")
    assert result.output == "It is sunny in Paris, 22 degrees."
    assert result.usage.output_tokens > 0


async def test_a_streamed_answer(scripted: Endpoint) -> None:
    async with Agent(model_of(scripted)).run_stream("22 degrees") as result:
        pieces = [piece async for piece in result.stream_text(delta=True, debounce_by=None)]
    assert "".join(pieces) == "It is sunny in Paris, 22 degrees."
    assert len(pieces) > 1


@pytest.mark.parametrize(
    ("output", "prompt"),
    [
        (City, "final_result for Mexico"),
        (NativeOutput(City), "Mexico as JSON"),
        (PromptedOutput(City), "Mexico as JSON"),
    ],
)
async def test_typed_results(scripted: Endpoint, output: object, prompt: str) -> None:
    result = await Agent(model_of(scripted), output_type=output).run(prompt)
    assert result.output == City(city="Mexico City", country="Mexico")
