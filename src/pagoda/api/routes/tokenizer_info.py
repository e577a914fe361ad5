"""/tokenizer_info: what clients that count tokens themselves want to know (lm-evaluation-harness)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response

from pagoda.api.errors import json_response
from pagoda.api.protocol.common import ErrorResponse
from pagoda.api.state import state_of
from pagoda.engine.async_llm import AsyncLLM

router = APIRouter(tags=["tokens"])


@router.get(
    "/tokenizer_info",
    summary="The tokenizer's configuration",
    responses={status: {"model": ErrorResponse} for status in (404, 503)},
)
async def tokenizer_info(request: Request, model: str | None = None) -> Response:
    """tokenizer_config.json as the model carries it, or the same of what a GGUF file says."""
    lease = await state_of(request).lease(model)
    try:
        return json_response(await asyncio.to_thread(_describe, lease.llm))
    finally:
        lease.release()


def _describe(llm: AsyncLLM) -> dict[str, Any]:
    from pagoda.weights.json_fields import read_json  # with NumPy; the server starts without it

    tokenizer = llm.tokenizer
    path = Path(llm.config.tokenizer or llm.config.model_path) / "tokenizer_config.json"
    own = read_json(path) if path.is_file() else {}
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": llm.info.max_model_len,
        "vocab_size": tokenizer.vocab_size,
        "bos_token": tokenizer.bos_token or None,
        **own,
        "eos_token": tokenizer.eos_token or None,
        "chat_template": llm.config.chat_template or tokenizer.chat_template,
    }
