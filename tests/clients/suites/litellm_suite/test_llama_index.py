"""LlamaIndex's OpenAILike and its embeddings."""

from __future__ import annotations

from llama_index.core.llms import ChatMessage
from llama_index.embeddings.openai import OpenAIEmbedding
from llama_index.llms.openai_like import OpenAILike
from pydantic import BaseModel

from conftest import Endpoint


class Person(BaseModel):
    name: str
    age: int


def model_of(server: Endpoint, **settings: object) -> OpenAILike:
    values = {"is_chat_model": True, "context_window": 2048, "temperature": 0, "max_tokens": 16, **settings}
    return OpenAILike(model=server.model, api_base=server.v1, api_key="EMPTY", max_retries=0, **values)


def test_chat_whole_and_streamed(chat: Endpoint) -> None:
    messages = [ChatMessage(role="user", content="Name a colour.")]
    whole = model_of(chat).chat(messages).message.content
    streamed = list(model_of(chat).stream_chat(messages))
    assert streamed[-1].message.content == whole
    assert "".join(piece.delta or "" for piece in streamed) == whole


def test_text_completions(chat: Endpoint) -> None:
    model = model_of(chat, is_chat_model=False)
    whole = model.complete("One, two,").text
    assert whole
    assert list(model.stream_complete("One, two,"))[-1].text == whole


async def test_async(chat: Endpoint) -> None:
    assert (await model_of(chat).acomplete("Name a colour.")).text


def test_a_structured_answer(scripted: Endpoint) -> None:
    model = model_of(
        scripted, is_function_calling_model=True, should_use_structured_outputs=True, max_tokens=100
    )
    answer = model.as_structured_llm(Person).chat([ChatMessage(role="user", content="Ada is 36")])
    assert answer.raw == Person(name="Ada", age=36)


def test_embeddings(embedding: Endpoint) -> None:
    model = OpenAIEmbedding(model_name=embedding.model, api_base=embedding.v1, api_key="EMPTY")
    assert len(model.get_text_embedding("a cat")) == 384
