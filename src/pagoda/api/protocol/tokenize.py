"""/tokenize and /detokenize."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from pagoda.api.protocol.chat import ChatFields
from pagoda.api.protocol.common import Lenient


class TokenizeRequest(ChatFields):
    """A text, or a conversation; the fields of chats say how it is rendered."""

    prompt: str | None = Field(None, description="A text; add_special_tokens is then true by default.")
    messages: list[dict[str, Any]] | None = Field(None, description="Or a conversation.")
    return_token_strs: bool | None = Field(None, description="Give the tokens as the vocabulary has them.")


class TokenizeResponse(BaseModel):
    count: int
    max_model_len: int
    tokens: list[int]
    token_strs: list[str] | None = None


class DetokenizeRequest(Lenient):
    model: str | None = Field(None, description="A name that /v1/models lists; may be left out.")
    tokens: list[int] = Field(description="Token ids.")


class DetokenizeResponse(BaseModel):
    prompt: str
