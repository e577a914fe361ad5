"""/v1/embeddings, /pooling, /classify and Cohere's /v2/embed. What needs NumPy is imported with the first
request: a server of text starts without it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response

from pagoda.api.errors import bad_request
from pagoda.api.model_pool import Lease
from pagoda.api.openapi import documented
from pagoda.api.pooling_run import (
    answer,
    listed,
    read_inputs,
    require_embeddings,
    require_pooling,
    run,
    truncation_of,
    usage,
)
from pagoda.api.protocol.pooling import (
    ClassificationList,
    ClassifyRequest,
    CohereEmbeddings,
    CohereEmbedRequest,
    EmbeddingList,
    EmbeddingRequest,
    PooledList,
    PoolingRequest,
)
from pagoda.api.responses import response_id
from pagoda.engine.config import PoolingInfo
from pagoda.engine.messages import PoolingTask
from pagoda.engine.pooling_inputs import PoolingInput, PoolingPrompt, Truncation
from pagoda.text.chat_template import TemplateError
from pagoda.text.messages import MessageError, prepare_messages

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

router = APIRouter(tags=["embeddings"])


@router.post("/v1/embeddings", summary="Embeddings of texts", **documented(EmbeddingRequest, EmbeddingList))
async def create_embeddings(http: Request) -> Response:
    """Compatible with OpenAI's embeddings and vLLM's further fields."""
    return await answer(http, EmbeddingRequest, _embeddings)


@router.post(
    "/pooling", summary="Vectors of texts or of their tokens", **documented(PoolingRequest, PooledList)
)
async def create_pooling(http: Request) -> Response:
    """What the model computes: embeddings, outputs of a classifier, or vectors of all tokens."""
    return await answer(http, PoolingRequest, _pooling)


@router.post("/classify", summary="Classes of texts", **documented(ClassifyRequest, ClassificationList))
async def classify(http: Request) -> Response:
    """For models with a classifier."""
    return await answer(http, ClassifyRequest, _classes)


@router.post(
    "/v2/embed", summary="Embeddings of texts (Cohere)", **documented(CohereEmbedRequest, CohereEmbeddings)
)
async def create_cohere_embeddings(http: Request) -> Response:
    """Compatible with version 2 of Cohere's API, for texts."""
    return await answer(http, CohereEmbedRequest, _cohere)


async def _embeddings(http: Request, lease: Lease, body: EmbeddingRequest) -> dict[str, Any]:
    info = require_embeddings(lease, "Embeddings")
    _check_dimensions(body.dimensions, info)
    inputs = await _inputs(lease, body)
    identity = response_id("embd", http.headers, body)
    params = PoolingTask(normalize=body.normalize)
    vectors = await run(lease, inputs, identity, params, body)
    return {
        **_head(identity, lease),
        "data": [
            {"index": index, "object": "embedding", "embedding": _shown(vector, body)}
            for index, vector in enumerate(vectors)
        ],
        "usage": usage(inputs),
    }


async def _pooling(http: Request, lease: Lease, body: PoolingRequest) -> dict[str, Any]:
    info = require_pooling(lease, "Pooling")
    classifies = bool(info.labels)
    task = body.task or ("classify" if classifies else "embed")
    if classifies != (task in ("classify", "score")):
        raise bad_request(f"This model does not support task {task!r}.", "task")
    every_token = task == "token_embed"
    if not every_token:
        _check_dimensions(body.dimensions, info)
    inputs = await _inputs(lease, body)
    identity = response_id("pool", http.headers, body)
    params = PoolingTask(every_token=every_token, normalize=body.normalize)
    vectors = await run(lease, inputs, identity, params, body)
    if classifies:
        from pagoda.engine.vectors import activated

        vectors = [activated(vector, info.activation) for vector in vectors]
    return {
        **_head(identity, lease),
        "data": [
            {"index": index, "object": "pooling", "data": _shown(vector, body)}
            for index, vector in enumerate(vectors)
        ],
        "usage": usage(inputs),
    }


