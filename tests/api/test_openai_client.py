"""The real server through OpenAI's own client."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator

import httpx
import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from tests.helpers.servers import Server

HI = [{"role": "user", "content": "Say hi"}]


@pytest.fixture(scope="module")
def client(tiny_server: Server) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{tiny_server.base_url}/v1", api_key="none", max_retries=0) as made:
        yield made


@pytest.fixture
def model(tiny_server: Server) -> str:
    return tiny_server.model


def test_models(client: OpenAI, model: str) -> None:
    listed = client.models.list().data
    assert [card.id for card in listed] == [model]
    assert listed[0].max_model_len == 512  # type: ignore[attr-defined]
    assert client.models.retrieve(model).id == model


def test_chat(client: OpenAI, model: str) -> None:
    answer = client.chat.completions.create(
        model=model, messages=HI, max_completion_tokens=6, seed=1, extra_body={"ignore_eos": True}
    )
    assert answer.id.startswith("chatcmpl-")
    assert answer.object == "chat.completion"
    assert answer.model == model
    [choice] = answer.choices
    assert choice.finish_reason == "length"
    assert choice.message.role == "assistant"
    assert choice.message.content
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 6
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + 6


def test_a_stream_gives_the_same_as_the_whole_answer(client: OpenAI, model: str) -> None:
    arguments = {"model": model, "messages": HI, "max_tokens": 40, "seed": 5}
    whole = client.chat.completions.create(**arguments)
    chunks = list(
        client.chat.completions.create(**arguments, stream=True, stream_options={"include_usage": True})
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert chunks[0].choices[0].delta.role == "assistant"
    assert sum(bool(chunk.choices and chunk.choices[0].delta.role) for chunk in chunks) == 1
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == whole.choices[0].finish_reason
    last = chunks[-1]
    assert last.choices == []
    assert last.usage is not None
    assert whole.usage is not None
    assert last.usage.completion_tokens == whole.usage.completion_tokens
    times = last.metrics  # type: ignore[attr-defined]
    assert 0 <= times["queue_time"] < times["time_to_first_token"]


def test_counts_can_come_with_every_chunk(client: OpenAI, model: str) -> None:
    options = {"include_usage": True, "continuous_usage_stats": True}
    stream = client.chat.completions.create(
        model=model,
        messages=HI,
        max_tokens=5,
        stream=True,
        stream_options=options,  # type: ignore[arg-type]
        extra_body={"ignore_eos": True},
    )
    counts = [chunk.usage.completion_tokens for chunk in stream if chunk.choices and chunk.usage]
    assert counts == sorted(counts)
    assert counts[-1] == 5


def test_the_same_seed_gives_the_same_answer(client: OpenAI, model: str) -> None:
    def answer(seed: int) -> str | None:
        made = client.chat.completions.create(
            model=model, messages=HI, max_tokens=16, seed=seed, temperature=1
        )
        return made.choices[0].message.content

    assert answer(7) == answer(7)
    assert len({answer(seed) for seed in range(5)}) > 1


def test_n_answers(client: OpenAI, model: str) -> None:
    answer = client.chat.completions.create(model=model, messages=HI, n=3, max_tokens=8, seed=1)
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert len({choice.message.content for choice in answer.choices}) > 1
    stream = client.chat.completions.create(model=model, messages=HI, n=3, max_tokens=8, seed=1, stream=True)
    texts = ["", "", ""]
    ends = []
    for chunk in stream:
        for part in chunk.choices:
            texts[part.index] += part.delta.content or ""
            ends += [part.index] if part.finish_reason else []
    assert texts == [choice.message.content for choice in answer.choices]
    assert sorted(ends) == [0, 1, 2]


def test_stop_strings(client: OpenAI, model: str) -> None:
    def ask(**more: object) -> openai.types.chat.chat_completion.Choice:
        made = client.chat.completions.create(model=model, messages=HI, max_tokens=40, seed=3, **more)  # type: ignore[call-overload]
        return made.choices[0]  # type: ignore[no-any-return]

    full = ask().message.content or ""
    middle = len(full) // 2
    stop = full[middle : middle + 2]
    stopped = ask(stop=[stop])
    assert stopped.message.content == full[: full.index(stop)]
    assert stopped.finish_reason == "stop"
    assert stopped.stop_reason == stop  # type: ignore[attr-defined]
    kept = ask(stop=stop, extra_body={"include_stop_str_in_output": True})
    assert kept.message.content == full[: full.index(stop) + len(stop)]


def test_chat_logprobs(client: OpenAI, model: str) -> None:
    answer = client.chat.completions.create(
        model=model, messages=HI, max_tokens=5, temperature=0, logprobs=True, top_logprobs=3
    )
    logprobs = answer.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.content is not None
    assert answer.usage is not None
    assert len(logprobs.content) == answer.usage.completion_tokens
    for entry in logprobs.content:
        top = entry.top_logprobs
        assert [other.logprob for other in top] == sorted((other.logprob for other in top), reverse=True)
        assert len(top) == 3
        assert entry.logprob == top[0].logprob  # greedy: the sampled token is the top one, by the same number
        assert entry.bytes == top[0].bytes
        assert entry.logprob <= 0


def test_streamed_logprobs_are_those_of_the_whole_answer(client: OpenAI, model: str) -> None:
    arguments = {
        "model": model,
        "messages": HI,
        "max_tokens": 12,
        "seed": 2,
        "logprobs": True,
        "top_logprobs": 1,
    }
    whole = client.chat.completions.create(**arguments).choices[0].logprobs
    streamed = []
    for chunk in client.chat.completions.create(**arguments, stream=True):
        if chunk.choices and chunk.choices[0].logprobs:
            streamed += chunk.choices[0].logprobs.content
    assert whole is not None
    assert [(entry.token, entry.logprob) for entry in streamed] == [
        (entry.token, entry.logprob) for entry in whole.content or []
    ]


def test_completions_with_echo_and_logprobs(client: OpenAI, model: str) -> None:
    # At temperature 0 each token is among the likeliest two: of tokens spelled alike a dict has the likelier.
    answer = client.completions.create(
        model=model,
        prompt="the cat",
        max_tokens=3,
        echo=True,
        logprobs=2,
        temperature=0,
        extra_body={"ignore_eos": True},
    )
    [choice] = answer.choices
    assert choice.text.startswith("the cat")
    logprobs = choice.logprobs
    assert logprobs is not None
    assert logprobs.token_logprobs is not None
    assert logprobs.top_logprobs is not None
    assert answer.usage is not None
    count = answer.usage.total_tokens
    assert len(logprobs.tokens or []) == len(logprobs.token_logprobs) == len(logprobs.top_logprobs) == count
    assert logprobs.token_logprobs[0] is None
    assert logprobs.top_logprobs[0] is None
    assert all(value is not None and value <= 0 for value in logprobs.token_logprobs[1:])
    assert (logprobs.text_offset or [])[:2] == [0, len((logprobs.tokens or [""])[0])]
    for chosen, top in zip(logprobs.token_logprobs[1:], logprobs.top_logprobs[1:], strict=True):
        assert chosen in top.values()


def test_the_prompt_alone_can_be_scored(client: OpenAI, model: str) -> None:
    answer = client.completions.create(model=model, prompt="the cat", max_tokens=0, echo=True, logprobs=1)
    assert answer.choices[0].text == "the cat"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 0
    logprobs = answer.choices[0].logprobs
    assert logprobs is not None
    assert len(logprobs.tokens or []) == answer.usage.prompt_tokens


def test_batches_of_prompts_and_token_ids(client: OpenAI, model: str) -> None:
    texts = client.completions.create(model=model, prompt=["ab", "cd"], n=2, max_tokens=4, seed=4)
    assert [choice.index for choice in texts.choices] == [0, 1, 2, 3]
    one = client.completions.create(model=model, prompt="cd", n=2, max_tokens=4, seed=4)
    assert [choice.text for choice in texts.choices[2:]] == [choice.text for choice in one.choices]
    ids = client.completions.create(model=model, prompt=[[70, 71], [72]], max_tokens=1)
    assert len(ids.choices) == 2
    assert ids.usage is not None
    assert ids.usage.prompt_tokens == 3


def test_streamed_batches_of_prompts(client: OpenAI, model: str) -> None:
    arguments = {"model": model, "prompt": ["ab", "cd"], "max_tokens": 6, "seed": 4}
    whole = client.completions.create(**arguments)
    texts = ["", ""]
    for chunk in client.completions.create(**arguments, stream=True):
        for part in chunk.choices:
            texts[part.index] += part.text
    assert texts == [choice.text for choice in whole.choices]


def test_prompt_logprobs_and_token_ids(client: OpenAI, model: str) -> None:
    answer = client.chat.completions.create(
        model=model,
        messages=HI,
        max_tokens=2,
        extra_body={"prompt_logprobs": 1, "return_token_ids": True, "ignore_eos": True},
    )
    extra = answer.model_extra or {}
    assert answer.usage is not None
    assert len(extra["prompt_token_ids"]) == len(extra["prompt_logprobs"]) == answer.usage.prompt_tokens
    assert extra["prompt_logprobs"][0] is None
    for token, position in zip(extra["prompt_token_ids"][1:], extra["prompt_logprobs"][1:], strict=True):
        assert math.isfinite(position[str(token)]["logprob"])
        assert min(entry["rank"] for entry in position.values()) == 1
    assert len(answer.choices[0].token_ids) == 2  # type: ignore[attr-defined]


def test_errors_are_those_the_client_knows(client: OpenAI, model: str) -> None:
    with pytest.raises(openai.NotFoundError, match="The model `other` does not exist"):
        client.chat.completions.create(model="other", messages=HI)
    with pytest.raises(openai.BadRequestError, match="maximum context length is 512 tokens") as caught:
        client.completions.create(model=model, prompt="word " * 2000)
    assert caught.value.param == "input_tokens"


async def test_parallel_streams(tiny_server: Server) -> None:
    client = AsyncOpenAI(base_url=f"{tiny_server.base_url}/v1", api_key="none", max_retries=0)

    async def stream(seed: int) -> str:
        text = ""
        async for chunk in await client.chat.completions.create(
            model=tiny_server.model, messages=HI, max_tokens=60, seed=seed, stream=True
        ):
            text += chunk.choices[0].delta.content or ""
        return text

    async def whole(seed: int) -> str | None:
        made = await client.chat.completions.create(
            model=tiny_server.model, messages=HI, max_tokens=60, seed=seed
        )
        return made.choices[0].message.content

    async with client:
        together = await asyncio.gather(*(stream(seed) for seed in range(20)))
        alone = [await whole(seed) for seed in range(20)]
    assert together == alone


def test_beam_search_gives_the_most_probable_answers_first(client: OpenAI, model: str) -> None:
    extra = {"use_beam_search": True, "ignore_eos": True}
    arguments = {"model": model, "prompt": "hi", "n": 3, "temperature": 0, "max_tokens": 4, "logprobs": 0}
    found = client.completions.create(**arguments, extra_body=extra)
    totals = [sum(choice.logprobs.token_logprobs) for choice in found.choices]
    assert [choice.index for choice in found.choices] == [0, 1, 2]
    assert totals == sorted(totals, reverse=True)
    assert len({choice.text for choice in found.choices}) == 3
    streamed = list(client.completions.create(**arguments, extra_body=extra, stream=True))
    texts = {chunk.choices[0].index: chunk.choices[0].text for chunk in streamed}
    assert texts == {choice.index: choice.text for choice in found.choices}
    chat = client.chat.completions.create(
        model=model, messages=HI, n=2, max_tokens=3, extra_body={**extra, "length_penalty": 0.5}
    )
    assert len(chat.choices) == 2


def test_best_of_ranks_answers(client: OpenAI, model: str) -> None:
    arguments = {"model": model, "prompt": "hi", "max_tokens": 5, "seed": 4, "logprobs": 0, "temperature": 1}
    every = client.completions.create(**arguments, n=6)
    best = client.completions.create(**arguments, n=2, best_of=6)
    ranked = sorted(every.choices, key=lambda choice: -sum(choice.logprobs.token_logprobs))
    assert [choice.text for choice in best.choices] == [choice.text for choice in ranked[:2]]
    assert [choice.index for choice in best.choices] == [0, 1]
    assert best.usage is not None
    assert every.usage is not None
    assert best.usage.completion_tokens == every.usage.completion_tokens


def test_what_may_be_chosen_can_be_said(client: OpenAI, tiny_server: Server) -> None:
    model, url = tiny_server.model, f"{tiny_server.base_url}/tokenize"
    [a], [b] = (httpx.post(url, json={"prompt": letter}).json()["tokens"] for letter in "AB")
    arguments = {"model": model, "messages": HI, "max_tokens": 5}
    only = client.chat.completions.create(**arguments, extra_body={"allowed_token_ids": [a]})
    assert only.choices[0].message.content == "AAAAA"
    biased = client.chat.completions.create(**arguments, logit_bias={str(b): 100})
    assert biased.choices[0].message.content == "BBBBB"
    banned = {"allowed_token_ids": [a, b], "bad_words": ["A"]}
    other = client.chat.completions.create(**arguments, extra_body=banned)
    assert other.choices[0].message.content == "BBBBB"
    listed = {"logprob_token_ids": [a, b]}
    told = client.chat.completions.create(**arguments, logprobs=True, extra_body=listed)
    assert told.choices[0].logprobs is not None
    for entry in told.choices[0].logprobs.content or []:
        assert {"A", "B"} <= {top.token for top in entry.top_logprobs}
