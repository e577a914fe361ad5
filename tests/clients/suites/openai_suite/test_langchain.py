"""LangChain: its own integration class for chat models, and its embeddings."""

from __future__ import annotations

from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from langchain_tests.integration_tests import ChatModelIntegrationTests

from conftest import Endpoint, endpoint


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


def test_embeddings(embedding: Endpoint) -> None:
    # Its check of lengths counts with tiktoken, which fetches its vocabulary from the network.
    client = OpenAIEmbeddings(
        base_url=embedding.v1, api_key="EMPTY", model=embedding.model, check_embedding_ctx_length=False
    )
    cat, law = client.embed_documents(["a cat", "tax law"])
    assert len(cat) == len(law) == len(client.embed_query("a kitten")) == 384
