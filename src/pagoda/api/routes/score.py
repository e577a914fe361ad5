"""/score and /rerank: how well texts go together, by a cross-encoder where one is loaded, else by the cosine
of embeddings.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request, Response

from pagoda.api.errors import bad_request
from pagoda.api.model_pool import Lease
from pagoda.api.openapi import documented
from pagoda.api.pooling_run import answer, read_inputs, require_pooling, run, truncation_of, usage
from pagoda.api.protocol.pooling import (
    MAX_INPUTS,
    PoolingFields,
    RerankRequest,
    RerankResults,
    ScoreList,
    ScoreRequest,
    Texts,
)
from pagoda.api.responses import response_id
from pagoda.engine.messages import PoolingTask
from pagoda.engine.pooling_inputs import PoolingInput

router = APIRouter(tags=["scores"])

_FIRST = ("text_1", "queries", "data_1")
_SECOND = ("text_2", "documents", "items", "data_2")


@router.post("/score", summary="Scores of pairs of texts", **documented(ScoreRequest, ScoreList))
@router.post("/v1/score", summary="Scores of pairs of texts", **documented(ScoreRequest, ScoreList))
async def score(http: Request) -> Response:
    """One text against one, one against several, or pairs."""
    return await answer(http, ScoreRequest, _score)


@router.post("/rerank", summary="Documents by relevance", **documented(RerankRequest, RerankResults))
@router.post("/v1/rerank", summary="Documents by relevance", **documented(RerankRequest, RerankResults))
@router.post("/v2/rerank", summary="Documents by relevance", **documented(RerankRequest, RerankResults))
async def rerank(http: Request) -> Response:
    """Compatible with Jina's and Cohere's rerank."""
    return await answer(http, RerankRequest, _rerank)


async def _score(http: Request, lease: Lease, body: ScoreRequest) -> dict[str, Any]:
    first, second = _side(body, _FIRST), _side(body, _SECOND)
    if len(first) == 1:
        first = first * len(second)
    if len(first) != len(second):
        raise bad_request(
            f"{len(first)} texts cannot be scored against {len(second)}: "
            "give one against one, one against several, or as many of each.",
            _SECOND[0],
        )
    identity = response_id("embd", http.headers, body)
    scores, inputs = await score_pairs(
        lease, list(zip(first, second, strict=True)), identity, body, body.use_activation is not False
    )
    return {
        "id": identity,
        "object": "list",
        "created": int(time.time()),
        "model": lease.name,
        "data": [{"index": index, "object": "score", "score": value} for index, value in enumerate(scores)],
        "usage": usage(inputs),
    }


async def _rerank(http: Request, lease: Lease, body: RerankRequest) -> dict[str, Any]:
    if not body.documents:
        raise bad_request("documents must not be an empty list.", "documents")
    texts = [document if isinstance(document, str) else document.text for document in body.documents]
    identity = response_id("rerank", http.headers, body)
    scores, inputs = await score_pairs(
        lease, [(body.query, text) for text in texts], identity, body, body.use_activation is not False
    )
    order = sorted(range(len(texts)), key=lambda index: -scores[index])  # stable: equals keep their order
    shown = body.return_documents is not False
    tokens = usage(inputs)["prompt_tokens"]
    return {
        "id": identity,
        "model": lease.name,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        "results": [
            {
                "index": index,
                "document": {"text": texts[index]} if shown else None,
                "relevance_score": scores[index],
            }
            for index in order[: body.top_n or len(order)]
        ],
    }


async def score_pairs(
    lease: Lease,
    pairs: Sequence[tuple[str, str]],
    identity: str,
    body: PoolingFields,
    activate: bool,
) -> tuple[list[float], list[PoolingInput]]:
    """A score for each pair, and what was computed for them. Raises ApiError 400, PromptError."""
    from pagoda.engine.vectors import activated, cosine  # NumPy; a server of text starts without it

    info = require_pooling(lease, "Score")
    if len(pairs) > MAX_INPUTS:
        raise bad_request(f"{len(pairs)} pairs are too many; at most {MAX_INPUTS} are taken.", "documents")
    llm = lease.llm
    if len(info.labels) > 1:
        raise bad_request(
            f"The model `{lease.name}` does not support Score API: it has {len(info.labels)} labels.", "model"
        )
    if info.labels:
        inputs = await read_inputs(llm, pairs, truncation_of(body))
        outputs = await run(lease, inputs, identity, PoolingTask(), body)
        activation = info.activation if activate else "identity"
        return [float(activated(output, activation)[0]) for output in outputs], inputs
    texts = list(dict.fromkeys(text for pair in pairs for text in pair))
    inputs = await read_inputs(llm, texts, truncation_of(body))
    vectors = dict(zip(texts, await run(lease, inputs, identity, PoolingTask(), body), strict=True))
    return [cosine(vectors[first], vectors[second]) for first, second in pairs], inputs


def _side(body: ScoreRequest, names: Sequence[str]) -> list[str]:
    """The texts of one side, under whichever of its names they came."""
    given: list[tuple[str, Texts]] = [
        (name, getattr(body, name)) for name in names if getattr(body, name) is not None
    ]
    if len(given) != 1:
        found = " and ".join(name for name, _ in given) or "none"
        raise bad_request(f"Give the texts under one of {', '.join(names)}; found {found}.", names[0])
    name, texts = given[0]
    if not texts and not isinstance(texts, str):
        raise bad_request(f"{name} must not be an empty list.", name)
    return [texts] if isinstance(texts, str) else texts
