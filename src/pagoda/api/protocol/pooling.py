"""Requests for vectors and scores, and their responses: OpenAI's, vLLM's, Cohere's and Jina's fields."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from pagoda.api.protocol.common import INT64_MAX, INT64_MIN, Lenient

MAX_INPUTS = 8192  #: of one request

Tokens = list[int]
Inputs = str | Tokens | list[str] | list[Tokens]
Texts = str | list[str]
EmbedDtype = Literal["float32", "float16", "bfloat16"]
Endianness = Literal["native", "little", "big"]


class PoolingFields(Lenient):
    """What all of these requests may say. None means not given."""

    model: str | None = Field(None, description="A name that /v1/models lists; may be left out.")
    user: str | None = None
    priority: int | None = Field(None, ge=INT64_MIN, le=INT64_MAX, description="Lower goes first.")
    request_id: str | None = Field(None, description="Becomes part of the id of the answer.")
    truncate_prompt_tokens: int | None = Field(
        None, description="Cut longer texts to so many tokens, -1 to what the model takes."
    )
    truncation_side: Literal["left", "right"] | None = Field(
        None, description="Which end is cut off: right (default) or left."
    )


class VectorFields(PoolingFields):
    """Texts in, vectors out."""

    input: Inputs | None = Field(None, description="A text, several, token ids, or several lists of those.")
    messages: list[dict[str, Any]] | None = Field(
        None, description="A conversation instead of `input`, written out by the model's chat template."
    )
    add_generation_prompt: bool | None = None
    continue_final_message: bool | None = None
    chat_template_kwargs: dict[str, Any] | None = None
    add_special_tokens: bool | None = Field(
        None, description="Add what the tokenizer adds around a text (default, but not to messages)."
    )
    encoding_format: Literal["float", "base64"] | None = Field(
        None, description="Numbers, or their bytes in base64."
    )
    embed_dtype: EmbedDtype | None = Field(None, description="Number format of the vectors.")
    endianness: Endianness | None = Field(None, description="Byte order in base64; default little.")
    dimensions: int | None = Field(None, description="Keep so many first values, scaled to length 1 again.")


class EmbeddingRequest(VectorFields):
    normalize: bool | None = Field(None, description="Scale to length 1; default: as the model says.")


class PoolingRequest(EmbeddingRequest):
    task: Literal["embed", "classify", "token_embed", "score"] | None = Field(
        None, description="A vector (default), scores of a classifier, or vectors of all tokens."
    )


class ClassifyRequest(PoolingFields):
    input: Inputs | None = None
    messages: list[dict[str, Any]] | None = None
    use_activation: bool | None = Field(None, description="Give probabilities (default), or raw outputs.")


class ScoreRequest(PoolingFields):
    """Two texts, one against several, or several pairs; the two sides have several names."""

    text_1: Texts | None = None
    text_2: Texts | None = None
    queries: Texts | None = None
    documents: Texts | None = None
    items: Texts | None = None
    data_1: Texts | None = None
    data_2: Texts | None = None
    use_activation: bool | None = Field(None, description="Give probabilities (default), or raw outputs.")


class RerankDocument(Lenient):
    text: str


class RerankRequest(PoolingFields):
    query: str
    documents: list[str | RerankDocument]
    top_n: Annotated[int, Field(ge=0)] | None = Field(None, description="Give the best so many; 0: all.")
    return_documents: bool | None = Field(None, description="Repeat the documents (default).")
    use_activation: bool | None = None


class CohereEmbedRequest(Lenient):
    model: str | None = None
    texts: list[str]
    input_type: str | None = None
    embedding_types: list[Literal["float", "base64"]] | None = None
    output_dimension: int | None = None
    truncate: Literal["NONE", "START", "END"] | None = Field(None, description="Which end is cut off: END.")
    request_id: str | None = None


class PoolingUsage(BaseModel):
    prompt_tokens: int
    total_tokens: int
    completion_tokens: int = 0
    prompt_tokens_details: None = None


class Embedding(BaseModel):
    index: int
    object: Literal["embedding"]
    embedding: list[float] | str


class EmbeddingList(BaseModel):
    id: str
    object: Literal["list"]
    created: int
    model: str
    data: list[Embedding]
    usage: PoolingUsage


class Pooled(BaseModel):
    index: int
    object: Literal["pooling"]
    data: list[float] | list[list[float]] | str


class PooledList(BaseModel):
    id: str
    object: Literal["list"]
    created: int
    model: str
    data: list[Pooled]
    usage: PoolingUsage


class Classification(BaseModel):
    index: int
    label: str | None
    probs: list[float]
    num_classes: int


class ClassificationList(BaseModel):
    id: str
    object: Literal["list"]
    created: int
    model: str
    data: list[Classification]
    usage: PoolingUsage


class Score(BaseModel):
    index: int
    object: Literal["score"]
    score: float


class ScoreList(BaseModel):
    id: str
    object: Literal["list"]
    created: int
    model: str
    data: list[Score]
    usage: PoolingUsage


class RerankResultDocument(BaseModel):
    text: str


class RerankResult(BaseModel):
    index: int
    document: RerankResultDocument | None
    relevance_score: float


class RerankUsage(BaseModel):
    prompt_tokens: int
    total_tokens: int


class RerankResults(BaseModel):
    id: str
    model: str
    usage: RerankUsage
    results: list[RerankResult]


class CohereEmbeddings(BaseModel):
    id: str
    embeddings: dict[str, Any]
    texts: list[str]
    meta: dict[str, Any]
