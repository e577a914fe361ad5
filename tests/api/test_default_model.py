"""The whole service with the default model: real answers over HTTP."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from openai import OpenAI
from tests.helpers.servers import Server

QUESTION = [{"role": "user", "content": "What is the capital of France? Answer in one short sentence."}]


@pytest.fixture(scope="module")
def client(pagoda_server: Server) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{pagoda_server.base_url}/v1", api_key="none", max_retries=0) as made:
        yield made


def test_a_question_gets_its_answer(client: OpenAI, pagoda_server: Server) -> None:
    answer = client.chat.completions.create(
        model=pagoda_server.model, messages=QUESTION, temperature=0, max_tokens=40
    )
    [choice] = answer.choices
    assert "Paris" in (choice.message.content or "")
    assert choice.finish_reason == "stop"
    assert "<|im_end|>" not in (choice.message.content or "")


def test_a_stream_gives_the_same(client: OpenAI, pagoda_server: Server) -> None:
    arguments = {"model": pagoda_server.model, "messages": QUESTION, "temperature": 0, "max_tokens": 40}
    whole = client.chat.completions.create(**arguments).choices[0].message.content
    chunks = client.chat.completions.create(**arguments, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == whole


def test_a_list_of_text_parts_is_a_text(client: OpenAI, pagoda_server: Server) -> None:
    def answer(content: object) -> str | None:
        messages = [
            {"role": "developer", "content": "You answer in one word."},
            {"role": "user", "content": "Hello!"},
            {"role": "assistant", "content": "Hello!"},
            {"role": "user", "content": content},
        ]
        made = client.chat.completions.create(
            model=pagoda_server.model,
            messages=messages,  # type: ignore[arg-type]
            temperature=0,
            max_tokens=20,
        )
        return made.choices[0].message.content

    parts = [{"type": "text", "text": "What is"}, {"type": "text", "text": "2 + 2?"}]
    assert answer(parts) == answer("What is\n2 + 2?")


def test_text_continues(client: OpenAI, pagoda_server: Server) -> None:
    answer = client.completions.create(
        model=pagoda_server.model, prompt="1, 2, 3, 4, 5, 6,", temperature=0, max_tokens=6, stop=["8"]
    )
    assert answer.choices[0].text == " 7, "
    assert answer.choices[0].stop_reason == "8"  # type: ignore[attr-defined]