async def _classes(http: Request, lease: Lease, body: ClassifyRequest) -> dict[str, Any]:
    from pagoda.engine.vectors import activated

    info = require_pooling(lease, "Classification")
    if not info.labels:
        raise bad_request(f"The model `{lease.name}` does not support Classification API.", "model")
    inputs = await _inputs(lease, body)
    identity = response_id("classify", http.headers, body)
    outputs = await run(lease, inputs, identity, PoolingTask(), body)
    activation = "identity" if body.use_activation is False else info.activation
    data = []
    for index, output in enumerate(outputs):
        probs = activated(output, activation).tolist()
        label = info.labels[int(output.argmax())]
        data.append({"index": index, "label": label, "probs": probs, "num_classes": len(probs)})
    return {**_head(identity, lease), "data": data, "usage": usage(inputs)}


async def _cohere(http: Request, lease: Lease, body: CohereEmbedRequest) -> dict[str, Any]:
    from pagoda.api.vector_encoding import encode_vector
    from pagoda.engine.vectors import shortened

    info = require_embeddings(lease, "Embeddings")
    _check_dimensions(body.output_dimension, info, "output_dimension")
    limit = None if body.truncate == "NONE" else -1
    truncation = Truncation(limit, "left" if body.truncate == "START" else "right")
    inputs = await read_inputs(lease.llm, listed(body.texts, "texts"), truncation)
    identity = response_id("embd", http.headers, body)
    vectors = await run(lease, inputs, identity, PoolingTask())
    vectors = [shortened(vector, body.output_dimension) for vector in vectors]
    kinds = body.embedding_types or ["float"]
    tokens = usage(inputs)["prompt_tokens"]
    return {
        "id": identity,
        "embeddings": {kind: [encode_vector(vector, kind) for vector in vectors] for kind in kinds},
        "texts": body.texts,
        "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": tokens}},
        "response_type": "embeddings_by_type",
    }


async def _inputs(lease: Lease, body: EmbeddingRequest | ClassifyRequest) -> list[PoolingInput]:
    if body.messages is not None:
        prompts: list[PoolingPrompt] = [_conversation(lease, body)]
    elif body.input is None:
        raise bad_request("input: give a text, a list of texts or token ids.", "input")
    else:
        prompts = listed(body.input)
        if isinstance(body, EmbeddingRequest) and body.add_special_tokens is False:
            tokenizer = lease.llm.tokenizer
            prompts = [
                tokenizer.encode(prompt, add_special_tokens=False) if isinstance(prompt, str) else prompt
                for prompt in prompts
            ]
    return await read_inputs(lease.llm, prompts, truncation_of(body))


def _conversation(lease: Lease, body: EmbeddingRequest | ClassifyRequest) -> PoolingPrompt:
    """The messages as the model's template writes them, in tokens."""
    try:
        template = lease.llm.chat_template
        if template is None:
            raise bad_request("This model has no chat template; it takes `input`.", "messages")
        options: dict[str, Any] = {}
        if isinstance(body, EmbeddingRequest):
            options = dict(body.chat_template_kwargs or {})
            options["add_generation_prompt"] = bool(body.add_generation_prompt)
            options["continue_final_message"] = bool(body.continue_final_message)
        text = template.render(prepare_messages(body.messages or []), **options)
    except (MessageError, TemplateError) as error:
        raise bad_request(str(error), "messages") from error
    special = isinstance(body, EmbeddingRequest) and bool(body.add_special_tokens)
    return lease.llm.tokenizer.encode(text, add_special_tokens=special)


def _check_dimensions(wanted: int | None, info: PoolingInfo, name: str = "dimensions") -> None:
    if wanted is not None and not 1 <= wanted <= info.size:
        raise bad_request(f"{name} must be 1 to {info.size}, which is what this model gives.", name)


def _shown(vector: npt.NDArray[np.float32], body: EmbeddingRequest) -> Any:
    from pagoda.api.vector_encoding import encode_vector
    from pagoda.engine.vectors import shortened

    if vector.ndim == 1:
        vector = shortened(vector, body.dimensions)
    return encode_vector(vector, body.encoding_format, body.embed_dtype, body.endianness)


def _head(identity: str, lease: Lease) -> dict[str, Any]:
    return {"id": identity, "object": "list", "created": int(time.time()), "model": lease.name}
