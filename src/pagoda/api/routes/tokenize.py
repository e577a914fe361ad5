"""/tokenize and /detokenize: what a model makes of a text or a conversation, and the way back."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Request, Response

from pagoda.api.answer_plan import read_tools
from pagoda.api.body import read_body
from pagoda.api.errors import bad_request, json_response
from pagoda.api.model_pool import Lease
from pagoda.api.openapi import documented
from pagoda.api.prompts import chat_prompt, tokenize
from pagoda.api.protocol.tokenize import (
    DetokenizeRequest,
    DetokenizeResponse,
    TokenizeRequest,
    TokenizeResponse,
)
from pagoda.api.settings import ServerSettings
from pagoda.api.state import state_of

_MANY_TOKENS = 16_384  #: from which on decoding leaves the event loop to others
_MOST_TEXT = 4 * 1024 * 1024  #: characters, some seconds of work

router = APIRouter(tags=["tokens"])


@router.post(
    "/tokenize",
    summary="A text's or a conversation's tokens",
    **documented(TokenizeRequest, TokenizeResponse),
)
async def create_tokens(http: Request) -> Response:
    """As the completion APIs would cut it: a `prompt`, or `messages` with what a chat may say of them."""
    state = state_of(http)
    request = await read_body(http, TokenizeRequest, state.settings.max_body_bytes)
    lease = await state.lease(request.model)
    try:
        return json_response(await _tokens(lease, state.settings, request))
    finally:
        lease.release()


@router.post("/detokenize", summary="The text of tokens", **documented(DetokenizeRequest, DetokenizeResponse))
async def create_text(http: Request) -> Response:
    """Special tokens are written out, so that /tokenize gives the same tokens again."""
    state = state_of(http)
    request = await read_body(http, DetokenizeRequest, state.settings.max_body_bytes)
    lease = await state.lease(request.model)
    try:
        tokenizer, tokens = lease.llm.tokenizer, request.tokens
        size = max(lease.llm.info.vocab_size, tokenizer.vocab_size)
        wrong = next((token for token in tokens if not 0 <= token < size), None)
        if wrong is not None:
            raise bad_request(
                f"Token id {wrong} is out of vocabulary: this model has token ids 0 to {size - 1}.", "tokens"
            )
        if len(tokens) < _MANY_TOKENS:
            text = tokenizer.decode(tokens, False)
        else:
            text = await asyncio.to_thread(tokenizer.decode, tokens, False)
    finally:
        lease.release()
    return json_response({"prompt": text})


async def _tokens(lease: Lease, settings: ServerSettings, request: TokenizeRequest) -> dict[str, Any]:
    llm = lease.llm
    if (request.prompt is None) == (request.messages is None):
        raise bad_request("Send either prompt or messages.", "prompt")
    special = request.add_special_tokens
    if request.messages is None:
        text = request.prompt or ""
        special = special is not False
    else:
        text = (await chat_prompt(llm, settings, request, request.messages, read_tools(request))).text
    if len(text) > _MOST_TEXT:
        raise bad_request(
            f"The text holds {len(text):,} characters; at most {_MOST_TEXT:,} are accepted at once.",
            "prompt" if request.messages is None else "messages",
        )
    tokens = await tokenize(llm.tokenizer, text, add_special_tokens=bool(special))
    spelled = None
    if request.return_token_strs:
        spelled = [llm.tokenizer.id_to_token(token) or "" for token in tokens]
    return {
        "count": len(tokens),
        "max_model_len": llm.info.max_model_len,
        "tokens": tokens,
        "token_strs": spelled,
    }
