"""LangChain: its own integration class for chat models, and its embeddings."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import Endpoint, endpoint
from langchain_core.language_models import BaseChatModel
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from langchain_tests.integration_tests import ChatModelIntegrationTests


class TestChat(ChatModelIntegrationTests):
    """Everything that langchain-tests asks of a chat model, on the scripted one."""

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatOpenAI

    @property
    def chat_model_params(self) -> dict[str, Any]:
        server = endpoint("scripted")
        return {"base_url": server.v1, "api_key": "EMPTY", "model": server.model, "stream_usage": True}

    @property
    def supports_json_mode(self) -> bool:
        return True

    @property
    def model_override_value(self) -> str:
        return endpoint("scripted").model


@pytest.mark.parametrize("check_length", [True, False])
def test_embeddings_by_text_and_by_token_ids(embedding: Endpoint, check_length: bool) -> None:
    """With the check of lengths on, the client sends token ids of its own tokenizer, which needs a download."""
    if check_length:
        pytest.importorskip("transformers", reason="the client counts tokens with it")
    client = OpenAIEmbeddings(
        base_url=embedding.v1,
        api_key="EMPTY",
        model=embedding.model,
        check_embedding_ctx_length=check_length,
        tiktoken_enabled=False,
    )
    cat, law = client.embed_documents(["a cat", "tax law"])
    assert len(cat) == len(law) == len(client.embed_query("a kitten")) == 384
