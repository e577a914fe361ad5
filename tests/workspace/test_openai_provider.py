"""Servers of others: what they answer well, and everything that they do wrong."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.workspace.foreign import Asked, Foreign, delta, event, foreign, head, says

from pagoda.workspace.generation.builder import AnswerBuilder
from pagoda.workspace.providers.base import Caller, ProviderError
from pagoda.workspace.providers.chunks import clean_chunk
from pagoda.workspace.providers.guard import Guard
from pagoda.workspace.providers.openai import OpenAIProvider, Patience
from pagoda.workspace.providers.think_tags import ThinkTags

OPEN = Guard(allow_private=True)
DONE = b"data: [DONE]\n\n"


async def answer(
    server: Foreign | str, patience: Patience | None = None, **caller: Any
) -> tuple[AnswerBuilder, OpenAIProvider]:
    url = server if isinstance(server, str) else server.url
    provider = OpenAIProvider("far", url, "sk-far", OPEN, patience=patience)
    builder = AnswerBuilder()
    try:
        body = {"model": "far", "messages": [], "continue_final_message": True}
        async with aclosing(provider.chat(body, Caller("ada", **caller))) as chunks:
            async for chunk in chunks:
                builder.take(chunk)
    finally:
        await provider.close()
    return builder, provider


def parts(builder: AnswerBuilder) -> list[tuple[str, str]]:
    return [(part["type"], part["text"]) for part in builder.parts]


async def test_an_answer_with_reasoning_in_either_spelling_and_usage() -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 4}}
    pieces = [
        delta(role="assistant", content=""),
        delta(reasoning_content="Hm"),
        delta(reasoning="m."),
        delta(content="Hi"),
        b": ping\n\n",
        delta(finish="stop", content="!"),
        event(choices=[], usage=usage),
        DONE,
    ]
    async with foreign(says(*pieces)) as server:
        builder, _ = await answer(server)
    assert parts(builder) == [("reasoning", "Hmm."), ("text", "Hi!")]
    assert builder.usage == usage
    [asked] = server.asked
    assert asked.body is not None
    assert asked.body["stream_options"] == {"include_usage": True}
    assert "continue_final_message" not in asked.body
    assert "max_tokens" not in asked.body
    assert asked.headers["authorization"] == "Bearer sk-far"
    assert asked.headers["host"] == f"127.0.0.1:{server.port}"


async def test_a_server_that_does_not_stream_is_understood() -> None:
    whole = {"choices": [{"index": 0, "message": {"content": "Hi"}, "finish_reason": "stop"}]}
    async with foreign(says(json.dumps(whole).encode(), kind="application/json")) as server:
        builder, _ = await answer(server)
    assert parts(builder) == [("text", "Hi")]


async def test_a_server_that_does_not_know_stream_options_is_asked_without() -> None:
    async def picky(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if asked.body and "stream_options" in asked.body:
            writer.write(head("application/json", 400) + b'{"error":{"message":"unknown stream_options"}}')
        else:
            writer.write(head() + delta(finish="stop", content="Hi") + DONE)

    async with foreign(picky) as server:
        builder, _ = await answer(server)
    assert parts(builder) == [("text", "Hi")]
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("pieces", "kind", "status", "said", "error_kind"),
    [
        ([b"<!doctype html><html>"], "text/html", 200, "a web page", "bad_answer"),
        ([b"data: {nonsense\n\n"], "text/event-stream", 200, "no answer", "bad_answer"),
        ([b"data: [1, 2]\n\n"], "text/event-stream", 200, "no answer", "bad_answer"),
        ([b"[" * 100_000], "application/json", 200, "no answer", "bad_answer"),
        ([b"\x00\xff\x00\n"], "application/octet-stream", 200, "no answer", "bad_answer"),
        ([b"x" * (5 << 20)], "text/event-stream", 200, "does not end", "bad_answer"),
        ([delta(content="Hel")], "text/event-stream", 200, "broke off", "unreachable"),
        ([event(error={"message": "out of\nmemory"})], "text/event-stream", 200, "out of memory", "failed"),
        ([b'{"error": "no such model"}'], "application/json", 404, "no such model", "refused"),
        ([b'{"error": {"message": "bad key"}}'], "application/json", 401, "bad key", "refused"),
        ([b"<h1>oops"], "text/html", 500, "HTTP 500", "failed"),
        ([b"slow down"], "text/plain", 429, "busy", "overloaded"),
    ],
)
async def test_what_servers_do_wrong_is_one_sentence(
    pieces: list[bytes], kind: str, status: int, said: str, error_kind: str
) -> None:
    async with foreign(says(*pieces, kind=kind, status=status)) as server:
        with pytest.raises(ProviderError, match=said) as found:
            await answer(server)
    assert found.value.kind == error_kind
    assert "\n" not in str(found.value)


async def test_a_chunked_answer_that_breaks_off_is_told() -> None:
    async def breaks(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        data = delta(content="Hel")
        writer.write(head(Transfer_Encoding="chunked") + b"%x\r\n%s\r\n50\r\nhalf" % (len(data), data))

    async with foreign(breaks) as server:
        with pytest.raises(ProviderError, match="broke off"):
            await answer(server)


async def test_what_never_ends_is_left() -> None:
    async def for_ever(asked: Asked, writer: asyncio.StreamWriter) -> None:
        listing = asked.method == "GET"
        kind = "application/json" if listing else "text/event-stream"
        writer.write(head(kind))
        piece = b'{"id": "m"},' * 100_000 if listing else delta(content="x" * 1_000_000)
        writer.write(b'{"data": [' if listing else b"")
        while not writer.is_closing():
            writer.write(piece)
            await writer.drain()

    async with foreign(for_ever) as server:
        provider = OpenAIProvider("far", server.url, None, OPEN)
        with pytest.raises(ProviderError, match="list of models does not end"):
            await provider.list_models()
        seen = 0

        async def read() -> None:
            nonlocal seen
            async for _ in provider.chat({"model": "m", "messages": []}, Caller("ada")):
                seen += 1

        with pytest.raises(ProviderError, match="answer does not end"):
            await read()
        assert 0 < seen < 100
        await provider.close()


async def test_redirects_are_not_followed() -> None:
    async def away(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(head(status=302, Location="http://169.254.169.254/latest"))

    async with foreign(away) as server:
        with pytest.raises(ProviderError, match="redirects are not followed"):
            await answer(server)
    assert len(server.asked) == 1


async def test_a_server_that_hangs_costs_only_patience() -> None:
    async def hangs(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(head() + delta(content="Hel"))
        await writer.drain()
        await asyncio.Event().wait()

    async with foreign(hangs) as server:
        with pytest.raises(ProviderError, match="said nothing for") as found:
            await answer(server, Patience(silent=0.05))
    assert found.value.status == 504


async def test_nobody_there_is_told() -> None:
    async with foreign(says()) as server:
        url = server.url
    with pytest.raises(ProviderError, match="cannot be reached"):
        await answer(url)


async def test_stopping_hangs_up() -> None:
    gone = asyncio.Event()

    async def endless(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(head())
        try:
            while True:
                writer.write(delta(content="x"))
                await writer.drain()
                await asyncio.sleep(0)
        finally:
            gone.set()

    async with foreign(endless) as server:
        provider = OpenAIProvider("far", server.url, None, OPEN)
        async with aclosing(provider.chat({"model": "far"}, Caller("ada"))) as chunks:
            await anext(chunks)
        await asyncio.wait_for(gone.wait(), 10)
        await provider.close()


async def test_tags_are_reasoning_unless_told_otherwise() -> None:
    pieces = [delta(content="<thi"), delta(content="nk>a</"), delta(finish="stop", content="think>\n\nb")]
    async with foreign(says(*pieces)) as server:
        assert parts((await answer(server))[0]) == [("reasoning", "a"), ("text", "b")]
        assert parts((await answer(server, think_tags=False))[0]) == [("text", "<think>a</think>\n\nb")]


@given(st.text(), st.text(alphabet="ab <>/think\n"), st.lists(st.integers(1, 9)))
def test_tags_are_found_however_the_text_is_cut(thought: str, text: str, cuts: list[int]) -> None:
    thought = thought.replace("<", "")
    whole = f"<think>{thought}</think>\n{text}"
    tags, at, found = ThinkTags(), 0, ["", ""]
    for cut in [*cuts, len(whole)]:
        for place, piece in enumerate(tags.feed(whole[at : at + cut])):
            found[place] += piece
        at += cut
    for place, piece in enumerate(tags.finish()):
        found[place] += piece
    assert found == [thought, text.lstrip()]


@given(st.text(alphabet="ab <>/think\n"))
def test_text_without_a_tag_at_its_beginning_stays(text: str) -> None:
    tags = ThinkTags()
    found = [tags.feed(letter) for letter in f"x{text}"]
    found.append(tags.finish())
    assert "".join(reasoning for reasoning, _ in found) == ""
    assert "".join(piece for _, piece in found) == f"x{text}"


FIELDS = ["choices", "delta", "index", "content", "tool_calls", "function", "arguments", "usage", "id"]
FIELDS += ["completion_tokens", "prompt_tokens_details", "cached_tokens", "finish_reason", "message"]
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(FIELDS),
            inner,
            max_size=5,
        )
    ),
    max_leaves=30,
)


@given(st.dictionaries(st.sampled_from(["choices", "usage", "error"]), json_values))
def test_no_chunk_breaks_what_reads_it(found: dict[str, Any]) -> None:
    builder = AnswerBuilder()
    builder.take(clean_chunk(found))
    builder.live()
    builder.finish()
    builder.timing()


async def test_lists_of_models_hold_what_can_be_used() -> None:
    async def lists(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        data = [{"id": "a", "max_model_len": 4096}, {"id": ""}, {"id": "x\x00"}, 7, "b", {"name": "c"}]
        writer.write(head("application/json") + json.dumps({"data": data}).encode())

    async with foreign(lists) as server:
        provider = OpenAIProvider("far", server.url, None, OPEN)
        found = await provider.list_models()
        await provider.close()
    assert [(model.id, model.context_length) for model in found] == [("a", 4096), ("b", None)]


@pytest.mark.parametrize(
    ("wanted", "sent"),
    [
        ({}, {"max_tokens": 7}),
        ({"max_tokens": 5}, {"max_tokens": 5}),
        ({"max_completion_tokens": 50}, {"max_completion_tokens": 7}),
    ],
)
async def test_a_limit_of_the_house_goes_along(wanted: dict[str, int], sent: dict[str, int]) -> None:
    async with foreign(says(delta(finish="length", content="Hi"), DONE)) as server:
        provider = OpenAIProvider("far", server.url, "sk-far", OPEN)
        body = {"model": "far", "messages": [], **wanted}
        async with aclosing(provider.chat(body, Caller("ada", most_tokens=7))) as chunks:
            assert [chunk async for chunk in chunks]
        await provider.close()
    assert server.asked[0].body is not None
    assert {name: value for name, value in server.asked[0].body.items() if name.startswith("max_")} == sent
