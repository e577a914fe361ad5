"""Embeddings, scores and reranking over HTTP, with BERT checkpoints whose vectors are known."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
import openai
import pytest
import pytest_asyncio
from tests.helpers import goldens
from tests.helpers.models import tiny_folder

from pagoda import LLM
from pagoda.api.app import create_app
from pagoda.api.settings import ServerSettings
from pagoda.engine.async_llm import AsyncLLM
from pagoda.engine.config import EngineConfig

pytestmark = pytest.mark.asyncio(loop_scope="module")

TEXTS = ["the cat sat on the mat", "a dog", "stock market money"]

Array = npt.NDArray[np.float32]


@asynccontextmanager
async def client_of(path: Path, **options: Any) -> AsyncIterator[httpx.AsyncClient]:
    llm = AsyncLLM.launch(EngineConfig(model_path=str(path), executor="reference", **options))
    try:
        await llm.wait_ready()
        app = create_app(llm, ServerSettings(served_model_names=("m",)))
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            yield client
    finally:
        await llm.shutdown()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """A server with a model of embeddings."""
    async with client_of(goldens.FOLDER / "bert") as client:
        yield client


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cross(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx.AsyncClient]:
    """A server with a cross-encoder."""
    async with client_of(goldens.FOLDER / "bert_classifier") as client:
        yield client


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chat(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx.AsyncClient]:
    """A server with a decoder that makes vectors and has a chat template."""
    folder = tiny_folder(tmp_path_factory.mktemp("decoder") / "model")
    async with client_of(folder, runner="pooling") as client:
        yield client


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def generating(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx.AsyncClient]:
    folder = tiny_folder(tmp_path_factory.mktemp("generating") / "model")
    async with client_of(folder) as client:
        yield client


@pytest.fixture(scope="module")
def expected() -> Array:
    llm = LLM(goldens.FOLDER / "bert", executor="reference")
    return np.array([output.outputs.embedding for output in llm.embed(TEXTS, use_tqdm=False)], np.float32)


async def post(client: httpx.AsyncClient, path: str, **body: Any) -> dict[str, Any]:
    response = await client.post(path, json=body)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


async def refused(client: httpx.AsyncClient, path: str, **body: Any) -> tuple[str, str | None]:
    response = await client.post(path, json=body)
    assert response.status_code == 400, response.text
    error = response.json()["error"]
    assert error["code"] == 400
    assert "\n" not in error["message"]
    return error["message"], error["param"]


def vectors(body: dict[str, Any]) -> Array:
    assert [item["index"] for item in body["data"]] == list(range(len(body["data"])))
    return np.array([item["embedding"] for item in body["data"]], np.float32)


async def test_texts(client: httpx.AsyncClient, expected: Array) -> None:
    body = await post(client, "/v1/embeddings", model="m", input=TEXTS, user="somebody")
    assert body["id"].startswith("embd-")
    assert (body["object"], body["model"]) == ("list", "m")
    assert {item["object"] for item in body["data"]} == {"embedding"}
    np.testing.assert_array_equal(vectors(body), expected)
    tokens = sum(len(text.split()) + 2 for text in TEXTS)
    assert body["usage"]["prompt_tokens"] == body["usage"]["total_tokens"] == tokens
    single = await post(client, "/v1/embeddings", input=TEXTS[0])
    np.testing.assert_array_equal(vectors(single)[0], expected[0])


async def test_token_ids(client: httpx.AsyncClient, expected: Array) -> None:
    tokens = [(await post(client, "/tokenize", prompt=text))["tokens"] for text in TEXTS]
    np.testing.assert_array_equal(vectors(await post(client, "/v1/embeddings", input=tokens)), expected)
    np.testing.assert_array_equal(
        vectors(await post(client, "/v1/embeddings", input=tokens[1]))[0], expected[1]
    )


async def test_the_openai_client(client: httpx.AsyncClient, expected: Array) -> None:
    api = openai.AsyncOpenAI(base_url="http://server/v1", api_key="none", http_client=client, max_retries=0)
    found = await api.embeddings.create(model="m", input=TEXTS)  # asks for base64 by itself
    np.testing.assert_array_equal(np.array([item.embedding for item in found.data], np.float32), expected)
    found = await api.embeddings.create(model="m", input=TEXTS, encoding_format="float", dimensions=16)
    assert [len(item.embedding) for item in found.data] == [16] * 3
    with pytest.raises(openai.BadRequestError, match="dimensions"):
        await api.embeddings.create(model="m", input="x", dimensions=65)


@pytest.mark.parametrize("order", [None, "little", "big", "native"])
@pytest.mark.parametrize(("name", "kind"), [(None, "f4"), ("float32", "f4"), ("float16", "f2")])
async def test_base64(
    client: httpx.AsyncClient, expected: Array, order: str | None, name: str | None, kind: str
) -> None:
    body = await post(
        client,
        "/v1/embeddings",
        input=TEXTS[0],
        encoding_format="base64",
        embed_dtype=name,
        endianness=order,
    )
    data = base64.b64decode(body["data"][0]["embedding"])
    sign = {"big": ">", "native": "="}.get(order or "", "<")
    found = np.frombuffer(data, sign + kind)
    np.testing.assert_array_equal(found, expected[0].astype(kind))


async def test_bfloat16(client: httpx.AsyncClient, expected: Array) -> None:
    options = {"input": TEXTS[0], "embed_dtype": "bfloat16"}
    shown = await post(client, "/v1/embeddings", **options)
    coded = await post(client, "/v1/embeddings", **options, encoding_format="base64")
    bits = np.frombuffer(base64.b64decode(coded["data"][0]["embedding"]), "<u2").astype(np.uint32) << 16
    np.testing.assert_array_equal(bits.view(np.float32), vectors(shown)[0])
    np.testing.assert_allclose(vectors(shown)[0], expected[0], rtol=2**-8)


async def test_shorter_vectors_have_length_one_again(client: httpx.AsyncClient, expected: Array) -> None:
    found = vectors(await post(client, "/v1/embeddings", input=TEXTS, dimensions=10))
    cut = expected[:, :10]
    np.testing.assert_allclose(found, cut / np.linalg.norm(cut, axis=1, keepdims=True), atol=1e-6)


async def test_long_texts_are_refused_or_cut(client: httpx.AsyncClient) -> None:
    long = "cat " * 400
    message, param = await refused(client, "/v1/embeddings", input=["a", long])
    assert message.startswith("This model's maximum context length is 320 tokens. However, you requested ")
    assert "402 input tokens" in message
    assert param == "input_tokens"
    body = await post(client, "/v1/embeddings", input=long, truncate_prompt_tokens=-1)
    assert body["usage"]["prompt_tokens"] == 320
    body = await post(client, "/v1/embeddings", input=long, truncate_prompt_tokens=7)
    same = await post(client, "/v1/embeddings", input="cat " * 5)
    np.testing.assert_array_equal(vectors(body), vectors(same))
    left = await post(
        client, "/v1/embeddings", input="dog " + long, truncate_prompt_tokens=7, truncation_side="left"
    )
    np.testing.assert_array_equal(vectors(left), vectors(same))


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "input"),
        ({"input": []}, "input"),
        ({"input": ""}, None),
        ({"input": [[]]}, "input"),
        ({"input": [5, 256]}, "input"),
        ({"input": [[-1]]}, "input"),
        ({"input": 5}, "input"),
        ({"input": {"text": "a"}}, "input"),
        ({"input": ["a", 5]}, "input"),
        ({"input": "a", "dimensions": 0}, "dimensions"),
        ({"input": "a", "dimensions": 65}, "dimensions"),
        ({"input": "a", "encoding_format": "hex"}, "encoding_format"),
        ({"input": "a", "truncate_prompt_tokens": 0}, "truncate_prompt_tokens"),
        ({"input": "a", "truncate_prompt_tokens": 321}, "truncate_prompt_tokens"),
        ({"input": ["a"] * 8193}, "input"),
        ({"messages": [{"role": "user", "content": "a"}]}, "messages"),
    ],
)
async def test_wrong_requests(client: httpx.AsyncClient, body: dict[str, Any], param: str | None) -> None:
    if body.get("input") == "":  # an empty text is a text: what stands around it is embedded
        assert (await post(client, "/v1/embeddings", **body))["usage"]["prompt_tokens"] == 2
        return
    assert (await refused(client, "/v1/embeddings", **body))[1] == param


async def test_another_model_is_not_found(client: httpx.AsyncClient) -> None:
    for path, body in (
        ("/v1/embeddings", {"input": "a"}),
        ("/score", {"text_1": "a", "text_2": "b"}),
        ("/rerank", {"query": "a", "documents": ["b"]}),
    ):
        response = await client.post(path, json={**body, "model": "other"})
        assert response.status_code == 404
        assert response.json()["error"]["message"] == "The model `other` does not exist."


@pytest.mark.parametrize("path", ["/score", "/v1/score"])
@pytest.mark.parametrize(
    ("first", "second"), [("text_1", "text_2"), ("queries", "documents"), ("data_1", "data_2")]
)
async def test_scores_are_cosines(
    client: httpx.AsyncClient, expected: Array, path: str, first: str, second: str
) -> None:
    body = await post(client, path, **{first: TEXTS[0], second: TEXTS[1:]})
    assert body["object"] == "list"
    assert [item["index"] for item in body["data"]] == [0, 1]
    assert {item["object"] for item in body["data"]} == {"score"}
    found = [item["score"] for item in body["data"]]
    np.testing.assert_allclose(found, expected[1:] @ expected[0], atol=1e-6)
    pairs = await post(client, path, **{first: TEXTS, second: TEXTS[::-1]})
    found = [item["score"] for item in pairs["data"]]
    np.testing.assert_allclose(found, (expected * expected[::-1]).sum(axis=1), atol=1e-6)
    one = await post(client, path, **{first: TEXTS[0], second: TEXTS[0]})
    assert one["data"][0]["score"] == pytest.approx(1.0)


@pytest.mark.parametrize("path", ["/rerank", "/v1/rerank", "/v2/rerank"])
async def test_documents_come_best_first(client: httpx.AsyncClient, expected: Array, path: str) -> None:
    documents: list[Any] = [TEXTS[2], {"text": TEXTS[1]}, TEXTS[0]]
    body = await post(client, path, query=TEXTS[0], documents=documents)
    scores = [item["relevance_score"] for item in body["results"]]
    assert scores == sorted(scores, reverse=True)
    assert body["results"][0]["index"] == 2
    assert body["results"][0]["document"] == {"text": TEXTS[0]}
    assert scores[0] == pytest.approx(1.0)
    assert set(body["usage"]) >= {"prompt_tokens", "total_tokens"}
    best = await post(client, path, query=TEXTS[0], documents=documents, top_n=1, return_documents=False)
    assert [(item["index"], item["document"]) for item in best["results"]] == [(2, None)]
    assert len((await post(client, path, query="a", documents=documents, top_n=0))["results"]) == 3
    assert len((await post(client, path, query="a", documents=documents, top_n=9))["results"]) == 3


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/score", {}),
        ("/score", {"text_1": "a"}),
        ("/score", {"text_1": "a", "text_2": []}),
        ("/score", {"text_1": ["a", "b"], "text_2": ["a", "b", "c"]}),
        ("/score", {"text_1": "a", "queries": "b", "text_2": "c"}),
        ("/rerank", {"query": "a"}),
        ("/rerank", {"query": "a", "documents": []}),
        ("/rerank", {"query": "a", "documents": [{"title": "x"}]}),
        ("/rerank", {"query": "a", "documents": ["b"], "top_n": -1}),
        ("/rerank", {"query": "cat " * 400, "documents": ["b"]}),
        ("/classify", {"input": "a"}),
        ("/pooling", {"input": "a", "task": "classify"}),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "a"}]}),
        ("/v1/completions", {"prompt": "a"}),
    ],
)
async def test_what_cannot_be_served(client: httpx.AsyncClient, path: str, body: dict[str, Any]) -> None:
    await refused(client, path, **body)


async def test_a_cross_encoder_scores_pairs(cross: httpx.AsyncClient) -> None:
    body = await post(cross, "/score", text_1="the cat", text_2=["a dog", "the cat"])
    scores = [item["score"] for item in body["data"]]
    assert all(0 < score < 1 for score in scores)
    llm = LLM(goldens.FOLDER / "bert_classifier", executor="reference")
    offline = llm.score("the cat", ["a dog", "the cat"], use_tqdm=False)
    assert scores == [output.outputs.score for output in offline]
    raw = await post(cross, "/score", text_1="the cat", text_2=["a dog"], use_activation=False)
    logit = raw["data"][0]["score"]
    assert scores[0] == pytest.approx(1 / (1 + np.exp(-logit)), abs=1e-6)
    ranked = await post(cross, "/rerank", query="the cat", documents=["a dog", "the cat"])
    assert {item["index"]: item["relevance_score"] for item in ranked["results"]} == dict(enumerate(scores))


async def test_a_cross_encoder_classifies(cross: httpx.AsyncClient) -> None:
    body = await post(cross, "/classify", input=["the cat", "a dog"])
    assert [(item["label"], item["num_classes"]) for item in body["data"]] == [("LABEL_0", 1)] * 2
    pooled = await post(cross, "/pooling", input=["the cat", "a dog"])
    assert [item["probs"] for item in body["data"]] == [item["data"] for item in pooled["data"]]
    message, _ = await refused(cross, "/v1/embeddings", input="a")
    assert message.startswith("The model `m` does not support Embeddings API")


async def test_vectors_of_tokens(client: httpx.AsyncClient, expected: Array) -> None:
    body = await post(client, "/pooling", input=TEXTS[:2], task="token_embed", normalize=False)
    states = [np.array(item["data"], np.float32) for item in body["data"]]
    assert [state.shape for state in states] == [(8, 64), (4, 64)]
    mean = states[0].mean(axis=0)
    np.testing.assert_allclose(mean / np.linalg.norm(mean), expected[0], atol=1e-5)
    plain = await post(client, "/pooling", input=TEXTS)
    np.testing.assert_array_equal(np.array([item["data"] for item in plain["data"]], np.float32), expected)


async def test_cohere(client: httpx.AsyncClient, expected: Array) -> None:
    body = await post(client, "/v2/embed", model="m", texts=TEXTS, input_type="search_document")
    np.testing.assert_array_equal(np.array(body["embeddings"]["float"], np.float32), expected)
    assert body["meta"]["billed_units"]["input_tokens"] == sum(len(text.split()) + 2 for text in TEXTS)
    long = await post(client, "/v2/embed", texts=["cat " * 500], embedding_types=["base64"])
    assert len(base64.b64decode(long["embeddings"]["base64"][0])) == 4 * 64
    await refused(client, "/v2/embed", texts=["cat " * 500], truncate="NONE")


async def test_a_conversation_is_embedded_as_the_template_writes_it(chat: httpx.AsyncClient) -> None:
    messages = [{"role": "user", "content": "the cat"}]
    found = await post(chat, "/v1/embeddings", messages=messages)
    text = "<|im_start|>user\nthe cat<|im_end|>\n"
    same = await post(chat, "/v1/embeddings", input=text)
    np.testing.assert_array_equal(vectors(found), vectors(same))
    assert abs(np.linalg.norm(vectors(found)) - 1) < 1e-5


async def test_a_model_that_generates_makes_no_vectors(generating: httpx.AsyncClient) -> None:
    for path, body in (
        ("/v1/embeddings", {"input": "a"}),
        ("/score", {"text_1": "a", "text_2": "b"}),
        ("/rerank", {"query": "a", "documents": ["b"]}),
        ("/pooling", {"input": "a"}),
        ("/classify", {"input": "a"}),
        ("/v2/embed", {"texts": ["a"]}),
    ):
        message, param = await refused(generating, path, **body)
        assert message.startswith("The model `m` does not support")
        assert param == "model"


async def test_requests_are_counted(client: httpx.AsyncClient) -> None:
    async def counter(name: str) -> float:
        lines = (await client.get("/metrics")).text.splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))

    done = await counter('vllm:request_success_total{engine="0",finished_reason="stop"')
    tokens = await counter("vllm:request_prompt_tokens_sum")
    await post(client, "/v1/embeddings", input=["cat", "dog"])
    assert await counter('vllm:request_success_total{engine="0",finished_reason="stop"') == done + 2
    assert await counter("vllm:request_prompt_tokens_sum") == tokens + 6


async def test_a_client_that_goes_away_frees_its_texts(client: httpx.AsyncClient) -> None:
    app = client._transport.app  # type: ignore[attr-defined]
    body = json.dumps({"input": ["cat " * 300] * 200}).encode()
    llm = app.state.server.models.default.llm
    messages = [{"type": "http.request", "body": body, "more_body": False}]
    headers = [(b"content-type", b"application/json")]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "path": "/v1/embeddings",
        "raw_path": b"/v1/embeddings",
        "query_string": b"",
        "headers": headers,
        "scheme": "http",
        "server": ("server", 80),
        "client": ("client", 1),
        "root_path": "",
    }
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        if messages:
            return messages.pop()
        while not llm.stats.num_requests_waiting:  # the client goes away when the engine works on it
            await asyncio.sleep(0.01)
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    await post(client, "/v1/embeddings", input="cat")  # its answer tells of everything before it
    metrics = (await client.get("/metrics")).text
    assert 'vllm:num_requests_waiting{engine="0",model_name="m"} 0.0' in metrics
    assert 'vllm:num_requests_running{engine="0",model_name="m"} 0.0' in metrics
    aborted = [line for line in metrics.splitlines() if 'finished_reason="abort"' in line]
    assert float(aborted[0].rpartition(" ")[2]) > 100
